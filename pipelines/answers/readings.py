"""Readings that a text has only beside the other side: `0,5` with a decimal comma, `a=b=c=1` as a triple, `3:4:5`."""

from stepforge.pipelines.answers.matches import Match
from stepforge.pipelines.answers.quantity import Quantity, read_number
from stepforge.pipelines.answers.relations import split
from stepforge.pipelines.answers.structure import Structure


def all_alike(text: str, count: int) -> str:
    """`a=b=c=1` as a tuple of so many equal values, empty for anything else."""
    *names, value = split(text, "=")
    alike = len(names) == count and all(len(name) == 1 and name.isalpha() for name in names)
    return f"({','.join([value] * count)})" if alike else ""


def has_decimal_comma(listed: Structure, single: str) -> bool:
    """Whether a list is a number with a decimal comma that equals the other side: `0,5` and `0.5`."""
    if listed.kind != "list" or len(listed.parts) != 2 or not all(part.lstrip("-").isdigit() for part in listed.parts):
        return False
    number = read_number(".".join(listed.parts)) if listed.parts[1].isdigit() else None
    other = read_number(single)
    return isinstance(number, Quantity) and isinstance(other, Quantity) and number.value == other.value


def proportions_match(gold: str, answer: str) -> Match | None:
    """`3:4:5` and `6:8:10`; ratios of two numbers are quantities."""
    if ":" not in gold or ":" not in answer:
        return None
    first, second = ([read_number(part) for part in text.split(":")] for text in (gold, answer))
    if len(first) < 3 or len(second) < 3 or not all(isinstance(one, Quantity) for one in (*first, *second)):
        return None
    one, other = ([number.value for number in numbers if isinstance(number, Quantity)] for numbers in (first, second))
    return Match(len(one) == len(other) and all(a * other[0] == b * one[0] for a, b in zip(one, other, strict=True)),
                 "numeric")
