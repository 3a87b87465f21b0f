"""Products and names whose order counts: `A^{-1}B`, `\\vec{r}\\times\\vec{p}`, `(1\\ 2\\ 3)`, `\\angle ABC`.

Two answers, as written or in canonical spelling, go in. Elsewhere letters stand for numbers, whose products commute.
"""

import re

from stepforge.pipelines.answers.matches import EQUAL, UNCLEAR, UNEQUAL, Match

_BOLD = r"\\(?:vec|mathbf|boldsymbol|bm|overrightarrow)\s*\{?\s*\\?\w+\s*\}?"
_ORDERED = re.compile(rf"{_BOLD}\s*\\times(?![a-zA-Z])\s*{_BOLD}"
                      r"|[A-Z]\s*\^\s*(?:\{\s*-\s*1\s*\}|\{?T\}?)\s*[A-Z]|[A-Z]\s*[A-Z]\s*\^\s*\{\s*-\s*1").search
_CYCLES = re.compile(r"(?:\([1-9]\d?(?:(?:\s|\\[,;: ]|~)+[1-9]\d?)*\)\s*)+").fullmatch
_NUMBERED = re.compile(r"(?:\([1-9]\)(?:[,;\s]|\\l(?:and|or)(?![a-z])|\\text\{\s*and\s*\})*)+").fullmatch
_CYCLE = re.compile(r"\(([^()]*)\)")
_ANGLE = re.compile(r"m?\\(?:angle|measuredangle) ?([A-Z]{3})").fullmatch
_LOGIC = re.compile(r"(?:\\neg ?)?[p-s](?:\\l(?:and|or) (?:\\neg ?)?[p-s])+").fullmatch


def has_order(text: str) -> bool:
    """Whether an answer as written multiplies vectors or matrices."""
    return _ORDERED(text) is not None


def same_order(gold: str, answer: str) -> bool:
    """Whether two canonical strings multiply the same letters in one order, with a cross product in both or none."""
    first, second = (re.findall(r"\\times|(?<![\\a-zA-Z])[a-zA-Z]|\\(?!cdot)[a-zA-Z]+", text.rpartition("=")[2])
                     for text in (gold, answer))
    return first == second


def orders_of_names(gold: str, answer: str) -> Match | None:
    """Compare two permutations, two angles or two formulas of logic in canonical spelling; None for all else."""
    if _CYCLES(gold) and _CYCLES(answer) and " " in gold:
        if _turned(gold) != _turned(answer):
            return UNEQUAL
        return EQUAL if gold == answer or gold.count(" ") > 1 else UNCLEAR       # (1 2) may be a vector
    angles = _ANGLE(gold), _ANGLE(answer)
    if angles[0] and angles[1]:
        return EQUAL if angles[0][1] in (angles[1][1], angles[1][1][::-1]) else UNEQUAL
    if _LOGIC(gold) and _LOGIC(answer):
        return EQUAL if gold == answer else UNCLEAR
    return None


def numbered_match(gold: str, answer: str) -> Match | None:
    """Compare the numbers of statements, `(1)(3)` with `(1),(3)`; None where neither side has several."""
    first, second = _numbered(gold), _numbered(answer)
    if max(len(first or ()), len(second or ())) < 2:
        return None
    return UNCLEAR if first is None or second is None else EQUAL if first == second else UNEQUAL


def order_key(text: str) -> str | None:
    """The key of a permutation, of numbers of statements or of an angle; None for all else."""
    if _CYCLES(text) and " " in text:
        return "".join(str(cycle) for cycle in _turned(text))
    if len(numbers := _numbered(text) or ()) > 1:
        return "".join(f"({number})" for number in sorted(numbers, key=int))
    angle = _ANGLE(text)
    return f"angle {min(angle[1], angle[1][::-1])}" if angle else None


def _numbered(text: str) -> frozenset[str] | None:
    """The numbers of statements, `(1)(3)` or `(1),(3)`; None for all else."""
    numbers = _CYCLE.findall(text) if _NUMBERED(text) else []
    return frozenset(numbers) if numbers and len(numbers) == len(set(numbers)) else None


def _turned(cycles: str) -> list[tuple[int, ...]]:
    """The cycles of a permutation, each from its least element on, without those of one element."""
    turned = []
    for cycle in _CYCLE.findall(cycles):
        members = [int(member) for member in re.findall(r"\d+", cycle)]
        least = members.index(min(members))
        turned += [(*members[least:], *members[:least])] if len(members) > 1 else []
    return sorted(turned)
