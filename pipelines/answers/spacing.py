"""Gaps: which spaces of a formula part two answers, as in `x=4 \\quad x=5`, and which are mere space.

LaTeX without style goes in; a ` ; ` comes out wherever a gap parts two answers. A wide gap parts any two formulas. A
space of any width parts two statements, such as `x=4\\; x=5`, where the next name follows a whole value.
"""

import re

from stepforge.pipelines.answers.units import is_unit

_WIDE = re.compile(r"\s*(?:\\(?:q?quad|enspace|hfill|newline|linebreak|par)(?![a-zA-Z])\s*"
                   r"|\\[hv]space\*?\s*\{[^{}]*\}\s*|(?:(?:\\[;: ]|~)\s*){2})+(?:(?:\\[,;: ]|~)\s*)*")
_RELATION = r"(?:=(?![=>])|[<>]|\\(?:le|ge|ne|in|equiv|approx)(?![a-zA-Z]))"
_RELATES = re.compile(_RELATION)
_NEXT = re.compile(r"(\\[a-zA-Z]+|[\w)}\]°%!])((?:\s|\\[,!;:> ]|~)+)"
                   r"(?=(\\?[a-zA-Z]+(?:_\{?\w+\}?)?'*(?:\([\w,]{1,9}\))?)\s*" + _RELATION + ")")
_ROWS = re.compile(r"(?:\\left\s*)?(?:\\\{|\.)?\s*"
                   r"\\begin\{(cases|align|aligned|gather|gathered|split|array|equation)(\*?)\}"
                   r"(?:\{[lcr| ]*\})?(.*?)\\end\{\1\2\}\s*(?:\\right\s*\.)?", re.DOTALL)
ROW_BREAK = re.compile(r"\\\\\s*(?:\[\s*-?[\d.]+\s*[a-z]{2}\s*\])?")
_ALIGNS = re.compile(r"&\s*(?=" + _RELATION + r")|(?<=[=<>])\s*&|^\s*&|&\s*$")
_GOES_ON = re.compile(r" ; (?=" + _RELATION + ")")
_BEFORE_WORDS = ("\\text", "\\l", "\\implies", ",", ";", ")", "(mod", "\\pmod", "\\mod")
_BEHIND_WORDS = ("\\lor", "\\land", "\\implies", ",", ";", "}")
_INNERMOST = re.compile(r"[({\[][^(){}\[\]]*[)}\]]")
_OPERANDS = frozenset((r"\pi", r"\infty", r"\theta", r"\alpha", r"\beta", r"\emptyset"))


def part_rows(text: str) -> str:
    """Rows that each state something, as in `\\begin{cases} x=4 \\\\ y=5 \\end{cases}`, with ` ; ` between them."""
    return _ROWS.sub(_joined_rows, text) if r"\begin" in text else text


def _joined_rows(match: re.Match[str]) -> str:
    rows = [_ALIGNS.sub("", row).strip() for row in ROW_BREAK.split(match[3]) if row.strip()]
    stated = all(_RELATES.search(row) and "&" not in row and r"\text" not in row for row in rows)
    joined = " ; ".join(row.rstrip(" ,;.") for row in rows)
    return _GOES_ON.sub(" ", joined) if rows and stated else match[0]


def part_columns(text: str) -> str:
    """`x &= 4` without its mark, `x=4 & x=5` parted by it."""
    return re.sub(r"(?<!\\)&+", r" ; ", _ALIGNS.sub("", text))


def part_wide_gaps(text: str) -> str:
    """`\\quad` between two formulas parts them; beside words, a connective or nothing it is mere space."""
    return _WIDE.sub(lambda gap: _wide(text, gap), text)


def _wide(text: str, gap: re.Match[str]) -> str:
    before, after = text[:gap.start()].rstrip(), text[gap.end():].lstrip()
    marked = not before.endswith("}") or "\\text" in before[-24:]
    words = after.startswith(_BEFORE_WORDS) or (before.endswith(_BEHIND_WORDS) and marked)
    words = words or _GOES_ON.match(f" ; {after}") is not None
    return " " if not before or not after or words else " ; "


def part_statements(text: str) -> str:
    """`x=4\\; x=5` as `x=4 ; x=5`. A product (`A = \\frac12 b h = 6`) and units (`1 ft = 12 in = 30.48 cm`) stay."""
    return _NEXT.sub(lambda gap: _next(text, gap), text) if _RELATES.search(text) else text


def _next(text: str, gap: re.Match[str]) -> str:
    before = text[:gap.end(1)]
    if gap[1].startswith("\\") and gap[1] not in _OPERANDS or gap[1].isdigit() and is_unit(gap[3]):
        return gap[0]
    while (outside := _INNERMOST.sub("", before)) != before:
        before = outside
    again = re.search(rf"(?<![\w\\]){re.escape(gap[3])}\s*{_RELATION}", before) is not None
    parts = again or _RELATES.search(before) and (gap[1].isdigit() or re.search(r"\\[;:> ]|~", gap[2]))
    return f"{gap[1]} ; " if parts else gap[0]
