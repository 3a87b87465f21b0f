"""Reads an unambiguous LaTeX expression and computes it in a domain of the caller's choice: exact or floating point.

A canonical string and a `Domain` go in, a value of the domain comes out. Understood are numbers, one-letter symbols,
Greek letters, \\pi, sums, products, quotients, powers, roots, and functions of a single atom. Whatever has two
readings (`1/2x`, `\\sin 2x`, `2\\frac{1}{2}`, `x2`) raises Unread, and so does everything else: those are left to the
slow tier.
"""

import re
from typing import Any, Protocol

MAX_DEPTH = 16
GREEK = "alpha beta gamma delta epsilon theta lambda mu nu rho sigma tau phi varphi psi omega".split()
FUNCTIONS = frozenset((r"\sin", r"\cos", r"\tan", r"\cot", r"\sec", r"\csc", r"\ln", r"\exp"))
_TIMES = (r"\cdot", r"\times", "*")
_TOKEN = re.compile(r"\s*(\d{1,3}(?:,\d{3})+(?!\d)|\d+\.?\d*|\.\d+|\\[a-zA-Z]+|[a-zA-Z]|[-+*/^(){}\[\]])", re.ASCII)


class Unread(Exception):
    """The text is outside what can be read without doubt, or its value is out of the domain's bounds."""


class Domain(Protocol):
    """Makes values that support + - * / among themselves; each method raises Unread where it has no answer."""

    def number(self, digits: str) -> Any: ...
    def symbol(self, name: str) -> Any: ...
    def power(self, base: Any, exponent: Any) -> Any: ...
    def root(self, value: Any) -> Any: ...
    def call(self, function: str, value: Any) -> Any: ...
    def seen(self, value: Any) -> Any: ...


def read(text: str, domain: Domain) -> Any:
    """The value of a whole canonical string. Raises Unread, or ArithmeticError for a division by zero."""
    reader = _Reader(text, domain)
    value = reader.sum()
    if reader.at < len(reader.tokens):
        raise Unread
    return value


class _Reader:
    def __init__(self, text: str, domain: Domain) -> None:
        self.domain, self.tokens = domain, []
        self.at = self.depth = position = 0
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
                if self.peek() not in ("", "+", "-", ")", "}"):
                    raise Unread                           # 1/2x
            elif token and token not in "+-^)}]":
                before = self.tokens[self.at - 1]
                if token[0].isdigit() or token[0] == "." or (before[-1].isdigit() and token == r"\frac"):
                    raise Unread                           # x2, 2 3, a mixed number
                value = self.domain.seen(value * self.raised())
            else:
                return value

    def signed(self) -> Any:
        if self.peek() in ("+", "-"):
            return -self.signed() if self.take() == "-" else self.signed()
        return self.raised()

    def raised(self) -> Any:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        exponent = self.group("{", "}") if self.peek() == "{" else self.atom()
        if self.peek() == "^":
            raise Unread
        return self.domain.seen(self.domain.power(base, exponent))

    def atom(self) -> Any:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return self.domain.seen(self.domain.number(token.replace(",", "")))
        if token in ("(", "{"):
            self.at -= 1
            return self.group(token, ")" if token == "(" else "}")
        if token == r"\frac":
            numerator = self.group("{", "}")
            return self.domain.seen(numerator / self.group("{", "}"))
        if token == r"\sqrt":
            return self.domain.seen(self.domain.root(self.group("{", "}")))
        if token in FUNCTIONS:
            argument = self.atom()
            if self.peek() not in ("", "+", "-", ")", "}"):
                raise Unread                               # \sin 2x, \sin x^2
            return self.domain.seen(self.domain.call(token, argument))
        name = token.removeprefix("\\")
        if token.isalpha() or name == "pi" or name in GREEK:
            return self.domain.symbol(name)
        raise Unread

    def group(self, opening: str, closing: str) -> Any:
        self.take(opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unread
        value = self.sum()
        self.depth -= 1
        self.take(closing)
        return value
