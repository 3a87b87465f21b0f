"""Exact equality of rational functions with square roots: `(a+5)(b+2)`, `\\frac{\\sqrt3}{3}`, `6-5i`, `7\\pi`.

Two canonical strings go in; True, False or None (not of this kind) comes out, with a proof behind each. Both sides
become a quotient of polynomials with rational coefficients, in symbols, \\pi, e, i with i^2 = -1, and square roots of
primes that square to them. Monomials in these are linearly independent over the rationals, so two quotients a/b and
c/d are equal exactly when the polynomials ad and bc have the same coefficients.
"""

from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import NamedTuple, Optional

from stepforge.pipelines.answers.expression import Unread, read

MAX_TERMS = 120        # of a polynomial
MAX_POWER = 24         # of an expression
MAX_RADICAND = 10**6   # under a square root: factored by trial division
MAX_BITS = 512         # of a coefficient

Monomial = tuple[tuple[str, int], ...]       # sorted (atom, exponent); `√p` and `i` have exponent 1
Polynomial = dict[Monomial, Fraction]


def algebraically_equal(first: str, second: str) -> bool | None:
    """Whether two canonical expressions are the same rational function; None where one of them is none."""
    one, two = _value(first), _value(second)
    if one is None or two is None:
        return None
    try:
        return _times(one.top, two.bottom) == _times(two.top, one.bottom)
    except Unread:
        return None


def algebraic_key(text: str) -> str | None:
    """A spelling that all equal polynomials share (`p - q`, `-q + p`); None for what is no polynomial."""
    value = _value(text)
    if value is None or set(value.bottom) != {()}:
        return None
    terms = {monomial: factor / value.bottom[()] for monomial, factor in value.top.items()}
    return " + ".join(f"{factor}" + "".join(f" {atom}^{power}" for atom, power in monomial)
                      for monomial, factor in sorted(terms.items())) or "0"


@lru_cache(maxsize=16384)
def _value(text: str) -> Optional["Quotient"]:
    try:
        value: Quotient = read(text, _Exact())
        return value
    except (Unread, ArithmeticError):
        return None


class Quotient(NamedTuple):
    """A polynomial over another that is not zero."""

    top: Polynomial
    bottom: Polynomial

    def __add__(self, other: "Quotient") -> "Quotient":      # type: ignore[override]
        if self.bottom == other.bottom:
            return Quotient(_plus(self.top, other.top), self.bottom)
        return Quotient(_plus(_times(self.top, other.bottom), _times(other.top, self.bottom)),
                        _times(self.bottom, other.bottom))

    def __neg__(self) -> "Quotient":
        return Quotient({monomial: -factor for monomial, factor in self.top.items()}, self.bottom)

    def __sub__(self, other: "Quotient") -> "Quotient":
        return self + -other

    def __mul__(self, other: "Quotient") -> "Quotient":      # type: ignore[override]
        return Quotient(_times(self.top, other.top), _times(self.bottom, other.bottom))

    def __truediv__(self, other: "Quotient") -> "Quotient":
        if not other.top:
            raise ZeroDivisionError
        return Quotient(_times(self.top, other.bottom), _times(self.bottom, other.top))


_ONE: Polynomial = {(): Fraction(1)}


def _plus(first: Polynomial, second: Polynomial) -> Polynomial:
    total = dict(first)
    for monomial, factor in second.items():
        _add_term(total, monomial, factor)
    return total


def _times(first: Polynomial, second: Polynomial) -> Polynomial:
    if len(first) * len(second) > MAX_TERMS * 4:
        raise Unread
    product: Polynomial = {}
    for left, factor in first.items():
        for right, other in second.items():
            monomial, extra = _monomial(left, right)
            _add_term(product, monomial, factor * other * extra)
    if len(product) > MAX_TERMS:
        raise Unread
    return product


def _add_term(polynomial: Polynomial, monomial: Monomial, factor: Fraction) -> None:
    total = polynomial.get(monomial, Fraction(0)) + factor
    if max(total.numerator.bit_length(), total.denominator.bit_length()) > MAX_BITS:
        raise Unread
    if total:
        polynomial[monomial] = total
    else:
        polynomial.pop(monomial, None)


def _monomial(left: Monomial, right: Monomial) -> tuple[Monomial, int]:
    """The product of two monomials and the factor that i^2 = -1 and √p^2 = p leave behind."""
    powers, factor = dict(left), 1
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    for atom in [atom for atom, power in powers.items() if power > 1 and (atom == "i" or atom[0] == "√")]:
        factor *= (-1 if atom == "i" else int(atom[1:])) ** (powers[atom] // 2)
        powers[atom] %= 2
    return tuple(sorted((atom, power) for atom, power in powers.items() if power)), factor


class _Exact:
    """The domain of quotients for the reader."""

    def number(self, digits: str) -> Quotient:
        if len(digits) > 60:
            raise Unread
        value = Fraction(digits)
        return Quotient({(): value} if value else {}, _ONE)

    def symbol(self, name: str) -> Quotient:
        return Quotient({((name, 1),): Fraction(1)}, _ONE)

    def power(self, base: Quotient, exponent: Quotient) -> Quotient:
        size = _rational(exponent)
        if size is None or size.denominator != 1 or abs(size) > MAX_POWER or (size <= 0 and not base.top):
            raise Unread
        result = Quotient(_ONE, _ONE)
        for _ in range(abs(int(size))):
            result = result * base
        return result if size >= 0 else Quotient(result.bottom, result.top)

    def root(self, value: Quotient) -> Quotient:
        radicand = _rational(value)
        if radicand is None or radicand < 0:
            raise Unread
        outside, primes = _square_free(radicand.numerator * radicand.denominator)
        monomial = tuple(sorted((f"√{prime}", 1) for prime in primes))
        return Quotient({monomial: Fraction(outside, radicand.denominator)} if radicand else {}, _ONE)

    def call(self, function: str, value: Quotient) -> Quotient:
        raise Unread

    def seen(self, value: Quotient) -> Quotient:
        return value


def _rational(value: Quotient) -> Fraction | None:
    """The number that a quotient is, None where it holds a symbol or a root."""
    if not value.top:
        return Fraction(0)
    return value.top[()] / value.bottom[()] if set(value.top) == set(value.bottom) == {()} else None


def _square_free(number: int) -> tuple[int, list[int]]:
    """(s, primes) with number = s^2 times the product of distinct primes."""
    if number > MAX_RADICAND:
        whole = isqrt(number)
        if whole * whole == number:
            return whole, []
        raise Unread
    outside, primes, prime = 1, [], 2
    while prime * prime <= number:
        power = 0
        while number % prime == 0:
            number, power = number // prime, power + 1
        outside *= prime ** (power // 2)
        primes += [prime] * (power % 2)
        prime += 1
    return outside, primes + [number] * (number > 1)
