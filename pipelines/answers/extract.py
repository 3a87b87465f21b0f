"""The final answer of a solution, as text: `#### 18`, `\\boxed{18}`, `The answer is 18`, else its last number.

A model's text goes in, an `Extraction` comes out. The rule: what counts is the last answer that is stated explicitly
(box, `####`, or an answer phrase) after the thought; boxes joined only by commas, `and` or `or` are one list. More
than MAX_STATED different explicit answers are a list of guesses. Without an explicit answer the last number or formula
is taken and marked so. Time is linear in the text and only bounded pieces of it are kept.
"""

import re
from collections import deque
from typing import Literal, NamedTuple

from stepforge.pipelines.answers.normalize import ascii_math, canonical

MAX_STATED = 3       # honest solutions were seen to box at most two different values
MAX_BOXES = 64       # looked at, from the end
MAX_CLAUSE = 1200    # characters of one stated answer that are kept; longer ones are out of bounds anyway
TAIL = 2000          # characters searched for a last number

How = Literal["boxed", "hash", "phrase", "choice", "last_formula", "last_number", "none", "unclosed_thought"]
EXPLICIT = frozenset(("boxed", "hash", "phrase"))


class Extraction(NamedTuple):
    """answer: None where nothing was found. how: which rule found it. stated: number of different explicit answers.

    at_end: the answer runs up to the very end of the text, so a cut may have shortened it.
    """

    answer: str | None
    how: How
    stated: int = 0
    at_end: bool = False


class _Stated(NamedTuple):
    start: int
    end: int
    answer: str
    how: How


_LINK = (r"(?:\*\*|__)?(?:\s*:|\s+(?:to [^\n.]{1,80}? )?"
         r"(?:is|are|was|equals|would be|will be|should be|must be)\b(?P<no>\s+not\b)?)\s*(?P<clause>\S[^\n]*)")
_PHRASES = (("nswer", re.compile("nswers?" + _LINK)), ("NSWER", re.compile("NSWERS?" + _LINK)),
            ("A:", re.compile(r"A:(?:(?<=\nA:)|(?<![\s\S]A:))(?P<no>\s+not\b)?[ \t*]*(?P<clause>\S[^\n]*)")))
_HASH = re.compile(r"####[ \t]*(?P<clause>\S[^\n]*)")
_REST = re.compile(r"[ \t]*\Z")
_PLAIN = re.compile(r"(-?\$?\d+(?:,\d{3})*(?:\.\d+)?)(?:\.?\s*$)", re.ASCII)
_FILLER = re.compile(r"(?:\*\*|__|:|\s|(?:therefore|thus|then|hence|simply|just|exactly|approximately|about|that"
                     r"|indeed|also|now|given by|equal to|equals|option|choice|an?|the|is)\b,?)*", re.IGNORECASE)
_MATH = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$((?:\\.|[^$\n\\])+?)\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z\\$*(]|\s*$)|\s(?:because|since|so|which|as|where|I hope|for)\b|\*\*|<")
_NUMBER = r"[-+]?\s?(?:\\?[$€£¥₹]\s?)?[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_MIXED = r"-?\d+ \d+/\d+(?![\d./])"                                # 3 1/2
_TAIL_NUMBER = re.compile(rf"(?<![\w.^_\\])(?:{_MIXED}|(?:{_NUMBER})(?:[eE][+-]?\d+)?"
                          r"(?:\s?/\s?\d+(?:\.\d+)?)?(?:\s?\\?%)?)", re.ASCII)
_IN_WORDS = re.compile(r"\s+\([A-Za-z]{2}[^()]*\)$")             # 5 (five), 10 (since 5 + 5 = 10)
_NUMBER_AND_MORE = re.compile(rf"({_NUMBER}%?)\s+[A-Za-z][^=$\\]*\d[^=$\\]*", re.ASCII)     # 5 apples a day for 3 days
_SEVERAL = re.compile(r"\b(?:and|or|plus|minus|times|over|mod|to)\b|[,;*^+]")
_TAIL_TUPLE = re.compile(r"([(\[][^()\[\]]{1,80},[^()\[\]]{1,80}[)\]])\.?$")
_GLUED = re.compile(r"[!^_({]|[a-zA-Z](?![a-zA-Z])")             # 5!, 5^, 5i: not a number that ends there
_DENIED = re.compile(r"nswers?\s+(?:is|are)\s+not\b[^\n.]*")
_STARTS_AS_ANSWER = re.compile(r"\\?[$€£¥₹]|[-+]?\s*[.(\[{]*\s*[-+]?\d|\\|[-+]?[a-zA-Z]\s*(?:=|$|[.)\]^*+/-])"
                               r"|\([A-Za-z]\)|[^\x00-\x7f]")
_JOINED = re.compile(r"(?:[\s,;.$&]|\\[()\[\],; ]|\\text\{[ ,]*(?:and|or)[ ,]*\}|\b(?:and|or)\b"
                     r"|[a-zA-Z](?:_\d)?\s*=\s*)*")
_CHOICE = re.compile(r"\(([A-Z])\)|\b([A-Z])\b(?=[.):*]|\s*$)")
_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])")
_BARE_BOX = re.compile(r"\s*([^\s{}$]{1,40})")


def extract_answer(text: str, choices: bool = False) -> Extraction:
    """The answer that a solution states.

    choices: the reference is a choice letter, so without an explicit answer the last lone capital is taken.
    """
    if "think>" in text:
        closed = text.rfind("</think>")
        if text.rfind("<think>") > closed:
            return Extraction(None, "unclosed_thought")
        text = text[closed + len("</think>"):] if closed >= 0 else text
    stated = _phrases(text)
    if "box" in text:
        stated += _boxes(text)
    if stated:
        return _last_stated(text, stated)
    return _fallback(text, choices)


def _last_stated(text: str, stated: list[_Stated]) -> Extraction:
    if len(stated) == 1:
        return Extraction(stated[0].answer, stated[0].how, 1, _at_end(text, stated[0]))
    stated.sort()
    firm = [item for item in stated if item.how != "phrase" or _looks_like_answer(item.answer)] or stated
    last = firm[-1]
    answers = [last.answer]
    if last.how == "boxed":
        start = last.start
        for other in reversed(firm[:-1]):
            if other.how != "boxed" or not _JOINED.fullmatch(text, other.end, start):
                break
            answers.append(other.answer)
            start = other.start
    distinct = {canonical(item.answer[:MAX_CLAUSE]) for item in firm}
    return Extraction(", ".join(dict.fromkeys(reversed(answers))), last.how, len(distinct), _at_end(text, last))


def _at_end(text: str, last: _Stated) -> bool:
    closed = last.how == "boxed" and text[last.end - 1] == "}"
    return not closed and _REST.match(text, last.end) is not None


def _looks_like_answer(answer: str) -> bool:
    return bool(_STARTS_AS_ANSWER.match(answer))


def _phrases(text: str) -> list[_Stated]:
    found = []
    for head, pattern in _PHRASES:
        for match in pattern.finditer(text) if head in text else ():
            if match["no"]:
                continue
            if plain := _PLAIN.match(text, match.start("clause"), match.end()):
                found.append(_Stated(match.start(), plain.end(1), plain[1], "phrase"))
                continue
            answer, length = _clause_answer(match["clause"][:MAX_CLAUSE])
            if answer:
                found.append(_Stated(match.start(), match.start("clause") + length, answer, "phrase"))
    for match in _HASH.finditer(text) if "####" in text else ():
        found.append(_Stated(match.start(), match.end(), match["clause"][:MAX_CLAUSE].strip(), "hash"))
    return found


def _clause_answer(clause: str) -> tuple[str, int]:
    """The answer at the head of a clause, and how many characters of it were read."""
    filler = _FILLER.match(clause)
    start = filler.end() if filler else 0
    rest = clause[start:]
    if _BOX.search(rest):
        return "", 0                                          # the box speaks for itself
    if math := _MATH.match(rest):
        following = rest[math.end():]
        if not re.match(r"\s*(?:,|or\b|and\b|\d)", following):
            return _inner(math), start + math.end()
    end = _SENTENCE_END.search(rest)
    head = _IN_WORDS.sub("", (rest[:end.start()] if end else rest).strip())
    if (number := _NUMBER_AND_MORE.fullmatch(head)) and not _SEVERAL.search(head):
        head = number[1]
    if not _looks_like_answer(head):
        if maths := list(_MATH.finditer(head)):
            return _inner(maths[-1]), start + maths[-1].end()
        numbers = list(_TAIL_NUMBER.finditer(head))
        if len({number[0] for number in numbers}) == 1 or (numbers and "=" in head):
            return numbers[-1][0], start + numbers[-1].end()
        return (head, start + len(head)) if not numbers and len(head.split()) <= 4 else ("", 0)
    return head, start + len(head)


def _boxes(text: str) -> list[_Stated]:
    """The contents of the last boxes. A box inside a box comes later in the text, so the inner one is the last."""
    found = []
    for box in deque(_BOX.finditer(text), maxlen=MAX_BOXES):
        content, end = _box_content(text, box.end())
        if content.strip():
            found.append(_Stated(box.start(), end, content.strip(), "boxed"))
    return found


def _box_content(text: str, at: int) -> tuple[str, int]:
    """What a box holds, and where it ends; up to MAX_CLAUSE characters where it is not closed."""
    start = text.find("{", at, at + 8)
    if start < 0 or text[at:start].strip():
        bare = _BARE_BOX.match(text, at)
        return (bare[1].rstrip("."), bare.end()) if bare else ("", at)
    depth, limit = 0, min(len(text), start + MAX_CLAUSE)
    for here in range(start, limit):
        depth += (text[here] == "{") - (text[here] == "}")
        if depth == 0:
            return text[start + 1:here], here + 1
    return text[start + 1:limit], limit


def _fallback(text: str, choices: bool) -> Extraction:
    tail = ascii_math(_DENIED.sub("", text[-TAIL:])).rstrip()
    if choices:
        letters = list(_CHOICE.finditer(tail))
        return Extraction(letters[-1][1] or letters[-1][2], "choice") if letters else Extraction(None, "none")
    numbers, formulas = list(_TAIL_NUMBER.finditer(tail)), list(_MATH.finditer(tail))
    if formulas and (not numbers or numbers[-1].start() <= formulas[-1].end()):
        return Extraction(_inner(formulas[-1]), "last_formula", 0, formulas[-1].end() == len(tail))
    if group := _TAIL_TUPLE.search(tail):
        return Extraction(group[1], "last_formula", 0, True)
    if not numbers or _GLUED.match(tail, numbers[-1].end()):
        return Extraction(None, "none")
    return Extraction(numbers[-1][0].strip(), "last_number", 0, numbers[-1].end() == len(tail))


def _inner(formula: re.Match[str]) -> str:
    return next(filter(None, formula.groups()))
