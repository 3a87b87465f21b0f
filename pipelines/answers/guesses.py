"""Guesses: the value that a text arrives at without calling it the answer, such as `so there are 3 of them`.

The tail of a text goes in; the value of its last sentence that states one comes out (sentence.py). A guess is `sure`
where the last sentence offers no other value: only then does a mismatch say that the solution is wrong.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from stepforge.pipelines.answers import wording
from stepforge.pipelines.answers.afterwords import UNKNOWN, before_check, concluded_before, follows_another_part
from stepforge.pipelines.answers.doubts import is_doubted
from stepforge.pipelines.answers.sentence import BEFORE, MARKER, Guess, denied_before, guess_in, without_markup
from stepforge.pipelines.answers.terms import MATH, STOP
from stepforge.pipelines.answers.wording import SENTENCE_END

TAIL = 2000          # characters searched
MAX_SENTENCES = 12   # looked at, from the end
_LEFT_OUT = re.compile(r"<<[^<>\n]*>>|\\(?:boxed|fbox)\{[^{}]*\}")     # a calculator's notes; boxes that were denied
_CODE = re.compile(r"```(?:python|py|tool_code|javascript|js|java|cpp|c|julia|sql|bash|sh)\b.*?(?:```|\Z)"
                   r"|<tool_call>.*?(?:</tool_call>|\Z)", re.DOTALL | re.IGNORECASE)        # it says no result
_PARTS_OF = re.compile(r"(?:\n|\A)\W*(?i:in )?(?i:total)\b[^\n\d]{0,20}[:=][ *$]*(?P<total>\d[\d,]*(?:\.\d+)?)"
                       r"[^\n\d=]{0,30}(?P<list>(?:\n[ \t]*[-*•+] [^\n\d=]{1,30}: *\$?\d[\d,.]*[^\n\d=]{0,20})+)\s*\Z")
_AMOUNT = re.compile(r"\d[\d,]*(?:\.\d+)?")
_HEADING = re.compile(r"(?:\n|\A)#{1,6}[^\n]*\n(?=\s*[^\s#])")              # one with text under it ...
_OPEN_HEADING = re.compile(r"(?:\n|\A)#{1,6} *\d{1,2}\.? +[A-Z][a-z]+(?: [a-zA-Z]+)*\s*\Z")     # ... or of a section
_ALIGNED = re.compile(r"(?:\\\[|\$\$)?\s*\\begin\{(align|aligned|gather|gathered|equation|split|eqnarray|multline)"
                      r"\*?\}(.*?)\\end\{\1\*?\}\s*(?:\\\]|\$\$)?", re.DOTALL)
_SEVERAL = re.compile(r"\b(?:solutions?|values|roots|answers)\b(?:[^\n]{0,40}\b(?:are|is))?[*\s]*:[*\s]*\n"
                      r"(?=(?:\s*(?:[-*•+]|\d{1,2}[.)]|\\\[)[^\n]{1,90}\n+){1,12}"
                      r"\s*(?:[-*•+]|\d{1,2}[.)]|\\\[)[^\n]{1,90}\Z)", re.IGNORECASE)
_PLURAL = re.compile(r"solutions|values|roots|answers", re.IGNORECASE).match
_VALUE_ALONE = re.compile(r"(?:\\?[a-zA-Z](?:_\{?\w\}?)?\s*=\s*)?[-+\d.,/\\{}()^√πa-z ]*\d[^a-zA-Z=]*").fullmatch
_RULE = re.compile(r"(?:\n\s*[-*_=#\s]+)+$")
_LAST_WORD = re.compile(r"[a-zA-Z]+$")


def guess(text: str) -> Guess | None:
    """The value that the end of a text states, its check left out; None where none of its last sentences has one."""
    tail = text[-TAIL:]
    kept, doubtful = before_check(tail)
    found = len(kept) < len(tail) and _guess(kept) or _guess(text)
    return found._replace(sure=False, doubted=True) if found and doubtful else found


def _guess(text: str) -> Guess | None:
    coded = False                                               # whether it ends in code whose output nobody shows
    if "```" in text or "<tool_call>" in text:
        text = text.rstrip()
        coded = any(block.end() == len(text) for block in _CODE.finditer(text))
        text = _CODE.sub("\n", text)
    tail = text[-TAIL:].rstrip()
    if "\n" in tail and (parts := _PARTS_OF.search(tail)) and _adds_up(parts["total"], parts["list"]):
        tail = tail[:parts.start("list")]
    if "<<" in tail or "box" in tail:
        tail = _LEFT_OUT.sub("", tail).rstrip()
    if "#" in tail:
        tail = _HEADING.sub("\n", tail)
    opened = _OPEN_HEADING.search(tail) if "#" in tail else None
    finished = opened is None and not coded
    if opened:
        tail = tail[:opened.start()]
    if "\\begin{" in tail:
        tail = _ALIGNED.sub(lambda lines: f"\n${_last_line(lines[2])}$\n", tail)
    if "\\[" in tail or "\\(" in tail or "$$" in tail:
        tail = MATH.sub(lambda math: math[0].replace("\n", " "), tail)
    tail = tail.strip()
    if (several := _listed(tail)) is not None:
        return several
    best: Guess | None = None
    last = True
    for start, end in islice(_sentences(tail), MAX_SENTENCES):
        sentence = tail[start:end].strip()
        if not any(map(str.isalnum, sentence)) or wording.CLOSING.match(sentence) \
                or MARKER.fullmatch(tail[start:end].strip("\n")):
            continue
        candidate = guess_in(sentence, tail[:start])
        if best is not None:                        # a formula that is not sure: a bold value before it is better
            return candidate._replace(sure=False) if candidate is not None and candidate.bold else best
        if candidate is not None:
            if _is_denied(tail, candidate.answer):
                return None
            to_end = candidate.to_end and end == len(tail)
            ends = to_end or _is_finished(tail)
            shown = len(tail[:end].rstrip()) - 1                # `I am not sure` may follow in a sentence of its own
            doubted = candidate.doubted or is_doubted(tail, start, start, max(start, shown)) \
                or not finished or last and not ends
            stale = not candidate.bold and concluded_before(tail, start, sentence)
            alone = candidate.sure and not stale and not follows_another_part(tail[:start], sentence)
            best = candidate._replace(sure=alone and last and finished and ends, to_end=to_end,
                                      doubted=doubted or stale)
            if best.bold or best.sure or not best.formula:
                return best
        if last and (wording.PLAN.search(sentence) or not _is_finished(tail)):
            finished = False
        last = False
    return best


def _adds_up(total: str, parts: str) -> bool:
    """Whether the numbers of a list make up the total before it."""
    whole, *some = (Decimal(number.replace(",", "").rstrip(".")) for number in [total, *_AMOUNT.findall(parts)])
    return sum(some) == whole


def _listed(tail: str) -> Guess | None:
    """Values in lines of their own at the end, behind a line that announces several: `The solutions are:`."""
    head = _SEVERAL.search(tail)
    if head is None:
        return None
    items = [line.strip() for line in tail[head.end():].split("\n") if line.strip()]
    answers = [without_markup(MARKER.sub("", item, count=1)).strip(" .,;") for item in items]
    answers = [answer.removeprefix("\\[").removesuffix("\\]").strip(" $") for answer in answers]
    if len(answers) < 2 or not all(map(_VALUE_ALONE, answers)):
        return None
    names = [name[1] for answer in answers if (name := UNKNOWN(answer))]
    if not _PLURAL(head[0]) and not len(answers) == len(names) == len(set(names)):
        return None                                            # the steps of one solution
    return Guess(", ".join(answers), True, True)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a text start and end, the last one first."""
    end = len(text)
    while end > 0:
        line = text.rfind("\n", 0, end) + 1
        for start in [line, *(bound.end() for bound in SENTENCE_END.finditer(text, line, end))][::-1]:
            if start < end:
                yield start, end
            end = start
        end = line - 1


def _is_denied(text: str, value: str) -> bool:
    """Whether a text says anywhere that a value is not the answer."""
    if "nswer" not in text:
        return False
    return any("nswer" in text[max(0, place.start() - BEFORE):place.end() + BEFORE]
               and (denied_before(text, place.start())
                    or wording.DENIED_AFTER.match(text, place.end()) is not None)
               for place in re.finditer(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)", text))


def _is_finished(text: str) -> bool:
    """Whether a text ends where a sentence may end, not behind a comma, a sign or a word that leads on."""
    text = _RULE.sub("", text)
    word = _LAST_WORD.search(text)
    leads_on = word is not None and (word[0].casefold() in STOP or word[0].endswith("ing"))
    return not leads_on and text[-1] not in ",;:+-/=^(<{\\"


def _last_line(lines: str) -> str:
    """The last line of aligned equations, without what aligns it."""
    return next((line for line in reversed(lines.split("\\\\")) if line.strip(" \n&")), "").replace("&", "").strip()
