"""Polynomials with rational coefficients, and with rules for i and for powers of primes.

A polynomial is a dictionary from monomials to coefficients; a monomial is a sorted tuple of (atom, exponent). The atom
`√2` stands for the prime 2 to that power, with exponents between 0 and 1; `i` squares to -1; all others are free.
"""

from fractions import Fraction
from functools import lru_cache
from math import isqrt

from stepforge.pipelines.answers.expression import Unread

MAX_TERMS = 120        # of a polynomial
MAX_FACTORED = 10**6   # factored by trial division beyond squares
MAX_BITS = 512         # of a coefficient

Monomial = tuple[tuple[str, Fraction], ...]
Polynomial = dict[Monomial, Fraction]
ONE: Polynomial = {(): Fraction(1)}


def plus(first: Polynomial, second: Polynomial) -> Polynomial:
    """The sum. Raises Unread where a coefficient grows beyond the bounds."""
    total = dict(first)
    for monomial, factor in second.items():
        _add_term(total, monomial, factor)
    return total


def times(first: Polynomial, second: Polynomial) -> Polynomial:
    """The product. Raises Unread where it has too many terms."""
    if first is ONE or second is ONE:
        return second if first is ONE else first
    if len(first) * len(second) > MAX_TERMS * 4:
        raise Unread
    product: Polynomial = {}
    for left, factor in first.items():
        for right, other in second.items():
            monomial, extra = _merged(left, right)
            _add_term(product, monomial, factor * other * extra)
    if len(product) > MAX_TERMS:
        raise Unread
    return product


def term(monomial: Monomial, factor: Fraction, power: int) -> Polynomial:
    """One term raised to 1 or -1, in normal form."""
    merged, extra = _merged((), tuple((atom, exponent * power) for atom, exponent in monomial))
    return {merged: factor**power * extra}


def spelled(polynomial: Polynomial) -> str:
    """A text that is the same for equal polynomials."""
    return "+".join(f"{factor}" + "".join(f"*{atom}^{power}" for atom, power in monomial)
                    for monomial, factor in sorted(polynomial.items())) or "0"


def without_negative_powers(polynomial: Polynomial) -> Polynomial:
    """The polynomial times the symbols that it divides by: `y - 6/x` as `xy - 6`."""
    lowest: dict[str, Fraction] = {}
    for monomial in polynomial:
        for atom, power in monomial:
            lowest[atom] = min(power, lowest.get(atom, Fraction(0)))
    missing: Monomial = tuple(sorted((atom, -power) for atom, power in lowest.items() if power < 0))
    return times(polynomial, {missing: Fraction(1)}) if missing else polynomial


def without_cosines(polynomial: Polynomial) -> Polynomial:
    """The polynomial with every square of a cosine written as 1 less that of the sine: zero for true identities."""
    result: Polynomial = {}
    for monomial, factor in polynomial.items():
        written: Polynomial = {tuple(pair for pair in monomial if not pair[0].startswith("cos(")): factor}
        for atom, power in monomial:
            if atom.startswith("cos("):
                sine: Polynomial = {(): Fraction(1), (("sin" + atom[3:], Fraction(2)),): Fraction(-1)}
                for _ in range(int(power // 2)):
                    written = times(written, sine)
                written = times(written, {((atom, power % 2),): Fraction(1)} if power % 2 else ONE)
        result = plus(result, written)
    return result


def _add_term(polynomial: Polynomial, monomial: Monomial, factor: Fraction) -> None:
    total = polynomial.get(monomial, Fraction(0)) + factor
    if max(total.numerator.bit_length(), total.denominator.bit_length()) > MAX_BITS:
        raise Unread
    if total:
        polynomial[monomial] = total
    else:
        polynomial.pop(monomial, None)


def _merged(left: Monomial, right: Monomial) -> tuple[Monomial, Fraction]:
    """The product of two monomials and the factor that i^2 = -1 and whole powers of primes leave behind."""
    if not left and not any(atom == "i" or atom[0] == "√" for atom, _ in right):
        return right, Fraction(1)
    powers, extra = dict(left), Fraction(1)
    for atom, power in right:
        powers[atom] = powers.get(atom, Fraction(0)) + power
    for atom, power in list(powers.items()):
        if atom == "i":
            if power.denominator != 1:
                raise Unread
            extra *= (-1) ** (int(power) // 2)
            powers[atom] = power % 2
        elif atom[0] == "√" and "(" not in atom:
            whole = power.numerator // power.denominator
            if abs(whole) > 400:
                raise Unread
            extra *= Fraction(int(atom[1:])) ** whole
            powers[atom] = power - whole
    return tuple(sorted((atom, power) for atom, power in powers.items() if power)), extra


@lru_cache(maxsize=4096)
def factored(number: Fraction) -> dict[int, int]:
    """The exponents of the primes of a positive rational number. Raises Unread where it is too large to factor."""
    powers: dict[int, int] = {}
    for size, sign in ((number.numerator, 1), (number.denominator, -1)):
        for prime, power in _factors(size).items():
            powers[prime] = powers.get(prime, 0) + sign * power
    return powers


def _factors(size: int) -> dict[int, int]:
    powers: dict[int, int] = {}
    prime = 2
    while prime * prime <= size and prime < 1000:
        while size % prime == 0:
            size //= prime
            powers[prime] = powers.get(prime, 0) + 1
        prime += 1 + prime % 2
    if size > MAX_FACTORED:
        half = isqrt(size)
        if half * half != size or half > MAX_FACTORED:
            raise Unread
        powers[half] = powers.get(half, 0) + 2
    elif size > 1:
        powers[size] = powers.get(size, 0) + 1
    return powers
