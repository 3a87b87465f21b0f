"""Readings that a text has only beside the other side: `0,5` with a decimal comma, `a=b=c=1` as a triple, `3:4:5`, and
a choice letter beside what may be its option, `Ann: 5, Ben: 7` without its labels."""

import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

from stepforge.pipelines.answers.compound_units import with_marked_unit
from stepforge.pipelines.answers.matches import EQUAL, UNCLEAR, UNEQUAL, Match
from stepforge.pipelines.answers.plain import FUNCTIONS
from stepforge.pipelines.answers.quantity import Quantity, read_number
from stepforge.pipelines.answers.relations import split, symbols
from stepforge.pipelines.answers.structure import Structure, structure
from stepforge.pipelines.answers.units import is_unit
from stepforge.pipelines.answers.vectors import along_axes
from stepforge.pipelines.answers.words import LETTERS, choice, says_none

_LABELLED = re.compile(r"(?:\\text\{)?[A-Z][a-z]+(?: [A-Z][a-z]+)?\}? ?(\d+)").fullmatch
_TIMES = {"k": 1000, "K": 1000, "M": 10**6}
_SHORT = re.compile(r"[$€£]?(\d+(?:\.\d+)?)\s*([kKM])").fullmatch
_LONE_CAPITAL = re.compile(r"(?<![A-Za-z\\])[A-Z](?![A-Za-z])").search
_POINTED = re.compile(r"(?<=\d),(?=(?:\d\d?|\d{4,})(?!\d))")
_COMMA = r"-?(?:\d{1,3}(?:\.\d{3})+|\d+),\d{1,2}"
_COMMA_MEASURE = re.compile(rf"^[$€£¥]{_COMMA}(?![\d,])"
                            rf"|^{_COMMA}(?=\s*(?:[$€£¥%°]|\\text\{{|[^\W\d_]{{2,}})[^\d,;]*$)")
_MARKED_LABEL = re.compile(r"\\text\{([^{}]*:) ?\}")
_HAS_LABEL = re.compile(r"[a-zA-Z]:").search
_BOUND = (r"(?:at|fewer|less|more|greater|larger|smaller|no|not|over|under|up|below|above|about|strictly|between)"
          r"(?![a-z])")
_LABELS = re.compile(rf"(?:^|(?<=[,;({{]))\s*(?!(?:\\text\{{)?\s*{_BOUND})"
                     rf"(?:\\text\{{[^{{}}]*[a-zA-Z]{{3}}:?\}}"
                     rf"|(?!(?:{FUNCTIONS})(?![a-z:]))[a-zA-Z]{{2,}}(?: [a-zA-Z]+)*)"
                     r"\s*[:=]?\s*(?=[-$\d(]|\\(?:frac|sqrt|pi)(?![a-z]))")       # Ann: 5; at most 5 is a bound
_MARKED = re.compile(r"\\text\{([^{}]*)\}")
_WORD_IN = re.compile(r"[a-z]{4}").search
_NUMBERED = re.compile(r"(?<![a-zA-Z\\])([a-z])_\{?\d\}?(?==)")
_CONSTANT = re.compile(r"(.+)\+\s*([cCkK])").fullmatch           # of an integral
_MEASURE = re.compile(r"(-?[\d.,/]+) ?(?:\\text\{ ?)?([A-Za-z]{2,4})\}?").fullmatch
_DOTTED = re.compile(r"(-?\d{1,3}(?:\.\d{3})+)(?:,(\d+))?").fullmatch


_SETS = [{letter, rf"\mathbb{{{letter}}}"} for letter in "RZNQ"]
_ONE_LABEL = re.compile(r"(?:\\text\{[A-Za-z][A-Za-z ']{0,30}:\s*\}|[a-zA-Z]:(?=\s?[-\d\\]))\s*(.+)",
                        re.DOTALL).fullmatch
_OPTION = re.compile("[a-d]").fullmatch
_SEGMENT = re.compile(r"^\\overline\{([A-Z]{2})\}$")
_CALL = re.compile(r"\\?(?<![a-zA-Z])(gcd|lcm|max|min|C|P)\((\d{1,4}),(\d{1,4})\)")
MAX_CHOSEN = 200     # of a binomial coefficient that is computed
_FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "gcd": math.gcd, "lcm": math.lcm, "max": max, "min": min, "C": math.comb, "P": math.perm}
_ASIDE = re.compile(r"(.*[\d}])\s*(?:\\text\{\s*\(([^{}()]*)\)\s*\}|\(([^()]*[a-z]{2}[^()]*)\))",
                    re.DOTALL).fullmatch
_NO_ASIDE = re.compile(r"\bor\b|\\lor|not\b|n['’]t\b|extraneous|possible|valid|reject|discard|exclud|ignor|wrong"
                       r"|correct|maybe|perhaps|probabl|guess|sure", re.IGNORECASE).search


_QUANTIFIED = re.compile(r"^(?:\\text\{)?\s*(?:for )?(?:all|every|any)(?: (?:positive |natural |real )?"
                         r"(?:integers?|numbers?|values?|reals?)(?: of)?)?\s*\}?\s*"
                         r"(?=[a-zA-Z]\s*(?:\\(?:[gl]e|ne)(?![a-z])|[<>]))", re.IGNORECASE)
_RATIO = re.compile(r"([^:=,;]{1,40}):([^:=,;]{1,40})").fullmatch
_EXACT = re.compile(r"(?:[-+\d().{}/ ]|\\(?:sqrt|frac|pi|cdot)(?![a-zA-Z]))+").fullmatch
_UNIT_BEHIND = re.compile(r"^(.*\d)\s*\(([a-zA-Z/]{1,8}(?:\^\d)?)\)$")


def _fractional(text: str) -> str:
    """A ratio of two exact numbers as a quotient."""
    ratio = _RATIO(text)
    exact = ratio is not None and _EXACT(ratio[1]) and _EXACT(ratio[2])
    return rf"\frac{{{ratio[1]}}}{{{ratio[2]}}}" if ratio and exact else text


def _called(match: re.Match[str]) -> str:
    name, first, second = match[1], int(match[2]), int(match[3])
    if name in "CP" and not second <= min(first, MAX_CHOSEN):    # P(2,3) is a point
        return match[0]
    return str(_FUNCTIONS[name](first, second))


def second_readings(gold: str, answer: str) -> Iterator[tuple[str, str, bool]]:
    """Other readings of two canonical texts that differ, and whether equal values then mean equal answers.

    With semicolons between its parts, `(0,5;2)` has decimal commas, and so has a number with a unit: `3,5 Stunden`.
    `x_1=1,x_2=2` may be the roots of `x`. Units may differ in case, which leaves open whether the
    same is meant, and so do labels (`Ann: 5, Ben: 7`) that only one side gives. `2\\hat{i}-3\\hat{j}` is a tuple.
    """
    pointed = [_POINTED.sub(".", text) if ";" in text and text.count(",") == len(_POINTED.findall(text)) else text
               for text in (gold, answer)]
    if pointed != [gold, answer]:
        yield pointed[0], pointed[1], True
    pointed = [_COMMA_MEASURE.sub(lambda m: m[0].replace(".", "").replace(",", "."), text) for text in (gold, answer)]
    if pointed != [gold, answer]:
        yield pointed[0], pointed[1], True
    marked = [with_marked_unit(text) for text in (gold, answer)]
    if marked != [gold, answer]:
        yield marked[0], marked[1], True                       # 40 N·m
    plain = [_MARKED_LABEL.sub(r"\1", text) for text in (gold, answer)]
    if plain != [gold, answer] and all(map(_HAS_LABEL, plain)):
        yield plain[0], plain[1], True
    if (one := _MEASURE(gold)) and (other := _MEASURE(answer)) and one[1] == other[1] and one[2] != other[2] \
            and one[2].casefold() == other[2].casefold() and not (is_unit(one[2]) and is_unit(other[2])):
        yield gold, gold, False                                # 5 mb for 5 Mb
    if (one := _CONSTANT(gold)) and (other := _CONSTANT(answer)) and one[2] != other[2] \
            and not {one[2], other[2]} & symbols(one[1] + other[1]):
        yield one[1], other[1], one[2] == "C"                   # x^2+C and x^2+c
    exact = ":" in gold + answer and (r"\sqrt" in gold + answer or r"\pi" in gold + answer)
    for reading in (lambda text: _QUANTIFIED.sub("", text), lambda text: _UNIT_BEHIND.sub(r"\1 \2", text),
                    *([_fractional] if exact else [])):
        read = reading(gold), reading(answer)
        if read != (gold, answer):
            yield *read, True                                  # all n \ge 3; 15 (km); 1:\sqrt{3}
    if {gold, answer} in _SETS:
        yield gold, gold, True                                 # R for \\mathbb{R}
    for text, tuple_text in ((gold, answer), (answer, gold)):
        parts = structure(tuple_text)
        if parts and (vector := along_axes(text, len(parts.parts))):
            yield vector, tuple_text, True
    if (labelled := _ONE_LABEL(answer)) and not _HAS_LABEL(labelled[1] + gold):
        yield gold, labelled[1], True                          # \text{Total: }7
    if (labelled := _ONE_LABEL(gold)) and not _HAS_LABEL(labelled[1] + answer):
        yield labelled[1], answer, False
    first, second = (_MARKED.sub(r"\1", text).replace(" ", "") for text in (gold, answer))
    if first[1:] == second[1:] and first[:1].casefold() == second[:1].casefold() and _WORD_IN(first):
        yield gold, gold, True                                 # n\text{ is even}, n is even
    roots = [_NUMBERED.sub(r"\1", text) for text in (gold, answer)]
    numbered = _NUMBERED.findall(gold), _NUMBERED.findall(answer)
    if roots != [gold, answer] and max(map(len, numbered)) > 1 and len({*numbered[0], *numbered[1]}) == 1:
        yield roots[0], roots[1], gold == roots[0] or answer == roots[1]
    bare, said = (_LABELS.sub("", text) for text in (gold, answer))
    if bare != gold and said == answer or bare == gold and said != answer and _HAS_LABEL(answer):
        yield bare, said, False
    plain = [_SEGMENT.sub(r"\1", _CALL.sub(_called, text)) for text in (gold, answer)]
    if plain != [gold, answer]:
        yield plain[0], plain[1], True                         # \gcd(10,15), \overline{AB}
    if (aside := _ASIDE(answer)) and not _ASIDE(gold) and not _NO_ASIDE(aside[2] or aside[3]):
        yield gold, aside[1], False                            # 5 \text{ (in dollars)}


def letter_match(gold: str, answer: str) -> Match | None:
    """A choice letter beside a value, `C` and `42`: whether 42 stands behind C, the reference alone does not say."""
    for one, other in ((gold, answer), (answer, gold)):
        if one is gold and _OPTION(one) and isinstance(read_number(other), Quantity):
            return UNCLEAR                                     # a, of options that the reference does not tell
        letter = choice(one)
        if letter and not letter.content and letter.letter in LETTERS and not _LONE_CAPITAL(other) \
                and choice(other) is None and not says_none(other):
            return UNCLEAR
    return None


def dotted_match(gold: str, answer: str) -> Match | None:
    """Points between thousands, as many countries write them: `1.234.567`, and `1.234,5` beside 1234.5."""
    for one, other in ((gold, answer), (answer, gold)):
        number, dotted = read_number(other), _DOTTED(one)
        if dotted and isinstance(number, Quantity) and (dotted[2] or dotted[1].count(".") > 1):
            same = Fraction(f"{dotted[1].replace('.', '')}.{dotted[2] or 0}") == number.value
            return (UNCLEAR if dotted[2] else EQUAL) if same else None
    return None


def labels_match(gold: str, answer: str) -> Match | None:
    """`Route 66` answered by the bare 66, `3k` beside 3000: what was meant is not sure."""
    for one, other in ((gold, answer), (answer, gold)):
        number = read_number(other)
        if not isinstance(number, Quantity) or isinstance(read_number(one), Quantity):
            continue
        if one is gold and (label := _LABELLED(one)) is not None:
            return UNCLEAR if int(label[1]) == number.value else UNEQUAL
        if (short := _SHORT(one)) is not None and Fraction(short[1]) * _TIMES[short[2]] == number.value:
            return UNCLEAR
    return None


def all_alike(text: str, count: int) -> str:
    """`a=b=c=1` as a tuple of so many equal values, empty for anything else."""
    *names, value = split(text, "=")
    alike = len(names) == count and all(len(name) == 1 and name.isalpha() for name in names)
    return f"({','.join([value] * count)})" if alike else ""


def commas_match(text: str, listed: Structure, single: str) -> Match | None:
    """A list that is also one number: `1,25` with a decimal comma, `101, 202` with one between thousands.

    Nobody lists 1 and 25 where the other side is 1.25; with one place (`0,5`) or a space (`1, 25`) either is meant.
    """
    whole, *others = listed.parts
    if listed.kind != "list" or not whole.lstrip("-").isdigit() or not all(part.isdigit() for part in others):
        return None
    number = read_number(single)
    if not isinstance(number, Quantity) or number.form != "plain":
        return None
    if len(others) == 1 and Fraction(f"{whole}.{others[0]}") == number.value:
        return EQUAL if len(others[0]) > 1 and ";" not in text else UNCLEAR
    if len(others[-1]) != 3 or int("".join(listed.parts)) != number.value:
        return None
    sizes = {len(part) for part in others[:-1]}
    if sizes == {2} and len(whole) < 3 and ";" not in text:
        return EQUAL                                           # 12,34,567 in India
    return UNCLEAR if sizes <= {3} else None


def proportions_match(gold: str, answer: str) -> Match | None:
    """`3:4:5` and `6:8:10`; ratios of two numbers are quantities."""
    if ":" not in gold or ":" not in answer:
        return None
    first, second = ([read_number(part) for part in text.split(":")] for text in (gold, answer))
    if len(first) < 3 or len(second) < 3 or not all(isinstance(one, Quantity) for one in (*first, *second)):
        return None
    one, other = ([number.value for number in numbers if isinstance(number, Quantity)] for numbers in (first, second))
    return Match(len(one) == len(other) and all(a * other[0] == b * one[0] for a, b in zip(one, other, strict=True)),
                 "numeric")
