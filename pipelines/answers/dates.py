"""Dates and other records: `March 5, 2024`, `5 May`, `July 2019`, `2024-03-05`, `1/2/2024`, scores such as `3-2`.

Two answers as written go in; a `Match` comes out, or None where neither is one. Nobody computes them as differences.
"""

import re
from typing import NamedTuple

from stepforge.pipelines.answers.matches import OTHER_WORDS, SAME_WORDS, UNCLEAR, Match
from stepforge.pipelines.answers.quantity import Quantity, read_number

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_MONTH = "(?:" + "|".join(f"{name}|{name[:3]}\\.?" for name in _MONTHS) + ")"
_ORDINAL = r"(?:st|nd|rd|th)?(?!\d)"
DATE = re.compile(rf"(?:(?P<weekday>{'|'.join(_DAYS)}),?\s+)?(?:the\s+)?"
                  rf"(?:(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}}){_ORDINAL}"
                  rf"|(?P<first>\d{{1,2}}){_ORDINAL}\s+(?:of\s+)?(?P<named>{_MONTH})|(?P<alone>{_MONTH})(?=,?\s+\d{{4}}))"
                  r"(?:,?\s+(?P<year>\d{4}))?(?!\w)", re.IGNORECASE)
_RECORD = re.compile(r"\d{1,4}(?:-\d{1,4}){1,4}|\d{1,2}/\d{1,2}/\d{2,4}").fullmatch


class Date(NamedTuple):
    """What a text gives of a date, None for what it leaves out."""

    month: int
    day: int | None
    year: int | None
    weekday: str | None


def date(text: str) -> Date | None:
    """The date that a whole text states with the name of its month."""
    match = DATE.fullmatch(text)
    if match is None:
        return None
    month = next(at for at, name in enumerate(_MONTHS, start=1)
                 if name[:3] == (match["month"] or match["named"] or match["alone"]).casefold()[:3])
    day, year = match["day"] or match["first"], match["year"]
    return Date(month, int(day) if day else None, int(year) if year else None,
                match["weekday"].casefold() if match["weekday"] else None)


def dates_match(gold: str, answer: str) -> Match | None:
    """Compare records; what only one of two dates gives is no difference."""
    gold, answer = (re.sub(r"\\text[a-z]{0,2}\{|[{}$]|\\", "", text).strip(" .") for text in (gold, answer))
    first, second = date(gold), date(answer)
    if first and second:
        given = [pair for pair in zip(first, second, strict=True) if None not in pair]
        return SAME_WORDS if all(one == other for one, other in given) else OTHER_WORDS
    if (known := first or second) is not None:
        number = read_number(answer if first else gold)
        return UNCLEAR if isinstance(number, Quantity) and number.value in known[:3] else None
    numbers, others = _numbers(gold), _numbers(answer)
    if numbers and others:
        return SAME_WORDS if numbers == others else OTHER_WORDS
    longer = max(numbers or [], others or [], key=len)
    if len(longer) > 2:
        return OTHER_WORDS
    difference = read_number(answer) if numbers and len(numbers) == 2 else None      # 3-2 beside 1: a score, or a sum
    return UNCLEAR if isinstance(difference, Quantity) and numbers \
        and difference.value == numbers[0] - numbers[1] else None


def _numbers(text: str) -> list[int] | None:
    return [int(number) for number in re.split("[-/]", text)] if _RECORD(text) else None
