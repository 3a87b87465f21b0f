"""Residues: `7 \\pmod{10}`, `x \\equiv 7 \\pmod{10}`, `1, 4 \\pmod{5}` and the numbers that they come to.

A canonical string goes in; a `Residue` comes out, or None where the text names no modulus. A residue class counts as
its least residue that is not negative: it equals that class of the same modulus, and the bare number that this is.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from stepforge.pipelines.answers.exact import TooLarge, Undefined, evaluate
from stepforge.pipelines.answers.matches import EQUAL, UNCLEAR, UNEQUAL, Match
from stepforge.pipelines.answers.relations import SEPARATOR, split, symbols

_MODULUS = re.compile(r"(.+?)\s*\\pmod\{(\d{1,18})\}").fullmatch


class Residue(NamedTuple):
    """values: the residues as digits, each once."""

    modulus: int
    values: frozenset[int]


@lru_cache(maxsize=4096)
def residue(text: str) -> Residue | None:
    """The residue class or classes that a canonical string states."""
    match = _MODULUS(text) if r"\pmod" in text else None
    if match is None or not (modulus := int(match[2])):
        return None
    values = _integers(match[1])
    return Residue(modulus, frozenset(value % modulus for value in values)) if values else None


def residues_match(gold: str, answer: str) -> Match | None:
    """Compare residue classes, also with bare numbers; None where neither side names a modulus."""
    first, second = residue(gold), residue(answer)
    if first and second:
        return EQUAL if first == second else UNEQUAL
    if not (known := first or second):
        return UNCLEAR if r"\pmod" in gold or r"\pmod" in answer else None
    other = answer if first else gold
    values = _integers(other)
    if values is None:
        return UNCLEAR if symbols(other) or r"\pmod" in other else UNEQUAL
    if set(values) == known.values:
        return EQUAL
    return UNCLEAR if {value % known.modulus for value in values} == known.values else UNEQUAL


def _integers(text: str) -> list[int] | None:
    """The whole numbers that a text lists, names left out; None where it states anything else."""
    stated = split(text.strip(" ,("), r"\equiv", "=")[-1]
    parts = (stated[3:], "-" + stated[3:]) if stated.startswith(r"\pm") else split(stated, *SEPARATOR, r"\lor")
    try:
        values = [evaluate(part.strip()) for part in parts if part.strip(" ,")]
    except (TooLarge, Undefined):
        return None
    whole = [int(value) for value in values if value is not None and value.denominator == 1]
    return whole if whole and len(whole) == len(values) else None
