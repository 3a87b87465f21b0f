"""Answers with parts: lists, sets, tuples, intervals, matrices and `a \\pm b`, taken apart at their top level.

A canonical string goes in; a `Structure` comes out, or None for a single value. The parts are compared one by one
elsewhere, so every guard that holds for a number also holds inside a vector. Connectives part before `=` does:
`x=1\\lor x=2` is two values, `x=1,y=2` is one pair.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from stepforge.pipelines.answers.relations import SEPARATOR, split, statement, symbols

MAX_PARTS = 64       # a longer list is no final answer
MAX_PLUS_MINUS = 3   # 2^3 = 8 combinations

Kind = Literal["tuple", "list", "set", "matrix"]


class Structure(NamedTuple):
    """kind: `tuple` is anything in round or square brackets (intervals too), `list` has no brackets at all.

    shape: what must agree beside the parts: the two brackets of a tuple, `rows x columns` of a matrix. names: of the
    parts of a tuple that was written as `x=1,y=2`.
    """

    kind: Kind
    shape: str
    parts: tuple[str, ...]
    names: tuple[str, ...] = ()


_MATRIX = re.compile(r"\\begin\{([pbBvV]?matrix|smallmatrix|array)\}(?:\{[clr|]*\})?(.*)\\end\{\1\}", re.DOTALL)
_SCALED = re.compile(r"(-|-?(?:\\(?:frac|sqrt|pi)(?![a-z])|[-\d./{}() ]){1,60}?)(?:\\cdot|\\times|\*)?\s*"
                     r"([(\[]?\\begin.*)", re.DOTALL).fullmatch
_TRANSPOSES = re.compile(r"\^(?:T|\{T\}|\{?\\top)").search
_TRANSPOSED = re.compile(r"(.*(?:\)|\]|matrix\}))\^(?:T|\{T\}|\\top|\{\\top\})", re.DOTALL).fullmatch
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![a-zA-Z])")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_THOUSANDS = re.compile(r"[-+$€£]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?").fullmatch
_LETTER = re.compile(r"[a-zA-Z]").fullmatch
_PART_LABEL = re.compile(r"\((?:[a-h]|i{1,3}|iv|v|[1-9])\)")
_PART_NUMBER = re.compile(r"(?:(?<=[,;])|^)[1-9]\)(?![,;)])")
_INDEX = re.compile(r"_.*")


@lru_cache(maxsize=16384)
def structure(text: str) -> Structure | None:
    """The parts of a canonical string, None where it states one value."""
    if (transposed := _TRANSPOSED(text)) and not _TRANSPOSES(transposed[1]):
        return _turned(structure(transposed[1]))
    return _matrix(text) or _nested(text) or _labelled(text) or _bracketed(text) or _listed(text)


def _turned(vector: Structure | None) -> Structure | None:
    """The transpose of a row or a column."""
    if vector is None or vector.kind not in ("tuple", "matrix"):
        return None
    rows, _, columns = vector.shape.partition("x")
    if vector.kind == "matrix" and "1" not in (rows, columns):
        return None
    shape = f"{columns}x{rows}" if vector.kind == "matrix" else f"{len(vector.parts)}x1"
    return Structure("matrix", shape, vector.parts)


def _matrix(text: str) -> Structure | None:
    if r"\begin" not in text:
        return None
    if text[:1] in ("(", "[") and text[1:].startswith(r"\begin{") and text[-1] == _CLOSING[text[0]]:
        text = text[1:-1]
    if scaled := _SCALED(text):                                # \frac12\begin{pmatrix}…
        factor, inner = "-1" if scaled[1] == "-" else scaled[1], _matrix(scaled[2])
        return inner and inner._replace(parts=tuple(rf"({factor})\cdot({cell})" for cell in inner.parts))
    match = _MATRIX.fullmatch(text)
    if match is None or r"\begin" in match[2] or match[1][:1] in "vV":
        return None
    rows = [row.split("&") for row in match[2].split(r"\\") if row.strip()]
    if not rows or len({len(row) for row in rows}) != 1 or len(rows) * len(rows[0]) > MAX_PARTS:
        return None
    return Structure("matrix", f"{len(rows)}x{len(rows[0])}", tuple(cell.strip() for row in rows for cell in row))


def _nested(text: str) -> Structure | None:
    """`[[1,2],[3,4]]`, as programs write a matrix."""
    rows = split(text[1:-1], ",") if text.startswith("[[") and text.endswith("]]") else ()
    cells = [split(row[1:-1], ",") for row in rows if row[:1] == "[" and row[-1:] == "]"]
    if not cells or len(cells) != len(rows) or len({len(row) for row in cells}) != 1:
        return None
    return Structure("matrix", f"{len(cells)}x{len(cells[0])}", tuple(cell for row in cells for cell in row))


def _labelled(text: str) -> Structure | None:
    """`(a)5(b)7`, the answers to the parts of a problem."""
    label = _PART_LABEL if text.startswith(("(a)", "(i)", "(1)")) else _PART_NUMBER
    parts = label.split(text) if text.startswith(("(a)", "(i)", "(1)", "1)")) else ()
    given = [part.strip(" ,;.$") for part in parts[1:]]
    return Structure("list", "labelled", tuple(given)) if len(given) > 1 and all(given) else None


def _bracketed(text: str) -> Structure | None:
    if text.startswith(r"\{") and text.endswith(r"\}") and r"\{" not in text[2:-2]:
        inner = text[2:-2].replace(r"\land", ",")
        return Structure("set", "", _expanded(tuple(part for part in split(inner, ",", ";") if part)))
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        inner = text[1:-1]
        if _balanced(inner):
            parts = split(inner, ",", ";")
            if len(parts) > 1 and not (len(parts) == 2 and _THOUSANDS(inner) and text[0] + text[-1] == "()"
                                       and "," in inner and " " in inner):
                shape = "()" if text[0] + text[-1] == "[]" and len(parts) > 2 else text[0] + text[-1]
                return _signed_tuple(shape, parts)
    return None


def _signed_tuple(shape: str, parts: tuple[str, ...]) -> Structure:
    """A tuple; `(\\pm 1,2)` is two of them."""
    doubled = [_plus_minus(part) for part in parts]
    if not any(doubled):
        return Structure("tuple", shape, parts)
    return Structure("list", "", tuple(
        shape[0] + ",".join(two.parts[at] if two else one for one, two in zip(parts, doubled, strict=True)) + shape[1]
        for at in (0, 1)))


def _listed(text: str) -> Structure | None:
    if not any(separator in text for separator in (*SEPARATOR, r"\lor", r"\implies")):
        return _plus_minus(text)
    if _THOUSANDS(text):
        return None
    claims = split(text, r"\implies")
    if len(claims) > 1:
        return _conclusion(claims)
    alternatives = [part for part in split(text, r"\lor") if part.strip(" ,;")]
    if len(alternatives) > 1:
        return Structure("list", "", tuple(single for part in alternatives for single in _alternative(part)))
    parts = tuple(part for part in split(text, *SEPARATOR) if part)
    if len(parts) < 2 or len(parts) > MAX_PARTS * 16:
        return structure(parts[0]) if len(parts) == 1 and parts[0] != text else None
    return _solved(parts) or _assigned(parts) or Structure("list", "", _expanded(parts))


def _solved(parts: tuple[str, ...]) -> Structure | None:
    """`2x=14,x=7` is an equation and its solution: one answer."""
    last = statement(parts[-1])
    if last.name is None or not last.sides or symbols(last.sides[0]) != {last.name}:
        return None
    before = [statement(part) for part in parts[:-1]]
    if all(one.is_open and symbols(" ".join(one.sides)) == {last.name} for one in before):
        return Structure("list", "", (parts[-1],))
    return None


def _alternative(text: str) -> tuple[str, ...]:
    """What one side of an `or` adds to the list: one tuple of named values, or each of its values."""
    inner = structure(text.strip(" ,;"))
    if inner is None:
        return (text.strip(" ,;"),)
    if inner.kind == "tuple" and inner.names:
        return (f"({','.join(inner.parts)})",)
    return inner.parts if inner.kind == "list" else (text.strip(" ,;"),)


def _conclusion(claims: tuple[str, ...]) -> Structure | None:
    """`2x=6\\implies x=3` concludes `x=3`; values on both sides are several answers."""
    if all(statement(claim).is_open for claim in claims[:-1]):
        return structure(claims[-1]) or Structure("list", "", (claims[-1],))
    return Structure("list", "", tuple(claims))


def _assigned(parts: tuple[str, ...]) -> Structure | None:
    """`x=1,y=2` as a tuple, `x=1,y=2,x=2,y=1` as a list of them, `x,y=1,2` too; None where a name is missing."""
    named = next((at for at, part in enumerate(parts) if not _LETTER(part)), 0)
    if named and len(parts) == 2 * named + 1 and "=" in parts[named]:
        name, _, value = parts[named].partition("=")
        if _LETTER(name):
            return _by_name((*parts[:named], name), (value, *parts[named + 1:]))
    statements = [statement(part) for part in parts]
    if any(one.name is None or one.call for one in statements):
        return None
    names = [str(one.name) for one in statements]
    if len({_INDEX.sub("", name) for name in names}) < len(set(names)):
        return None                                            # x_1, x_2: the roots, in any order
    width = len(set(names))
    if width < 2 or len(names) % width:
        return None
    values = [one.value for one in statements]
    starts = range(0, len(names), width)
    if any(len(set(names[at:at + width])) < width for at in starts):
        return None
    groups = [_by_name(tuple(names[at:at + width]), tuple(values[at:at + width])) for at in starts]
    if len(groups) == 1:
        return groups[0]
    return Structure("list", "", tuple(f"({','.join(group.parts)})" for group in groups))


def _by_name(names: tuple[str, ...], values: tuple[str, ...]) -> Structure:
    """A tuple in the order of its letters where they are neighbours (x, y or a, b, c), else as written."""
    ordered = sorted(names)
    if all(len(name) == 1 and ord(name) == ord(ordered[0]) + at for at, name in enumerate(ordered)) \
            or ordered == ["x", "z"]:
        pairs = sorted(zip(names, values, strict=True))
        return Structure("tuple", "()", tuple(value for _, value in pairs), tuple(name for name, _ in pairs))
    return Structure("tuple", "()", values, names)


def _expanded(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The parts with every `a \\pm b` written out as two."""
    doubled = [(part, _plus_minus(part)) for part in parts]
    return tuple(single for part, double in doubled for single in (double.parts if double else (part,)))


def _plus_minus(text: str) -> Structure | None:
    """`1 \\pm \\sqrt{19}` as two values; several signs vary together, as `\\pm` and `\\mp` are meant to."""
    if "\\" not in text or not 1 <= len(_PLUS_MINUS.findall(text)) <= MAX_PLUS_MINUS or "," in text:
        return None
    upper = _PLUS_MINUS.sub(lambda m: "+" if m[0] == r"\pm" else "-", text)
    lower = _PLUS_MINUS.sub(lambda m: "-" if m[0] == r"\pm" else "+", text)
    return Structure("list", "", tuple(re.sub(r"^\+ ?|(?<=[=({])\+ ?", "", one) for one in (upper, lower)))


def _balanced(inner: str) -> bool:
    """Whether the bracket before `inner` is closed by the one after it, not inside (kinds may differ: `(3, 4]`)."""
    depth = 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0
