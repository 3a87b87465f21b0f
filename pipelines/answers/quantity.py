"""Numbers as people write them in an answer: `$1,234.50`, `25%`, `5.4\\text{cents}`, `90°`, `52_8`, `3:30 p.m.`.

A canonical string goes in (see normalize.py); a `Quantity` comes out: an exact value with its unit, or None where the
text is no closed rational number. `same` compares two of them and says so when only one reading makes them equal.
`measured` takes the unit off any expression, so that `10\\pi\\text{cm}` is read too.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from stepforge.pipelines.answers.clocks import MINUTES, time_of_day
from stepforge.pipelines.answers.exact import TooLarge, Undefined, evaluate
from stepforge.pipelines.answers.units import NONE, Unit, conflict, plain_unit, scales, unit_of

ROUNDED_PLACES = 6       # 0.333333 stands for 1/3, and 3.141593 for \\pi, from this many decimal places on
FLOAT_DIGITS, FLOAT_PLACES = 16, 12        # a program printed it: 0.30000000000000004 is 0.3

Reader = Callable[[str], Unit | None]
Form = Literal["plain", "percent", "based", "clock", "ratio"]


class Quantity(NamedTuple):
    """value: exact, percentages already divided by 100, times of day in minutes.

    form: `plain`, `percent`, `based` (digits with a base), `clock` or `ratio`. detail: the digits and the base of a
    based number, `am`, `pm` or nothing of a clock. significant: the number of significant digits where the text is
    one decimal literal, else 0. ulp: its last place.
    """

    value: Fraction
    unit: Unit = NONE
    form: Form = "plain"
    detail: str = ""
    significant: int = 0
    ulp: Fraction = Fraction(0)


class Measured(NamedTuple):
    """A text without its unit. `plain_letter`: the unit is one letter that could be a symbol (`5 m`)."""

    bare: str
    unit: Unit
    multiplier: Fraction = Fraction(1)
    plain_letter: str = ""


_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
                "lakh": 10**5, "crore": 10**7, "bn": 10**9, "millions": 10**6, "billions": 10**9,
                **dict.fromkeys(("tausend", "mille", "mil"), 1000),
                **dict.fromkeys(("millionen", "millones", "milioni", "milione"), 10**6),
                **dict.fromkeys(("milliard", "milliards", "milliarde", "milliarden", "miliardi", "miliardo"), 10**9)}
_BASED = re.compile(r"(-?)\(?(\.[0-9]+|[0-9A-Za-z]*[0-9][0-9A-Za-z]*(?:\.[0-9A-Za-z]*(?:\\overline\{[0-9A-Za-z]+\})?)?"
                    r"|[A-F]+|[a-f]{2,8}(?=_\{16\}))\)?(?:_(?:([2-9]|[12]\d|3[0-6])|\{(-?\d{1,2})\})(?:\\text\{[^{}]*\})?"
                    r"|\s*\(?(?:\\text\{)?\s*\(?(?:in )?base ?\}?(\d{1,2})\)?)", re.ASCII).fullmatch
_RATIO = re.compile(r"(-?\d+(?:\.\d+)?)(?::| ?(?:\\text\{)?to\}? ?)(-?\d+(?:\.\d+)?)").fullmatch
_CURRENCY = re.compile(r"([-+]?)\s*(?:\\text\{)?([$€£¥₹]|USD|US\$|Rs\.?|EUR)\}?\s*(?=[-\d.(\\])").match
_MARKED = re.compile(r"(.*?[^\s\\+\-*/=,(])\s*((?:\\text\{[^{}]*\}|°)(?:\^\{?-?\d\}?)?"
                     r"(?:[\s/]*(?:\\text\{[^{}]*\}|(?<=[°\s/}])[A-Za-z]+|/)(?:\^\{?-?\d\}?)?)*)").fullmatch
_PLAIN = re.compile(r"(.*?(?:[\d)}%!.]|\\pi))(\s*)([A-Za-z€£¥₹$][A-Za-z /.^{}0-9'€-]*)").fullmatch
_PREFIX = re.compile(r"(?:\\text\{([^{}]*)\}|([A-Za-z][A-Za-z ]* (?:of|by|about|approximately|around) ))(?=[-\d$\\(])"
                     ).match
_COMPOUND = re.compile(r"(\$?-?[\d./]+)\s*(\\text\{[a-zA-Z ]+\}|[a-zA-Z]*)\s*(?:\\land\s*|,\s*)?"
                       r"([\d./]+)\s*(\\text\{[a-zA-Z ]+\}|[a-zA-Z]+)").fullmatch
_DECIMAL = re.compile(r"-?(?:[1-9]\d{0,2}(?:,\d{3})+|\d*)\.(\d+)", re.ASCII).fullmatch
_NO_SEPARATORS = str.maketrans("", "", "-,.")
_LITERAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?").fullmatch
_TURNED = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])").search
_CELSIUS = re.compile(r"°\s*(?:\\text\{)?\s*([CF])(?![a-zA-Z])\}?")


@lru_cache(maxsize=16384)
def quantity(text: str) -> Quantity | None:
    """The number that a canonical string states, with its unit.

    Raises exact.TooLarge beyond the bounds and exact.Undefined for arithmetic without a value (`1/0`).
    """
    if literal := _LITERAL(text):
        return _plain(text, Fraction(text)) if literal[1] else Quantity(Fraction(int(text)))
    if "_" in text or "base" in text:
        if based := _BASED(text):
            return _based(*based.groups())
    elif (timed := _clock_or_ratio(text)) is not None:
        return timed
    value = evaluate(text)
    if value is not None:
        return _plain(text, value)
    parted = measured(text)
    if parted is None:
        return _compound(text)
    value = evaluate(parted.bare)
    if value is None:
        return _compound(text)
    number = _plain(parted.bare, value)
    times = parted.multiplier
    return number._replace(value=number.value * times, ulp=number.ulp * times, unit=parted.unit)


UNDEFINED, TOO_LARGE = "undefined", "too large"


@lru_cache(maxsize=16384)
def read_number(text: str) -> Quantity | str | None:
    """The number of a canonical string, or UNDEFINED or TOO_LARGE where `quantity` raises."""
    try:
        return quantity(text)
    except Undefined:
        return UNDEFINED
    except TooLarge:
        return TOO_LARGE


def _plain(number: str, value: Fraction) -> Quantity:
    decimal = _DECIMAL(number)
    if decimal is None:
        return Quantity(value, form="percent" if number.endswith("%") else "plain")
    significant = len(number.translate(_NO_SEPARATORS).lstrip("0"))
    return Quantity(value, significant=significant, ulp=Fraction(1, 10 ** len(decimal[1])))


def _based(sign: str, digits: str, small: str | None, large: str | None, words: str | None) -> Quantity | None:
    """`52_8` and `52\\text{base}8`; Undefined for a digit that the base does not have, None for `x1_2`."""
    base = int(small or large or words or 0)
    digits = digits.upper() if base > 10 else digits
    value = evaluate(f"{sign}{digits}_{{{base}}}")
    return None if value is None else Quantity(value, form="based", detail=f"{sign}{digits}_{base}")


def _clock_or_ratio(text: str) -> Quantity | None:
    if (clock := time_of_day(text)) is not None:
        return Quantity(Fraction(clock[0]), form="clock", detail=clock[1])
    if (":" in text or "to" in text) and (ratio := _RATIO(text)) and Fraction(ratio[2]):
        return Quantity(Fraction(ratio[1]) / Fraction(ratio[2]), form="ratio")
    return None


def _compound(text: str) -> Quantity | None:
    """`5 hours 30 minutes`, `6 feet 2 inches`, `$5 and 30 cents`: a unit and a smaller one of its kind."""
    parts = _COMPOUND(text)
    if parts is None:
        return None
    large = quantity(parts[1] + (" " if not parts[2].startswith("\\") else "") + parts[2])
    small = quantity(parts[3] + (" " if not parts[4].startswith("\\") else "") + parts[4])
    if large is None or small is None or not large.unit.dimension or large.unit.dimension != small.unit.dimension \
            or large.unit.factor <= small.unit.factor:
        return None
    return Quantity(large.value + small.value * small.unit.factor / large.unit.factor, large.unit)


@lru_cache(maxsize=16384)
def measured(text: str) -> Measured | None:
    """An expression taken apart into what is measured and the unit; None where it names no unit."""
    if text[-1:].isdigit() and not (text[:1] in "$€£¥₹\\-+" or text[:1].isalpha() or "^" in text[-4:]):
        return None
    unit, multiplier, letter = NONE, Fraction(1), ""
    if prefix := _PREFIX(text):
        stated = unit_of(prefix[1] or prefix[2])
        if stated is None or stated.nouns or stated.dimension:
            return None
        unit, text = stated, text[prefix.end():]
    if currency := _CURRENCY(text):
        symbol = "dollar" if "$" in currency[2] or "USD" in currency[2] else currency[2]
        unit, text = _joined(unit, unit_of(symbol) or NONE), currency[1] + text[currency.end():]
    if (parts := _MARKED(text)) and not (parts[2] == "°" and _TURNED(parts[1])):
        bare, words = parts[1], _CELSIUS.sub(r" °\1 ", parts[2]).replace(r"\text{", " ").replace("}", " ")
        words = re.sub(r"\s+(?=\^)", "", words)
        suffix = _suffix(bare, words.strip(), unit_of)
    elif parts := _PLAIN(text):
        bare, words = parts[1], parts[3]
        letter = words if len(words) == 1 else ""
        suffix = None if bare[-1] == "}" and not parts[2] and len(words.split("^")[0]) == 2 else \
            _suffix(bare, words, lambda words: plain_unit(words, bool(parts[2]) or bare[-1] == "%"))    # L^{-1}MT^{-1}
    else:
        return None if unit is NONE else Measured(text, unit)
    if suffix is None:
        return None
    bare, stated, multiplier = suffix
    return Measured(bare, _joined(unit, stated), multiplier, letter)


def _suffix(bare: str, words: str, read: Reader) -> tuple[str, Unit, Fraction] | None:
    """The number, its unit, and what `million` multiplies by; the percent word goes to the number."""
    multiplier = Fraction(1)
    while (first := words.split(" ", 1)[0].casefold()) in _MULTIPLIERS:
        multiplier *= _MULTIPLIERS[first]
        words = words[len(first):].strip()
    if (first := words.split(" ", 1)[0].casefold().rstrip(".")) in ("percent", "percentage", "pct"):
        bare, words = bare + "%", words[len(first):].strip(" .").removeprefix("points").removeprefix("point")
    if not words:
        return bare, NONE, multiplier
    unit = read(words)
    return None if unit is None else (bare, unit, multiplier)


def _joined(first: Unit, second: Unit) -> Unit:
    """The unit that a sign before a number and words after it state together: `$5 a day`."""
    if first.dimension and second.dimension and first.dimension != second.dimension:
        rate = all(power < 0 for _, power in second.dimension)          # $5 per hour
        return first._replace(per=first.per or second.per) if rate else first
    larger = first if first.dimension else second
    return larger._replace(nouns=first.nouns | second.nouns, marks=first.marks | second.marks,
                           per=first.per or second.per)


def same(gold: Quantity, answer: Quantity) -> bool | None:
    """Whether two quantities are equal; None where they are under one reading only (5 and 5%, 52 and 52_8)."""
    if "based" in (gold.form, answer.form):
        return _same_digits(gold, answer)
    if "clock" in (gold.form, answer.form):
        return _same_time(gold, answer)
    if gold.unit is not NONE and answer.unit is not NONE:
        if conflict(gold.unit, answer.unit):
            return False
        if gold.unit.dimension == answer.unit.dimension:
            gold, answer = _scaled(gold), _scaled(answer)
    if _equal(gold, answer):
        return True
    if gold.unit is NONE and gold.form == answer.form == "plain" \
            and any(answer.value * answer.unit.factor == gold.value * scale for scale in scales(answer.unit)):
        return None                                        # 75 cents and 0.75, 2 hours and 120
    if "percent" in (gold.form, answer.form) and gold.form != answer.form:
        percent, other = (gold, answer) if gold.form == "percent" else (answer, gold)
        return None if percent.value * 100 == other.value else False
    return False


def spells(number: Quantity | str | None, text: str) -> bool:
    """Whether a text writes the digits of a number in a base and leaves the base out: `1A` for `1A_{16}`."""
    return isinstance(number, Quantity) and number.form == "based" and number.detail.rsplit("_")[0] == text.upper()


def _same_digits(gold: Quantity, answer: Quantity) -> bool | None:
    """Two numbers of which one or both name a base: another base makes equal values another answer."""
    if gold.form == answer.form:
        same_base = gold.detail.rsplit("_")[1] == answer.detail.rsplit("_")[1]
        return gold.value == answer.value and (True if same_base else None)
    based, other = (gold, answer) if gold.form == "based" else (answer, gold)
    digits, base = based.detail.rsplit("_")
    if base == "10":
        return based.value == other.value
    try:
        read_as_digits = Fraction(digits) == other.value
    except ValueError:
        read_as_digits = False
    return None if read_as_digits or based.value == other.value else False


def _same_time(gold: Quantity, answer: Quantity) -> bool | None:
    if gold.form == answer.form:
        if gold.detail or answer.detail:
            return bool(_times(gold) & _times(answer))
        if gold.value == answer.value:
            return True
        if not (gold.value - answer.value) % (12 * MINUTES):
            return False if answer.value > gold.value else None          # 19:30 for 7:30; 7:30 may be in the evening
        ratio = _as_ratio(gold)
        return None if ratio is not None and ratio == _as_ratio(answer) else False
    clock, other = (gold, answer) if gold.form == "clock" else (answer, gold)
    if other.form == "plain" and not other.unit.dimension and other.value * MINUTES == clock.value:
        return True if clock.detail else None              # 5 pm and 5; 5:00 and 5, perhaps from 5 o'clock
    if clock.detail or other.value != _as_ratio(clock):
        return False
    return True if other.form == "ratio" else None         # 6:10 is a ratio where 3:5 is one


def _times(clock: Quantity) -> set[Fraction]:
    """The minutes of the day that a time of day can mean."""
    half = Fraction(12 * MINUTES)
    if clock.detail:
        return {clock.value % half + (half if clock.detail == "pm" else 0)}
    return {clock.value} if clock.value >= half + MINUTES else {clock.value % half, clock.value % half + half}


def _as_ratio(clock: Quantity) -> Fraction | None:
    hours, minutes = divmod(clock.value, MINUTES)
    return Fraction(hours, minutes) if minutes else None


def _scaled(number: Quantity) -> Quantity:
    return number._replace(value=number.value * number.unit.factor, ulp=number.ulp * number.unit.factor)


def _equal(gold: Quantity, answer: Quantity) -> bool:
    """Exactly equal, or a long decimal against the non-terminating fraction that it rounds."""
    if gold.value == answer.value:
        return True
    long = [one.significant >= FLOAT_DIGITS and one.ulp * 10**FLOAT_PLACES <= 1 for one in (gold, answer)]
    if any(long) and not all(long) \
            and abs(gold.value - answer.value) * 2 * 10**15 <= abs(gold.value):
        return True
    for decimal, exact in ((gold, answer), (answer, gold)):
        if is_rounded(decimal) and not terminates(exact.value):
            return stands_for(decimal, exact.value)
    return False


def stands_for(decimal: Quantity, value: Fraction) -> bool:
    """Whether a decimal is a fraction rounded in its last place, or cut behind it: 0.666667 and 0.666666 for 2/3."""
    beyond = abs(value) - abs(decimal.value)
    return decimal.value * value > 0 and (abs(beyond) * 2 <= decimal.ulp or 0 <= beyond < decimal.ulp)


def is_rounded(number: Quantity) -> bool:
    """Whether a decimal is long enough, in places and in significant digits, to stand for what it rounds."""
    return number.significant >= ROUNDED_PLACES and number.ulp <= Fraction(1, 10**ROUNDED_PLACES)


def terminates(value: Fraction) -> bool:
    """Whether a fraction is a decimal with an end."""
    denominator = value.denominator
    if denominator.bit_length() > 256:
        return True                           # no decimal that a person wrote stands for such a fraction
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1
