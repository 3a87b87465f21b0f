"""Forms of one word: `third` and `3rd`, `Monday` and `Mon.`, and numbers in words that may mean something else.

Canonical strings and words go in; one spelling, or a `Match` where two forms may say the same, comes out.
"""

import re

from stepforge.pipelines.answers.matches import OTHER_WORDS, SAME_WORDS, UNCLEAR, Match
from stepforge.pipelines.answers.number_words import nth
from stepforge.pipelines.answers.quantity import Quantity, read_number

_ORDINAL = re.compile(r"(?:\\text\{)?(?:the )?(?:(\d{1,3})(?:\^?\{?(?:\\text\{)?)? ?(?:st|nd|rd|th)|([a-z]{5,7}))"
                      r"\}{0,2}", re.IGNORECASE).fullmatch
_NAMES = """monday tuesday wednesday thursday friday saturday sunday january february march april june july august
    september october november december""".split()
_LONGER = {"tues": "tuesday", "weds": "wednesday", "thur": "thursday", "thurs": "thursday", "sept": "september"}
_FULL = {name[:3]: name for name in _NAMES} | _LONGER
_OTHER_SENSES = frozenset(("sun", "sat", "wed", "mar"))
_SUFFIX = re.compile(r"(?<=[a-z]{5})(?:e?s|ed|ing|ent|ence|e|ly)$")
_NOT = frozenset("no not never none neither cannot without".split())
_FUNCTIONAL = _NOT | frozenset("nor a an the all is are was be it there such that this does do any every each".split())
_ROMAN = re.compile(r"I{1,3}|IV|VI{0,3}|IX|X").fullmatch
_BETWEEN = re.compile(r"\\text\{|[(){},;&\s]+|\\land(?![a-zA-Z])"
                      r"|\b(?:and|only|statements?|are true|is true)\b")
_DENIES = frozenset("and or not no nor never neither except but without un non nothing none".split())
_NONE = re.compile(r"(?:\\text\{)?(?:none(?: of (?:them|these|those|it))?|nothing|nobody|no[ -]one"
                   r"|no (?!(?:solutions?|real|answers?|such|integers?|values?|roots?|limit)\b)[a-z]+(?: [a-z]+)?)\}?",
                   re.IGNORECASE).fullmatch


def ordinal(text: str) -> str | None:
    """`3rd` for `third`, `3rd`, `\\text{3rd}` and `3^{rd}`; None for other texts."""
    found = _ORDINAL(text)
    number = None if found is None else int(found[1]) if found[1] else nth(found[2])
    return None if number is None or found is None or found[2] and found[2].casefold() in ("quarter", "half") \
        else f"{number}th"


def same_day(gold: str, answer: str) -> Match | None:
    """Whether one word is the other in short: `mon` and `monday`."""
    if _FULL.get(answer) == gold:
        return SAME_WORDS
    return None if _FULL.get(gold) != answer else UNCLEAR if gold in _OTHER_SENSES else SAME_WORDS


def holds(words: str, name: str) -> bool:
    """Whether a few words name what a name does, perhaps: `the winner is alice`, `on monday`; not `alice and bob`."""
    more = re.split(rf"(?<!\w){re.escape(name)}(?!\w)", words, maxsplit=1)
    others = " ".join(more).split()
    return len(name) > 2 and len(more) == 2 and 0 < len(others) <= 4 and _DENIES.isdisjoint(others)


def same_stems(gold: str, answer: str) -> Match | None:
    """Words in other forms: `diverges` and `divergent`, `no such number exists` and `such a number does not exist`.

    Where one text only says more than the other, what is meant is not sure. None where the words differ.
    """
    first, second = _stems(gold), _stems(answer)
    less, more = sorted((first[0], second[0]), key=len)
    if not less or min(map(len, less)) < 4 or first[1] != second[1]:
        return None
    return SAME_WORDS if less == more else UNCLEAR if set(less) < set(more) else None


def _stems(text: str) -> tuple[list[str], bool]:
    """The stems of the words that matter, in their order, and whether an odd number of words denies."""
    tokens = text.casefold().replace("n't", " not").split()
    stems = [_SUFFIX.sub("", token) for token in tokens if token not in _FUNCTIONAL]
    return stems, sum(token in _NOT for token in tokens) % 2 == 1


def roman_labels(text: str) -> frozenset[str] | None:
    """The Roman numerals of `I and II only`; None for other texts."""
    labels = [label for label in _BETWEEN.split(text) if label]
    return frozenset(labels) if labels and all(map(_ROMAN, labels)) else None


def worded_match(gold: str, answer: str) -> Match | None:
    """`I and II only` and `I, II`; 0 and `none` or `no apples`, 3 and `3rd`, which the reference leaves open."""
    if (labels := roman_labels(gold)) and (others := roman_labels(answer)):
        return SAME_WORDS if labels == others else OTHER_WORDS
    for number, word in ((gold, answer), (answer, gold)):
        if _NONE(word) and isinstance(zero := read_number(number), Quantity) and not zero.value \
                or number.isdigit() and ordinal(word) == f"{number}th":
            return UNCLEAR
    return None
