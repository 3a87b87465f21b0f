"""The equations that a solution writes down, each checked exactly and without a model.

A solution's text goes in; `Equation`s come out with their place and whether they hold: `16 - 3 = 13`, `<<16-3=13>>13`,
`2 \\text{ books} \\times 3 = 6`, `\\frac{1}{3} \\times 18 = 6`, chains `a = b = c`. A right answer above a false
equation is right for a wrong reason: the share of such solutions is a lower bound on the false-positive rate.

An equation is called false only where no usual reading makes it true. None (cannot tell) is returned for whole-number
rounding (`100/3 = 33`), rounded operands (`3.33 * 3 = 10`), sides in different units, a bare number on the left
(`2 dozen = 2 * 12` is a conversion), running on after a result (`2 + 3 = 5 * 2 = 10`), and what the text itself asks,
denies or takes back (`2 + 2 = 5? No, 4`).
"""

import hashlib
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from stepforge.pipelines.answers.computations import Run, Token, is_taken_back, runs, tokens_of
from stepforge.pipelines.answers.exact import evaluate

APPROXIMATE = Fraction(1, 100)   # `≈` holds within 1 %, or within one unit in the last place that is written
MOST_OF_NEXT = 60                # characters of the next step that may take an equation back
MAX_KEY = 400                    # longer keys are replaced by a hash

Kind = Literal["annotation", "copied", "prose"]


class Equation(NamedTuple):
    """One equality as written. start, end: character offsets in the text.

    kind: `annotation` for `<<16-3=13>>`, `copied` for its result against the number written after it, else `prose`.
    holds: True, False, or None where it cannot be told.
    """

    start: int
    end: int
    kind: Kind
    lhs: str
    rhs: str
    holds: bool | None


_ANNOTATION = re.compile(r"<<([^<>=\n]{1,200})=([^<>=\n]{1,60})>>")
_COPIED = re.compile(r"\s*(?:\\?\$)?\s*(-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?)(?!\d|[.,/]\d)", re.ASCII)
_TWO_READINGS = re.compile(r"%|/\s*[\d.]+\s*[/(]")    # 20% - 5, 28 / 1/5, 6 / 2(1 + 2)
_GROUPED = re.compile(r"(?<=\d)\.(?=\d{3}(?!\d))")    # 1.000, one thousand in much of Europe
_FACTORS = frozenset({7, 12, 16, 24, 36, 60, 100, 1000, 1440, 1760, 3600, 5280})   # 60 + 30 = 1.5 hours
_SCALES = frozenset({"hundred", "thousand", "million", "billion", "trillion", "dozen", "score", "pair", "k"})
_DECIMAL = re.compile(r"\d\.(\d+)", re.ASCII)


def equations(text: str) -> list[Equation]:
    """All closed equations in the order in which they stand, a computation on at least one side of each."""
    listed: list[Equation] = []
    plain = text
    for match in _ANNOTATION.finditer(text) if "<<" in text else ():
        plain = plain[:match.start()] + " " * (match.end() - match.start()) + plain[match.end():]
        lhs, rhs = match[1].strip(), match[2].strip()
        if (holds := _check(lhs, rhs, set(), False)) != "skip":
            listed.append(Equation(match.start(), match.end(), "annotation", lhs, rhs, holds))
        copied = _COPIED.match(text, match.end())
        if copied and (result := _value(rhs)) is not None and (written := _value(copied[1])) is not None:
            holds = _rounds(result, copied[1], written) or _rounds(written, rhs, result)
            listed.append(Equation(match.start(), copied.end(), "copied", rhs, copied[1], holds))
    if "=" in plain or "≈" in plain or r"\approx" in plain:
        for run in runs(plain):
            listed.extend(_chain(plain, run))
    return sorted(listed)


def first_false_step(steps: Sequence[str]) -> int | None:
    """The index, from 0, of the first step with a false equation; None where every equation may hold.

    A step that begins by taking its predecessor back (`Wait, that is 4.`) leaves nothing false before it.
    """
    following = [*steps[1:], ""]
    return next((index for index, step in enumerate(steps)
                 if _holds_a_false_one(step) and _holds_a_false_one(step, following[index][:MOST_OF_NEXT])), None)


@lru_cache(maxsize=65536)  # samples of one problem share most of their lines
def _holds_a_false_one(step: str, following: str = "") -> bool:
    text = f"{step}\n{following}" if following else step
    return any(equation.holds is False and equation.end <= len(step) for equation in equations(text))


def equation_key(solution: str) -> str:
    """A key that two solutions share when they do the same computations in the same order.

    White space, number format (`24.0`, `24`) and operator signs (`x`, `\\times`) are normalised. Annotations alone
    count where there are any, because prose repeats them; without equations the key is the normalised text.
    """
    pieces = [solution] if _GOES_ON.search(solution) else solution.split("\n")
    pieced = [_computations(piece) for piece in pieces]
    computed = [c for piece in pieced for c in piece.annotated] or [c for piece in pieced for c in piece.prose]
    if computed:
        key = "=: " + "; ".join(computed)
    else:
        key = "text: " + " ".join(solution.casefold().split())
    if len(key) <= MAX_KEY:
        return key
    return key[:6].split(" ")[0] + "sha256 " + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


# What an equation may need of the next line: a unit, an operand, the end of a command. Else lines stand alone.
_GOES_ON = re.compile(r"(?:/|\*|(?<![a-zA-Z])[xX]|\bper)[ \t]*\n|\\(?:text|mbox|mathrm|textbf)\s*(?:\n|\{[^{}]*\n)")


class _Computed(NamedTuple):
    annotated: tuple[str, ...]
    prose: tuple[str, ...]


@lru_cache(maxsize=65536)
def _computations(text: str) -> _Computed:
    """The equations of a text as they enter its key."""
    spelled = [(e.kind, f"{_spelling(e.lhs)}={_spelling(e.rhs)}") for e in equations(text) if e.kind != "copied"]
    return _Computed(tuple(spelling for kind, spelling in spelled if kind == "annotation"),
                     tuple(spelling for kind, spelling in spelled if kind == "prose"))


def _spelling(side: str) -> str:
    return "".join(_number_spelling(token) if token.kind == "number" else token.text for token in tokens_of(side)
                   if token.kind in ("number", "operator", "command") or token.text in ("(", ")"))


def _number_spelling(token: Token) -> str:
    return token.text.rstrip("0").rstrip(".") if "." in token.text else token.text


def _chain(text: str, run: Run) -> list[Equation]:
    sides: list[list[Token]] = [[]]
    relations: list[str] = []
    for token in run.tokens:
        if token.kind in ("equals", "approx"):
            relations.append(token.kind)
            sides.append([])
        else:
            sides[-1].append(token)
    units = [_units(side) for side in sides]
    sides[0] = [] if run.open_left else _trimmed(sides[0], True)
    sides[-1] = [] if run.open_right else _trimmed(sides[-1], False)
    chained = []
    for at, relation in enumerate(relations):
        left, right = sides[at], sides[at + 1]
        if not left or not right:
            continue
        lhs, rhs = _arithmetic(left), _arithmetic(right)
        holds = _check(lhs, rhs, units[at] | units[at + 1], relation == "approx")
        start, end = left[0].start, right[-1].end
        if holds is False and (_is_label(lhs, units[at]) or _runs_on(lhs, right) or is_taken_back(text, start, end)):
            holds = None
        if holds != "skip":
            chained.append(Equation(start, end, "prose", text[start:left[-1].end], text[right[0].start:end], holds))
    return chained


def _is_label(lhs: str, units: set[str]) -> bool:
    """A bare number, or a proper fraction of a unit, names what the right side converts: `2 dozen = 2 * 12`."""
    if not _computes(lhs):
        return True
    fraction = re.fullmatch(r"(\d+) / (\d+)", lhs)
    return bool(units and fraction and int(fraction[1]) < int(fraction[2]))


def _runs_on(lhs: str, right: list[Token]) -> bool:
    """`2 + 3 = 5 * 2`: the right side starts with the result and computes on."""
    first = next((token for token in right if token.kind != "currency"), None)
    return first is not None and len(right) > 1 and first.kind == "number" and _value(first.text) == _value(lhs)


def _trimmed(side: list[Token], from_left: bool) -> list[Token]:
    """The outer side of a chain without tokens that cannot begin or end an expression (loose brackets, words)."""
    side = list(side)
    if from_left:
        while side and (side[0].kind in ("word", "close") or side[0].text in ("*", "/", "^", "%", "+")):
            side.pop(0)
    else:
        while side and (side[-1].kind in ("word", "open", "currency", "command")
                        or (side[-1].kind == "operator" and side[-1].text != "%")):
            side.pop()
    return _balanced(side, from_left)


_PAIRS = {")": "(", "}": "{", "]": "["}


def _balanced(side: list[Token], from_left: bool) -> list[Token]:
    """The longest part next to the relation whose brackets close."""
    if from_left:
        depth, start = 0, 0
        for at in range(len(side) - 1, -1, -1):
            depth += (side[at].kind == "close") - (side[at].kind == "open")
            if depth < 0:
                start = at + 1
                break
        return side[start:]
    depth = 0
    for at, token in enumerate(side):
        depth += (token.kind == "open") - (token.kind == "close")
        if depth < 0:
            return side[:at]
    return side


def _arithmetic(side: list[Token]) -> str:
    return " ".join(token.text for token in side if token.kind not in ("word", "currency"))


def _units(side: list[Token]) -> set[str]:
    """The units that a side names, singular; every currency sign is `$`."""
    units = {token.text.casefold().rstrip("s") for token in side if token.kind == "word"}
    money = any(token.kind == "currency" for token in side) or units & {"dollar", "usd"}
    return units - {"dollar", "usd"} | ({"$"} if money else set())


def _check(lhs: str, rhs: str, units: set[str], approximate: bool) -> bool | None | Literal["skip"]:
    """Whether lhs = rhs holds; `skip` where this is no closed computation."""
    left, right = _value(lhs), _value(rhs)
    if left is None or right is None or not (_computes(lhs) or _computes(rhs)):
        return "skip"
    if left == right or ("%" in rhs and left == right * 100) or ("%" in lhs and left * 100 == right):
        return True
    if approximate:
        close = abs(left - right) <= max(abs(left) * APPROXIMATE, _last_place(rhs))
        return close or (None if len(units) > 1 else False)
    holds = _rounds(left, rhs, right)
    if holds is not False:
        return holds
    converted = units and right and (left / right in _FACTORS or left and right / left in _FACTORS)
    doubtful = len(units) > 1 or units & _SCALES or converted or _TWO_READINGS.search(f"{lhs}={rhs}")
    return None if doubtful or _rounded_operands(lhs, left, right) or _holds_in_groups(lhs, rhs) else False


def _holds_in_groups(lhs: str, rhs: str) -> bool:
    """`1.000 + 1 = 1001` holds where a point groups digits."""
    return bool(_GROUPED.search(f"{lhs}={rhs}")) and _value(_GROUPED.sub("", lhs)) == _value(_GROUPED.sub("", rhs))


def _rounds(exact: Fraction, written: str, value: Fraction) -> bool | None:
    """Whether `written` is the exact value, rounded or cut at its last place; None for rounding to a whole number."""
    if exact == value:
        return True
    difference = abs(exact - value)
    if _last_place(written) < 1:
        return True if difference < _last_place(written) and not _computes(written) else False
    return None if difference < 1 and exact.denominator != 1 and value.denominator == 1 else False


def _last_place(written: str) -> Fraction:
    decimals = _DECIMAL.findall(written)
    return Fraction(1, 10 ** max(map(len, decimals))) if decimals else Fraction(1)


def _rounded_operands(lhs: str, left: Fraction, right: Fraction) -> bool:
    return bool(_DECIMAL.search(lhs)) and abs(left - right) <= abs(left) * APPROXIMATE


def _computes(side: str) -> bool:
    return re.search(r"[\d)}%!]\s*[-+*/^(]|frac|sqrt", side) is not None


@lru_cache(maxsize=65536)
def _value(side: str) -> Fraction | None:
    try:
        return evaluate(side.replace("$", ""))
    except ValueError:
        return None
