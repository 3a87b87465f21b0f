"""Statements: where a text names its answer, as `The answer is 18`, `#### 18`, `"answer": "18"` or under a heading.

A text goes in; its statements come out in order. A Markdown heading is structure: `#### 18` counts because the line is
bare, and under `### Final Answer` the next line counts. `If the answer is 5` and `number of wrong answers: 5` state
nothing.
"""

import re
from collections import deque
from typing import Literal, NamedTuple

from stepforge.pipelines.answers.afterwords import before_any_check
from stepforge.pipelines.answers.clauses import MAX_CLAUSE, Reading, bare_answer, read_clause
from stepforge.pipelines.answers.foreign_numbers import in_digits, joined
from stepforge.pipelines.answers.guesses import guess
from stepforge.pipelines.answers.sentence import guess_in
from stepforge.pipelines.answers.terms import MATH
from stepforge.pipelines.answers.wording import CONDITION, SENTENCE_END, UNREAL

MAX_STATEMENTS = 64  # looked at, from the end

MAX_LISTED = 12      # answers in lines of their own
MAX_SHORT = 4        # characters of an answer in a script without spaces, such as `是`
MAX_WORDS = 200      # characters of a clause that may be the reference word for word

How = Literal["boxed", "hash", "phrase", "choice", "last_formula", "last_number", "none", "unclosed_thought"]


class Statement(NamedTuple):
    """firm: the answer stands where it is announced, not somewhere in a sentence. to_end: the text ends with it.

    part: an answer to a part of the problem, which is no guess at the whole. clause: the words that state the answer.
    plain: nothing else stands in their line, so no word can leave the answer open. whole: the formula of which a box
    is only a part.
    """

    start: int
    end: int
    answer: str
    how: How
    firm: bool = True
    sure: bool = True
    to_end: bool = False
    part: bool = False
    clause: str = ""
    plain: bool = False
    whole: str = ""


_HEADS = (("nswer", re.compile(r"nswers?(?![a-z])")), ("NSWER", re.compile("NSWERS?(?![A-Z])")),
          ("A:", re.compile(r"A(?=:(?:(?<=\nA:)|(?<![\s\S]A:)))")))
_RARE_HEADS = (("esult", re.compile(r"(?<=[rR])esult(?![a-z])")), ("ESULT", re.compile(r"(?<=R)ESULT(?![A-Z])")),
               *((name, re.compile(rf"(?<![a-zA-Z]){name}(?=[.: =])\.?")) for name in ("Ans", "ans", "ANS")))
_FOREIGN = (("espuesta", re.compile("[Rr]espuesta")), ("esposta", re.compile("[Rr]esposta")),
            ("isposta", re.compile("[Rr]isposta")), ("ntwort", re.compile("[Aa]ntwort")),
            ("ponse", re.compile("[Rr][ée]ponse")))
_OTHER_SCRIPTS = re.compile("[Оо]твет|答案|答え|答(?=[:：])|정답|답(?=[은는:])|故应?选|本题应?选|因此选|所以选")
_FOREIGN_LINK = re.compile(r"[*_\s]*(?:(?:final|finale|correcta|correcte|richtige)[\s*_]*)?"
                           r"(?:es|est|ist|é|è|lautet|[:：]|应?选择?|是|为|為|は|은|는|—|-|="
                           r"|(?<=选)(?=[:：]?[ (（]*[A-J](?![ )）]*(?:是)?[错不])))"
                           r"(?![a-z])\s*[:：]?[\s*_]*")
_DECIMAL_COMMA = re.compile(r"(-?(?:\d{1,3}(?:\.\d{3})+|\d+)),(\d{1,2}|\d{4,})((?:[^\d,].*)?)").fullmatch
_CLOCK = re.compile(r"(\d{1,2})[.:](\d\d) ?(?:Uhr|h)\b.*").fullmatch
_POINTED = re.compile(r"-?\d{1,3}(?:\.\d{3})+\b").match                # 1.500 may be 1500
_PLAIN = re.compile(r"(-?\$?\d+(?:,\d{3})*(?:\.\d+)?)\.?[^\S\n]*(?:\n|\Z)", re.ASCII)
_QUICK = re.compile(r"(?: is|:) (-?\$?\d+(?:,\d{3})*(?:\.\d+)?)\.?[^\S\n]*(?:\n|\Z)", re.ASCII)
_LINK = re.compile(
    r"""["'*_`)>]*(?:\s*(?:[-=]+>|[:=|→>\]])["'*_`]*
    |\s+(?:\([^()\n]{1,40}\)\s+)?(?P<part>(?:to|for|of|in|here)\b[^\n.:]{0,80}?\s)?
    (?:(?:therefore|thus|then|hence|simply|indeed|also|again)\s+)?
    (?:is|are|was|were|equals|becomes|remains|comes\ out\ (?:to\ be|to|as)
    |(?:would|will|should|must|has\ to|turns\ out\ to|happens\ to|appears\ to|seems\ to|might|may|could)\ be|'s)\b
    [:*]*)\s*""", re.VERBOSE)
_PART = re.compile(r"(?:to|for|of|in)\s+(?:the\s+)?(?:first|second|third|part|question|sub|\()", re.IGNORECASE)
_TITLE = re.compile(r"[*_` \t]*:?[*_` \t]*\n\s*(?:(?:={3,}|-{3,}|`{3}\w*)\s*\n\s*)?(?:[-*•>]\s+)?(?=\S)")
_BULLET = re.compile(r"(?:[-*•+]|\d{1,2}[.)])[ \t]+(?=\S)")
_LIST_MARKS = ("-", "*", "•", "+", "1.", "[")
_ITEM = re.compile(r"\s*(?:(?P<mark>[-*•+])[ \t]+|(?P<number>\d{1,2}[.)])[ \t]+)?"
                   r"(?:\\\[[ \t\n]*(?P<shown>[^\n\[\]]{1,80}?)[ \t\n]*\\\]"
                   r"|(?P<item>[^\s\\][^\n]{0,80}|\\\([^\n]{1,80}))"
                   r"[ \t]*(?=\n|\Z)")
_TITLE_BEFORE = re.compile(r"[\W\d_]*(?:(?:the|my|our|your)\s)?(?:(?:final|correct|short|full|end)\s)?[ar]?",
                           re.IGNORECASE)
_FINAL = re.compile(r"(?:final|end) r", re.IGNORECASE)
_EXPLAINED = re.compile(r"\n\s*(?:#{1,6} *\**|\*\*)?(?:explanation|reasoning|justification|breakdown|working"
                        r"|check|verification|note)[*_]*(?::|\**[ \t]*\n)", re.IGNORECASE)
_USUAL = frozenset(("A", "The a", "The final a", "Final A", "**A", "**Final A", "So the a", "Therefore, the a", ""))
_COUNTED = re.compile(r"\b(?:number|total|count|sum|many|wrong|false|incorrect|each|different|distinct|other)\b"
                      r"[^.\n]{0,30}$", re.IGNORECASE)
_NONE = re.compile(r"\b(?:no|wrong|incorrect|false|mistaken|naive|tempting) (?:\w+ )?a?$", re.IGNORECASE)
_CHECKED = re.compile(r"\b(?:(?:double-)?check(?:ing)?|verify(?:ing)?|verification)"
                      r"(?: of)?(?: (?:the|our|my|this|your))*\s*a?$", re.IGNORECASE)
_SURENESS = re.compile(r"\b(?:confidence|certainty) (?:of|in|about)(?: (?:the|our|my|this|your))*\s*a?$",
                       re.IGNORECASE)
_OPTIONS = re.compile(r":[^\n]*\n+B:").match
_IF = re.compile(r"[^.\n]*\b(?:if|had)\b").match
_HOWEVER = re.compile(r"[^!?\n]{0,80}?\.\s+(?:However|But)\b").match
_IN_CASE = re.compile(r"[^.\n]{0,40}\b(?:if|had|unless|without)\b").match
_LETTER = re.compile(r"(?:^|[\s*(])\(?([A-Z])[)*]*$")
_NEGATED = re.compile(r"(?:not|n['’]t|never)$")
_BACKWARD = re.compile(r"\s(?:is|are|as|be)\s+(?:thus\s|therefore\s|indeed\s)?(?:the|our|my|your)\s(?:\w+\s){0,2}"
                       r"a$", re.IGNORECASE)
_HASH = re.compile(r"(?<!#)####(?!#)[ \t]*(?P<clause>\S[^\n]*)")


def statements(text: str, choices: bool = False) -> list[Statement]:
    """The last statements of a text other than its boxes; results and other languages where it names no answer."""
    stated = _at_heads(text, _HEADS, choices)
    if "####" in text:
        stated += [statement for match in deque(_HASH.finditer(text), maxlen=MAX_STATEMENTS)
                   if (statement := _hash(text, match)) is not None]
    return stated


def rare_statements(text: str, choices: bool = False) -> list[Statement]:
    """Statements in forms that are looked for only where there is no other."""
    return _at_heads(text, _RARE_HEADS, choices) + _foreign(text, choices)


def _at_heads(text: str, heads: tuple[tuple[str, re.Pattern[str]], ...], choices: bool) -> list[Statement]:
    return [statement for head, pattern in heads if head in text for match in _places(text, head, pattern)
            if (statement := _stated(text, match, choices)) is not None]


def _places(text: str, head: str, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """The last matches of a pattern that begins with a plain text, in order."""
    places: list[re.Match[str]] = []
    at = text.rfind(head)
    while at >= 0 and len(places) < MAX_STATEMENTS:
        if match := pattern.match(text, at):
            places.append(match)
        at = text.rfind(head, 0, at)
    return places[::-1]


def _stated(text: str, head: re.Match[str], choices: bool) -> Statement | None:
    """What stands at one word `answer`, `result` or `A`."""
    start, after = head.span()
    if head[0] == "A" and _OPTIONS(text, after):
        return None                                             # A: 2 apples, B: 3 apples
    line = text[max(text.rfind("\n", 0, start) + 1, start - 200):start]
    if line in _USUAL and (quick := _QUICK.match(text, after)):
        end = quick.end(1)
        to_end = end == len(text) or not text[end:].strip(" \t")
        return Statement(start, end, quick[1], "phrase", True, True, to_end, False, "", True)
    link = _LINK.match(text, after)
    title = None if link and "\n" not in link[0] else _TITLE.match(text, after)
    if title is not None and _TITLE_BEFORE.fullmatch(line):
        return _titled(text, head.start(), title.end(), choices)
    if line not in _USUAL and not _asserted(line, head[0], link is not None and ":" in link[0]):
        return None
    if link is None:
        return _backward(head, line, choices)
    if "would" in link[0] and _is_unreal(line):
        return None
    at = link.end()
    if "\n" in link[0] and (several := _listed(text, head.start(), at)) is not None:
        return several
    if "\n" in link[0] and (bullet := _BULLET.match(text, at)):
        at = bullet.end()
    if plain := _PLAIN.match(text, at):
        return Statement(head.start(), plain.end(1), plain[1], "phrase",
                         to_end=not text[plain.end(1):].strip(" \t"), part=bool(_PART.match(link["part"] or "")))
    clause = text[at:at + MAX_CLAUSE]
    if link[0][:1] in (">", "]"):                               # <answer>…</answer>, [ANSWER]…[/ANSWER]
        clause = clause.split(text[start - 2] + "/", 1)[0] if text[start - 2:start - 1] in ("<", "[") else ""
    if "would" in link[0] and (_IF(clause) or _HOWEVER(clause)):
        return None                                             # it would be 5 if x were even
    if _announces(clause):
        return None                                             # the box or the phrase inside speaks for itself
    reading = read_clause(clause, choices)
    if reading.answer is None:
        return None
    if not reading.firm and link[0].lstrip('"*_`').startswith(":"):
        reading = _searched(text, at) or reading
    return _statement(text, head.start(), at, reading, bool(_PART.match(link["part"] or "")))


def _listed(text: str, start: int, at: int) -> Statement | None:
    """Different answers in two or more lines with one mark, or displayed, each a value and nothing else; else None."""
    answers: list[str] = []
    end = at
    kind = text[at - 2:at].strip() if text[at - 1:at].isspace() else ""      # the bullet of a title's first line
    while len(answers) < MAX_LISTED and (item := _ITEM.match(text, end)):
        plain = item["shown"] or item["item"]
        answer = None if plain.startswith(("=", "≈", r"\approx")) else bare_answer(plain)
        mark = item["mark"] or (item["number"] and "1.") or (item["shown"] and "[") or (kind if not answers else "")
        if answer is None or mark not in _LIST_MARKS or answers and mark != kind:
            break
        kind = mark
        answers.append(answer.rstrip(" .,;"))
        end = item.end()
    if len(set(answers)) < 2:
        return None
    return Statement(start, end, ", ".join(answers), "phrase", to_end=not text[end:].strip())


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _announces(clause: str) -> bool:
    return re.match(r"[^.\n]{0,60}?(?:\\boxed|\\fbox|nswer\b|NSWER\b)", clause) is not None


def _asserted(line: str, word: str, colon: bool) -> bool:
    """Whether the words before `answer` leave it a statement: not a condition, a doubt or a count of answers."""
    if word.lower() == "esult":
        tagged = line[-2:].lower() == "<r"                       # <result>18</result>
        return tagged or bool(_FINAL.search(line[-7:])) or (colon and bool(_TITLE_BEFORE.fullmatch(line)))
    if word == "A" or not line.strip("#*_ "):
        return True
    if word.lower().endswith("s") and word != "Ans" and _COUNTED.search(line):
        return False
    if _SURENESS.search(line) or colon and _CHECKED.search(line):
        return False
    return CONDITION.search(line) is None and _NONE.search(line) is None


def _titled(text: str, start: int, at: int, choices: bool) -> Statement | None:
    """The answer under a heading: its first line, else what the text after it arrives at."""
    clause = text[at:at + MAX_CLAUSE]
    if _announces(clause):
        return None
    if (several := _listed(text, start, at)) is not None:
        return several
    reading = read_clause(clause, choices)
    if not reading.firm:
        reading = _searched(text, at) or reading
    return _statement(text, start, at, reading, False) if reading.answer is not None else None


def _searched(text: str, at: int) -> Reading | None:
    """What a sentence behind a title states, if the title closes a solution; else what the text behind it comes to."""
    behind = before_any_check(text[at:])
    explained = _EXPLAINED.search(behind)
    best = guess(behind[:explained.start()]) if explained else None
    if best is None or not best.sure:
        best = guess(behind)
    return Reading(best.answer, False, best.to_end, best.sure) if best else None


def _is_unreal(line: str) -> bool:
    """Whether the last sentence supposes what is not so: `if x were even, the answer would be 12`."""
    return UNREAL.search(SENTENCE_END.split(line)[-1]) is not None


def _backward(head: re.Match[str], line: str, choices: bool) -> Statement | None:
    """`12 is the answer`."""
    named = _BACKWARD.search(line)
    if named is None:
        return None
    before = line[:named.start()]
    if before.endswith("would") and (_is_unreal(before) or _IN_CASE(head.string, head.end())):
        return None                                             # if x were even, 12 would be the answer
    if _NEGATED.search(before):
        return None
    if choices and (letter := _LETTER.search(before)):
        return Statement(head.start(), head.end(), letter[1], "phrase")
    best = guess_in(SENTENCE_END.split(before)[-1])
    if best is None and (formulas := MATH.findall(before)) and before.endswith(("$", "\\)", "\\]")):
        return Statement(head.start(), head.end(), "".join(formulas[-1]), "phrase")
    return Statement(head.start(), head.end(), best.answer, "phrase", best.sure, best.sure) if best else None


def _statement(text: str, start: int, at: int, reading: Reading, part: bool) -> Statement:
    end = min(_line_end(text, at), at + MAX_CLAUSE)
    to_end = reading.to_end and not text[end:].strip(" \t")
    clause = text[at:end] if end - at <= MAX_WORDS else ""
    return Statement(start, at, reading.answer or "", "phrase", reading.firm, reading.sure, to_end, part, clause)


def _foreign(text: str, choices: bool) -> list[Statement]:
    heads = [match for head, pattern in _FOREIGN if head in text
             for match in deque(pattern.finditer(text), maxlen=MAX_STATEMENTS)]
    if not text.isascii():
        heads += deque(_OTHER_SCRIPTS.finditer(text), maxlen=MAX_STATEMENTS)
    stated = []
    for head in heads:
        if link := _FOREIGN_LINK.match(text, head.end()):
            clause = in_digits(head[0], text[link.end():link.end() + MAX_CLAUSE])
            reading = read_clause(joined(clause), choices)
            short = reading.answer is not None and not reading.answer.isascii() and len(reading.answer) <= MAX_SHORT
            if reading.answer is not None and (reading.firm or short) and not _announces(clause):
                if head[0][0].isascii() or head[0][1:] == "твет":
                    reading = reading._replace(answer=_with_point(reading.answer), sure=not _POINTED(reading.answer))
                stated.append(_statement(text, head.start(), link.end(), reading, False))
    return stated


def _with_point(answer: str) -> str:
    """A decimal comma as a point: `3,5` and `1.234,5` of languages that write it so; `20.30 Uhr` as 20:30."""
    if (joint := re.search(" and | or ", answer)) is not None:
        return f"{_with_point(answer[:joint.start()])}{joint[0]}{_with_point(answer[joint.end():])}"
    if clock := _CLOCK(answer):
        return f"{clock[1]}:{clock[2]}"
    comma = _DECIMAL_COMMA(answer)
    return f"{comma[1].replace('.', '')}.{comma[2]}{comma[3]}" if comma else answer


def _hash(text: str, match: re.Match[str]) -> Statement | None:
    """`#### 18`: an answer where the line holds nothing else, a heading otherwise."""
    last = not text[match.end():].strip()
    clause = match["clause"][:MAX_CLAUSE].split("####", 1)[0].strip()
    answer = bare_answer(clause, last)
    if answer is None:
        return None
    return Statement(match.start(), match.end(), answer, "hash", to_end=not text[match.end():],
                     clause=clause[:MAX_WORDS])
