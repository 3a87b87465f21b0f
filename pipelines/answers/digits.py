"""Constants to many digits: whether two closed expressions with roots and logarithms have the same value.

Two canonical strings go in; True or False comes out where both are real numbers that this module can compute, else
None. Values that agree in DIGITS digits are equal for every expression that a person writes as an answer; an exact
method such as Math-Verify's rests on the same comparison in the end.
"""

from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from stepforge.pipelines.answers.expression import Unread, read

DIGITS = 150           # sqrt(10^40 + 1) and 10^20 part at the 41st
_CONTEXT = Context(prec=DIGITS + 20, Emax=10_000, Emin=-10_000)
_LARGEST = Decimal(10) ** 1000
_PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679"
              "82148086513282306647093844609550582231725359408128481117450284102701938521105559644622948954930382")


def same_digits(first: str, second: str) -> bool | None:
    """Whether two closed expressions have the same value; None where one of them is not computed."""
    one, two = _value(first), _value(second)
    if one is None or two is None:
        return None
    with localcontext(_CONTEXT):
        return abs(one[0] - two[0]) <= max(one[1], two[1]).scaleb(10 - DIGITS)


@lru_cache(maxsize=4096)
def _value(text: str) -> tuple[Decimal, Decimal] | None:
    """The value and the largest magnitude met on the way, whose rounding errors it may carry."""
    domain = _Digits()
    with localcontext(_CONTEXT):
        try:
            return domain.seen(read(text, domain)), domain.largest
        except (Unread, ArithmeticError, ValueError):
            return None


class _Digits:
    """Real numbers with DIGITS digits and some to spare."""

    def __init__(self) -> None:
        self.largest = Decimal(0)

    def number(self, value: Fraction) -> Decimal:
        return Decimal(value.numerator) / Decimal(value.denominator)

    def symbol(self, name: str) -> Decimal:
        if name not in ("pi", "e"):
            raise Unread
        return _PI if name == "pi" else Decimal(1).exp()

    def power(self, base: Decimal, exponent: Decimal) -> Decimal:
        if base < 0 and exponent != exponent.to_integral_value() or abs(exponent) > 1000:
            raise Unread
        return self.seen(base**exponent)

    def root(self, value: Decimal, index: int) -> Decimal:
        if value < 0:
            if index % 2 == 0:
                raise Unread
            return -self.root(-value, index)
        return value.sqrt() if index == 2 else value ** (1 / Decimal(index)) if value else value

    def call(self, function: str, value: Decimal) -> Decimal:
        if function == "ln":
            return value.ln()
        if function == "exp" and abs(value) < 1000:
            return value.exp()
        if function == "abs":
            return abs(value)
        if function in ("sin", "cos", "tan") and abs(value) < 1000:
            sine, cosine = _sine(value), _sine(value + _PI / 2)
            if function == "tan" and abs(cosine) < Decimal(10) ** -DIGITS:
                raise Unread
            return sine if function == "sin" else cosine if function == "cos" else sine / cosine
        raise Unread

    def seen(self, value: Decimal) -> Decimal:
        self.largest = max(self.largest, abs(value))
        if self.largest > _LARGEST:
            raise Unread
        return value


def _sine(angle: Decimal) -> Decimal:
    """The Taylor series, after whole turns are taken off."""
    angle -= (angle / (2 * _PI)).to_integral_value() * 2 * _PI
    summand = total = angle
    count = 1
    while abs(summand) > Decimal(10) ** -(DIGITS + 20):
        summand *= -angle * angle / ((count + 1) * (count + 2))
        total += summand
        count += 2
    return total
