"""Chains of equations among symbols, such as a line in space: `\\frac{x-1}{2}=\\frac{y+2}{3}=z`, `x=y=z`, `a=2b=3c`.

Two canonical strings go in, a `Match` comes out: the sides in any order, or linear equations with the same solutions.
A computation (`V=\\pi r^2h=2\\pi r^3`) is none of these.
"""

from fractions import Fraction

from stepforge.pipelines.answers.algebra import algebraically_equal, linear_form
from stepforge.pipelines.answers.matches import EQUAL, UNCLEAR, UNEQUAL, Match
from stepforge.pipelines.answers.relations import MAX_SIDES, split, symbols, value_of


def chain(text: str) -> tuple[str, ...]:
    """The sides of a chain of three or more, each with one symbol of its own, none a number; else none."""
    if text.count("=") < 2:
        return ()
    sides = split(text, "=")
    if not 3 <= len(sides) <= MAX_SIDES or not all(sides) or any(map(_joins, sides)):
        return ()
    letters = [symbols(side) for side in sides]
    own = all(len(one) == 1 for one in letters) and len(set.union(*letters)) == len(sides)
    return sides if own and all(value_of(side) is None for side in sides) else ()


def _joins(side: str) -> bool:
    """Whether a side holds more than one expression."""
    return any(mark in side for mark in (",", ";", r"\lor", r"\land", r"\implies", r"\text"))


def chains_match(gold: str, answer: str) -> Match | None:
    """Compare two chains; None where the reference is none. A chain is never equal to anything else for certain."""
    first, second = chain(gold), chain(answer)
    if not first:
        return None
    if first and second and len(first) == len(second) and _same_sides(first, second):
        return EQUAL
    systems = [_reduced(sides or split(text, "=")) for sides, text in ((first, gold), (second, answer))]
    if not second or None in systems:
        return UNCLEAR
    return EQUAL if systems[0] == systems[1] else UNEQUAL


def chain_key(text: str) -> str | None:
    """The key of a chain of linear equations; None for all else."""
    reduced = _reduced(sides) if (sides := chain(text)) else None
    if not reduced:
        return None
    return ",".join("+".join(f"{value}{name}" for name, value in sorted(row.items()))
                    for _, row in sorted(reduced.items()))


def _same_sides(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    left = list(second)
    for side in first:
        at = next((at for at, other in enumerate(left) if side == other or algebraically_equal(side, other)), None)
        if at is None:
            return False
        left.pop(at)
    return True


def _reduced(sides: tuple[str, ...]) -> dict[str, dict[str, Fraction]] | None:
    """The linear equations of a chain in reduced form, the pivot of each first; None where one is not linear."""
    rows: list[dict[str, Fraction]] = []
    for one, other in zip(sides, sides[1:], strict=False):
        row = linear_form(f"({one})-({other})")
        if row is None:
            return None
        rows.append(row)
    reduced: dict[str, dict[str, Fraction]] = {}
    for name in sorted({name for row in rows for name in row if name}):
        pivot = next((row for row in rows if row.get(name)), None)
        if pivot is None:
            continue
        rows.remove(pivot)
        pivot = {key: value / pivot[name] for key, value in pivot.items()}
        rows = [_without(row, pivot, name) for row in rows]
        reduced = {key: _without(row, pivot, name) for key, row in reduced.items()} | {name: pivot}
    if any(rows):
        return None                                            # 0 = 1: no solution
    return reduced


def _without(row: dict[str, Fraction], pivot: dict[str, Fraction], name: str) -> dict[str, Fraction]:
    """A row without one symbol; coefficients that are 0 are left out."""
    factor = row.get(name, Fraction(0))
    rest = {key: row.get(key, Fraction(0)) - factor * pivot.get(key, Fraction(0)) for key in row.keys() | pivot.keys()}
    return {key: value for key, value in rest.items() if value}
