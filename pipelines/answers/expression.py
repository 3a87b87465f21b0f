"""Reads an unambiguous LaTeX expression and computes it in a domain of the caller's choice: exact or floating point.

A canonical string and a `Domain` go in, a value of the domain comes out. Understood are numbers (repeating decimals
and bases too), one-letter symbols with or without an index, Greek letters, \\pi, sums, products, quotients, powers,
roots, absolute values, degrees, factorials, binomials, and functions of a bracket or of a simple product
(`\\sin 2x`). Whatever has two readings (`1/2x`, `\\sin x^2`, `2\\frac{1}{2}`, `x2`) raises Unread, and so does
everything else: those are left to the slow tier.
"""

import re
from fractions import Fraction
from typing import Any, Protocol

from stepforge.pipelines.answers.exact import NotArithmetic, in_base, repeating

MAX_DEPTH = 16
GREEK = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi varphi chi psi "
         "omega Gamma Delta Theta Lambda Sigma Phi Psi Omega").split()
_INVERSE = {"arcsin": "arcsin", "arccos": "arccos", "arctan": "arctan", "sin": "arcsin", "cos": "arccos",
            "tan": "arctan"}
FUNCTIONS = frozenset(rf"\{name}" for name in """sin cos tan cot sec csc ln exp log sinh cosh tanh arcsin arccos
    arctan""".split())
_TIMES = (r"\cdot", r"\times", "*")
_ENDS = ("", "+", "-", ")", "}", "]", "|", r"\rfloor", r"\rceil", *_TIMES)
_TOKEN = re.compile(r"\s*(\d[0-9A-F]*(?:\.\d+)?_(?:[2-9](?!\d)|\{(?:[2-9]|[12]\d|3[0-6])\})"
                    r"|\d*\.\d*\\overline\{\d{1,60}\}"
                    r"|[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d+\.?\d*|\.\d+|\\[a-zA-Z]+"
                    r"|[a-zA-Z](?:_(?:[a-zA-Z0-9]|\{[a-zA-Z0-9]{1,6}\}))?|[-+*/^(){}\[\]|!°_%])", re.ASCII)


class Unread(Exception):
    """The text is outside what can be read without doubt, or its value is out of the domain's bounds."""


class Domain(Protocol):
    """Makes values that support + - * / among themselves; each method raises Unread where it has no answer.

    `call` knows the FUNCTIONS without their backslash, `abs`, `floor`, `ceil` and `factorial`.
    """

    def number(self, value: Fraction) -> Any: ...
    def symbol(self, name: str) -> Any: ...
    def power(self, base: Any, exponent: Any) -> Any: ...
    def root(self, value: Any, index: int) -> Any: ...
    def call(self, function: str, value: Any) -> Any: ...
    def seen(self, value: Any) -> Any: ...


def read(text: str, domain: Domain) -> Any:
    """The value of a whole canonical string. Raises Unread, or ArithmeticError for a division by zero."""
    reader = _Reader(text, domain)
    value = reader.sum()
    if reader.at < len(reader.tokens):
        raise Unread
    return value


def number_of(token: str) -> Fraction:
    """The value of a number token."""
    if len(token) > 80:
        raise Unread
    if "_" in token:
        digits, base = token.split("_")
        try:
            return in_base(digits, int(base.strip("{}")))
        except (NotArithmetic, ValueError):
            raise Unread from None
    if "\\" in token:
        digits, cycle = token.split(r"\overline")
        return repeating(digits, cycle.strip("{}"))
    return Fraction(token.replace(",", ""))


class _Reader:
    def __init__(self, text: str, domain: Domain) -> None:
        self.domain, self.tokens = domain, []
        self.at = self.depth = self.bars = position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise Unread
            self.tokens.append(match[1])
            position = match.end()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise Unread
        self.at += 1
        return token

    def sum(self) -> Any:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = self.domain.seen(value + self.product() if self.take() == "+" else value - self.product())
        return value

    def product(self) -> Any:
        value = self.signed()
        while True:
            token = self.peek()
            if token in _TIMES:
                self.take()
                value = self.domain.seen(value * self.signed())
            elif token in ("/", r"\div"):
                self.take()
                value = self.domain.seen(value / self.signed())
                if self.peek() not in _ENDS:
                    raise Unread                           # 1/2x
            elif token not in _ENDS and token[0] not in "^!°_%" and not (token == "|" and self.bars):
                before = self.tokens[self.at - 1]
                if token[0].isdigit() or token[0] == "." or (before[-1].isdigit() and token == r"\frac"
                                                             and before[0].isdigit()):
                    raise Unread                           # x2, 2 3, a mixed number
                value = self.domain.seen(value * self.raised())
            else:
                return value

    def signed(self) -> Any:
        if self.peek() in ("+", "-"):
            return -self.signed() if self.take() == "-" else self.signed()
        return self.raised()

    def raised(self) -> Any:
        base = self.postfixed()
        if self.peek() != "^":
            return base
        exponent = self.exponent()
        if self.peek() in ("^", "!"):
            raise Unread
        return self.domain.seen(self.domain.power(base, exponent))

    def exponent(self) -> Any:
        self.take("^")
        if self.peek() == "-":
            self.take()
            return -self.atom()
        return self.group("{", "}") if self.peek() == "{" else self.atom()

    def postfixed(self) -> Any:
        value = self.atom()
        while self.peek() in ("!", "°"):
            if self.take() == "!":
                value = self.domain.seen(self.domain.call("factorial", value))
            else:
                value = self.domain.seen(value * self.domain.symbol("pi") / self.domain.number(Fraction(180)))
        return value

    def atom(self) -> Any:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return self.domain.seen(self.domain.number(number_of(token)))
        if token in ("(", "{", "["):
            self.at -= 1
            return self.group(token, {"(": ")", "{": "}", "[": "]"}[token])
        if token == "|":
            return self.between("abs", "|", "|")
        if token in (r"\lfloor", r"\lceil"):
            return self.between(token[2:], token, r"\r" + token[2:])
        if token == r"\frac":
            numerator = self.group("{", "}")
            return self.domain.seen(numerator / self.group("{", "}"))
        if token == r"\binom":
            return self.binomial()
        if token == r"\sqrt":
            return self.radical()
        if token in FUNCTIONS:
            return self.function(token[1:])
        name = token.removeprefix("\\")
        if token[0].isalpha() or name == "pi" or name in GREEK:
            return self.domain.symbol(name.replace("{", "").replace("}", ""))
        raise Unread

    def between(self, function: str, opening: str, closing: str) -> Any:
        self.at -= 1
        self.bars += opening == "|"
        value = self.group(opening, closing)
        self.bars -= opening == "|"
        return self.domain.seen(self.domain.call(function, value))

    def binomial(self) -> Any:
        top = self.group("{", "}")
        bottom = self.group("{", "}")
        factorial = self.domain.call
        return self.domain.seen(factorial("factorial", top)
                                / (factorial("factorial", bottom) * factorial("factorial", top - bottom)))

    def radical(self) -> Any:
        index = 2
        if self.peek() == "[":
            self.take()
            written = self.take()
            self.take("]")
            if not written.isdigit() or not 2 <= int(written) <= 12:
                raise Unread
            index = int(written)
        return self.domain.seen(self.domain.root(self.group("{", "}"), index))

    def function(self, name: str) -> Any:
        base = exponent = None
        if name == "log" and self.peek() == "_":
            self.take()
            base = self.group("{", "}") if self.peek() == "{" else self.atom()
        if self.peek() == "^":
            if self.tokens[self.at:self.at + 5] == ["^", "{", "-", "1", "}"] and name in _INVERSE:
                self.at, name = self.at + 5, _INVERSE[name]
            else:
                exponent = self.exponent()
        value = self.domain.seen(self.domain.call(name if base is None else "ln", self.argument()))
        if base is not None:
            value = self.domain.seen(value / self.domain.call("ln", base))
        return value if exponent is None else self.domain.seen(self.domain.power(value, exponent))

    def argument(self) -> Any:
        """A bracket, or a product of simple factors: `\\sin 2x`, `\\cos\\frac{\\pi}{3}`, `\\ln x`."""
        if self.peek() in ("(", "{", "[", "|", r"\sqrt"):
            value = self.atom()
        else:
            value = self.signed() if self.peek() == "-" else self.postfixed()
            while self.peek() and (self.peek()[0].isalpha() or self.peek()[1:] in ("pi", *GREEK)):
                value = self.domain.seen(value * self.postfixed())
        if self.peek() not in _ENDS and self.peek() not in FUNCTIONS and self.peek() != "/":
            raise Unread                                   # \sin x^2, \ln 2(x+1)
        return value

    def group(self, opening: str, closing: str) -> Any:
        self.take(opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unread
        value = self.sum()
        self.depth -= 1
        self.take(closing)
        return value
