"""Doubts: whether the words around a value leave it open, as in `it might be 36`, `probably 36` or `36, I guess`.

A text and the place of a value in it go in, a yes or no comes out. A doubted value is never correct, even where it
equals the reference: else a policy could farm rewards without committing itself. `I think` and `it seems` commit.
"""

import re

from stepforge.pipelines.answers.wording import FILLER, phrases

BEFORE = 120         # characters looked at before a value ...
BEHIND = 80          # ... and behind it

_ADVERB = phrases("maybe|perhaps|possibly|probably|likely|presumably|conceivably")
_VERY = r"(?:really|quite|entirely|completely|totally|absolutely|fully|too|so|100%)"
_ASIDE = r"(?:about|which|how|why|what|where|who)(?!(?:\s+\w+){0,3}?\s+(?:right|correct|answer|true|it is)\b)"
_UNSURE = (rf"(?:(?:(?:i['’]m|i am|we['’]re|we are)\s+(?:{_VERY}\s+)*|\b(?:but|though|although)\s+)?"
           rf"(?:not\s+(?:[\w%]+\s+)?(?:sure|certain|confident)|unsure|uncertain)(?!\s+{_ASIDE})\b"
           r"|(?:i|we)\s+(?:do not|don['’]t|cannot|can not|can['’]t)\s+(?:know|tell|decide|say)\s+"
           r"(?:whether|if|which|for sure)\b)")
_GUESSED = phrases(r"""(?:i|we)(?:'d| would| will| can|'ll)?(?: only| just| have to)? guess(?:ing)?
|(?:i'm |i am )?(?:just |only )guessing|(?:i'm |i am )guessing|i suppose|my (?:\w+ )?guess
|(?:just |only )?a (?:\w+ )?guess|if i had to guess""")
_LEADING = re.compile(
    rf"(?:\b(?:might|may|could)\s+(?:(?:also|well|very|even|just|then|indeed|in fact)\s+)*(?:be|equal)\b|\b{_ADVERB}\b"
    rf"|\b{_GUESSED})(?:\W|{FILLER.pattern})*$", re.IGNORECASE)
_OPENING = re.compile(
    rf"\W*(?:(?:so|then|hence|thus|therefore|and|but|well|hmm|ok|okay|or)\b\W*)*"
    rf"(?:(?:most\s+|very\s+|quite\s+)?{_ADVERB}\b(?!\s+(?:\w+ly|one|some|not|the (?:\w+est|most|best))\b)"
    rf"|{_GUESSED}\b|(?:though |while )?{_UNSURE})", re.IGNORECASE)
_POSSIBLE = re.compile(r"\b(?:(?:an?|one|most)\s+(?:likely|probable|possible|plausible|tentative)"
                       r"|the\s+(?:likely|probable|tentative)|guess (?:at|for) the)\s+(?:final\s+)?a?$", re.IGNORECASE)
_ADDED = re.compile(
    rf"(?:[^.!?\n]{{0,40}}?[\s,;:()*$—–-])?\(?"
    rf"(?:{_GUESSED}|{_UNSURE}|(?:is|are) (?:most |very )?{_ADVERB}\b"
    rf"|(?<=[,;(—–-] )(?:most )?{_ADVERB}\b(?!\s+\w)|(?<=\()(?:most )?{_ADVERB}\b)"
    rf"|[^.!?\n]{{0,40}}[.!?]['\")*]*\s+(?:(?:but|though|however),?\s+)?"
    rf"(?:(?:that|this|it)(?: is|'s) (?:just |only )?a (?:\w+ )?guess|{_UNSURE}|{_GUESSED})", re.IGNORECASE)
_IN_BOX = re.compile(rf"\\text[a-z]{{0,2}}\{{[\s(,]*(?:{_ADVERB}|{_GUESSED}|{_UNSURE})[\s),?]*\}}", re.IGNORECASE)
_HINTS = ("might", "may", "could", "perhaps", "possibl", "probabl", "likely", "presumabl", "conceivabl", "guess",
          "suppose", "sure", "certain", "confident", "plausible", "tentative", "not ", "n't ", "n’t ")


def is_doubted(text: str, head: int, start: int, end: int) -> bool:
    """Whether the words around a value leave it open.

    head: where its sentence is sure to have begun, such as the word `answer`. start, end: the place of the value.
    """
    near = text[max(0, head - BEFORE):end + BEHIND].lower()
    if not any(map(near.__contains__, _HINTS)):
        return False
    opened = _sentence_start(text, head)
    return _LEADING.search(text, max(opened, start - BEFORE), start) is not None \
        or _OPENING.match(text, opened, start) is not None \
        or _POSSIBLE.search(text, opened, head) is not None or _ADDED.match(text, end, end + BEHIND) is not None


def without_doubt(box: str) -> str:
    """What a box holds but for words that leave it open: `36` of `36 \\text{ (maybe)}`."""
    return _IN_BOX.sub("", box).strip() if "\\text" in box else box


def _sentence_start(text: str, at: int) -> int:
    floor = max(0, at - BEFORE)
    ends = [floor - 1, *(text.rfind(mark, floor, at) for mark in ("\n", ". ", "! ", "? ", ": ", "。"))]
    return max(ends) + 1
