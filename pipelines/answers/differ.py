"""A fast proof that two expressions differ: their values at one fixed point, in floating point with an error bound.

Two canonical strings go in; True comes out only if both are read without doubt and their values are further apart than
rounding can explain. Equal expressions agree at every point, so True is certain; False means nothing.
"""

import cmath
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from math import pi

from stepforge.pipelines.answers.expression import GREEK, Unread, read
from stepforge.pipelines.answers.matches import EQUAL, UNEQUAL, Match

_STEPS = re.compile(r"\\[lr](?:floor|ceil)(?![a-z])").search
_GAUSS = re.compile(r"\[([^\[\],;]+)\]")                            # [x] for the floor of x
FINE = re.compile(r"\d\s*\^\s*\{?\s*-|\d{5}|\.\d{4}|\^\s*\{?\s*\d\d").search   # a term that no value may show
MOST_INTEGER = 260     # tried where floors are compared: two periods of the largest number
_WHOLE = re.compile(r"[0-9]{1,9}").findall
_TOLERANCE = 1e-9      # of the largest value met on the way; rounding errors there stay near 1e-14
_LARGEST = 1e100
_MAX_FACTORIAL = 60
_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "cot": lambda z: 1 / cmath.tan(z),
    "sec": lambda z: 1 / cmath.cos(z), "csc": lambda z: 1 / cmath.sin(z), "ln": cmath.log, "exp": cmath.exp,
    "abs": lambda z: complex(abs(z)), "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh,
    "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan}


def apart(first: str, second: str) -> bool:
    """Whether two canonical expressions certainly have different values."""
    one, two = probe(first), probe(second)
    return one is not None and two is not None and abs(one[0] - two[0]) > _TOLERANCE * max(1.0, one[1], two[1])


def constant(text: str) -> float | None:
    """The real value of an expression without symbols, to about 14 digits; None for anything else."""
    if text.removeprefix("+") in (r"\infty", r"-\infty"):
        return -math.inf if text[0] == "-" else math.inf
    probed = None if _SYMBOL.search(text) else probe(text)
    if probed is None or abs(probed[0].imag) > _TOLERANCE * max(1.0, probed[1]):
        return None
    return probed[0].real


_NAMES = "|".join(sorted(GREEK, key=len, reverse=True))
_SYMBOL = re.compile(rf"(?<![\\a-zA-Z])(?!e(?![a-zA-Z]))[a-zA-Z]|\\(?!pi)(?:{_NAMES})(?![a-zA-Z])")


@lru_cache(maxsize=16384)
def probe(text: str, shift: float = 0.0) -> tuple[complex, float] | None:
    """The value at the fixed point and the largest magnitude met, None where the text is not read.

    shift: moves the point, for a second look at the same expression.
    """
    domain = _Floating(shift)
    try:
        value = complex(read(text, domain))
    except (Unread, ArithmeticError, ValueError):
        return None
    return (value, domain.largest) if cmath.isfinite(value) else None


def same_values(first: str, second: str) -> bool:
    """Whether two canonical expressions have the same values at four points; not for steps and tiny terms."""
    if any(step in text for text in (first, second) for step in ("floor", "ceil", "mod", "!")) \
            or FINE(first) or FINE(second):
        return False
    for shift in (0.0, 0.13, 0.29, 0.41):
        one, two = probe(first, shift), probe(second, shift)
        if one is None or two is None or abs(one[0] - two[0]) > 1e-12 * max(1.0, one[1], two[1]):
            return False
    return True


def integers_match(first: str, second: str) -> Match | None:
    """Compare two expressions in an integer, both with floors or ceilings, at many integers; None for all others."""
    texts = [_GAUSS.sub(r"\\lfloor \1\\rfloor ", text).strip() if _STEPS(other) else text
             for text, other in ((first, second), (second, first))]
    if not all(map(_STEPS, texts)):
        return None
    texts = [text.replace(r"\lfloor", r"\lfloor 0.00001+").replace(r"\lceil", r"\lceil -0.00001+") for text in texts]
    letters = {letter for text in texts for letter in _SYMBOL.findall(text)}
    if not letters <= set("nmkNMK") or len(letters) != 1:
        return None
    largest = max((int(number) for text in (first, second) for number in _WHOLE(text)), default=0)
    if 2 * largest > MOST_INTEGER:
        return None
    for value in range(13 if largest < 7 else MOST_INTEGER):
        one, other = (constant(_SYMBOL.sub(f"({value})", text)) for text in texts)
        if one is None or other is None:
            return None
        if abs(one - other) > _TOLERANCE:
            return UNEQUAL
    return EQUAL


class _Floating:
    """Complex numbers; e, i and \\pi are themselves, every other symbol has an irregular positive value."""

    def __init__(self, shift: float = 0.0) -> None:
        self.largest, self.shift = 0.0, shift

    def number(self, value: Fraction) -> complex:
        return complex(float(value))

    def symbol(self, name: str) -> complex:
        if name in ("e", "i", "pi"):
            return {"e": complex(cmath.e), "i": 1j, "pi": complex(pi)}[name]
        number = sum(ord(letter) * 31**at for at, letter in enumerate(name)) if len(name) > 1 else ord(name)
        return complex(0.6 + (number * 0.6180339887498949 + self.shift) % 1.0)

    def power(self, base: complex, exponent: complex) -> complex:
        if base == 0 and exponent.real <= 0:
            raise Unread
        return _above(base)**exponent

    def root(self, value: complex, index: int) -> complex:
        if value.imag == 0 and value.real < 0 and index % 2:
            return -((-value) ** (1 / index))
        return cmath.sqrt(_above(value)) if index == 2 else _above(value) ** (1 / index)

    def call(self, function: str, value: complex) -> complex:
        if function == "factorial":
            if value.imag or not value.real.is_integer() or not 0 <= value.real <= _MAX_FACTORIAL:
                raise Unread
            return complex(math.factorial(int(value.real)))
        if function in ("floor", "ceil"):
            if abs(value.real - round(value.real)) < _TOLERANCE or value.imag:
                raise Unread                               # rounding could take it to the other side
            return complex(math.floor(value.real) if function == "floor" else math.ceil(value.real))
        if function not in _FUNCTIONS:
            raise Unread                                   # \log: its base is not known
        return _FUNCTIONS[function](_above(value))

    def seen(self, value: complex) -> complex:
        self.largest = max(self.largest, abs(value))
        if not self.largest <= _LARGEST:
            raise Unread
        return value


def _above(value: complex) -> complex:
    """A negative number approached from above, so that both ways to write it lie on one side of a branch cut."""
    return complex(value.real, value.imag + 0.0)
