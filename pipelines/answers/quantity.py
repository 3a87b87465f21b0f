"""Numbers as people write them in an answer: `$1,234.50`, `25\\%`, `5.4 \\text{ cents}`, `90^\\circ`, `52_8`.

A canonical string goes in (see normalize.py); a `Quantity` comes out: an exact value with its unit, or None where the
text is no closed rational number. `same` compares two of them and says so when only one reading makes them equal.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from stepforge.pipelines.answers.exact import Undefined, evaluate

ROUNDED_PLACES = 6       # 0.333333 stands for 1/3, and 3.141593 for \\pi, from this many decimal places on


class Quantity(NamedTuple):
    """value: exact, percentages already divided by 100.

    unit: canonical name, None for none or a mere noun (`eggs`); the value counts pieces of `factor` such units.

    form: `plain`, `percent`, or `based` (digits with a base, whose digits alone are `digits`). significant: the
    number of significant digits where the text is one decimal literal, else 0. ulp: its last place.
    """

    value: Fraction
    unit: str | None = None
    factor: Fraction = Fraction(1)
    form: Literal["plain", "percent", "based"] = "plain"
    digits: str = ""
    significant: int = 0
    ulp: Fraction = Fraction(0)


_UNITS: dict[str, tuple[str, Fraction]] = {}     # spelling -> (canonical unit, how many of it)


def _unit(canonical: str, spellings: str, factor: str = "1") -> None:
    for spelling in spellings.split():
        _UNITS[spelling] = (canonical, Fraction(factor))


_unit("mm", "mm millimeter millimeters millimetre millimetres")
_unit("mm", "cm centimeter centimeters centimetre centimetres", "10")
_unit("mm", "m meter meters metre metres", "1000")
_unit("mm", "km kilometer kilometers kilometre kilometres", "1000000")
_unit("inch", "in inch inches")
_unit("inch", "ft foot feet", "12")
_unit("inch", "yd yard yards", "36")
_unit("inch", "mi mile miles", "63360")
_unit("mg", "mg milligram milligrams")
_unit("mg", "g gram grams", "1000")
_unit("mg", "kg kilogram kilograms kgs", "1000000")
_unit("ounce", "oz ounce ounces")
_unit("ounce", "lb lbs pound pounds", "16")
_unit("ml", "ml mL milliliter milliliters millilitre millilitres")
_unit("ml", "l L liter liters litre litres", "1000")
_unit("second", "s sec secs second seconds")
_unit("second", "min mins minute minutes", "60")
_unit("second", "h hr hrs hour hours", "3600")
_unit("second", "day days", "86400")
_unit("second", "week weeks", "604800")
_unit("cent", "cent cents")
_unit("cent", "dollar dollars USD usd", "100")
_unit("degree", "degree degrees deg °")
_unit("mph", "mph")
_unit("km/h", "kmh km/h kph")

_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_SPELLED = tuple("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty""".split())
_NOT_NOUNS = frozenset("""and or if to of than by not but mod over plus minus times squared cubed square cube factorial
    choose pi sqrt root sin cos tan cot sec csc log ln exp lim inf infinity infty theta alpha beta phi half halves
    third thirds quarter quarters between through per e i x y z""".split())
_BASED = re.compile(r"([0-9A-Za-z]*[0-9][0-9A-Za-z]*)_(?:\{(\d{1,2})\}|(\d{1,2}))(?:\\text\{.*\})?", re.ASCII)
_CURRENCY = re.compile(r"^([-+]?)\s*(?:\\text\{)?([$€£¥₹]|USD|US\$|Rs\.?)\}?\s*")
_SUFFIX = re.compile(r"^(.*?[\d)}%!.])\s*(?:\\text\{\s*([^{}]*)\}(?:\^\{?(\d)\}?)?|(°)\s*([CF])?"
                     r"|([A-Za-z][A-Za-z /.-]*)(?:\^\{?(\d)\}?)?)$")
_CURRENCY_SUFFIX = re.compile(r"^(.*\d)\s*([$€£¥₹])$")
_DECIMAL = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d*)\.(\d+)", re.ASCII)
_NO_SEPARATORS = str.maketrans("", "", "-,.")
_INTEGER = re.compile(r"-?[0-9]{1,18}").fullmatch


@lru_cache(maxsize=16384)
def quantity(text: str) -> Quantity | None:
    """The number that a canonical string states, with its unit.

    Raises exact.TooLarge beyond the bounds and exact.Undefined for arithmetic without a value (`1/0`).
    """
    if _INTEGER(text):
        return Quantity(Fraction(int(text)))
    if (spelled := text.removeprefix(r"\text{").removesuffix("}").casefold()) in _SPELLED:
        return Quantity(Fraction(_SPELLED.index(spelled)))
    if based := _BASED.fullmatch(text):
        return _based(based[1], int(based[2] or based[3]))
    number, unit, factor, multiplier = _split_unit(text)
    value = evaluate(number)
    if value is None:
        return None
    form: Literal["plain", "percent"] = "percent" if number.endswith("%") else "plain"
    decimal = _DECIMAL.fullmatch(number)
    if decimal is None:
        return Quantity(value * multiplier, unit, factor, form)
    significant = len(number.translate(_NO_SEPARATORS).lstrip("0"))
    return Quantity(value * multiplier, unit, factor, form, "", significant, multiplier / 10 ** len(decimal[1]))


def _based(digits: str, base: int) -> Quantity | None:
    """`52_8`; Undefined for a digit that the base does not have, None for a name such as `x1_2`."""
    if not 2 <= base <= 36 or len(digits) > 64 or (not digits.isdigit() and base <= 10):
        return None
    try:
        return Quantity(Fraction(int(digits, base)), None, Fraction(1), "based", digits)
    except ValueError:
        raise Undefined(f"a digit outside base {base}") from None


class _Split(NamedTuple):
    number: str
    unit: str | None = None
    factor: Fraction = Fraction(1)
    multiplier: Fraction = Fraction(1)


def _split_unit(text: str) -> _Split:
    """The bare number, its canonical unit, the factor to that unit, and what `million` multiplies by."""
    unit, factor, number = _split_currency(text)
    match = _SUFFIX.match(number)
    if match is None:
        return _Split(number, unit, factor)
    bare, marked, power, degree, scale, plain, plain_power = match.groups()
    if degree:
        return _Split(bare, "degree" + (scale or ""))
    words = (plain if marked is None else marked).replace(".", " ").split()
    multiplier = Fraction(1)
    while words and words[0].lower() in _MULTIPLIERS:
        multiplier *= _MULTIPLIERS[words.pop(0).lower()]
    if words and words[0].lower() in ("percent", "percentage", "pct"):
        return _Split(bare + "%", None, Fraction(1), multiplier)
    if not words:
        return _Split(bare, unit, factor, multiplier)
    if marked is None and not _nouns(words, number[len(bare):len(bare) + 1] == " "):
        return _Split(text)
    if unit is None:
        unit, factor = _canonical_unit(words, int(power or plain_power or 1))
    return _Split(bare, unit, factor, multiplier)


def _split_currency(text: str) -> tuple[str | None, Fraction, str]:
    if match := _CURRENCY.match(text):
        symbol, rest = match[2], match[1] + text[match.end():]
    elif match := _CURRENCY_SUFFIX.match(text):
        symbol, rest = match[2], match[1]
    else:
        return None, Fraction(1), text
    unit, factor = (symbol, Fraction(1)) if symbol in "€£¥₹" or symbol.startswith("Rs") else _UNITS["dollar"]
    return unit, factor, rest


def _canonical_unit(words: list[str], exponent: int) -> tuple[str | None, Fraction]:
    if words[0] in ("square", "sq", "cubic", "cu") and len(words) > 1:
        exponent = 2 if words[0].startswith("sq") else 3
        words = words[1:]
    name, size = _UNITS.get(words[0], _UNITS.get(words[0].lower(), (None, Fraction(1))))
    if name is None:
        return None, Fraction(1)
    rate = " " + " ".join(words[1:]) if words[1:2] == ["per"] else ""
    return (name if exponent == 1 else f"{name}^{exponent}") + rate, size**exponent


def _nouns(words: list[str], spaced: bool) -> bool:
    """Whether plain words after a number can be a unit: `5 m`, `5cm`, `5 eggs`, but not `5x`, `5 mod 3`, `2 or 3`."""
    if words[0] in ("square", "sq", "cubic", "cu"):
        words = words[1:] or words
    if len(words) > 6 or any(word.lower() in _NOT_NOUNS - {"per"} for word in words):
        return False
    return words[0] in _UNITS and (spaced or len(words[0]) > 1) or len(words[0]) > 2


def same(gold: Quantity, answer: Quantity) -> bool | None:
    """Whether two quantities are equal; None where they are under one reading only (5 and 5%, 52 and 52_8)."""
    if gold.form == "based" or answer.form == "based":
        if gold.form == answer.form:
            return gold.value == answer.value
        based, other = (gold, answer) if gold.form == "based" else (answer, gold)
        read_as_digits = other.value.denominator == 1 and based.digits.isdigit() and int(based.digits) == other.value
        return None if read_as_digits or based.value == other.value else False
    if gold.unit is not None and answer.unit is not None:
        if not _same_unit(gold.unit, answer.unit):
            return False
        gold, answer = _scaled(gold), _scaled(answer)
    if _equal(gold, answer):
        return True
    if "percent" in (gold.form, answer.form) and gold.form != answer.form:
        percent, other = (gold, answer) if gold.form == "percent" else (answer, gold)
        return None if percent.value * 100 == other.value else False
    return False


def _same_unit(first: str, second: str) -> bool:
    """Equal, or one of them leaves out the rate that the other names (`dollars`, `dollars per day`)."""
    if " " in first and " " in second:
        return first == second
    return first.split(" ")[0] == second.split(" ")[0]


def _scaled(number: Quantity) -> Quantity:
    return number._replace(value=number.value * number.factor, ulp=number.ulp * number.factor)


def _equal(gold: Quantity, answer: Quantity) -> bool:
    """Exactly equal, or a long decimal against the non-terminating fraction that it rounds."""
    if gold.value == answer.value:
        return True
    for rounded, exact in ((gold, answer), (answer, gold)):
        if is_rounded(rounded) and not _terminates(exact.value):
            return abs(rounded.value - exact.value) * 2 <= rounded.ulp
    return False


def is_rounded(number: Quantity) -> bool:
    """Whether a decimal is long enough, in places and in significant digits, to stand for what it rounds."""
    return number.significant >= ROUNDED_PLACES and number.ulp <= Fraction(1, 10**ROUNDED_PLACES)


def _terminates(value: Fraction) -> bool:
    denominator = value.denominator
    if denominator.bit_length() > 256:
        return True                           # no decimal that a person wrote stands for such a fraction
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1
