"""Quotients of polynomials, and the domain that computes an expression as one.

A polynomial's atoms are symbols, \\pi, e, i, powers of primes, and opaque terms that are named after what they are
applied to: `sin(...)`, `ln(7)`, `root2(...)`, `2^(...)`. Logarithms of numbers are sums over their primes, sines of
multiples of \\pi lie in the first quadrant, and tangents are quotients of sines.
"""

from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

from stepforge.pipelines.answers.expression import Unread
from stepforge.pipelines.answers.polynomials import ONE, Monomial, Polynomial, factored, plus, spelled, term, times

MAX_POWER = 24         # of an expression
MAX_FACTORIAL = 60
MAX_ANGLES = 6         # summands of an angle, and multiples of one
# (c, d) for a sine of c times the root of d
_SINES = {Fraction(0): (Fraction(0), 1), Fraction(1, 6): (Fraction(1, 2), 1), Fraction(1, 4): (Fraction(1, 2), 2),
          Fraction(1, 3): (Fraction(1, 2), 3), Fraction(1, 2): (Fraction(1), 1)}


_I_PI: Monomial = (("i", Fraction(1)), ("pi", Fraction(1)))


class Quotient(NamedTuple):
    """A polynomial over another that is not zero."""

    top: Polynomial
    bottom: Polynomial = ONE

    @property
    def opaque(self) -> bool:
        return any("(" in atom for side in (self.top, self.bottom) for monomial in side for atom, _ in monomial)

    def __add__(self, other: "Quotient") -> "Quotient":      # type: ignore[override]
        if self.bottom == other.bottom:
            return Quotient(plus(self.top, other.top), self.bottom)
        return Quotient(plus(times(self.top, other.bottom), times(other.top, self.bottom)),
                        times(self.bottom, other.bottom))

    def __neg__(self) -> "Quotient":
        return Quotient({monomial: -factor for monomial, factor in self.top.items()}, self.bottom)

    def __sub__(self, other: "Quotient") -> "Quotient":
        return self + -other

    def __mul__(self, other: "Quotient") -> "Quotient":      # type: ignore[override]
        return Quotient(times(self.top, other.top), times(self.bottom, other.bottom))

    def __truediv__(self, other: "Quotient") -> "Quotient":
        if not other.top:
            raise ZeroDivisionError
        if len(other.top) == 1 and other.bottom == ONE:
            return Quotient(times(self.top, term(*next(iter(other.top.items())), -1)), self.bottom)
        return Quotient(times(self.top, other.bottom), times(self.bottom, other.top))


class Exact:
    """The domain of quotients for the reader."""

    def number(self, value: Fraction) -> Quotient:
        return Quotient({(): value} if value else {})

    def symbol(self, name: str) -> Quotient:
        return Quotient({((name, Fraction(1)),): Fraction(1)})

    def power(self, base: Quotient, exponent: Quotient) -> Quotient:
        size = rational_of(exponent)
        if size is not None and size.denominator == 1:
            if abs(size) > MAX_POWER or (size <= 0 and not base.top):
                raise Unread
            result = Quotient(ONE)
            for _ in range(abs(int(size))):
                result = result * base
            return result if size >= 0 else Quotient(ONE) / result
        number = rational_of(base)
        if size is not None:
            if size.denominator > 12 or abs(size) > MAX_POWER or (number is not None and number <= 0):
                raise Unread
            if number is None:
                return self.power(self.root(base, size.denominator), self.number(Fraction(size.numerator)))
            return _prime_powers(number, {(): size})
        if exponent.bottom != ONE:
            raise Unread
        if base.top == {(("e", Fraction(1)),): Fraction(1)} and base.bottom == ONE:
            if set(exponent.top) == {_I_PI}:                   # a root of unity
                angle = Quotient({(("pi", Fraction(1)),): exponent.top[_I_PI]})
                return self.call("cos", angle) + self.symbol("i") * self.call("sin", angle)
            return _exponential("e", exponent.top)
        if number is None or number <= 0:
            raise Unread
        return _prime_powers(number, exponent.top)

    def root(self, value: Quotient, index: int) -> Quotient:
        if value.bottom != ONE:
            if set(value.bottom) != {()}:
                raise Unread
            value = Quotient({monomial: factor / value.bottom[()] for monomial, factor in value.top.items()})
        number = rational_of(value)
        if number == 0:
            return value
        if number is not None and number > 0:
            return _prime_powers(number, {(): Fraction(1, index)})
        if number is not None and index % 2:
            return -_prime_powers(-number, {(): Fraction(1, index)})
        if number is not None:
            if index != 2:
                raise Unread
            return self.symbol("i") * _prime_powers(-number, {(): Fraction(1, 2)})
        content = _content(value.top)
        if (powers := _rooted(value.top, index)) is not None:
            return _prime_powers(content, {(): Fraction(1, index)}) * Quotient({powers: Fraction(1)})
        inner = Quotient({monomial: factor / content for monomial, factor in value.top.items()})
        return _prime_powers(content, {(): Fraction(1, index)}) * self.symbol(f"root{index}({spelled(inner.top)})")

    def call(self, function: str, value: Quotient) -> Quotient:
        number = rational_of(value)
        if function in ("factorial", "floor", "ceil", "abs") and number is not None:
            return _whole(function, number)
        if function == "abs":
            return self._opaque(function, value if leading(value) > 0 else -value)
        if function == "exp":
            return self.power(self.symbol("e"), value)
        if function in ("tan", "cot", "sec", "csc"):
            sine, cosine = self.call("sin", value), self.call("cos", value)
            over = {"tan": (sine, cosine), "cot": (cosine, sine), "sec": (Quotient(ONE), cosine),
                    "csc": (Quotient(ONE), sine)}[function]
            return over[0] / over[1]
        if function in ("sin", "cos"):
            return self._sine(function, value)
        if function == "ln":
            return self._logarithm(value)
        if function == "log":
            return self._logarithm(value) / self._logarithm(self.number(Fraction(10)))
        return self._opaque(function, value)

    def seen(self, value: Quotient) -> Quotient:
        return value

    def _opaque(self, function: str, value: Quotient) -> Quotient:
        if set(value.bottom) != {()}:
            raise Unread
        polynomial = {monomial: factor / value.bottom[()] for monomial, factor in value.top.items()}
        return self.symbol(f"{function}({spelled(polynomial)})")

    def _sine(self, function: str, value: Quotient) -> Quotient:
        """Sines of rational multiples of \\pi in the first quadrant; cosines are sines of the complement."""
        turns = _multiple_of_pi(value)
        if turns is None:
            if (parts := _angles(value)) is not None:
                return self._of_sum(function, *parts)
            positive = leading(value) > 0
            called = self._opaque(function, value if positive else -value)
            return called if positive or function == "cos" else -called
        turns = (turns + (Fraction(1, 2) if function == "cos" else 0)) % 2
        sign = Fraction(1)
        if turns >= 1:
            turns, sign = turns - 1, Fraction(-1)
        turns = min(turns, 1 - turns)
        if turns in _SINES:
            factor, radicand = _SINES[turns]
            known = self.number(factor * sign)
            return known * _prime_powers(Fraction(radicand), {(): Fraction(1, 2)})
        return self.number(sign) * self.symbol(f"sinpi({turns})")

    def _of_sum(self, function: str, first: Quotient, rest: Quotient) -> Quotient:
        """The addition theorem."""
        sines, cosines = ([self._sine(name, angle) for angle in (first, rest)] for name in ("sin", "cos"))
        if function == "sin":
            return sines[0] * cosines[1] + cosines[0] * sines[1]
        return cosines[0] * cosines[1] - sines[0] * sines[1]

    def _logarithm(self, value: Quotient) -> Quotient:
        """The logarithm of a positive number as a sum over its primes, of anything else as it stands."""
        if len(value.top) == len(value.bottom) == 1:
            (top, upper), (bottom, lower) = next(iter(value.top.items())), next(iter(value.bottom.items()))
            atoms = (*top, *((atom, -power) for atom, power in bottom))
            if upper / lower > 0 and not any(atom == "i" or "(" in atom for atom, _ in atoms):
                total = self.number(Fraction(0))
                for prime, power in factored(upper / lower).items():
                    total = total + self.number(Fraction(power)) * self.symbol(f"ln({prime})")
                for atom, exponent in atoms:
                    inner = atom[1:] if atom[0] == "√" else spelled({((atom, Fraction(1)),): Fraction(1)})
                    unit = self.number(Fraction(1)) if atom == "e" else self.symbol(f"ln({inner})")
                    total = total + self.number(exponent) * unit
                return total
        return self._opaque("ln", value)


def rational_of(value: Quotient) -> Fraction | None:
    """The number that a quotient is, None where it holds a symbol or a root."""
    if not value.top:
        return Fraction(0)
    if set(value.top) == set(value.bottom) == {()}:
        return value.top[()] / value.bottom[()]
    if value.top.keys() == value.bottom.keys():
        ratios = {value.top[monomial] / value.bottom[monomial] for monomial in value.top}
        return ratios.pop() if len(ratios) == 1 else None
    return None


def leading(value: Quotient) -> Fraction:
    """The first coefficient: of a value and its negative, one has a positive one."""
    return min(value.top.items())[1] if value.top else Fraction(0)


def _multiple_of_pi(value: Quotient) -> Fraction | None:
    if not value.top:
        return Fraction(0)
    if set(value.bottom) == {()} and set(value.top) == {(("pi", Fraction(1)),)}:
        return value.top[(("pi", Fraction(1)),)] / value.bottom[()]
    return None


def _angles(value: Quotient) -> tuple[Quotient, Quotient] | None:
    """An angle as a sum of two, `2x` as `x + x`; None for one that stays whole."""
    if set(value.bottom) != {()} or len(value.top) > MAX_ANGLES:
        return None
    (monomial, factor), *others = sorted((key, each / value.bottom[()]) for key, each in value.top.items())
    if others:
        return Quotient({monomial: factor}), Quotient(dict(others))
    count = abs(factor.numerator)
    if not 2 <= count <= MAX_ANGLES:
        return None
    return Quotient({monomial: factor / count}), Quotient({monomial: factor * (count - 1) / count})


def _content(polynomial: Polynomial) -> Fraction:
    """The positive number that can be taken out of all coefficients."""
    return Fraction(gcd(*(abs(factor.numerator) for factor in polynomial.values())),
                    lcm(*(factor.denominator for factor in polynomial.values())))


def _rooted(polynomial: Polynomial, index: int) -> Monomial | None:
    """The root of one positive term, `x^3` as x to 3/2; None for others and for `x^2`, whose root is |x|."""
    (monomial, factor), *others = polynomial.items()
    if others or factor <= 0 or any(atom in ("i", "e") or atom[0] == "√" or "(" in atom for atom, _ in monomial):
        return None
    rooted = tuple((atom, power / index) for atom, power in monomial)
    positive = index % 2 or all(power.numerator % 2 or power.denominator % 2 == 0 or (power / index) % 2 == 0
                                for _, power in monomial)
    return rooted if positive else None


def _prime_powers(number: Fraction, exponent: Polynomial) -> Quotient:
    """number ** exponent for a positive number, as a product of powers of its primes."""
    result = Quotient(ONE)
    for prime, power in factored(number).items():
        raised = {monomial: factor * power for monomial, factor in exponent.items()}
        result = result * _exponential(f"√{prime}", raised)
    return result


def _exponential(base: str, exponent: Polynomial) -> Quotient:
    """base ** exponent with one atom for each monomial of the exponent, so that exponents add up."""
    monomials: list[Monomial] = []
    for monomial, factor in exponent.items():
        if not monomial and base == "e" and factor.denominator != 1:
            raise Unread
        atom = base if not monomial else f"{base}^({spelled({monomial: Fraction(1)})})"
        monomials.append(((atom, factor),))
    result = ONE
    for monomial in monomials:
        result = times(result, term(monomial, Fraction(1), 1))
    return Quotient(result)


def _whole(function: str, number: Fraction) -> Quotient:
    if function == "factorial":
        if number.denominator != 1 or not 0 <= number <= MAX_FACTORIAL:
            raise Unread
        product = 1
        for factor in range(2, int(number) + 1):
            product *= factor
        result = Fraction(product)
    elif function == "abs":
        result = abs(number)
    else:
        result = Fraction(number.__floor__() if function == "floor" else number.__ceil__())
    return Quotient({(): result} if result else {})
