"""A fast proof that two expressions differ: their values at one fixed point, in floating point with an error bound.

Two canonical strings go in; True comes out only if both are read without doubt and their values are further apart than
rounding can explain. Equal expressions agree at every point, so True is certain; False means nothing.
"""

import cmath
import re
from collections.abc import Callable
from functools import lru_cache
from math import pi

from stepforge.pipelines.answers.expression import GREEK, Unread, read

_TOLERANCE = 1e-9      # of the largest value met on the way; rounding errors there stay near 1e-14
_LARGEST = 1e100
_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    r"\sin": cmath.sin, r"\cos": cmath.cos, r"\tan": cmath.tan, r"\cot": lambda z: 1 / cmath.tan(z),
    r"\sec": lambda z: 1 / cmath.cos(z), r"\csc": lambda z: 1 / cmath.sin(z), r"\ln": cmath.log, r"\exp": cmath.exp}


def apart(first: str, second: str) -> bool:
    """Whether two canonical expressions certainly have different values."""
    one, two = _probe(first), _probe(second)
    return one is not None and two is not None and abs(one[0] - two[0]) > _TOLERANCE * max(1.0, one[1], two[1])


def constant(text: str) -> float | None:
    """The real value of an expression without symbols, to about 14 digits; None for anything else."""
    probed = _probe(text)
    if probed is None or _SYMBOL.search(text) or abs(probed[0].imag) > _TOLERANCE:
        return None
    return probed[0].real


_SYMBOL = re.compile(r"(?<![\\a-zA-Z])(?!e(?![a-zA-Z]))[a-zA-Z]|\\(?!pi)(?:" + "|".join(GREEK) + ")")


@lru_cache(maxsize=16384)
def _probe(text: str) -> tuple[complex, float] | None:
    """The value at the fixed point and the largest magnitude met, None where the text is not read."""
    domain = _Floating()
    try:
        value = complex(read(text, domain))
    except (Unread, ArithmeticError, ValueError):
        return None
    return (value, domain.largest) if cmath.isfinite(value) else None


class _Floating:
    """Complex numbers; e, i and \\pi are themselves, every other symbol has an irregular positive value."""

    def __init__(self) -> None:
        self.largest = 0.0

    def number(self, digits: str) -> complex:
        return complex(float(digits))

    def symbol(self, name: str) -> complex:
        if name in ("e", "i", "pi"):
            return {"e": complex(cmath.e), "i": 1j, "pi": complex(pi)}[name]
        number = ord(name) if len(name) == 1 else 200 + GREEK.index(name)
        return complex(0.6 + (number * 0.6180339887498949) % 1.0)

    def power(self, base: complex, exponent: complex) -> complex:
        if base == 0 and exponent.real <= 0:
            raise Unread
        return base**exponent

    def root(self, value: complex) -> complex:
        return cmath.sqrt(value)

    def call(self, function: str, value: complex) -> complex:
        return _FUNCTIONS[function](value)

    def seen(self, value: complex) -> complex:
        self.largest = max(self.largest, abs(value))
        if not self.largest <= _LARGEST:
            raise Unread
        return value
