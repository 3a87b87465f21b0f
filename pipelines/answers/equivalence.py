"""Whether an answer equals the reference: cheap exact tiers first, the symbolic check only where they cannot tell.

Two bare answers go in, a `Match` comes out. The same recursion runs on both sides of the process boundary: in the
caller without a symbolic check, where a pair that needs one comes back as `needs_symbolic`, and in a killable worker
with it. All parts of a structure pass through the same guards.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.algebra import algebraically_equal
from stepforge.pipelines.answers.differ import apart, constant
from stepforge.pipelines.answers.exact import TooLarge, Undefined, evaluate
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.outcome import Method
from stepforge.pipelines.answers.quantity import Quantity, is_rounded, quantity, same
from stepforge.pipelines.answers.structure import Structure, structure

MAX_CHARS = 1000       # of one answer; the longest reference of MATH-500 has 75
MAX_SYMBOLIC = 300     # of what the symbolic check parses
MAX_NESTING = 12       # 30 nested brackets keep the LaTeX parser busy for seconds
MAX_EXPONENT = 200     # (x+1)^{2000} is expanded term by term
MAX_DIGITS = 60        # of one number in a symbolic expression

NEEDS_SYMBOLIC = "needs_symbolic"
Symbolic = Callable[[str, str], "Match"]


class Match(NamedTuple):
    """equal: None where it cannot be told, for `reason`; method: the highest tier that was needed."""

    equal: bool | None
    method: Method
    reason: str | None = None


EQUAL, UNEQUAL = Match(True, "numeric"), Match(False, "numeric")


def compare(gold: str, answer: str, symbolic: Symbolic | None = None) -> Match:
    """Whether two bare answers, as written, are equal. A name that only one of them gives (`x = 5`) is left out."""
    if len(gold) > MAX_CHARS or len(answer) > MAX_CHARS:
        same_text = gold.strip() == answer.strip()
        return Match(True, "literal") if same_text else Match(None, "none", outcome.OUT_OF_BOUNDS)
    gold, answer = canonical(gold), canonical(answer)
    if not gold:
        return Match(None, "none", outcome.GOLD_UNPARSEABLE)
    if not answer:
        return Match(False, "literal")
    return _compare(gold, answer, symbolic)


def _compare(gold: str, answer: str, symbolic: Symbolic | None) -> Match:
    if gold == answer and _number(gold) is not UNDEFINED:
        return Match(True, "literal")
    gold_number, answer_number = _number(gold), _number(answer)
    if gold_number is UNDEFINED:
        return Match(None, "none", outcome.GOLD_UNPARSEABLE)
    if answer_number is UNDEFINED:
        return UNEQUAL
    if TOO_LARGE in (gold_number, answer_number):
        return Match(None, "none", outcome.OUT_OF_BOUNDS)
    if isinstance(gold_number, Quantity) and isinstance(answer_number, Quantity):
        equal = same(gold_number, answer_number)
        return Match(equal, "numeric", outcome.AMBIGUOUS if equal is None else None)
    if gold.lstrip("-+") == r"\infty" or answer.lstrip("-+") == r"\infty":
        return Match(gold.lstrip("+") == answer.lstrip("+"), "literal")
    return _words(gold, answer) or _relations(gold, answer, symbolic) or _structures(gold, answer, symbolic) \
        or _symbolic(gold, answer, symbolic)


UNDEFINED, TOO_LARGE = "undefined", "too large"


@lru_cache(maxsize=16384)
def _number(text: str) -> Quantity | str | None:
    try:
        return quantity(text)
    except Undefined:
        return UNDEFINED
    except TooLarge:
        return TOO_LARGE


# Words: names, choices, letters -----------------------------------------------------------------------------------

_CHOICE = re.compile(r"(?:\\text\{)?\(?([A-Za-z])\)?\}?[.)]?(?:\\text\{.*\})?").fullmatch
_WORDS = re.compile(r"(?:\\text\{)?((?:[A-Za-z]{2,}|[A-Za-z](?= [A-Za-z]{2}))(?:[ '.-]+[A-Za-z]{2,})*\.?)\}?"
                    ).fullmatch


def _words(gold: str, answer: str) -> Match | None:
    """Compare names and choice letters by their letters; None where neither side is a word."""
    gold_word, answer_word = as_word(gold), as_word(answer)
    if gold_word is None:
        named = answer_word is not None and len(answer_word) > 1 and isinstance(_number(gold), Quantity)
        return Match(False, "literal") if named else None
    if answer_word is not None:
        if gold_word.casefold() == answer_word.casefold() and (len(gold_word) > 1 or gold_word == answer_word
                                                               or _marked(gold)):
            return Match(True, "literal")
        anagram = sorted(gold_word) == sorted(answer_word) and not _marked(gold) and not _marked(answer)
        return Match(None, "none", outcome.AMBIGUOUS) if anagram else Match(False, "literal")
    return Match(False, "literal") if _marked(gold) or isinstance(_number(answer), Quantity) else None


def as_word(text: str) -> str | None:
    """The letters of a canonical string that is a name, a word or a choice, None for anything else."""
    if match := _CHOICE(text):
        return match[1]
    match = _WORDS(text)
    return match[1].strip(" .") if match else None


def _marked(text: str) -> bool:
    return text.startswith((r"\text{", "("))


# Equations: x = 5 --------------------------------------------------------------------------------------------------

_EQUALS = re.compile(r"(?<![<>!\\=])=(?!=)")
_NAME = re.compile(r"(?:\\text\{[^{}]*\}|\\?[a-zA-Z]+|[a-zA-Z][a-zA-Z ]*)(?:_(?:\w|\{\w+\}))?'?"
                   r"(?:\([a-zA-Z0-9,]*\))?").fullmatch


def _relations(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    """Take `name = value` apart on either side; a false numeric equation (`17=3`) equals nothing."""
    gold_name, gold_value = _assignment(gold)
    answer_name, answer_value = _assignment(answer)
    if answer_value is None:
        return UNEQUAL
    if gold_value is None:
        return Match(None, "none", outcome.GOLD_UNPARSEABLE)
    if (gold_name, answer_name) == (None, None) and (gold_value, answer_value) == (gold, answer):
        return None
    if gold_name and answer_name and _letters(gold_name) != _letters(answer_name):
        descriptive = _descriptive(gold_name) and _descriptive(answer_name)     # `area = 5`, `A(x) = 5`
        doubtful = descriptive and _compare(gold_value, answer_value, None).equal
        return Match(None, "none", outcome.AMBIGUOUS) if doubtful else Match(False, "literal")
    return _compare(gold_value, answer_value, symbolic)


def _letters(name: str) -> str:
    return name.replace("\\text", "").strip("\\{} ").casefold()


def _descriptive(name: str) -> bool:
    return len(_letters(name)) > 1 or "(" in name


def _assignment(text: str) -> tuple[str | None, str | None]:
    """(name, value) of `x = 5`, `5 = x`, `x = 2 + 3 = 5`; (None, None) for a false chain, else (None, text)."""
    if "=" not in text or "," in text or ";" in text:
        return None, text
    sides = [side.strip() for side in _EQUALS.split(text)]
    if len(sides) < 2 or not all(sides) or len(sides) > 8:
        return None, text
    numbers = [number for side in sides if isinstance(number := _number(side), Quantity)]
    if any(number.value != numbers[0].value for number in numbers[1:]):
        return None, None
    if _NAME(sides[0]):
        return sides[0], sides[-1]
    if len(sides) == 2 and _NAME(sides[1]) and numbers:
        return sides[1], sides[0]
    return (None, sides[-1]) if len(numbers) == len(sides) else (None, text)


# Structures: tuples, sets, matrices --------------------------------------------------------------------------------

def assignment_value(text: str) -> str:
    """The value of a canonical `x = 5`, else the text itself."""
    return _assignment(text)[1] or text


def _structures(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    gold_parts, answer_parts = structure(gold), structure(answer)
    if gold_parts is None and answer_parts is None:
        return None
    if gold_parts is None:
        assert answer_parts is not None
        if answer_parts.kind in ("list", "set"):
            return _one_of_many(gold, answer_parts, symbolic)
        return None if answer_parts.kind == "union" else UNEQUAL
    if answer_parts is None:
        return None if gold_parts.kind in ("union", "set") or re.search(r"[\\<>]", answer) else UNEQUAL
    return _parts(gold_parts, answer_parts, symbolic)


def _one_of_many(gold: str, listed: Structure, symbolic: Symbolic | None) -> Match:
    """One value was asked for: several spellings of it are one answer, different values are too many."""
    distinct = dict.fromkeys(listed.parts)
    matches = [_compare(gold, part, symbolic) for part in distinct]
    if all(match.equal for match in matches):
        repeated = len(distinct) < len(listed.parts)       # `5,5` may also be a decimal comma
        return Match(None, "none", outcome.AMBIGUOUS) if repeated else _all(matches)
    if any(match.equal is False for match in matches):
        return Match(False, "numeric", outcome.MANY_ANSWERS)
    return _all(matches)


def _parts(gold: Structure, answer: Structure, symbolic: Symbolic | None) -> Match:
    kinds = {gold.kind, answer.kind}
    if kinds <= {"list", "set"}:
        return _unordered(tuple(dict.fromkeys(gold.parts)), tuple(dict.fromkeys(answer.parts)), symbolic)
    if kinds == {"union"}:
        return _unordered(gold.parts, answer.parts, symbolic)
    if kinds == {"tuple", "list"}:
        brackets = gold.shape if gold.kind == "tuple" else answer.shape
        if brackets != "()" or len(gold.parts) != len(answer.parts):
            return UNEQUAL
    elif kinds == {"tuple", "matrix"}:
        vector = gold if gold.kind == "matrix" else answer
        if 1 not in map(int, vector.shape.split("x")) or len(gold.parts) != len(answer.parts):
            return UNEQUAL
    elif gold.kind != answer.kind or gold.shape != answer.shape or len(gold.parts) != len(answer.parts):
        return UNEQUAL
    return _all([_compare(first, second, symbolic) if first and second else UNEQUAL
                 for first, second in zip(gold.parts, answer.parts, strict=True)])


def _unordered(gold: tuple[str, ...], answer: tuple[str, ...], symbolic: Symbolic | None) -> Match:
    if len(gold) != len(answer):
        return Match(False, "numeric", outcome.MANY_ANSWERS if len(answer) > len(gold) else None)
    if len(gold) > 8 and symbolic is None and sorted(gold) == sorted(answer):
        return EQUAL
    matches, left = [], list(answer)
    for wanted in gold:
        found = [_compare(wanted, offered, symbolic) for offered in left]
        best = max(range(len(left)), key=lambda at: (found[at].equal is True, found[at].equal is None))
        matches.append(found[best])
        left.pop(best)
        if found[best].equal is False:
            break
    return _all(matches)


def _all(matches: list[Match]) -> Match:
    """The conjunction: one unequal part decides, else one unknown part does."""
    ranks: tuple[Method, ...] = ("none", "literal", "numeric", "symbolic")
    method: Method = max((match.method for match in matches), key=ranks.index, default="literal")
    for match in matches:
        if match.equal is False:
            return Match(False, match.method, match.reason)
    unknown = [match for match in matches if match.equal is None]
    if unknown:
        return next((match for match in unknown if match.reason == NEEDS_SYMBOLIC), unknown[0])
    return Match(True, method)


# Symbolic ----------------------------------------------------------------------------------------------------------

_LONG_NUMBER = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")
_EXPONENT = re.compile(r"\^\s*(?:\{\s*([^{}]*)\}?|(\w))")
_HEAVY = re.compile(r"([0-9]{1,9})\s*!|\\d?t?binom\s*\{?\s*([0-9]{1,9})|[0-9]+(?:\.[0-9]+)?[eE]\+?([0-9]{1,9})")
_GAP = re.compile(r"[0-9] [0-9]|[0-9]_")     # `1 8` is not 18, nor 1 times 8; `5_7_8` is not 5
_LOOPS = re.compile(r"\\(?:sum|prod|int|lim|iint|oint)(?![a-zA-Z])")


def _symbolic(gold: str, answer: str, symbolic: Symbolic | None) -> Match:
    for text in (gold, answer):
        if not within_bounds(text):
            return Match(None, "none", outcome.OUT_OF_BOUNDS)
    if _rounds(gold, answer) or _rounds(answer, gold):
        return EQUAL
    equal = algebraically_equal(gold, answer)
    if equal is not None:
        return Match(equal, "symbolic")
    if apart(gold, answer) or (_GAP.search(answer) and not _GAP.search(gold)):
        return UNEQUAL
    if symbolic is None:
        return Match(None, "symbolic", NEEDS_SYMBOLIC)
    return symbolic(gold, answer)


def _rounds(decimal: str, exact: str) -> bool:
    """Whether a long decimal is an irrational constant rounded in its last place: `3.141593` and `\\pi`."""
    number = _number(decimal)
    if not isinstance(number, Quantity) or not is_rounded(number):
        return False
    value = constant(exact)
    return value is not None and abs(float(number.value) - value) <= float(number.ulp) / 2


@lru_cache(maxsize=16384)
def within_bounds(text: str) -> bool:
    """Whether a canonical expression is small enough to hand to a symbolic parser at all."""
    if len(text) > MAX_SYMBOLIC or _LONG_NUMBER.search(text):
        return False
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING or text.count("^") > 12 or text.count("|") > 8 or len(_LOOPS.findall(text)) > 2:
        return False
    if any(int(next(filter(None, match.groups()))) > MAX_EXPONENT for match in _HEAVY.finditer(text)):
        return False
    return not any(_tower(match[1] or match[2] or "") for match in _EXPONENT.finditer(text))


def _tower(exponent: str) -> bool:
    """Whether an exponent is a large number or holds another power."""
    if "^" in exponent or "!" in exponent:
        return True
    try:
        value = evaluate(exponent)
    except ValueError:
        return True
    return value is not None and abs(value) > MAX_EXPONENT
