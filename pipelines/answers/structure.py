"""Answers with parts: tuples, intervals, sets, lists, unions, matrices and `a \\pm b`, taken apart at their top level.

A canonical string goes in; a `Structure` comes out, or None for a single value. The parts are compared one by one
elsewhere, so every guard that holds for a number also holds inside a vector.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

MAX_PARTS = 64       # a longer list is no final answer
MAX_PLUS_MINUS = 3   # 2^3 = 8 combinations

Kind = Literal["tuple", "list", "set", "union", "matrix"]


class Structure(NamedTuple):
    """kind: `tuple` is anything in round or square brackets (intervals too), `list` has no brackets at all.

    shape: what must agree beside the parts: the two brackets of a tuple, `rows x columns` of a matrix.
    """

    kind: Kind
    shape: str
    parts: tuple[str, ...]


_ELEMENT_OF = re.compile(r"[a-zA-Z]\s*\\in(?![a-zA-Z])\s*")
_BOUND = r"(?:[^<>=a-zA-Z\\,]|\\(?:frac|sqrt|pi|infty)(?![a-zA-Z]))+?"
_INEQUALITY = re.compile(rf"(?:(?P<left>{_BOUND})(?P<below><|\\le(?![a-zA-Z])))?\s*[a-zA-Z]\s*"
                         rf"(?P<above><|>|\\[lg]e(?![a-zA-Z]))\s*(?P<right>{_BOUND})\s*")
_MATRIX = re.compile(r"\\begin\{([pb]?matrix|array)\}(?:\{[clr|]*\})?(.*)\\end\{\1\}", re.DOTALL)
_CONNECTIVE = re.compile(r"\s*(?:,\s*)?(?:\\text\{(?:and|or)\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z]))\s*")
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![a-zA-Z])")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?").fullmatch


@lru_cache(maxsize=16384)
def structure(text: str) -> Structure | None:
    """The parts of a canonical string, None where it states one value."""
    text = _ELEMENT_OF.sub("", text, count=1) if _ELEMENT_OF.match(text) else text
    union = split(text, r"\cup")
    if len(union) > 1:
        return Structure("union", "", union)
    if any(sign in text for sign in ("<", ">", r"\le", r"\ge")):
        return _inequalities(text)
    return _matrix(text) or _bracketed(text) or _bare_list(text)


def _inequalities(text: str) -> Structure | None:
    """`x < 2`, `-1 \\le x < 3` and `x < 2 or x > 3` as intervals; None where a side is more than that."""
    intervals = [_interval(part) for part in split(_CONNECTIVE.sub(",", text))]
    if None in intervals:
        return None
    known = tuple(interval for interval in intervals if interval is not None)
    return structure(known[0]) if len(known) == 1 else Structure("union", "", known)


def _interval(text: str) -> str | None:
    match = _INEQUALITY.fullmatch(text)
    if match is None:
        return None
    left, below, above, right = match["left"], match["below"], match["above"], match["right"]
    if below is None:
        if above in (">", r"\ge"):
            return f"{'(' if above == '>' else '['}{right},\\infty)"
        return f"(-\\infty,{right}{')' if above == '<' else ']'}"
    if above in (">", r"\ge"):
        return None
    return f"{'(' if below == '<' else '['}{left},{right}{')' if above == '<' else ']'}"


def _matrix(text: str) -> Structure | None:
    if text[:1] in ("(", "[") and text[1:].startswith(r"\begin{") and text[-1] == _CLOSING[text[0]]:
        text = text[1:-1]
    match = _MATRIX.fullmatch(text)
    if match is None or r"\begin" in match[2]:
        return None
    rows = [row.split("&") for row in match[2].split(r"\\") if row.strip()]
    if not rows or len({len(row) for row in rows}) != 1 or len(rows) * len(rows[0]) > MAX_PARTS:
        return None
    return Structure("matrix", f"{len(rows)}x{len(rows[0])}", tuple(cell.strip() for row in rows for cell in row))


def _bracketed(text: str) -> Structure | None:
    for opening, closing in ((r"\{", r"\}"), (r"\langle", r"\rangle")):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening):
            inner = text[len(opening):-len(closing)]
            if opening not in inner:
                return Structure("set", "", _expanded(split(inner))) if opening == r"\{" else \
                    Structure("tuple", "()", split(inner))
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        inner = text[1:-1]
        if _balanced(inner):
            parts = split(inner)
            if len(parts) > 1:
                return Structure("tuple", text[0] + text[-1], parts)
    return None


def _bare_list(text: str) -> Structure | None:
    if _THOUSANDS(text):
        return None
    separated = _CONNECTIVE.sub(",", text)
    parts = tuple(part for part in split(separated) if part)
    if len(parts) == 1 and separated.rstrip(",") != text and "," in separated:
        return None
    if len(parts) < 2:
        return _plus_minus(text)
    return Structure("list", "", _expanded(parts))


def _expanded(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The parts with every `a \\pm b` written out as two."""
    doubled = [(part, _plus_minus(part)) for part in parts]
    return tuple(single for part, double in doubled for single in (double.parts if double else (part,)))


def _plus_minus(text: str) -> Structure | None:
    """`1 \\pm \\sqrt{19}` as two values; several signs vary together, as `\\pm` and `\\mp` are meant to."""
    if not 1 <= len(_PLUS_MINUS.findall(text)) <= MAX_PLUS_MINUS:
        return None
    upper = _PLUS_MINUS.sub(lambda m: "+" if m[0] == r"\pm" else "-", text)
    lower = _PLUS_MINUS.sub(lambda m: "-" if m[0] == r"\pm" else "+", text)
    return Structure("list", "", (upper.removeprefix("+"), lower.removeprefix("+")))


def split(text: str, separator: str = ",") -> tuple[str, ...]:
    """The pieces between separators that stand outside all brackets; `;` counts as a comma."""
    pieces, depth, start, at = [], 0, 0, 0
    while at < len(text):
        character = text[at]
        if depth == 0 and (text.startswith(separator, at) or (separator == "," and character == ";")):
            pieces.append(text[start:at].strip())
            at += len(separator)
            start = at
            continue
        if character == "\\" and text[at + 1:at + 2] in ("{", "}"):
            character = text[at + 1]
            at += 1
        depth += (character in "([{") - (character in ")]}")
        at += 1
    pieces.append(text[start:].strip())
    return tuple(pieces)


def _balanced(inner: str) -> bool:
    """Whether the bracket before `inner` is closed by the one after it, not inside (kinds may differ: `(3, 4]`)."""
    depth = 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0
