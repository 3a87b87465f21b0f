"""Word for word: whether two texts say the same but for markup, spacing, the end of a sentence and the case of words.

`the Blue house.` says `The blue house`. Symbols and units keep their case (`mW` is not `MW`), a decimal point at the
beginning stays (`.5` is not 5), and two currencies are two answers; a sign that only one side has is left out.
"""

import re

from stepforge.pipelines.answers.sentence import without_markup
from stepforge.pipelines.answers.terms import STOP
from stepforge.pipelines.answers.word_forms import ordinal

SIGNS = "$€£¥₹"
MIN_NAME = 5         # letters from which a word may mix its cases and still be one word: McDonald
_WORD = re.compile(r"(?<![\\\w])(?:[^\W\d_]{2,}|\d{1,3}(?:st|nd|rd|th))(?!\w)")
_ARTICLE = re.compile(r"^(?:the|an?) (?=[a-z]{2}|\d)")
_VOWEL = re.compile(r"[aeiouy]|[^\x00-\x7f]", re.IGNORECASE).search
_FORMULA = re.compile(r"\$([^$]+)\$").fullmatch


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same words."""
    (first, sign), (second, other_sign) = _plain(one), _plain(other)
    return first == second and (sign == other_sign or not sign or not other_sign)


def _plain(text: str) -> tuple[str, frozenset[str]]:
    """The bare words of a text and its signs of currency."""
    text = " ".join(without_markup(text).replace(r"\$", "$").split()).strip(" *").rstrip(" .*")
    if formula := _FORMULA(text):
        text = formula[1]
    bare = text.strip(f" *{SIGNS}").rstrip(f" .*{SIGNS}")
    return _ARTICLE.sub("", _WORD.sub(_folded, bare)), frozenset(SIGNS) & frozenset(text)


def _folded(word: re.Match[str]) -> str:
    """A word in lower case; short ones that may be symbols or units (`mW`, `Mb`, `AB`) as they are."""
    text = word[0]
    if order := ordinal(text):
        return order
    whole = text.islower() or text.isupper() or text.istitle() or len(text) >= MIN_NAME
    named = len(text) > 2 and _VOWEL(text) and whole
    return text.casefold() if named or text.casefold() in STOP and whole else text
