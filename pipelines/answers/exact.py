"""Exact arithmetic on untrusted text: `3/4 + 1`, `\\frac{1}{2}\\times 10^{3}`, `2\\frac{1}{2}`, `5!`, `20\\%`.

A text goes in, its exact value comes out as a Fraction, or None where the text is anything but arithmetic.

A recursive-descent parser over a short token list; nothing is ever passed to `eval`. Only closed rational arithmetic
is understood: with a symbol or an irrational root the answer is None. Bounds on length, nesting, exponents and
factorials are checked before a value is built, so every call ends within milliseconds.
"""

import re
from fractions import Fraction
from functools import lru_cache
from math import isqrt

MAX_CHARS = 600        # longer texts are no arithmetic that a person wrote
MAX_DEPTH = 24         # nested brackets
MAX_BITS = 1 << 16     # size of a numerator or denominator: 1e9999 fits, a power tower does not
MAX_FACTORIAL = 4000   # 4000! has 42,000 bits


class TooLarge(ValueError):
    """The text is arithmetic, but its value or its nesting is beyond the bounds of this module."""


class Undefined(ValueError):
    """The text is arithmetic without a value: a division by zero, 0^0, the factorial of a fraction."""


class _NotArithmetic(Exception):
    pass


_TOKEN = re.compile(r"""\s*(?:
    (?P<number>\d{1,3}(?:,\d{3})+(?![\d])(?:\.\d+)?|\d+\.?\d*|\.\d+)(?P<exponent>[eE][+-]?\d+(?![\d.]))?
  | (?P<operator>\*\*|[-+*/^!%(){}\[\]×÷−·]|\\(?:frac|sqrt|times|cdot|div|left|right)(?![a-zA-Z]))
  )""", re.VERBOSE | re.ASCII)
_OPERATORS = {r"\times": "*", r"\cdot": "*", r"\div": "/", "×": "*", "÷": "/", "·": "*", "−": "-", "**": "^",
              "[": "(", "]": ")"}


@lru_cache(maxsize=16384)
def evaluate(text: str) -> Fraction | None:
    """The exact value of arithmetic, None where the text is anything else.

    Raises TooLarge where the value or the nesting is out of bounds, Undefined where there is no value.
    """
    if len(text) > MAX_CHARS:
        return None
    try:
        parser = _Parser(_tokens(text))
        value = parser.sum()
        return value if parser.peek() is None else None
    except _NotArithmetic:
        return None


def _tokens(text: str) -> list[Fraction | str]:
    tokens: list[Fraction | str] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _NotArithmetic
        if match["number"]:
            tokens.append(_number(match["number"].replace(",", ""), match["exponent"]))
        elif match["operator"] not in (r"\left", r"\right"):
            tokens.append(_OPERATORS.get(match["operator"], match["operator"]))
        position = match.end()
    if not tokens:
        raise _NotArithmetic
    return tokens


def _number(digits: str, exponent: str | None) -> Fraction:
    value = Fraction(digits)
    if exponent:
        value *= power(Fraction(10), Fraction(int(exponent[1:]) if len(exponent) < 8 else MAX_BITS))
    return value


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """base ** exponent for an integer exponent, or one half where the root is rational."""
    if exponent.denominator == 2 and abs(exponent.numerator) < MAX_BITS:
        return power(root(base), Fraction(exponent.numerator))
    if exponent.denominator != 1:
        raise _NotArithmetic
    if base == 0 and exponent <= 0:
        raise Undefined("zero to a power that is not positive")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) != 1 and base != 0 and size * abs(exponent) > MAX_BITS:
        raise TooLarge("power")
    if abs(exponent) > MAX_BITS:
        return base if exponent % 2 else base * base         # base is 0, 1 or -1 here
    return base ** int(exponent)


def root(value: Fraction) -> Fraction:
    """The square root where it is rational."""
    if value < 0:
        raise _NotArithmetic
    found = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    if found * found != value:
        raise _NotArithmetic
    return found


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or value < 0:
        raise Undefined("factorial of a negative number or a fraction")
    if value > MAX_FACTORIAL:
        raise TooLarge("factorial")
    product = 1
    for factor in range(2, int(value) + 1):
        product *= factor
    return Fraction(product)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise TooLarge("value")
    return value


def divide(dividend: Fraction, divisor: Fraction) -> Fraction:
    """The quotient; raises Undefined for a division by zero."""
    if divisor == 0:
        raise Undefined("division by zero")
    return dividend / divisor


class _Parser:
    """Precedence: sum < product < sign < power < postfix. A fraction written after an integer is a mixed number."""

    def __init__(self, tokens: list[Fraction | str]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0

    def peek(self) -> Fraction | str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, expected: str | None = None) -> Fraction | str:
        token = self.peek()
        if token is None or (expected is not None and token != expected):
            raise _NotArithmetic
        self.at += 1
        return token

    def sum(self) -> Fraction:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = _bounded(value + self.product() if self.take() == "+" else value - self.product())
        return value

    def product(self) -> Fraction:
        value = self.signed()
        while True:
            token = self.peek()
            if token == "*":
                self.take()
                value *= self.signed()
            elif token == "/":
                self.take()
                value = divide(value, self.signed())
            elif token == "(":                                # 3(4), (2)(5)
                value *= self.signed()
            else:
                return _bounded(value)

    def signed(self) -> Fraction:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        return sign * self.raised()

    def raised(self) -> Fraction:
        value = self.postfix()
        if self.peek() != "^":
            return value
        self.take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooLarge("power tower")
        exponent = self.signed()
        self.depth -= 1
        return power(value, exponent)

    def postfix(self) -> Fraction:
        value = self.atom()
        while self.peek() in ("!", "%"):
            value = _factorial(value) if self.take() == "!" else value / 100
        return value

    def atom(self) -> Fraction:
        token = self.take()
        if isinstance(token, Fraction):
            return self.mixed(token)
        if token == r"\frac":
            return divide(self.group("{", "}"), self.group("{", "}"))
        if token == r"\sqrt":
            return root(self.group("{", "}"))
        if token in ("(", "{"):
            self.at -= 1
            return self.group(token, ")" if token == "(" else "}")
        raise _NotArithmetic

    def mixed(self, whole: Fraction) -> Fraction:
        """`1\\frac{4}{5}` and `1 4/5`; an improper or computed fraction after a number is left to others."""
        rest = self.tokens[self.at:self.at + 7]
        if rest[:1] == [r"\frac"] and rest[1::3] == ["{", "{"] and rest[3::3] == ["}", "}"]:
            numerator, denominator, used = rest[2], rest[5], 7
        elif len(rest) >= 3 and isinstance(rest[0], Fraction) and rest[1] == "/":
            numerator, denominator, used = rest[0], rest[2], 3
        elif rest and (isinstance(rest[0], Fraction) or rest[0] in (r"\frac", r"\sqrt", "{")):
            raise _NotArithmetic                              # two numbers side by side: no reading is safe
        else:
            return whole
        if not isinstance(numerator, Fraction) or not isinstance(denominator, Fraction) \
                or not 0 < numerator < denominator or whole.denominator != 1:
            raise _NotArithmetic
        self.at += used
        return whole + numerator / denominator

    def group(self, opening: str, closing: str) -> Fraction:
        self.take(opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooLarge("nesting")
        value = self.sum()
        self.depth -= 1
        self.take(closing)
        return value
