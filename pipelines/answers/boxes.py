"""Boxes: the contents of `\\boxed{…}`, and which boxes are one answer together.

A text goes in, its last boxes come out in order. Boxes joined by commas or words (`\\boxed{2} and \\boxed{3}`), or one
for each part (a), (b), are a list; a box in a later sentence replaces the one before. Boxes with nothing between are a
list too, unless one is repeated: then the model stuttered, and the last one counts.
"""

import re
from collections import deque

from stepforge.pipelines.answers.clauses import MAX_CLAUSE, NOTHING, read_clause
from stepforge.pipelines.answers.statements import Statement
from stepforge.pipelines.answers.surroundings import formula_around, with_alternative
from stepforge.pipelines.answers.wording import DENIED_AFTER, DENIED_BEFORE, MAY_DENY, phrases

MAX_BOXES = 64       # looked at, from the end
MAX_BETWEEN = 160    # characters between two boxes of one list
_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])")
_ANNOUNCED = re.compile(r"(?:nswer|NSWER|[Ff]inal|FINAL)[^.!?\n]*$")
_STEP = re.compile(r"[\s>*_#-]*(?:(?:[Ss]tep|STEP)\s*\d|First|Second|Third|Next|Then)\b")
_BARE_BOX = re.compile(r"\s*([^\s{}$]{1,40})")
_STRAY = re.compile(r"(?<!\\)\\(?=\d)")      # `\15` is 15
_MARKS = r"(?:[\s&~]|\n[ \t]*[-•+](?=\s)|[$*]+|\\[()\[\],;:! ]|\\\\|\\q?quad(?![a-zA-Z])|\\text\{\s*\})*"
_NAME = r"(?:\\?[a-zA-Z]+(?:_\{?\w\}?)?(?:\([\w,]{1,9}\))?\s*=\s*)?"
_WORD = r"(?:[,;.]|(?:\\text\{[\s,]*)?(?:\b(?:and/or|and|or|und|oder|et|ou|y|или|и)\b|[和或与])[\s,]*\}?|\(\s*or\b|/)"
_PERCENT = re.compile(r"[\s$]*(?:\\[)\]]\s*)?(?:\\?%|(?:\\text\{\s*)?(?:percent|per cent|pct)\b)")
_BLANK = re.compile(_MARKS)
_JOINED = re.compile(rf"{_MARKS}(?:{_WORD}{_MARKS}){{0,3}}(?:\b(?:maybe|possibly|perhaps|probably|else|also)\b\s*)?"
                     rf"{_MARKS}{_NAME}{_MARKS}")
_AND_HENCE = re.compile(r"[^.!?\n]{0,60}\band\s+(?:hence|thus|so|therefore|then|consequently)\b[^.!?\n=]{0,40}")
_ONE_NAMED = re.compile(r"\s*(\\?[a-zA-Z]+)\s*=[^=]*").fullmatch
_EMPTY = re.compile(r"(?:\\[ ,;:!_]?|\\q?quad|\\text\{\s*\}|\\hspace\{[^{}]*\}|[\s~_])*").fullmatch  # to fill in
_PART = re.compile(r"\\text\{|\}|\([a-h1-9]\)")
_LISTED = re.compile(rf"{_MARKS}(?:[a-z]+\s+){{0,3}}?[a-z]*[,;]?\s*\b"
                     r"(?:and|or|while|whereas|as well as|together with|along with)\b"
                     rf"[^.!?\n=]{{0,80}}?"
                     rf"{_NAME}{_MARKS}")
_CONSEQUENCE = re.compile(r"\b" + phrases("""so|thus|hence|therefore|then|thereby|giv\\w+|get\\w*|yields?|obtain\\w*
|finally|later|afterwards|instead|now|total|sum|product|wait|but|not|actually|we|answer
|correction|step|check|result""") + r"\b", re.IGNORECASE)
_NAMED = re.compile(rf"{_MARKS}[,;.]?{_MARKS}([A-Za-z][a-z]*(?: [a-z]+){{0,2}}):{_MARKS}")
_NAMED_BEFORE = re.compile(rf"(?:^|[\s,.;])[A-Za-z][a-z]*(?: [a-z]+){{0,2}}:{_MARKS}$")
_PROSE = re.compile(r"(?:\\text[a-z]{0,2}\{)?\s*([A-Za-z]{2,}\s[^\\{}$]*\b(?:is|are|was|were|has|have|had|equals|will"
                    r"|can|needs?|makes?|gets?|takes?|must)\s[^\\{}$]*\d[^\\{}$]*)\}?").fullmatch
_EACH = re.compile(r"[\s$]*(?:\\[)\]])?\s*(for|if|when)\s+[^.\n]{1,60}?[,;]\s*(?:and\s+)?[\s$]*"
                   r"(?:\\[(\[])?\s*").fullmatch
_CHECKS = re.compile(r"(?:^|[.!?,:\n$])[\s*$)\\]*(?:(?:let['’]s|let us|let me|i['’]ll|we can|to)\s+(?:\w+\s+)?"
                     r"(?:verify|check|double-check)(?!\s+(?:the case\s+|for\s+)?\$?[a-z]\s*=)"
                     r"|(?:verifying|check|checking|verify|verification|sanity check)(?=\s*:))\b", re.IGNORECASE)
_SUPPOSES = re.compile(r"\b(?:for comparison|note that if|if (?:we|i|you|it|he|she|they|there) (?:had|were)"
                       r"|(?:without|otherwise)\b[^.\n]{0,80}\bwould (?:be|have been|give))\b", re.IGNORECASE)
_CONCLUDES = re.compile(r"\b" + phrases("""so|thus|therefore|hence|answer|final\\w*|wait|actually|mistake|error|wrong
|correct\\w*|instead|should|no|not|but|however""") + r"\b", re.IGNORECASE)
_UNIT = re.compile(r"(?:\\[,;:! ]|\s)*"
                   r"(?:\\(?:text|mathrm|textrm)\{[^{}\d]{1,20}\}|\\pi(?![a-zA-Z])|\^\{?\\circ\}?|\\%)")
_RESPECTIVELY = re.compile(r"[^\n.]{0,40}\brespectively\b")
_LABEL = re.compile(r"(?:^|\n)[ \t>*#_-]*(?:(?:part|question|problem|case|option|alternative|scenario|solution)\s*)?"
                    r"(?:\(([a-h1-9]|i{1,3}|iv|v)\)"
                    r"|([a-h1-9]|i{1,3}|iv)[).:])|\bpart\s*\(?([a-h1-9]|i{1,3}|iv|v)\b"
                    r"|(?:^|[\s*])\(([a-h]|i{1,3}|iv|v)\)(?=[\s*$\\:])"
                    r"|\b(first|second|third|fourth)\s+(?:answer|root|solution|value|number|part|one)\b",
                    re.IGNORECASE)
_FOLLOWING = dict(zip("abcdefg12345678", "bcdefgh23456789", strict=True)) | {
    "i": "ii", "ii": "iii", "iii": "iv", "iv": "v", "first": "second", "second": "third",
    "third": "fourth"}


def boxes(text: str, percent: bool = False) -> list[Statement]:
    """The last boxes, each list as one statement. A box inside a box comes later, so the inner one counts.

    percent: the reference is one, so a sign or word behind a box belongs to its number: `\\boxed{12}\\%`.
    """
    single: list[Statement] = []
    for box in deque(_BOX.finditer(text), maxlen=MAX_BOXES):
        content, end, closed = _content(text, box.end())
        content = "" if _EMPTY(content) else _STRAY.sub("", content.strip())
        if content and single and _only_checks(text, single[-1], box.start()):
            continue
        if content and _denied(text, box.start(), end):
            single = [item for item in single if item.answer != content]
        elif content:
            if percent and _PERCENT.match(text, end) and content[-1:].isdigit():
                content += r"\%"
            whole = formula_around(text, box.start(), content, end) if closed else ""
            content = with_alternative(content, text, end)
            prose = _PROSE(content)
            reading = read_clause(prose[1]) if prose else NOTHING
            sure = reading.sure and "=" not in whole and (closed or end < len(text))
            part = not _announced(text, box.start()) and _is_step(text, box.start())
            single.append(Statement(box.start(), end, reading.answer or content, "boxed", sure=sure, whole=whole,
                                    to_end=not closed, part=part,
                                    clause=prose[1] if prose else ""))
        elif not closed and single:
            single[-1] = single[-1]._replace(sure=False)           # the text ends where its next box begins
    return single if len(single) < 2 else _together(text, single)


def _only_checks(text: str, previous: Statement, at: int) -> bool:
    """Whether a box only checks or compares: no other answer is come to behind the words that say so."""
    between = text[previous.end:at][-MAX_CLAUSE:]
    check = _SUPPOSES.search(between) or _CHECKS.search(between)
    return check is not None and _CONCLUDES.search(between, check.end()) is None


def _announced(text: str, at: int) -> bool:
    """Whether a box is said to be the answer in its sentence."""
    return _ANNOUNCED.search(text, max(0, at - 80), at) is not None


def _denied(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 40):start].lower()
    return any(map(before.__contains__, MAY_DENY)) and DENIED_BEFORE.search(before) is not None \
        or DENIED_AFTER.match(text, end, end + 60) is not None


def _is_step(text: str, at: int) -> bool:
    """Whether a box stands in a line or under a heading that names a step of the solution."""
    return _STEP.match(text, text.rfind("\n", 0, at) + 1) is not None


def _content(text: str, at: int) -> tuple[str, int, bool]:
    """What a box holds, where it ends and whether it is closed; up to MAX_CLAUSE characters where it is not."""
    start = text.find("{", at, at + 8)
    if start < 0 or text[at:start].strip():
        bare = _BARE_BOX.match(text, at)
        return (bare[1].rstrip("."), bare.end(), True) if bare else ("", at, True)
    depth, limit = 0, min(len(text), start + MAX_CLAUSE)
    for here in range(start, limit):
        depth += ((text[here] == "{") - (text[here] == "}")) * (text[here - 1] != "\\")
        if depth == 0:
            return text[start + 1:here], here + 1, True
    return text[start + 1:limit], limit, False


def _together(text: str, single: list[Statement]) -> list[Statement]:
    groups: list[list[Statement]] = []
    for at, box in enumerate(single):
        between = text[single[at - 1].end:box.start] if at else ""
        if unit := _UNIT.match(between):
            between = between[unit.end():]                     # \boxed{3}\pi and \boxed{4}\pi
        if at and _joined(text, single[at - 1], between, box):
            groups[-1].append(box)
        else:
            groups.append([box])
    return [_list(text, group) for group in groups]


def _joined(text: str, previous: Statement, between: str, box: Statement) -> bool:
    """Whether two neighbours are one answer; `between` is the text from one to the other."""
    if box.start < previous.end:
        return False
    if len(between) <= MAX_BETWEEN and (_JOINED.fullmatch(between) or (
            _LISTED.fullmatch(_PART.sub(" ", between)) and not _CONSEQUENCE.search(between))):
        return True
    if len(between) <= MAX_BETWEEN and (case := _EACH(between)) \
            and re.match(rf"[\s$\\)\]]*{case[1]}\b", text[box.end:box.end + 20]):
        return True                                            # \boxed{1} for even n, \boxed{2} for odd n
    names = _ONE_NAMED(previous.answer), _ONE_NAMED(box.answer)
    if names[0] and names[1] and names[0][1] != names[1][1] and _AND_HENCE.fullmatch(between):
        return True
    if (name := _NAMED.fullmatch(between)) and not _CONSEQUENCE.search(name[1]) \
            and _NAMED_BEFORE.search(text[max(0, previous.start - 60):previous.start]):
        return True
    label, before = _label(between), _label(text[max(0, previous.start - 2000):previous.start])
    return label is not None and _FOLLOWING.get(before or "") == label


def _label(text: str) -> str | None:
    labels = _LABEL.findall(text[-2000:])
    return next(filter(None, labels[-1])).lower() if labels else None


def _list(text: str, group: list[Statement]) -> Statement:
    """One statement of the boxes of a group."""
    last = group[-1]
    answers = [box.answer for box in group]
    if len(group) > 1 and len(set(answers)) < len(answers) and not _RESPECTIVELY.match(text, last.end):
        between = [text[first.end:second.start] for first, second in zip(group, group[1:], strict=False)]
        if len(set(answers)) == 1 or all(map(_BLANK.fullmatch, between)):
            return last
    if len(group) == 1:
        return last
    wholes = ["" if any(f"{{{other.answer}}}" in box.whole for other in group if other is not box) else box.whole
              for box in group]                                # \boxed{8}\boxed{9} are two, not one formula
    whole = ", ".join(whole or answer for whole, answer in zip(wholes, answers, strict=True)) if any(wholes) else ""
    return last._replace(start=group[0].start, answer=", ".join(answers), whole=whole)
