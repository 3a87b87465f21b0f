"""Structures against each other: a list against a list, a tuple against a vector, one value against several.

Two structures, and what compares two of their parts, go in; a `Match` comes out.
"""

from collections.abc import Callable

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.matches import EQUAL, UNCLEAR, UNEQUAL, Match, all_of, unclear_where_equal
from stepforge.pipelines.answers.structure import Structure

Comparison = Callable[[str, str], Match]


def one_of_many(single: str, listed: Structure, swapped: bool, compare: Comparison) -> Match:
    """One value against several: several spellings of it are one answer, different values are too many."""
    distinct = list(dict.fromkeys(listed.parts))
    pairs = [(part, single) if swapped else (single, part) for part in distinct]
    matches = [compare(*pair) for pair in (*pairs, *((distinct[0], part) for part in distinct[1:]))]
    if matches and all(match.equal for match in matches):
        repeated = len(distinct) < len(listed.parts)       # `5,5` may also be a decimal comma
        return UNCLEAR if repeated else all_of(matches)
    if any(match.equal is False for match in matches) or not matches:
        return Match(False, "numeric", None if swapped else outcome.MANY_ANSWERS)
    return all_of(matches)


def parts_match(gold: Structure, answer: Structure, compare: Comparison) -> Match:
    """Compare two structures part by part: lists and sets in any order, all others in theirs."""
    kinds = {gold.kind, answer.kind}
    if kinds == {"list"} and "labelled" in (gold.shape, answer.shape):
        return _labelled(gold, answer, compare)
    if kinds <= {"list", "set"}:
        return _unordered(tuple(dict.fromkeys(gold.parts)), tuple(dict.fromkeys(answer.parts)), compare)
    if kinds == {"tuple", "list"}:
        brackets = gold.shape if gold.kind == "tuple" else answer.shape
        if brackets != "()" or len(gold.parts) != len(answer.parts):
            return UNEQUAL
    elif kinds == {"tuple", "matrix"}:
        vector = gold if gold.kind == "matrix" else answer
        if 1 not in map(int, vector.shape.split("x")) or len(gold.parts) != len(answer.parts):
            return UNEQUAL
    elif gold.kind != answer.kind or gold.shape != answer.shape or len(gold.parts) != len(answer.parts):
        return UNEQUAL
    same_names = sorted(gold.names) == sorted(answer.names)
    said = dict(zip(answer.names, answer.parts, strict=True)) if same_names and gold.names else {}
    answered = tuple(said[name] for name in gold.names) if said else answer.parts
    match = all_of([compare(first, second) if first and second else UNEQUAL
                    for first, second in zip(gold.parts, answered, strict=True)])
    return unclear_where_equal(match) if gold.names and answer.names and not same_names else match


def _labelled(gold: Structure, answer: Structure, compare: Comparison) -> Match:
    """`(a) 5 (b) 6` has an order; a list without labels, `6, 5`, leaves it open."""
    if len(gold.parts) != len(answer.parts):
        return UNEQUAL
    ordered = all_of([compare(first, second) for first, second in zip(gold.parts, answer.parts, strict=True)])
    if ordered.equal or gold.shape == answer.shape:
        return ordered
    return unclear_where_equal(_unordered(gold.parts, answer.parts, compare))


def _unordered(gold: tuple[str, ...], answer: tuple[str, ...], compare: Comparison) -> Match:
    if len(gold) != len(answer):
        return Match(False, "numeric", outcome.MANY_ANSWERS if len(answer) > len(gold) else None)
    if len(gold) > 8 and sorted(gold) == sorted(answer):
        return EQUAL
    matches, left = [], list(answer)
    for wanted in gold:
        offers = [compare(wanted, offered) for offered in left]
        best = max(range(len(left)), key=lambda at: (offers[at].equal is True, offers[at].equal is None))
        matches.append(offers[best])
        left.pop(best)
        if offers[best].equal is False:
            break
    return all_of(matches)
