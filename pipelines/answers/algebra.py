"""Exact equality of expressions: `(a+5)(b+2)`, `\\frac{\\sqrt3}{3}`, `6-5i`, `2^{2/3}`, `\\ln 8`, `\\cos 58°`.

Two canonical strings go in; True, False or None (not of this kind) comes out, with a proof behind each. Both sides
become a quotient of polynomials with rational coefficients, in symbols, \\pi, e, i with i^2 = -1, fractional powers of
primes, and opaque terms: functions of what they are applied to (`\\sin x`, `\\ln 2`, `\\sqrt{x+1}`). Two quotients a/b
and c/d are equal where the polynomials ad and bc have the same coefficients. Without opaque terms the monomials are
linearly independent over the rationals, so that other coefficients mean another value; with them they may not be, and
unequal polynomials prove nothing.
"""

from fractions import Fraction
from functools import lru_cache

from stepforge.pipelines.answers.expression import Unread, read
from stepforge.pipelines.answers.polynomials import (
    Polynomial,
    plus,
    spelled,
    times,
    without_cosines,
    without_negative_powers,
)
from stepforge.pipelines.answers.quotients import Exact, Quotient, leading, rational_of


def algebraically_equal(first: str, second: str) -> bool | None:
    """Whether two canonical expressions are the same function; None where that is not proved either way."""
    one, two = _value(first), _value(second)
    if one is None or two is None:
        return None
    try:
        left, right = times(one.top, two.bottom), times(two.top, one.bottom)
        if left == right:
            return True
        if not (one.opaque or two.opaque):
            return False
        return True if not without_cosines(without_negative_powers(plus(left, times(right, _MINUS)))) else None
    except Unread:
        return None


_MINUS: Polynomial = {(): Fraction(-1)}


def proportional(first: str, second: str) -> Fraction | bool | None:
    """The factor c with first = 0 exactly where c * second = 0, for equations; False where there is none."""
    one, two = _value(first), _value(second)
    if one is None or two is None or not one.top or not two.top:
        return None
    top, other = without_negative_powers(one.top), without_negative_powers(two.top)
    factor = next(iter(top.values())) / other.get(next(iter(top)), Fraction(1))
    if top == {monomial: value * factor for monomial, value in other.items()}:
        return factor
    return None if one.opaque or two.opaque else False


def is_plain_sum(text: str) -> bool:
    """Whether an expression is what a problem asks for (`a+b`, `x^2+y^2`, `mn`): no factors, no constant.

    What cannot be read is taken for one: `\\text{area of }ABC`.
    """
    value = _value(text)
    return value is None or (() not in value.top and all(abs(factor) == 1 for factor in value.top.values()))


def is_read(text: str) -> bool:
    """Whether an expression can be computed with at all."""
    return _value(text) is not None


def is_polynomial(text: str) -> bool:
    """Whether an expression is read as a polynomial in its symbols: `x^2+1`, but not `x+1/x` or `\\sin x`."""
    value = _value(text)
    return value is not None and not value.opaque and set(value.bottom) == {()} \
        and all(power > 0 and power.denominator == 1 for monomial in value.top for _, power in monomial)


def rational(text: str) -> Fraction | None:
    """The rational number that an expression without symbols comes to (`\\log_2 8`, `\\sqrt{8}/\\sqrt{2}`)."""
    value = _value(text)
    return None if value is None else rational_of(value)


def linear(text: str, symbol: str) -> tuple[Fraction, Fraction] | None:
    """(a, b) of an expression a * symbol + b with rational numbers, None for any other."""
    value = _value(text)
    if value is None or set(value.bottom) != {()} or not set(value.top) <= {(), ((symbol, Fraction(1)),)}:
        return None
    scale = value.bottom[()]
    return value.top.get(((symbol, Fraction(1)),), Fraction(0)) / scale, value.top.get((), Fraction(0)) / scale


def linear_form(text: str) -> dict[str, Fraction] | None:
    """The coefficients of an expression that is linear in its symbols, by their names, the constant under ``; or None.
    """
    value = _value(text)
    if value is None or value.opaque or set(value.bottom) != {()}:
        return None
    form: dict[str, Fraction] = {}
    for monomial, factor in value.top.items():
        if len(monomial) > 1 or any(power != 1 or name in ("pi", "e", "i") for name, power in monomial):
            return None
        form[monomial[0][0] if monomial else ""] = factor / value.bottom[()]
    return {name: factor for name, factor in form.items() if factor}


def solved_for(text: str, symbol: str) -> str | None:
    """What the symbol is where an expression is zero, written in the others; None where that is not simple."""
    value = _value(text)
    if value is None or value.opaque:
        return None
    top = without_negative_powers(value.top)
    slope = {monomial: factor for monomial, factor in top.items() if symbol in dict(monomial)}
    if set(slope) != {((symbol, Fraction(1)),)}:
        return None
    scale = -slope[((symbol, Fraction(1)),)]
    rest = {monomial: factor / scale for monomial, factor in top.items() if monomial not in slope}
    if any(power.denominator != 1 for monomial in rest for _, power in monomial):
        return None
    return "+".join(rf"(\frac{{{factor.numerator}}}{{{factor.denominator}}})" + "".join(
        rf"\cdot {_latex(atom)}^{{{power}}}" for atom, power in monomial) for monomial, factor in rest.items()) or "0"


def _latex(atom: str) -> str:
    return atom if len(atom) == 1 or "_" in atom else rf"\{atom}"


def normal_form(text: str, signed: bool = False) -> str | None:
    """A text that an expression shares with its multiples, with its positive ones alone where `signed`."""
    value = _value(text)
    if value is None or not value.top:
        return None
    top = without_negative_powers(value.top)
    first = leading(Quotient(top))
    first = abs(first) if signed else first
    return spelled({monomial: factor / first for monomial, factor in top.items()})


@lru_cache(maxsize=16384)
def _value(text: str) -> Quotient | None:
    try:
        value: Quotient = read(text, Exact())
        return value
    except (Unread, ArithmeticError, ValueError):
        return None
