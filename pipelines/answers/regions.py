"""Sets of real numbers: `(-\\infty,1)\\cup(2,\\infty)`, `-1\\le x<3`, `x\\ne 1`, `\\mathbb{R}\\setminus\\{1\\}`.

A canonical string goes in; a `Region` comes out, its intervals in order and merged where they touch, or None where the
text is no such set. Points are intervals of one number. Ends that are no constants (`(a,b)`) are allowed in a single
interval. `orders` reads inequalities among several symbols (`x+y\\le 5`).
"""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from stepforge.pipelines.answers.algebra import linear
from stepforge.pipelines.answers.differ import constant
from stepforge.pipelines.answers.relations import SEPARATOR, split, symbols
from stepforge.pipelines.answers.words import words

INFINITY = r"\infty"
MAX_INTERVALS = 16


class Interval(NamedTuple):
    """Two ends as canonical texts, and whether each belongs to it."""

    low: str
    closed_low: bool
    high: str
    closed_high: bool


class Region(NamedTuple):
    """variable: the letter or call that the text names, None where it names none."""

    variable: str | None
    intervals: tuple[Interval, ...]


Intervals = tuple[Interval, ...]
Join = Callable[[Intervals, Intervals], Intervals | None]
_ALL: Intervals = (Interval("-" + INFINITY, False, INFINITY, False),)
_NAMED = {r"\mathbb{R}": _ALL, r"\mathbb{R}^*": (Interval("-" + INFINITY, False, "0", False),
                                                  Interval("0", False, INFINITY, False)),
          r"\mathbb{R}^+": (Interval("0", False, INFINITY, False),),
          r"\mathbb{R}_+": (Interval("0", False, INFINITY, False),),
          r"\mathbb{R}^{+}": (Interval("0", False, INFINITY, False),),
          r"\mathbb{R}_{>0}": (Interval("0", False, INFINITY, False),),
          r"\mathbb{R}^-": (Interval("-" + INFINITY, False, "0", False),),
          r"\mathbb{R}_{\ge 0}": (Interval("0", True, INFINITY, False),), r"\emptyset": (), r"\{\}": ()}
_REALS = re.compile(r"(?:\\text\{)?(?:the )?(?:set of )?(?:all )?(?:the )?reals?(?: numbers?)?\}?(?:[a-z])?",
                    re.IGNORECASE).fullmatch
_SIGNS = ("<", ">", r"\le", r"\ge", r"\ne", r"\cup", r"\cap", r"\setminus", r"\mathbb{R", INFINITY, r"\emptyset",
          r"\{\}")
_ORDER = re.compile(r"<|>|\\le(?![a-zA-Z])|\\ge(?![a-zA-Z])")
_VARIABLE = re.compile(r"(?:[a-zA-Z]|\\(?!pi|infty)[a-zA-Z]+)(?:_(?:\w|\{\w+\}))?(?:\([a-z]\))?").fullmatch
_MEMBER = re.compile(r"(\\?[a-zA-Z]+(?:\([a-zA-Z]\))?)\s*\\in(?![a-zA-Z])\s*(.+)", re.DOTALL).fullmatch
_BUILT = re.compile(r"\\\{\s*(\\?[a-zA-Z])(?:\\in\s*\\mathbb\{R\})?\s*[|:]\s*(.+?)\\\}", re.DOTALL).fullmatch
_ABSOLUTE = re.compile(r"\|([^|]+)\|").fullmatch
_SET_NAME = re.compile(r"^(?:[A-Z]'?\s*\\(?:cap|cup|setminus)\s*)+[A-Z]'?\s*=\s*(?=[\[(\\])")
_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}


def is_region(text: str) -> bool:
    """Whether a text has a sign that only sets and inequalities have."""
    return any(sign in text for sign in _SIGNS) or _REALS(text) is not None or words(text) == "no solution"


def unnamed_set(text: str) -> str:
    """`A\\cap B=\\{2,3\\}` without the name."""
    return _SET_NAME.sub("", text, 1)


@lru_cache(maxsize=16384)
def region(text: str) -> Region | None:
    """The set that a canonical string describes."""
    if (member := _MEMBER(text)) and not (r"\ne" in member[2] or "," in member[2] and _ORDER.search(member[2])):
        inner = region(member[2])
        return None if inner is None else Region(member[1], inner.intervals)
    if built := _BUILT(text):
        return region(built[2])
    if _REALS(text):
        return Region(None, _ALL)
    if words(text) == "no solution":
        return Region(None, ())
    if r"\ne" in text or _ORDER.search(text):
        return _conditions(text)
    intervals = _set(text)
    return None if intervals is None else Region(None, intervals)


def _set(text: str) -> Intervals | None:
    """Unions, intersections and differences of intervals, points and named sets."""
    if text in _NAMED:
        return _NAMED[text]
    for sign, joined in ((r"\cup", _union), (r"\setminus", _difference), (r"\cap", _intersection)):
        parts = split(text, sign)
        if 1 < len(parts) <= MAX_INTERVALS:
            sets = [_set(part) for part in parts]
            result = sets[0]
            for other in sets[1:]:
                result = None if result is None or other is None else joined(result, other)
            return result
    if text[:1] == "(" and text[-1:] == ")" and any(sign in text for sign in (r"\cup", r"\cap", r"\setminus")):
        return _set(text[1:-1])
    if text.startswith(r"\{") and text.endswith(r"\}"):
        points = split(text[2:-2], *SEPARATOR)
        if len(points) > MAX_INTERVALS or any(constant(point) is None for point in points):
            return None
        return _union(tuple(Interval(point, True, point, True) for point in points), ())
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        ends = split(text[1:-1], ",", ";")
        if len(ends) == 2 and all(ends):
            return _ordered(Interval(_plain(ends[0]), text[0] == "[", _plain(ends[1]), text[-1] == "]"))
    return None


def _ordered(interval: Interval) -> Intervals | None:
    """An interval alone; None where its ends are numbers in the wrong order."""
    low, high = constant(interval.low), constant(interval.high)
    if low is not None and high is not None and not (low < high or (low == high and interval[1] and interval[3])):
        return None
    return (interval,)


def _plain(end: str) -> str:
    return end.removeprefix("+")


# Conditions on a variable ------------------------------------------------------------------------------------------

def _conditions(text: str) -> Region | None:
    """Inequalities joined by `or`, `and` or commas; `x<1` with `x>2` can only be meant as either of them."""
    alternatives = [part for part in split(text, r"\lor") if part.strip(" ,;")]
    regions = [_all_of([part for part in split(one, *SEPARATOR) if part]) for one in alternatives]
    if not regions or len(regions) > MAX_INTERVALS:
        return None
    result = regions[0]
    for other in regions[1:]:
        result = _joined(result, other, _union)
    return result


def _all_of(parts: list[str]) -> Region | None:
    if not parts:
        return None
    regions: list[Region | None] = []
    for at, part in enumerate(parts):
        if at and regions[-1] is not None and constant(part) is not None and r"\ne" in parts[0]:
            part = f"{regions[-1].variable}\\ne {part}"                   # x \ne 1, 2
        regions.append(_condition(part))
    result = regions[0]
    for other in regions[1:]:
        both = _joined(result, other, _intersection)
        result = _joined(result, other, _union) if both is not None and not both.intervals else both
    return result


def _joined(first: Region | None, second: Region | None, join: Join) -> Region | None:
    if first is None or second is None or (first.variable and second.variable and first.variable != second.variable):
        return None
    intervals = join(first.intervals, second.intervals)
    return None if intervals is None else Region(first.variable or second.variable, intervals)


def _condition(text: str) -> Region | None:
    if r"\in" in text and (member := _MEMBER(text)):
        return region(text) if not _ORDER.search(member[2]) else None
    if r"\ne" in text:
        sides = split(text, r"\ne")
        if len(sides) != 2 or not _VARIABLE(sides[0]):
            return None
        removed = _points(sides[1])
        rest = None if removed is None else _difference(_ALL, removed)
        return None if rest is None else Region(sides[0], rest)
    signs = [match[0] for match in _ORDER.finditer(text)]
    if not signs and (named := split(text, "=")) and len(named) == 2 and _VARIABLE(named[0]):
        point = named[1]
        return None if constant(point) is None else Region(named[0], (Interval(point, True, point, True),))
    sides = split(text, "<", ">", r"\le", r"\ge")
    if len(sides) != len(signs) + 1 or len(sides) not in (2, 3) or not all(sides):
        return None
    if signs[0] in (">", r"\ge"):
        sides, signs = sides[::-1], [_FLIPPED[sign] for sign in reversed(signs)]
    if any(sign in (">", r"\ge") for sign in signs):
        return None
    return _bounded(sides, [sign == r"\le" for sign in signs])


def _points(text: str) -> Intervals | None:
    """`1`, `\\pm 1` and `\\{1,2\\}` as points."""
    values = (text[3:].strip(), "-" + text[3:].strip()) if text.startswith(r"\pm") else (text,)
    if any(constant(value) is None for value in values):
        return _set(text)
    return tuple(Interval(value, True, value, True) for value in values)


def _bounded(sides: tuple[str, ...], closed: list[bool]) -> Region | None:
    """`a<x`, `x\\le b` and `a<x\\le b`, with the variable alone, in a linear expression or in bars."""
    if len(sides) == 3:
        low, middle, high = sides
        if _VARIABLE(middle):
            one = _ordered(Interval(_plain(low), closed[0], _plain(high), closed[1]))
            return None if one is None else Region(middle, one)
        first, second = _bounded((low, middle), closed[:1]), _bounded((middle, high), closed[1:])
        return _joined(first, second, _intersection)
    left, right = sides
    if _VARIABLE(left) and left not in symbols(right):
        return Region(left, (Interval("-" + INFINITY, False, _plain(right), closed[0] and right != INFINITY),))
    if _VARIABLE(right) and right not in symbols(left):
        return Region(right, (Interval(_plain(left), closed[0] and left != "-" + INFINITY, INFINITY, False),))
    if (bars := _ABSOLUTE(left)) and constant(right) is not None:
        return _bounded((f"-({right})" if right[0] == "-" else f"-{right}", bars[1], right), closed * 2)
    if (bars := _ABSOLUTE(right)) and constant(left) is not None:
        below = _bounded((bars[1], f"-{left}"), closed)
        return _joined(below, _bounded((left, bars[1]), closed), _union)
    return _solved(left, right, closed[0])


def _solved(left: str, right: str, closed: bool) -> Region | None:
    free = symbols(f"{left} {right}")
    factors = linear(f"({left})-({right})", min(free)) if len(free) == 1 else None
    if factors is None or not factors[0]:
        return None
    end = str(-factors[1] / factors[0])
    if factors[0] > 0:
        return Region(free.pop(), (Interval("-" + INFINITY, False, end, closed),))
    return Region(free.pop(), (Interval(end, closed, INFINITY, False),))


def orders(text: str) -> tuple[tuple[str, bool], ...] | None:
    """(expression that is positive, whether it may be zero) for each inequality of a chain, or of several."""
    chains = [_chain(part) for part in split(text, *SEPARATOR)]
    if not all(chains) or len(chains) > MAX_INTERVALS:
        return None
    return tuple(order for chain in chains for order in chain or ())


def _chain(text: str) -> tuple[tuple[str, bool], ...] | None:
    signs = [match[0] for match in _ORDER.finditer(text)]
    sides = split(text, "<", ">", r"\le", r"\ge")
    if not signs or len(sides) != len(signs) + 1 or not all(sides) or len(sides) > 4:
        return None
    return tuple((f"({right})-({left})" if sign in ("<", r"\le") else f"({left})-({right})", sign in (r"\le", r"\ge"))
                 for left, right, sign in zip(sides, sides[1:], signs, strict=False))


# Operations --------------------------------------------------------------------------------------------------------

def _ends(intervals: Intervals) -> list[tuple[float, float, Interval]] | None:
    known = [(constant(one.low), constant(one.high), one) for one in intervals]
    if any(low is None or high is None for low, high, _ in known):
        return None
    return sorted(((low, high, one) for low, high, one in known if low is not None and high is not None),
                  key=lambda item: (item[0], not item[2].closed_low, item[1]))


def _union(first: Intervals, second: Intervals) -> Intervals | None:
    known = _ends(first + second)
    if known is None:
        return None
    merged: list[tuple[float, float, Interval]] = []
    for low, high, one in known:
        if merged and (low < merged[-1][1] or (_near(low, merged[-1][1]) and (one.closed_low
                                                                               or merged[-1][2].closed_high))):
            last_low, last_high, last = merged[-1]
            if high > last_high or (_near(high, last_high) and one.closed_high):
                merged[-1] = (last_low, high, Interval(last.low, last.closed_low, one.high, one.closed_high))
        else:
            merged.append((low, high, one))
    return tuple(one for _, _, one in merged)


def _intersection(first: Intervals, second: Intervals) -> Intervals | None:
    left, right = _ends(first), _ends(second)
    if left is None or right is None or len(left) * len(right) > MAX_INTERVALS**2:
        return None
    common = []
    for low, high, one in left:
        for other_low, other_high, other in right:
            start = max((low, not one.closed_low, one.low), (other_low, not other.closed_low, other.low),
                        key=lambda end: end[:2])
            end = min((high, one.closed_high, one.high), (other_high, other.closed_high, other.high),
                      key=lambda end: end[:2])
            if start[0] < end[0] or (_near(start[0], end[0]) and not start[1] and end[1]):
                common.append(Interval(start[2], not start[1], end[2], end[1]))
    return _union(tuple(common), ())


def _difference(first: Intervals, second: Intervals) -> Intervals | None:
    known = _ends(second)
    if known is None:
        return None
    outside, low, closed = [], "-" + INFINITY, False
    for _, _, one in known:
        if one.low != "-" + INFINITY:
            outside.append(Interval(low, closed, one.low, not one.closed_low))
        low, closed = one.high, not one.closed_high
    if low != INFINITY:
        outside.append(Interval(low, closed, INFINITY, False))
    return _intersection(first, tuple(outside))


def _near(first: float, second: float) -> bool:
    return first == second or math.isclose(first, second, rel_tol=1e-12, abs_tol=1e-12)
