"""What stands around a box: `\\boxed{12}\\pi`, `-\\boxed{5}`, `5+\\boxed{3}=8`, `\\boxed{12}` or 13.

A text and the place of a box go in; the formula of which the box is only a part comes out, or the values that plain
words join to the box. What a box leaves out makes another answer, so its content alone proves nothing then.
"""

import re

from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.terms import SHORT_UNITS

REACH = 300          # characters of a formula on either side of a box
_DOLLARS = re.compile(r"(?<!\\)\$\$?")
_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*")
_SPACE = r"(?:\\[,;:! ]|\\q?quad(?![a-zA-Z])|~|\s)*"
_BEFORE = re.compile(r"(?:[-+*/^_\d]|\\(?:cdot|times|div|pm|mp|ln|log|sin|cos|tan)(?:_\{?\w+\}?)?"
                     r"|\\(?:sqrt|[dtc]?frac)(?:\[\w+\]|\{[^{}]*\})?\{|[\^_]\{"
                     rf"|\\boxed\{{[^{{}}]*\}}(?:{_SPACE}:|\}}\{{)){_SPACE}$")
_BEHIND = re.compile(rf"{_SPACE}(?:\^(?!\s*\{{?\s*(?:\\circ|\\text))|!(?=[^!\s])"
                     r"|(?:\\(?:cdot|times|div|pm)(?![a-zA-Z])|[-+*/])\s*[\w({]"
                     r"|(?:(?:\\(?:cdot|times|div|pm)(?![a-zA-Z])|[-+*/])\s*)?"
                     r"\\(?:sqrt|pi|[dtc]?frac|binom|boxed|log|ln|sin|cos|tan)(?![a-zA-Z])"
                     r"|(?P<letter>[a-zA-Z])(?![a-zA-Z{]))")
_PARTED = re.compile(r"(=|\\(?:approx|Rightarrow|implies|to|rightarrow|therefore|q?quad|simeq|in|le|ge|leq|geq|ne)"
                     r"(?![a-zA-Z])|≈|(?<!\\)[<>&,;]|\\\\|\\text[a-z]{0,2}\{[^{}]*\})")
_END = re.compile(r"[\s.,;]|$")        # of a formula without signs around it
_RATIO = re.compile(r"\{(\w+)\}\s*(?=:)|(?<=:)\s*\{(\w+)\}")
_NUMBER = re.compile(r"[-\d.,\s]+").fullmatch
_OR_MORE = re.compile(r"[\s$*]*(?:\\[)\]])?[\s$*]*or\s+(?:(more|greater|higher|larger|above|at least)"
                      r"|less|fewer|lower|smaller|below|at most)\b")
_OR_INTEGER = re.compile(r"[\s$*]*(?:\\[)\]])?[\s$*]*(?:,\s*)?or\s+(?:maybe\s+|possibly\s+|perhaps\s+)?"
                         r"[$*\\(\s]*(-?\d{1,18})(?![\w,.%/^\\]*\w|\s*[-+*/^\\%])")
_LETTER = re.compile(r"(?:\\text[a-z]{0,2}\{)?\(?([A-J])\)?\}?").fullmatch
_OR_LETTER = re.compile(r"[\s$*]*(?:\\[)\]])?[\s$*]*(?:,\s*)?(?:or|/)\s+"
                        r"(?:maybe\s+|possibly\s+|perhaps\s+)?\(([A-J])\)")


def formula_around(text: str, start: int, content: str, end: int) -> str:
    """The formula around a box with the box taken off, empty where nothing but its name (`x=`) belongs to the box.

    An equation comes out whole, with its sign of equality, because a box in it may be a blank that was filled in.
    """
    before = text[max(0, start - REACH):start]
    near = _BEFORE.search(before)
    behind = _BEHIND.match(text, end, end + REACH)
    if near is None and (behind is None or behind["letter"] in SHORT_UNITS):
        return ""
    opening, closed = max(before.rfind("\\("), before.rfind("\\[")), max(before.rfind("\\)"), before.rfind("\\]"))
    if opening > closed:
        inside, close = opening + 2, {"(": "\\)", "[": "\\]"}[before[opening + 1]]
    else:
        dollars = list(_DOLLARS.finditer(before, before.rfind("\n\n") + 1))
        inside, close = (dollars[-1].end(), dollars[-1][0]) if len(dollars) % 2 else (len(before), "")
    stop = text.find(close, end, end + REACH) if close else _END.search(text, end).start()  # type: ignore[union-attr]
    if stop < 0 or not close and (near is not None or text[end:end + 1] != "\\"):
        return ""
    head, tail = _PARTED.split(before[inside:]), _PARTED.split(text[end:stop])
    whole = _RATIO.sub(r"\1\2", _BOX.sub("", f"{head[-1]}{{{content}}}{tail[0]}")).strip(" .")
    if whole.count("{") != whole.count("}") or whole.count("(") != whole.count(")") \
            or canonical(whole) == canonical(content):
        return ""
    if len(tail) > 2 and tail[1] == "=" and tail[2].strip():
        return f"{whole}={tail[2]}"
    return f"{head[-3]}={whole}" if len(head) > 2 and head[-2] == "=" and _NUMBER(head[-3]) else whole


def with_alternative(content: str, text: str, end: int) -> str:
    """The content of a box and what plain words behind it offer beside: `\\boxed{12} or 13`, `\\boxed{12} or more`."""
    if (letter := _LETTER(content)) and (other := _OR_LETTER.match(text, end, end + REACH)):
        return f"{letter[1]}, {other[1]}"
    if not content.lstrip("-").isdigit():
        return content
    if bound := _OR_MORE.match(text, end, end + REACH):
        return rf"x\ge {content}" if bound[1] else rf"x\le {content}"
    other = _OR_INTEGER.match(text, end, end + REACH)
    return f"{content} or {other[1]}" if other and int(other[1]) != int(content) else content
