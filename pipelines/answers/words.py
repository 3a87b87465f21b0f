"""Answers in words and choice letters: `\\text{Evelyn}`, `C`, `\\text{(B)}7`, `no solution`, `odd`.

Canonical strings go in; what they say, freed from markers, case and articles, comes out.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from stepforge.pipelines.answers.word_forms import ordinal


class Choice(NamedTuple):
    """A choice letter, what stands behind it, and whether it is marked as a choice: `(B)`, `B)`, `\\text{B}`."""

    letter: str
    content: str
    marked: bool


_CHOICE = re.compile(r"(?:\\text\{)?(?:(?:the )?(?:option|choice|answer|answer choice)\s*)?"
                     r"(?P<open>\(?)(?:\\text\{)?(?P<letter>[A-Za-z])\}?(?P<close>[).:]*)\}?(?P<content>.*)",
                     re.DOTALL | re.IGNORECASE)
_TRAILING = re.compile(r"(.+)\\text\{\(([A-J])\)\}", re.DOTALL).fullmatch
_TEXT = re.compile(r"\\text\{([^{}]*)\}").fullmatch
_LETTER_LIST = re.compile(r"(?:\\text\{)?\(?([A-J])\)?\}?").fullmatch
_RUN = re.compile(r"(?:\\text\{)?([A-J]{2,6})\}?").fullmatch
_IS_RIGHT = re.compile(r"is (?:the )?(?:correct|right|true|best)(?: answer| choice| option)?").fullmatch
_PREFIX = re.compile(r"(?:\\text\{)?(?:the )?(?:option|choice|answer)", re.IGNORECASE).match
_WORDS = re.compile(r"(?:\\text\{[^{}]*\}|[^\W\d_]{2,}|[A-Za-z](?= [A-Za-z]{2})|[ '.-])+").fullmatch
_SYMBOLS = re.compile(r"(?=[a-zA-Z]{2,3}$)[a-zA-Z]*[a-z][A-Z]+[a-z]*").fullmatch
_MARKUP = re.compile(r"\\text\{|\}|[.,'\"!?]")
_ARTICLES = re.compile(r"\b(?:the|a|an)\b(?= )")
_SAME = {"no solutions": "no solution", "no real solution": "no solution", "no real solutions": "no solution",
         "there is no solution": "no solution", "there are no solutions": "no solution", "none": "no solution",
         "empty set": "no solution", r"\emptyset": "no solution", "dne": "does not exist",
         "undefined": "does not exist", "impossible": "not possible",
         "it is impossible": "not possible", "is not possible": "not possible",
         "cannot be determined": "not determined", "can not be determined": "not determined",
         "not enough information": "not determined",
         "infinite": "infinitely many", "infinitely many solutions": "infinitely many",
         "infinite number": "infinitely many", "there are infinitely many": "infinitely many",
         "true": "yes", "false": "no", "mon": "monday", "tue": "tuesday", "tues": "tuesday", "thu": "thursday",
         "thur": "thursday", "thurs": "thursday", "fri": "friday",
         r"\mathbb{Z}": "integers", "all integers": "integers",
         "set of integers": "integers", r"\mathbb{N}": "natural numbers", "all natural numbers": "natural numbers",
         r"\mathbb{Q}": "rational numbers", "all rational numbers": "rational numbers"}
_BETWEEN = re.compile(r"\\(?:cdot|times|to)(?![a-zA-Z])|[\s,;()\-]")
LETTERS = "ABCDEFGHIJ"


@lru_cache(maxsize=8192)
def choice(text: str) -> Choice | None:
    """The choice that a canonical string names, None where it is none. Only a marked one may have content."""
    if (trailing := _TRAILING(text)) and not _LETTER_LIST(trailing[1].strip(", ").split("\\")[0] or "A"):
        return Choice(trailing[2], trailing[1], True)
    if len(text) > 400 or not (match := _CHOICE.fullmatch(text)):
        return None
    letter, close = match["letter"], match["close"]
    content = match["content"].strip()
    if content.count("}") > content.count("{"):                # of the marker before the letter
        content = content.strip(" }")
    if (inner := _TEXT(content)) is not None:
        content = inner[1].strip()
    worded = _PREFIX(text) is not None
    if worded and not letter.isupper():
        return None
    if ("(" in match["open"]) != (")" in close) and "(" in match["open"]:
        return None
    if not close and content:
        return Choice(letter, "", True) if letter.isupper() and _IS_RIGHT(content) else None
    if content and (not letter.isupper() or letter not in LETTERS or close == ")" and not match["open"]
                    and content[:1] in "=+-*/^"):
        return None
    if content and re.search(r"\([A-J]\)", content):
        return None
    return Choice(letter, content, bool(close) or worded or text.startswith(r"\text{"))


@lru_cache(maxsize=8192)
def words(text: str) -> str | None:
    """The words of a string that holds nothing else, in lower case; None for anything with mathematics in it.

    One letter alone is a word too, and keeps its case; so do two or three symbols such as `aB`.
    """
    if text in _SAME:
        return _SAME[text]
    if len(bare := text.removeprefix(r"\text{").removesuffix("}").strip()) == 1 and bare.isalpha():
        return bare
    if (order := ordinal(text)) is not None:
        return order
    if not _WORDS(text):
        return None
    if _SYMBOLS(text):
        return text
    plain = " ".join(_MARKUP.sub(" ", text).casefold().split())
    plain = _ARTICLES.sub("", plain).strip()
    plain = re.sub(r"^(?:it is|they are|is|are) ", "", plain)
    return _SAME.get(plain, " ".join(plain.split())) or None


def says_none(text: str) -> bool:
    """Whether a string says that there is no answer: `none`, `no solution`, `cannot be determined`."""
    return words(text) in ("no solution", "does not exist", "not possible", "not determined")


def choice_letters(parts: tuple[str, ...]) -> frozenset[str] | None:
    """The letters of several choices, `B,D` or `BD`; None where a part is no choice letter."""
    if len(parts) == 1:
        run = _RUN(parts[0])
        return frozenset(run[1]) if run and list(run[1]) == sorted(set(run[1])) else None
    letters = [match[1] if (match := _LETTER_LIST(part)) else "" for part in parts]
    return frozenset(letters) if all(letters) else None


def same_letters(word: str, spaced: str) -> bool | None:
    """Whether capitals with something between, `E D A` or `(E, D, A)`, are those of a word; None for other texts."""
    letters = _BETWEEN.sub("", spaced)
    capitals = all(text.isalpha() and text.isupper() for text in (word, letters))
    return letters == word if len(word) > 2 and capitals else None


def bag(text: str) -> tuple[str, ...]:
    """The words and signs of a mixed text in alphabetical order: `odd n` and `n odd` share it."""
    return tuple(sorted(re.findall(r"[a-z]+|\d+|[^\sa-z\d]", _MARKUP.sub(" ", text).casefold())))


def is_marked(text: str) -> bool:
    """Whether a text is written as words, not as symbols."""
    return text.startswith((r"\text{", "("))
