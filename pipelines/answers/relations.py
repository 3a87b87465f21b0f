"""Statements: `x=5`, `5=x`, `E(20,19)=76`, `x=2+3=5`, `P(1,2)`, `x\\in[1,2]`, `y=2x+1`, `\\sqrt{2}\\approx 1.41`.

A canonical string goes in, a `Statement` comes out: what is named, the value, and the equation where it is one among
symbols. A chain of numbers that is not true (`17=3`) has no value and equals nothing.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from stepforge.pipelines.answers.algebra import algebraically_equal, is_plain_sum, is_polynomial, is_read, linear
from stepforge.pipelines.answers.differ import constant, probe
from stepforge.pipelines.answers.exact import TooLarge, Undefined
from stepforge.pipelines.answers.expression import GREEK
from stepforge.pipelines.answers.plain import closing
from stepforge.pipelines.answers.quantity import Quantity, measured, quantity

SEPARATOR = (",", ";", r"\land")
MAX_SIDES = 8


class Statement(NamedTuple):
    """name: what the value is called, None for none. value: empty for a false chain.

    beside: what the text gives as equal to the value, or as its rounded decimal. sides: left and right of an equation
    that can also be rearranged (`y=2x+1`, `x-5=0`), empty for others. call: the letters of a name such as `f(x,y)`.
    doubtful: the chain may say more than its value: two symbols have it (`a=b=7`).
    """

    name: str | None
    value: str
    beside: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    call: tuple[str, ...] = ()
    doubtful: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is an equation that gives no symbol its value: `2x=6`, `x^2=9`."""
        return bool(self.sides) and (self.name is None or len(symbols(self.sides[0])) > 1)

    def renamed(self) -> str:
        """The value of `f(t)=...` with letters of its own in place of those of the call."""
        new = {letter: f"u_{at}" for at, letter in enumerate(self.call)}
        return _LETTER_TOKEN.sub(lambda token: new.get(token[0], token[0]), self.value)


_LETTER_TOKEN = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")
_TEXT = re.compile(r"\\text\{[^{}]*\}|_(?:\w|\{[^{}]*\})")
_NAME = re.compile(r"(?:\\nabla\s*)?(?:\\text\{[^{}]*\}"
                   r"|\\(?:vec|overline|overrightarrow|hat|bar|mathbf|mathcal|widehat)\{[^{}]*\}"
                   r"|m?\\(?:angle|triangle|measuredangle)\s*[A-Z]*|\\[a-zA-Z]+|[a-zA-Z]+(?: [a-zA-Z]+)*"
                   r"|\|[A-Z]{1,3}\||\[[A-Z]{3,6}\])(?:_(?:\w|\{[^{}]*\}))?(?:'|\^\{-1\}|\^\{\(\w\)\})*"
                   r"(?: ?[A-Z](?![a-zA-Z]))?"
                   r"(?:\((?:[^()]|\([^()]*\))*\))?(?:\\text\{[^{}]*\})?").fullmatch
_LETTER = re.compile(r"(?:[a-zA-Z]|\\(?!pi)[a-zA-Z]+)(?:_(?:\w|\{\w+\}))?'?").fullmatch
_PRODUCT = re.compile(r"[a-z]{2,4}").fullmatch
_CALL = re.compile(r"(\\?[a-zA-Z]+(?:_(?:\w|\{\w+\}))?'*)\(([a-zA-Z](?:,[a-zA-Z])*)\)").fullmatch
_INDEXED = re.compile(r"[a-zA-Z]_(?:\w|\{[^{}]*\})")                 # x_0 is not x
_SEQUENCE = re.compile(r"[a-zA-Z]_[a-z]").fullmatch
_POINT = re.compile(r"([A-Z]|\\text\{[^{}()]*\})'*(\((?:[^()]|\([^()]*\))*,(?:[^()]|\([^()]*\))*\))").fullmatch
_TUPLE_NAME = re.compile(r"\(\\?[a-zA-Z]+(?:_\w)?(?:,\s?\\?[a-zA-Z]+(?:_\w)?)+\)").fullmatch
_MEMBER = re.compile(r"(\\?[a-zA-Z]+(?:\([a-zA-Z]\))?|\([a-zA-Z](?:,[a-zA-Z])+\))\s*\\in(?![a-zA-Z])\s*(.+)",
                     re.DOTALL).fullmatch
_DECIMAL = re.compile(r"(-?\d*\.?\d+)(\\?%)?").fullmatch
_MARKS = ("|", "?", r"\to", r"\cup", r"\bullet", r"\ldots", r"\rightarrow", r"\leftrightarrow", "->", "→")
_GROUPED = re.compile(r"(?<![\d,.])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)")
# What a problem asks for: \int f(x)dx, \frac{dy}{dx}.
_ASKED = re.compile(r"\\(?:int|iint|oint|sum|prod|lim|max|min)(?![a-zA-Z])"
                    r"|\\frac\{(?:d|\\partial ?)(?:\^?\w)?[a-zA-Z]?\}\{(?:d|\\partial ?)[a-zA-Z](?:\^?\w)?\}").search
_KNOWN_CALLS = frozenset((r"\sin", r"\cos", r"\tan", r"\ln", r"\log", r"\exp", r"\frac", r"\sqrt", r"\pi"))


@lru_cache(maxsize=16384)
def statement(text: str) -> Statement:
    """What a canonical string says, read at its top level."""
    if r"\in" in text and (member := _MEMBER(text)):
        return Statement(None, member[2])
    if text[:1] == "(" and text[-1:] == ")" and "=" in text and "," not in text and closing(text, 0) == len(text) - 1:
        return statement(text[1:-1])
    if "=" not in text and r"\approx" not in text:
        point = _POINT(text)
        return Statement(point[1], point[2]) if point else Statement(None, text)
    sides = split(text, "=", r"\approx")
    if not 2 <= len(sides) <= MAX_SIDES or not all(sides):
        return Statement(None, text)
    values = {side: value for side in sides if (value := value_of(side)) is not None}
    if values:
        return _valued(sides, values, r"\approx" in text)
    return _among_symbols(sides) if len(sides) == 2 else Statement(sides[0], sides[-1])


def _valued(sides: tuple[str, ...], values: dict[str, float], about: bool) -> Statement:
    """A chain with at least one number in it; `about`: it says itself that a side is rounded."""
    stated = list(values)
    exact = next((side for side in stated if not _DECIMAL(side)), stated[-1])
    places = 0 if about else 2
    rounded = [side for side in stated if not _agree(side, exact) and _rounds(side, values[exact], places)]
    firm = [side for side in stated if side not in rounded]
    if not all(_agree(side, exact) for side in firm):
        return Statement(None, "")
    value, beside = firm[-1], (*firm[:-1], *rounded[-1:])
    names = [side for side in sides if side not in values]
    if not names:
        return Statement(None, value, beside)
    name, doubtful = names[0], _is_doubtful(names)
    if any(_hides_value(side, name) for side in names):
        return Statement(None, "")
    if _is_name(name):
        call = _CALL(name)
        return Statement(name, value, beside, (name, value) if _LETTER(name) or _PRODUCT(name) else (),
                         tuple(call[2].split(",")) if call else (), doubtful)
    free = symbols(name)
    direct = is_plain_sum(name) and bool(values[value]) if len(free) > 1 else not (is_polynomial(name) or "|" in name)
    asked = name if not free or len(names) > 1 or direct else None
    return Statement(asked, value, beside, (name, value) if free and (is_read(name) or "'" in name) else (), (),
                     doubtful)


def _is_doubtful(names: list[str]) -> bool:
    """Whether the sides of a chain that are no numbers are two symbols, or one symbol that comes again."""
    letters = [name for name in names if _LETTER(name)]
    again = bool(letters) and any(letters[0] in symbols(name) for name in names if name != letters[0])
    return len(set(letters)) > 1 or again


def _hides_value(side: str, name: str) -> bool:
    """Whether a side is the end of one answer and the name of the next: `4|x` of `x=4|x=5`."""
    pieces = split(side, *_MARKS, *(("/",) if side.endswith(f"/{name}") else ()))
    return len(pieces) > 1 and value_of(pieces[0]) is not None


def _among_symbols(sides: tuple[str, ...]) -> Statement:
    for name, value in (sides, sides[::-1]):
        if _SEQUENCE(name) and name[-1] in symbols(value):
            return Statement(name, value, call=(name[-1],))
        if _TUPLE_NAME(name) or (_is_name(name) and not _LETTER(name)):
            call = _CALL(name)
            return Statement(name, value, sides=sides if name.endswith("'") else (),
                             call=tuple(call[2].split(",")) if call else ())
        if _LETTER(name) and name not in symbols(_INDEXED.sub("", value)):
            return Statement(name, value, sides=(name, value))
    for name, value in (sides, sides[::-1]):
        if _ASKED(name) and not _ASKED(value):
            return Statement(name, value)
    if is_identity(*sides):
        return Statement(None, sides[1])
    return Statement(None, f"{sides[0]}={sides[1]}", sides=sides)


def is_identity(left: str, right: str) -> bool:
    """Whether two sides are the same function, by algebra or at two points: `\\frac{x^2-1}{x-1}=x+1`."""
    equal = algebraically_equal(left, right)
    if equal is not None:
        return equal
    values = [(probe(left, shift), probe(right, shift)) for shift in (0.0, 0.37)]
    return all(one is not None and other is not None
               and abs(one[0] - other[0]) <= 1e-12 * max(1.0, one[1], other[1]) for one, other in values)


def _is_name(text: str) -> bool:
    if _TUPLE_NAME(text):
        return True
    match = _NAME(text)
    if match is None:
        return False
    command = re.match(r"\\[a-zA-Z]+|[xyz](?=\((?![a-zA-Z]\)))", text)
    return command is None or not (command[0] in _KNOWN_CALLS or command[0].isalpha())


@lru_cache(maxsize=16384)
def value_of(text: str) -> float | None:
    """The number that a side of an equation is, with or without a unit; None where it holds symbols."""
    try:
        number = quantity(text)
    except (Undefined, TooLarge):
        return None
    if number is not None:
        return _float(number)
    if (parted := measured(text)) is not None and not parted.plain_letter:
        text = parted.bare
    return constant(text)


def _float(number: Quantity) -> float | None:
    try:
        return float(number.value)
    except OverflowError:
        return None


def _agree(first: str, second: str) -> bool:
    """Whether two numbers are the same: exactly where both are exact, to 12 digits where only floats are known."""
    try:
        one, two = quantity(first), quantity(second)
    except (Undefined, TooLarge):
        return False
    if one is not None and two is not None:
        return one.value * one.unit.factor == two.value * two.unit.factor or one.value == two.value
    equal = algebraically_equal(first, second)
    if equal is not None:
        return equal
    left, right = value_of(first), value_of(second)
    return left is not None and right is not None and abs(left - right) <= 1e-12 * max(1.0, abs(left))


def _rounds(decimal: str, value: float, least: int) -> bool:
    """Whether a decimal of at least so many places is a value rounded in its last place."""
    read = _DECIMAL(decimal)
    if read is None or (places := len(read[1].partition(".")[2])) < least:
        return False
    return abs(float(read[1]) - value * (100 if read[2] else 1)) <= 0.5000001 * 10.0**-places


def symbols(text: str) -> set[str]:
    """The free symbols of an expression."""
    tokens = _LETTER_TOKEN.findall(_TEXT.sub("", text))
    return {token for token in tokens if token[0] != "\\" or token[1:] in GREEK} - {"e", "i"}


def solution(sides: tuple[str, ...]) -> str | None:
    """The root of a linear equation in one symbol, as a canonical fraction."""
    free = symbols(f"{sides[0]} {sides[1]}")
    if len(free) != 1:
        return None
    factors = linear(f"({sides[0]})-({sides[1]})", free.pop())
    return str(-factors[1] / factors[0]) if factors is not None and factors[0] else None


def split(text: str, *separators: str) -> tuple[str, ...]:
    """The pieces between separators that stand outside all brackets.

    Commas between thousands are no separators in a list (SEPARATOR), nor beside semicolons and connectives.
    """
    if not any(separator in text for separator in separators):
        return (text.strip(),)
    grouped: set[int] = set()
    if "," in separators and (r"\land" in separators or any(map(text.__contains__, (";", r"\land", r"\lor")))):
        grouped = {at for number in _GROUPED.finditer(text) for at in range(*number.span())}
    pieces, depth, start, at = [], 0, 0, 0
    while at < len(text):
        character = text[at]
        if depth == 0 and at not in grouped:
            separator = next((one for one in separators if text.startswith(one, at) and _whole(text, at, one)), "")
            if separator:
                pieces.append(text[start:at].strip())
                at += len(separator)
                start = at
                continue
        if character == "\\" and text[at + 1:at + 2] in ("{", "}"):
            character = text[at + 1]
            at += 1
        depth += (character in "([{") - (character in ")]}")
        at += 1
    pieces.append(text[start:].strip())
    return tuple(pieces)


def _whole(text: str, at: int, separator: str) -> bool:
    """Whether a separator is not a part of something longer: `\\land` of a word, the sign of `<=`."""
    if separator[-1].isalpha():
        return not text[at + len(separator):at + len(separator) + 1].isalpha()
    if separator == "=":
        return text[at - 1:at] not in ("<", ">")
    return True
