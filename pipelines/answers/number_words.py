"""Numbers in English words: `twenty-five`, `one hundred and five`, `two-thirds`, `minus four`, `three and a half`.

`leading_number` takes a text and gives back the number that its first words spell, written in digits, and the words
that follow. Extraction and comparison both read words through it.
"""

import re
from fractions import Fraction
from functools import lru_cache

_SMALL = {word: number for number, word in enumerate("""zero one two three four five six seven eight nine ten eleven
    twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen""".split())}
_TENS = {word: 10 * number for number, word in
         enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "lakh": 10**5,
          "crore": 10**7}
_TIMES = _LARGE | {"hundred": 100, "dozen": 12}
PARTS = {"half": 2, "quarter": 4, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
          "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100, "thousandth": 1000}
_PARTS = PARTS | {"halves": 2} | {word + "s": parts for word, parts in PARTS.items() if word != "half"}
_SIGNS = {"minus": -1, "negative": -1}
_WORD = re.compile(r"([A-Za-z]+)(?:-(?=[A-Za-z])|\s+|$)")
_FIRST = frozenset((*_SMALL, *_TENS, *_SIGNS, "a", "an", "half", "hundred", "dozen"))
_NTH = {ordinal.rstrip("s"): number for ordinal, number in _PARTS.items() if number > 2} | {"second": 2, "first": 1}
_DIGITS_NTH = re.compile(r"(\d{1,3})(?:st|nd|rd|th)").fullmatch
MAX_WORDS = 24

NUMBER_WORD = r"(?:" + "|".join((*_SMALL, *_TENS, "hundred", *_LARGE)) + r")"      # of a regular expression


def leading_number(text: str) -> tuple[str, str] | None:
    """(number in digits, rest of the text), None where the text does not begin with a number in words.

    >>> leading_number("twenty-five apples"), leading_number("two thirds"), leading_number("an apple")
    (('25', 'apples'), ('2/3', ''), None)
    """
    first = text.lstrip()[:12].replace("-", " ").split(" ", 1)[0].casefold()
    return _read(text.strip()) if first in _FIRST else None


def nth(word: str) -> int | None:
    """3 for `third` and `3rd`, None for other words."""
    return int(digits[1]) if (digits := _DIGITS_NTH(word)) else _NTH.get(word.casefold())


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[str, str] | None:
    words: list[str] = []
    ends: list[int] = []
    at = 0
    while len(words) < MAX_WORDS and (match := _WORD.match(text, at)):
        words.append(match[1].casefold())
        ends.append(at := match.end())
    sign = _SIGNS.get(words[0], 1) if words else 1
    start = 1 if words and words[0] in _SIGNS else 0
    value, used = _whole(words, start)
    value, used = _fraction(words, start, value, used)
    if value is None:
        return None
    article = words[used:used + 1] == ["a"]
    if value.denominator > 1 and (times := _TIMES.get("".join(words[used + article:used + article + 1]))):
        value, used = value * times, used + article + 1         # half a dozen, two and a half million
    value *= sign
    return str(value), text[ends[used - 1]:].strip()


def _whole(words: list[str], at: int) -> tuple[Fraction | None, int]:
    """The integer that the words from `at` spell, and where it ends."""
    total = group = 0
    end, last = at, ""
    article = words[at:at + 1] in (["a"], ["an"]) and words[at + 1:at + 2] and words[at + 1] in {*_LARGE, "hundred",
                                                                                                 "dozen"}
    if article:
        group, at = 1, at + 1
    while at < len(words):
        word = words[at]
        if word in _SMALL and last not in ("small", "point") and not (last == "tens" and not 0 < _SMALL[word] < 10):
            group, last = group + _SMALL[word], "small"
        elif word in _TENS and last not in ("small", "tens"):
            group, last = group + _TENS[word], "tens"
        elif word == "hundred" and group < 100 and last != "hundred":
            group, last = max(group, 1) * 100, "hundred"
        elif word == "dozen" and group < 100:
            group, last = max(group, 1) * 12, "small"
        elif word in _LARGE and group:
            total, group, last = total + group * _LARGE[word], 0, "large"
        elif word == "and" and last in ("hundred", "large") and words[at + 1:at + 2] \
                and (words[at + 1] in _SMALL or words[at + 1] in _TENS):
            at += 1
            continue
        else:
            break
        at += 1
        end = at
    return (Fraction(total + group), end) if last or (article and end > at) else (None, end)


def _fraction(words: list[str], start: int, whole: Fraction | None, end: int) -> tuple[Fraction | None, int]:
    """A part after a whole number: `two thirds`, `three and a half`, `half`."""
    if whole is None:
        skip = 1 if words[start:start + 1] in (["a"], ["an"]) else 0
        part = words[start + skip:start + skip + 1]
        if part and part[0] in ("half", "quarter", "third"):
            return Fraction(1, _PARTS[part[0]]), start + skip + 1
        return None, end
    if words[end:end + 1] and words[end] in _PARTS and whole:
        return whole / _PARTS[words[end]], end + 1
    if words[end:end + 1] == ["and"]:
        rest = words[end + 1:end + 3]
        if len(rest) == 2 and rest[0] in ("a", "one") and rest[1] in _PARTS:
            return whole + Fraction(1, _PARTS[rest[1]]), end + 3
        if len(rest) == 2 and rest[0] in _SMALL and rest[1] in _PARTS:
            return whole + Fraction(_SMALL[rest[0]], _PARTS[rest[1]]), end + 3
    return whole, end
