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
_DAY = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
                  r"|(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<last>\d{4})").fullmatch


_SPREADSHEET = re.compile(rf"\d{{1,2}}(?:-|\. ?)(?:{'|'.join(name[:3] for name in _MONTHS)})", re.IGNORECASE).fullmatch


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
    if _SPREADSHEET(gold) and second is None:
        return UNCLEAR                                         # 2-Jan is what Excel makes of 1/2
    if (known := first or second) is not None:
        if days := _days(answer if first else gold):
            fitting = [all(one in (None, other) for one, other in zip(known, day, strict=False)) for day in days]
            return OTHER_WORDS if not any(fitting) else SAME_WORDS if all(fitting) else UNCLEAR
        number = read_number(answer if first else gold)
        return UNCLEAR if isinstance(number, Quantity) and number.value in known[:3] else None
    numbers, others = _numbers(gold), _numbers(answer)
    if _layout(gold) != _layout(answer) and (days := _days(gold)) and (answered := _days(answer)):
        return OTHER_WORDS if not days & answered else SAME_WORDS if days == answered else UNCLEAR
    if numbers and others:
        return SAME_WORDS if numbers == others else OTHER_WORDS
    longer = max(numbers or [], others or [], key=len)
    if len(longer) > 2:
        return OTHER_WORDS
    difference = read_number(answer) if numbers and len(numbers) == 2 else None      # 3-2 beside 1: a score, or a sum
    return UNCLEAR if isinstance(difference, Quantity) and numbers \
        and difference.value == numbers[0] - numbers[1] else None


def _days(text: str) -> set[tuple[int, int, int]]:
    """The days (month, day, year) that a date in digits may mean: of `3/4/2024` two, of `2024-03-04` and `4.3.2024`
    one."""
    match = _DAY(text)
    if match is None:
        return set()
    if match["year"]:
        read = {(int(match["month"]), int(match["day"]), int(match["year"]))}
    else:
        first, second, year = int(match["first"]), int(match["second"]), int(match["last"])
        read = {(second, first, year)} | ({(first, second, year)} if match["sign"] != "." else set())
    return {day for day in read if 1 <= day[0] <= 12 and 1 <= day[1] <= 31}


def _layout(text: str) -> str:
    return re.sub(r"\d+", lambda digits: "y" if len(digits[0]) == 4 else "d", text)


def _numbers(text: str) -> list[int] | None:
    return [int(number) for number in re.split("[-/]", text)] if _RECORD(text) else None
