"""Expressions and equations that are no plain numbers: exact algebra, a numeric proof of difference, then Math-Verify.

Two canonical strings, or the sides of two equations, go in; a `Match` comes out. Bounds are checked first: nothing too
long, too nested or too large is handed to a parser.
"""

import re
from fractions import Fraction
from functools import lru_cache
from itertools import permutations

from stepforge.pipelines.answers.algebra import algebraically_equal, proportional
from stepforge.pipelines.answers.calls import Called, has_calls
from stepforge.pipelines.answers.differ import apart, constant, probe, same_values
from stepforge.pipelines.answers.digits import same_digits
from stepforge.pipelines.answers.exact import TooLarge, Undefined, evaluate
from stepforge.pipelines.answers.matches import (
    EQUAL,
    NEEDS_SYMBOLIC,
    TOO_BIG,
    UNCLEAR,
    UNEQUAL,
    Match,
    Symbolic,
    all_of,
)
from stepforge.pipelines.answers.quantity import Quantity, is_rounded, quantity
from stepforge.pipelines.answers.relations import symbols
from stepforge.pipelines.answers.units import NONE, opposed
from stepforge.pipelines.answers.words import bag

MAX_SYMBOLIC = 300     # characters that the symbolic check parses
MAX_NESTING = 12       # 30 nested brackets keep the LaTeX parser busy for seconds
MAX_EXPONENT = 200     # (x+1)^{2000} is expanded term by term
MAX_DIGITS = 60        # of one number in a symbolic expression

INTEGERS = frozenset("klmn")                                 # letters for any integer

_LONG_NUMBER = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")
_EXPONENT = re.compile(r"\^\s*(?:\{\s*([^{}]*)\}?|(\w))")
_HEAVY = re.compile(r"([0-9]{1,9})\s*!|\\d?t?binom\s*\{?\s*([0-9]{1,9})|[0-9]+(?:\.[0-9]+)?[eE]\+?([0-9]{1,9})")
_GAP = re.compile(r"[0-9] [0-9]|[0-9]_|\}[0-9]")     # `1 8` is not 18, nor 1 times 8; `5_7_8` is not 5
_AXIS = re.compile(r"\\(?:hat|widehat)\{(?:\\([ij])math|([ijk]))\}"
                   r"|\\(?:vec|overrightarrow)\{(?:\\([ij])math|([a-zA-Z]))\}")
_CONSTANT = re.compile(r"(?<![\\a-zA-Z])(?:[Cc]_\{?\d\}?|[ABCDK](?!_))")
_OF_TERMS = re.compile(rf"(?:^|[-+=(])\s*{_CONSTANT.pattern}")     # C_1e^x, not \frac{C_1}{C_2}
_DEPENDS = re.compile(r"(?<![a-zA-Z])[xtr](?![a-zA-Z])|e\^|\\(?:sin|cos|ln|theta)").search
_CONSTANT_PIECES = re.compile(f"({_CONSTANT.pattern})")
_IMPROPER = re.compile(r"(-?)(\d+)(?:\\frac\{(\d+)\}\{(\d+)\}| (\d+)/(\d+))").fullmatch
_INDEXED = re.compile(r"[0-9]_").search
_PRIMED = re.compile(r"[-+\d.,]+'+").fullmatch
_LOOPS = re.compile(r"\\(?:sum|prod|int|lim|iint|oint)(?![a-zA-Z])")
_UNPARSED = re.compile(r"\\text\{|\\(?:lor|land|implies|cup|cap|in|ne|le|ge|setminus|mathbb|ldots|infty)(?![a-zA-Z])"
                       r"|[<>=;,:&]|[a-zA-Z]'|\\[{}]|\\begin")
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")
_MARKED_WORDS = re.compile(r"\\text\{([^{}]*)\}")
_INDEX_OF = re.compile(r"\\(?:sum|prod)_\{([a-z])=")
_INDEX = re.compile(r"\\(?:sum|prod)_\{[^{}]*\}")
_IN_LOG = re.compile(r"\\ln\s*\(?\|[^|]*\|\)?")
_TRUNCATED = re.compile(r"(-?\d+\.\d{5,})\\ldots").fullmatch


def expressions_match(gold: str, answer: str, symbolic: Symbolic | None) -> Match:
    """Compare two canonical expressions without structure."""
    if not (within_bounds(gold) and within_bounds(answer)):
        return TOO_BIG
    if rounds(gold, answer) or rounds(answer, gold):
        return EQUAL
    if _PRIMED(gold) or _PRIMED(answer):                   # 12' is a length, an angle or a time
        same = gold.replace("'", "") == answer.replace("'", "")
        return UNCLEAR if same else UNEQUAL
    gold, answer = _fraction(_AXIS.sub(_axis, gold)), _fraction(_AXIS.sub(_axis, answer))
    if (called := _called(gold, answer, symbolic)) is not None:
        return called
    equal = algebraically_equal(gold, answer)
    if not equal and (renamed := _renamed(gold, answer) or _constants_renamed(gold, answer)) is not None:
        return renamed
    if equal is not None:
        return Match(equal, "symbolic")
    if apart(gold, answer):
        return UNEQUAL
    if (close := same_digits(gold, answer)) is not None:
        return Match(close, "symbolic")
    if (improper := _improper(gold, answer)) is not None:
        return improper
    if r"\text" in gold or r"\text" in answer:
        return _prose(gold, answer)
    if _LOOPS.search(gold) and _LOOPS.search(answer):
        gold, answer = _by_one_index(gold), _by_one_index(answer)
        if gold == answer:
            return EQUAL
    elif _LOOPS.search(gold) and symbols(answer):
        return UNCLEAR                                         # a sum in closed form
    if any(_UNPARSED.search(_INDEX.sub("", text)) for text in (gold, answer)):
        return _unread(gold, answer)
    if (_GAP.search(answer) is None) != (_GAP.search(gold) is None):
        return UNEQUAL
    if _INDEXED(gold) or _INDEXED(answer):
        return UNCLEAR if bag(gold) == bag(answer) else UNEQUAL
    if symbolic is None:
        return Match(None, "symbolic", NEEDS_SYMBOLIC)
    match = symbolic(gold, answer)
    return _alike(gold, answer) if match.equal is False and symbols(gold) and same_values(gold, answer) else match


def _alike(gold: str, answer: str) -> Match:
    """Two expressions with logarithms, of equal values where all symbols are positive: signs under bars may differ."""
    if not all(r"\ln" in text for text in (gold, answer)):
        return Match(False, "symbolic")
    plain = not any(mark in _IN_LOG.sub("", text) for text in (gold, answer) for mark in ("|", r"\sqrt"))
    return Match(True, "symbolic") if plain else UNCLEAR


def _fraction(text: str) -> str:
    """A number in any spelling (`1\\frac{4}{5}`) as a fraction that every reader understands."""
    try:
        number = quantity(text)
    except (Undefined, TooLarge):
        return text
    if number is None or number.unit is not NONE or number.form not in ("plain", "percent"):
        return text
    if number.value.numerator.bit_length() > 256:
        return text
    return str(number.value)


def _renamed(gold: str, answer: str) -> Match | None:
    """`\\frac{\\pi}{4}+n\\pi` and `\\frac{\\pi}{4}+k\\pi` are the same angles."""
    names, others = symbols(gold), symbols(answer)
    if len(names) != 1 or len(others) != 1 or names == others or not names | others <= INTEGERS or r"\pi" not in gold:
        return None
    other = re.sub(rf"(?<![\\a-zA-Z]){others.pop()}(?![a-zA-Z])", names.pop(), answer)
    return Match(True, "symbolic") if algebraically_equal(gold, other) else None


def _called(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    """Compare expressions that hold values of functions; None for all others."""
    if not (has_calls(gold) or has_calls(answer)):
        return None
    called = Called(gold, answer)
    if called.texts == (gold, answer):
        return None
    match = expressions_match(called.texts[0], called.texts[1], symbolic)
    product = match.equal is False and called.product and algebraically_equal(gold, answer)
    return UNCLEAR if product or match.equal is False and called.known else match


def _by_one_index(text: str) -> str:
    """A text whose only sum or product has the index `j`, which is free to choose; any other text as it is."""
    indices = _INDEX_OF.findall(text)
    if len(indices) != 1 or "j" in symbols(text) - {indices[0]}:
        return text
    return re.sub(rf"(?<![\\a-zA-Z]){indices[0]}(?![a-zA-Z])|(?<=[a-zA-Z}}]){indices[0]}(?![a-zA-Z])", "j", text
                  ).replace(" ", "")


def _axis(vector: re.Match[str]) -> str:
    return next(filter(None, vector.groups()))


def _constants_renamed(gold: str, answer: str) -> Match | None:
    """`C_1e^x+C_2e^{-x}` and `Ae^x+Be^{-x}` are the same family: constants of integration have any names."""
    names = [sorted(set(_CONSTANT.findall(text))) for text in (gold, answer)]
    if not 2 <= len(names[0]) == len(names[1]) <= 3 or "_" not in "".join(names[0] + names[1]):
        return None
    for text in (gold, answer):
        if not len(_OF_TERMS.findall(text)) == len(_CONSTANT.findall(text)) == len(names[0]) or not _DEPENDS(text):
            return None
    for order in permutations(names[0]):
        new = dict(zip(names[1], order, strict=True))
        pieces = [str(piece) for piece in _CONSTANT_PIECES.split(answer)]
        if algebraically_equal(gold, "".join(new.get(piece, piece) for piece in pieces)):
            return EQUAL
    return UNCLEAR if probe(gold) is None or probe(answer) is None else None


def _improper(gold: str, answer: str) -> Match | None:
    """`1\\frac{6}{5}` could be meant as a sum or as a product; other numbers equal it in neither reading."""
    for text, other in ((gold, answer), (answer, gold)):
        value = evaluate(other) if (mixed := _IMPROPER(text)) and not _IMPROPER(other) else None
        if mixed and value is not None and int(mixed[4] or mixed[6]):
            whole, part = int(mixed[2]), Fraction(int(mixed[3] or mixed[5]), int(mixed[4] or mixed[6]))
            sign = -1 if mixed[1] else 1
            return UNCLEAR if value in (sign * (whole + part), sign * whole * part) else UNEQUAL
    return None


def _prose(gold: str, answer: str) -> Match:
    """Words among mathematics: the same words in another order are unclear, other words are another answer."""
    gold, answer = (_MARKED_WORDS.sub(r"\1", text) for text in (gold, answer))
    if gold.replace(" ", "").casefold() == answer.replace(" ", "").casefold():
        return Match(True, "literal")
    return _unread(gold, answer)


def _unread(gold: str, answer: str) -> Match:
    """Texts that no reader here understands differ for certain only in their numbers, or from a number."""
    if opposed(gold, answer):
        return UNEQUAL
    if bag(gold) == bag(answer):
        return UNCLEAR
    numbers = [_NUMBERS.findall(text) for text in (gold, answer)]
    if any(text.lstrip("-+") in found for text, found in zip((gold, answer), numbers, strict=True)):
        return UNEQUAL
    first, second = (_NUMBERS.sub("0", _MARKED_WORDS.sub(r"\1", text)).replace(" ", "") for text in (gold, answer))
    if first == second or ":" in first and ":" in second:
        return UNEQUAL
    counted = ":" in gold + answer or len(numbers[0]) == len(numbers[1])
    return UNEQUAL if counted and sorted(numbers[0]) != sorted(numbers[1]) else UNCLEAR


def equations_match(gold: tuple[str, ...], answer: tuple[str, ...], symbolic: Symbolic | None) -> Match:
    """Compare two equations, given as left and right side, up to a constant factor."""
    first, second = (f"({sides[0]})-({sides[1]})" for sides in (gold, answer))
    if has_calls(first) or has_calls(second):
        first, second = Called(first, second).texts
    if not (within_bounds(first) and within_bounds(second)):
        return TOO_BIG
    factor = proportional(first, second)
    if factor is not None:
        return Match(factor is not False, "symbolic")
    ratio = _numeric_ratio(first, second)
    if ratio is None:
        straight = all_of([expressions_match(one, two, None) for one, two in zip(gold, answer, strict=True)])
        return straight if straight.equal else UNCLEAR
    if not ratio:
        return UNEQUAL
    return expressions_match(first, f"{_written(ratio)}({second})", symbolic)


def _numeric_ratio(first: str, second: str) -> Fraction | None:
    """The constant quotient of two expressions, 0 where it is none, None where they cannot be computed."""
    ratios = []
    for shift in (0.0, 0.37, 0.71):
        one, two = probe(first, shift), probe(second, shift)
        if one is None or two is None or abs(two[0]) < 1e-6 * two[1]:
            return None
        ratios.append(one[0] / two[0])
    if any(abs(ratio - ratios[0]) > 1e-7 * max(1.0, abs(ratios[0])) for ratio in ratios):
        return Fraction(0)
    return Fraction(ratios[0].real).limit_denominator(10**4)


def _written(number: Fraction) -> str:
    sign = "-" if number < 0 else ""
    return rf"{sign}\frac{{{abs(number.numerator)}}}{{{number.denominator}}}\cdot "


def orders_match(gold: tuple[tuple[str, bool], ...], answer: tuple[tuple[str, bool], ...]) -> Match:
    """Compare two chains of inequalities among symbols, in any order and up to positive factors."""
    if len(gold) != len(answer):
        return UNCLEAR
    left = list(answer)
    for wanted, closed in gold:
        for at, (offered, other_closed) in enumerate(left):
            factor = proportional(wanted, offered)
            if isinstance(factor, Fraction) and factor > 0 and closed == other_closed:
                left.pop(at)
                break
        else:
            return UNEQUAL
    return Match(True, "symbolic")


def rounds(decimal: str, exact: str) -> bool:
    """Whether a long decimal is an irrational constant rounded in its last place (`3.141593` and `\\pi`) or cut."""
    if cut := _TRUNCATED(decimal):
        value, shown = constant(exact), float(cut[1])
        return value is not None and 0 <= (value - shown) * (-1 if shown < 0 else 1) < 10.0 ** -len(
            cut[1].partition(".")[2])
    try:
        number = quantity(decimal)
    except (Undefined, TooLarge):
        return False
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
