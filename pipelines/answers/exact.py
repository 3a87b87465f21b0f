"""Exact arithmetic on untrusted text: `3/4 + 1`, `\\frac{1}{2}\\times 10^{3}`, `2\\frac{1}{2}`, `5!`, `20\\%`.

A text goes in, its exact value comes out as a Fraction, or None where the text is anything but arithmetic. Repeating
decimals (`0.\\overline{3}`), digits in a base (`101_2`) and binomials are numbers too.

A recursive-descent parser over a short token list; nothing is ever passed to `eval`. Only closed rational arithmetic
is understood: with a symbol or an irrational root the answer is None. Bounds on length, nesting, exponents and
factorials are checked before a value is built, so every call ends within milliseconds.
"""

import re
from fractions import Fraction
from functools import lru_cache
from math import comb, isqrt

MAX_CHARS = 600        # longer texts are no arithmetic that a person wrote
MAX_DEPTH = 24         # nested brackets
MAX_BITS = 1 << 16     # size of a numerator or denominator: 1e9999 fits, a power tower does not
MAX_FACTORIAL = 4000   # 4000! has 42,000 bits
MAX_ROOT = 12


class TooLarge(ValueError):
    """The text is arithmetic, but its value or its nesting is beyond the bounds of this module."""


class Undefined(ValueError):
    """The text is arithmetic without a value: a division by zero, 0^0, the factorial of a fraction."""


class NotArithmetic(Exception):
    """The text is something else."""


_TOKEN = re.compile(r"""\s*(?:
    (?P<based>\.[0-9]+(?=_)|[0-9A-Za-z]*[0-9][0-9A-Za-z]*(?:\.[0-9A-Za-z]*(?:\\overline\{[0-9A-Za-z]+\})?)?|[A-F]+)
      _(?:(?P<base>[2-9]|[12]\d|3[0-6])(?!\d)|\{(?P<large>-?\d{1,2})\})
  | (?P<cycle>\d*\.\d*)\\overline\{(?P<repeats>\d{1,60})\}
  | (?P<number>[1-9]\d{0,2}(?:,\d{3})+(?![\d])(?:\.\d+)?|\d+\.?\d*|\.\d+)(?P<exponent>[eE][+-]?\d+(?![\d.]))?
  | (?P<operator>\*\*|[-+*/^!%(){}\[\]|×÷−·]|\\(?:frac|sqrt|binom|times|cdot|div|left|right)(?![a-zA-Z]))
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
    except NotArithmetic:
        return None


def _tokens(text: str) -> list[Fraction | str]:
    tokens: list[Fraction | str] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise NotArithmetic
        if match["based"]:
            tokens.append(in_base(match["based"], int(match["base"] or match["large"])))
        elif match["cycle"]:
            tokens.append(repeating(match["cycle"], match["repeats"]))
        elif match["number"]:
            tokens.append(_number(match["number"].replace(",", ""), match["exponent"]))
        elif match["operator"] not in (r"\left", r"\right"):
            tokens.append(_OPERATORS.get(match["operator"], match["operator"]))
        position = match.end()
    if not tokens:
        raise NotArithmetic
    return tokens


def in_base(digits: str, base: int) -> Fraction:
    """The value of digits in a base from -36 to 36; they may have a point and a cycle (`0.\\overline{01}`).

    Raises Undefined for a digit that the base does not have.
    """
    whole, _, part = digits.partition(".")
    part, _, cycle = part.rstrip("}").partition(r"\overline{")
    written = whole + part + cycle
    if not 2 <= abs(base) <= 36 or len(digits) > 80 or (abs(base) <= 10 and not written.isdigit()):
        raise NotArithmetic
    if cycle:
        fixed = in_base(f"{whole}.{part}", base)
        return fixed + in_base(cycle, base) / (Fraction(base) ** len(part) * (Fraction(base) ** len(cycle) - 1))
    try:
        values = [int(digit, abs(base)) for digit in written]
    except ValueError:
        raise Undefined(f"a digit outside base {base}") from None
    total = 0
    for value in values:
        total = total * base + value
    return Fraction(total) / Fraction(base) ** len(part)


def repeating(digits: str, cycle: str) -> Fraction:
    """`1.2` with the cycle `34` is 1.2343434..."""
    whole, _, part = digits.partition(".")
    fixed = Fraction(int(whole + part or "0"), 10 ** len(part))
    return fixed + Fraction(int(cycle), 10 ** len(part) * (10 ** len(cycle) - 1))


def _number(digits: str, exponent: str | None) -> Fraction:
    value = Fraction(digits)
    if exponent:
        value *= power(Fraction(10), Fraction(int(exponent[1:]) if len(exponent) < 8 else MAX_BITS))
    return value


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """base ** exponent for an integer exponent, or where the root of a base that is not negative is rational."""
    if exponent.denominator != 1 and abs(exponent.numerator) < MAX_BITS and base >= 0:
        return power(root(base, exponent.denominator), Fraction(exponent.numerator))
    if exponent.denominator != 1:
        raise NotArithmetic
    if base == 0 and exponent <= 0:
        raise Undefined("zero to a power that is not positive")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) != 1 and base != 0 and size * abs(exponent) > MAX_BITS:
        raise TooLarge("power")
    if abs(exponent) > MAX_BITS:
        return base if exponent % 2 else base * base         # base is 0, 1 or -1 here
    return base ** int(exponent)


def root(value: Fraction, index: int = 2) -> Fraction:
    """The real root where it is rational; odd roots of negative numbers are negative."""
    if value < 0 and index % 2:
        return -root(-value, index)
    if value < 0 or not 2 <= index <= MAX_ROOT:
        raise NotArithmetic
    result = Fraction(integer_root(value.numerator, index), integer_root(value.denominator, index))
    if result**index != value:
        raise NotArithmetic
    return result


def integer_root(number: int, index: int) -> int:
    """The largest integer whose power is at most the number."""
    if index == 2 or number < 2:
        return isqrt(number) if index == 2 else number
    guess = 1 << -(-number.bit_length() // index)
    while True:
        better = ((index - 1) * guess + number // guess ** (index - 1)) // index
        if better >= guess:
            return guess
        guess = better


def _binomial(top: Fraction, bottom: Fraction) -> Fraction:
    if top.denominator != 1 or bottom.denominator != 1 or not 0 <= top <= MAX_FACTORIAL or bottom < 0:
        raise TooLarge("binomial") if top > MAX_FACTORIAL else NotArithmetic
    return Fraction(comb(int(top), int(bottom)))


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
            raise NotArithmetic
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
            elif token == "(" or (token == r"\sqrt" and self.tokens[self.at - 1] == ")"):     # 3(4), (2)(5)
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
        if token == r"\binom":
            return _binomial(self.group("{", "}"), self.group("{", "}"))
        if token == r"\sqrt":
            index = self.group("(", ")") if self.peek() == "(" else Fraction(2)
            return root(self.group("{", "}"), int(index))
        if token == "|":
            return abs(self.group("|", "|", opened=True))
        if token in ("(", "{"):
            self.at -= 1
            return self.group(token, ")" if token == "(" else "}")
        raise NotArithmetic

    def mixed(self, whole: Fraction) -> Fraction:
        """`1\\frac{4}{5}` and `1 4/5`; an improper or computed fraction after a number is left to others."""
        rest = self.tokens[self.at:self.at + 7]
        if rest[:1] == [r"\frac"] and rest[1::3] == ["{", "{"] and rest[3::3] == ["}", "}"]:
            numerator, denominator, used = rest[2], rest[5], 7
        elif len(rest) >= 3 and isinstance(rest[0], Fraction) and rest[1] == "/":
            numerator, denominator, used = rest[0], rest[2], 3
        elif rest and (isinstance(rest[0], Fraction) or rest[0] in (r"\frac", r"\sqrt", r"\binom", "{")):
            raise NotArithmetic                              # two numbers side by side: no reading is safe
        else:
            return whole
        if not isinstance(numerator, Fraction) or not isinstance(denominator, Fraction) \
                or not 0 < numerator < denominator or whole.denominator != 1:
            raise NotArithmetic
        self.at += used
        return whole + numerator / denominator

    def group(self, opening: str, closing: str, opened: bool = False) -> Fraction:
        if not opened:
            self.take(opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooLarge("nesting")
        value = self.sum()
        self.depth -= 1
        self.take(closing)
        return value
