"""Choice letters: `(B) 12`, `B. mitochondria`, `option C is correct`, where the reference of a problem is a letter.

A line or the tail of a text goes in, the letter comes out. A letter that the text denies is left out, and letters that
it joins by `or` are a list of guesses.
"""

import re
from typing import NamedTuple

from stepforge.pipelines.answers.wording import DENIED_AFTER, DENIED_BEFORE, SENTENCE_END

TAIL = 2000          # characters searched

_AT_HEAD = re.compile(r"\(?(?:\\text(?:bf|rm|it)?\{\s*\(?)?([A-Z])(?:\)|[.:](?=\s))\}?\)?[:.]?(?=[\s,;]|$)")
_LETTER = re.compile(r"\(([A-Z])\)|(?<![\w'’])([A-Z])(?=[.):*$},]|[^\x00-\x7f]|\\[)\]]|\s*$|\s+(?:or|and)\s+\(?[A-Z]\b"
                     r"|\s+(?:is|are|must be|seems)\s+(?:(?:all|both|the)\s+)?"
                     r"(?:(?:in)?correct|right|wrong|true|false|best)"
                     r"|\s+(?:remains|works|fits|holds)\b)")
_LED = re.compile(r"(?:\b(?:is|are|be|choose|chose|pick|select|answer)\b|[:=→]|(?:^|\n))[\s*(\[$]*"
                  r"(?:\b(?:option|choice|answer|letter|statement)\b[\s*(:]*)?$", re.IGNORECASE)
_IS_RIGHT = re.compile(r"[)\s*.:$}]*(?:is|must be|seems)\s+(?:the\s+)?(?:correct|right|true|best)", re.IGNORECASE)
_OPTION_LINE = re.compile(r"^[ \t]*(?:[-*•] )?\(?([A-J])[.):]", re.MULTILINE)
_CAPITAL = re.compile(r"(?<![\w'’])(?:[B-HJ](?![\w'’])|A(?![\w'’]| [a-z]))")
_FIRST = re.compile(r"[\s*\[(]*([A-J])[)\]*.]*\s*(?:\n|$)").match
_OR = re.compile(r"[)\s*]*(?:,|or|and|/)[\s*(]*")


_ANOTHER = re.compile(r"[)\s*.]*(?:(?:[^\s()]{1,20}\s+){0,2}or|,|and|/)\s+"
                      r"(?:(?:maybe|possibly|perhaps|else|also|either|even|both|option|choice)\s+)*[*$]*\(([A-J])\)")


class Choice(NamedTuple):
    """answer: a letter, or several that the text offers together. sure: the last sentence offers no other."""

    answer: str
    sure: bool


def choice_at(line: str, at: int) -> re.Match[str] | None:
    """The marked letter at a position, such as `(B)` or `B.`, with the mark; its group 1 is the letter."""
    return _AT_HEAD.match(line, at)


def offered_at(line: str, choice: re.Match[str]) -> list[str]:
    """The marked letters that a line offers with the one at its head: A and C of `(A) and (C)`, not `(A), not (C)`."""
    letters, at = [choice[1]], choice.end()
    while (another := _ANOTHER.match(line, at)) and not DENIED_AFTER.match(line, another.end()):
        letters.append(another[1])
        at = another.end()
    return letters


def _undenied(tail: str) -> list[re.Match[str]]:
    """The lone letters that the text does not deny; `it can't be A or B` and `A and B are wrong` deny both."""
    letters: list[re.Match[str]] = []
    denied_to = -1
    for letter in _LETTER.finditer(tail):
        joined = denied_to >= 0 and _OR.fullmatch(tail[denied_to:letter.start()])
        if joined or DENIED_BEFORE.search(tail[max(0, letter.start() - 60):letter.start()]):
            denied_to = letter.end()
        elif DENIED_AFTER.match(tail, letter.end()):
            end = letter.start()
            while letters and _OR.fullmatch(tail[letters[-1].end():end]):
                end = letters.pop().start()
        else:
            letters.append(letter)
    return letters


def _walks_through(tail: str, last: re.Match[str]) -> bool:
    """Whether the last letter begins a line of a list of options, each with words of its own, and so is no answer."""
    lines = list(_OPTION_LINE.finditer(tail))
    if len(lines) < 2 or not lines[-1].start() <= last.start() < lines[-1].end():
        return False
    return len({line[1] for line in lines}) == len(lines) and len(tail[last.end():].split()) > 3


def last_choice(text: str) -> Choice | None:
    """The last lone capital of a text, with those that are joined to it."""
    tail = text[-TAIL:].rstrip()
    letters = _undenied(tail)
    if (first := _FIRST(text)) and set(_CAPITAL.findall(text)) <= {first[1]}:
        return Choice(first[1], True)                           # B, and why
    if not letters or _walks_through(tail, letters[-1]):
        return None
    offered = [letters[-1]]
    for letter in reversed(letters[:-1]):
        if not _OR.fullmatch(tail[letter.end():offered[0].start()]):
            break
        offered.insert(0, letter)
    names = [letter[1] or letter[2] for letter in letters]
    led = _LED.search(tail, 0, offered[0].start()) is not None or _IS_RIGHT.match(tail, letters[-1].end()) is not None
    bounds = [0, *(end.end() for end in SENTENCE_END.finditer(tail))]
    last = {name for letter, name in zip(letters, names, strict=True) if letter.start() >= bounds[-1]}
    return Choice(", ".join(dict.fromkeys(names[-len(offered):])), len(offered) > 1 or len(last) == 1 and led)
