"""Letters that an answer may choose: parameters (`(2k,k)` and `(2n,n)`), constants of integration (`+C` and `+c`).

Two canonical strings that differ go in; whether they are the same but for such letters comes out.
"""

import re
from itertools import permutations

from stepforge.pipelines.answers.algebra import algebraically_equal
from stepforge.pipelines.answers.differ import FINE, probe, same_values
from stepforge.pipelines.answers.matches import EQUAL, UNCLEAR, Match
from stepforge.pipelines.answers.relations import split, symbols

MAX_LETTERS = 3
_CONSTANTS = frozenset(("C", "c", "K", "C_1", "c_1"))
_LETTER = re.compile(r"\\[a-zA-Z]+|(?<![\\a-zA-Z])[a-zA-Z](?:_\{?\d\}?)?|[a-zA-Z]")
_CHOSEN = re.compile(r"[^=]{1,20}=.*[a-zA-Z].*|\(.*[-+^\d].*,.*\)|\(.*,.*[-+^\d].*\)", re.DOTALL).fullmatch
_FAMILY = re.compile(r"(.+)\+([cCkK](?:_1)?)").fullmatch
_LOG = re.compile(r"\\log(?![a-zA-Z_])")
_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc|ln|log|arc[a-z]+)(?![a-z])").search
_SHIFTS = (0.0, 0.13, 0.29, 0.41)


def renamed_match(gold: str, answer: str) -> Match | None:
    """EQUAL where only a constant has another name, UNCLEAR where other letters have; None where more differs.

    The letters of `n=4k+1` or `(k,k^2)` may be chosen, those of a bare `2n+1` are the problem's. Letters that both
    sides hold keep their meaning, and so do the names of what is stated (`x` of `x=5`).
    """
    if (same := _same_integral(gold, answer)) is not None:
        return same
    if not (_CHOSEN(gold) and _CHOSEN(answer)) or r"\text" in gold + answer:
        return None
    letters = [_letters(text) for text in (gold, answer)]
    stated = {side for text in (gold, answer) for part in split(text, ",", ";", r"\lor", r"\land")
              for side in split(part, "=")[:-1]}
    own, others = (sorted(first - second - stated) for first, second in (letters, letters[::-1]))
    free = all(letter.islower() and len(letter) == 1 or letter in _CONSTANTS for letter in (*own, *others))
    if not (free and 1 <= len(own) == len(others) <= MAX_LETTERS):
        return None
    for order in permutations(own):
        if _same(gold, _replaced(answer, dict(zip(others, order, strict=True)))):
            of_curves = all(letters[at] & {"x", "t"} for at in (0, 1))           # E=mc^2 has no free constant
            named = own[0][0] == "C" and {*own, *others} <= _CONSTANTS
            return EQUAL if named and of_curves else UNCLEAR
    return None


def _letters(text: str) -> set[str]:
    """The free letters of a text, those with a number as one: `C_1`."""
    free = symbols(text)
    return {token.replace("{", "").replace("}", "") for token in _LETTER.findall(text)
            if token[0] != "\\" and token[0] in free}


def _replaced(text: str, new: dict[str, str]) -> str:
    return _LETTER.sub(lambda token: new.get(token[0].replace("{", "").replace("}", ""), token[0]), text)


def _same(gold: str, answer: str) -> bool:
    """Whether two texts are equal piece by piece, with the same signs between the pieces."""
    if gold == answer:
        return True
    if "=" in gold or "," in gold:
        pieces = [[piece for piece in split(text.strip("()[]"), ",", ";", "=")] for text in (gold, answer)]
        ends = [re.sub(r"[^=,;()\[\]]", "", text) for text in (gold, answer)]
        return len(pieces[0]) == len(pieces[1]) and sorted(ends[0]) == sorted(ends[1]) and all(
            one == other or algebraically_equal(one, other) for one, other in zip(*pieces, strict=True))
    return bool(algebraically_equal(gold, answer)) or same_values(gold, answer)


def _same_integral(gold: str, answer: str) -> Match | None:
    """Whether two integrals differ by a constant: `\\frac12\\sin^2 x+C` and `-\\frac14\\cos 2x+C`."""
    first, second = _FAMILY(gold), _FAMILY(answer)
    if not (first and second) or "C" not in first[2] + second[2] or first[2] in _letters(first[1]) \
            or second[2] in _letters(second[1]) or not (_FUNCTION(first[1]) and _FUNCTION(second[1])):
        return None
    for texts in ([first[1], second[1]], [_LOG.sub(r"\\ln", one[1]) for one in (first, second)]):
        values = [(probe(texts[0], shift), probe(texts[1], shift)) for shift in _SHIFTS]
        found = [(one[0] - other[0], max(1.0, one[1], other[1])) for one, other in values if one and other]
        if len(found) == len(values) and not any(map(FINE, texts)) \
                and all(abs(value - found[0][0]) <= 1e-9 * scale for value, scale in found):
            return EQUAL
    return None
