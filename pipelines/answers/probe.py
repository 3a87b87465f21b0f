"""A fast proof that two expressions differ: their values at one fixed point, in floating point with an error bound.

Two canonical strings go in; True comes out only if both are read without doubt (numbers, letters, \\pi, roots, fractions,
powers, trigonometric functions) and their values are further apart than rounding can explain. Equal expressions agree at
every point, so True is certain; False means nothing. Most wrong answers are told apart here, hundreds of times
faster than SymPy can.
"""

import cmath
import re
from collections.abc import Callable
from functools import lru_cache
from math import pi

_TOLERANCE = 1e-9      # of the largest value met on the way; rounding errors there stay near 1e-14
_LARGEST = 1e100
_MAX_DEPTH = 16

_TOKEN = re.compile(r"\s*(?:(?P<number>\d{1,3}(?:,\d{3})+(?!\d)|\d+\.?\d*|\.\d+)|(?P<command>\\[a-zA-Z]+)|(?P<letter>[a-zA-Z])"
                    r"|(?P<sign>[-+*/^(){}\[\]]))", re.ASCII)
_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    r"\sin": cmath.sin, r"\cos": cmath.cos, r"\tan": cmath.tan, r"\cot": lambda z: 1 / cmath.tan(z),
    r"\sec": lambda z: 1 / cmath.cos(z), r"\csc": lambda z: 1 / cmath.sin(z), r"\ln": cmath.log, r"\exp": cmath.exp}
_GREEK = "alpha beta gamma delta epsilon theta lambda mu nu rho sigma tau phi varphi psi omega".split()
_TIMES = (r"\cdot", r"\times", "*")


class _Unread(Exception):
    pass


def apart(first: str, second: str) -> bool:
    """Whether two canonical expressions certainly have different values."""
    one, two = _probe(first), _probe(second)
    return one is not None and two is not None and abs(one[0] - two[0]) > _TOLERANCE * max(1.0, one[1], two[1])


@lru_cache(maxsize=16384)
def _probe(text: str) -> tuple[complex, float] | None:
    """The value at the fixed point and the largest magnitude met, None where the text is not read."""
    try:
        reader = _Reader(text)
        value = reader.sum()
        if reader.at < len(reader.tokens) or not cmath.isfinite(value):
            return None
        return value, reader.largest
    except (_Unread, ArithmeticError, ValueError):
        return None


def _letter_value(name: str) -> complex:
    """e and i are themselves; every other symbol gets an irregular positive value."""
    if name in ("e", "i"):
        return cmath.e if name == "e" else 1j
    number = ord(name) if len(name) == 1 else 200 + _GREEK.index(name)
    return 0.6 + (number * 0.6180339887498949) % 1.0


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        self.at, self.depth, self.largest = 0, 0, 0.0
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise _Unread
            self.tokens.append(match[0].strip())
            position = match.end()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise _Unread
        self.at += 1
        return token

    def seen(self, value: complex) -> complex:
        self.largest = max(self.largest, abs(value))
        if self.largest > _LARGEST:
            raise _Unread
        return value

    def sum(self) -> complex:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = self.seen(value + self.product() if self.take() == "+" else value - self.product())
        return value

    def product(self) -> complex:
        value = self.signed()
        while True:
            token = self.peek()
            if token in _TIMES:
                self.take()
                value = self.seen(value * self.signed())
            elif token in ("/", r"\div"):
                self.take()
                value = self.seen(value / self.signed())
                if self.peek() and self.peek() not in ("+", "-", ")", "}"):
                    raise _Unread                          # 1/2x: two readings
            elif token and token not in "+-^)}]":
                if token[0].isdigit() or token[0] == "." or (self.tokens[self.at - 1][0].isdigit() and token == r"\frac"):
                    raise _Unread                          # x2, 2 3, a mixed number
                value = self.seen(value * self.power())
            else:
                return value

    def signed(self) -> complex:
        if self.peek() in ("+", "-"):
            return -self.signed() if self.take() == "-" else self.signed()
        return self.power()

    def power(self) -> complex:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        exponent = self.group("{", "}") if self.peek() == "{" else self.atom()
        if self.peek() == "^" or (base == 0 and exponent.real <= 0):
            raise _Unread
        return self.seen(base**exponent)

    def atom(self) -> complex:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return self.seen(complex(float(token.replace(",", ""))))
        if len(token) == 1 and token.isalpha():
            return _letter_value(token)
        if token in ("(", "{"):
            self.at -= 1
            return self.group(token, ")" if token == "(" else "}")
        if token == r"\pi":
            return complex(pi)
        if token == r"\frac":
            numerator = self.group("{", "}")
            return self.seen(numerator / self.group("{", "}"))
        if token == r"\sqrt":
            return cmath.sqrt(self.group("{", "}"))
        if token in _FUNCTIONS:
            return self.function(_FUNCTIONS[token])
        if token[1:] in _GREEK:
            return _letter_value(token[1:])
        raise _Unread

    def function(self, called: Callable[[complex], complex]) -> complex:
        argument = self.atom()
        if self.peek() and self.peek() not in ("+", "-", ")", "}"):
            raise _Unread                                  # \sin 2x, \sin x^2: more than one reading
        return self.seen(called(argument))

    def group(self, opening: str, closing: str) -> complex:
        self.take(opening)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _Unread
        value = self.sum()
        self.depth -= 1
        self.take(closing)
        return value
