"""Functions in pieces: `\\begin{cases} x^2 & x\\ge 0 \\\\ -x & x<0 \\end{cases}`, however its conditions are written.

Two canonical strings go in, a `Match` comes out: pieces with the same conditions are compared, in any order.
"""

import re
from collections.abc import Callable

from stepforge.pipelines.answers.matches import UNCLEAR, UNEQUAL, Match, all_of

_CASES = re.compile(r"(?:(?:\\?[a-zA-Z]+(?:_\{?\w{1,3}\}?)?(?:\([a-zA-Z,]{1,5}\))?)=)?"
                    r"\\begin\{cases\}(.*?)\\end\{cases\}", re.DOTALL).fullmatch
_ROW = re.compile(r"(.*?)[,;]?\s*(?:&|,)[,;&\s]*(.*)", re.DOTALL).fullmatch
_WORDS = re.compile(r"\\text\{\s*(?:if|for|when|where)?\s*(?:all\s*)?\}|\b(?:if|for|when|where)\b|[;\s]")
_ELSE = re.compile(r"\\text\{\s*(?:otherwise|else|elsewhere)\.?\s*\}|otherwise|else|elsewhere").fullmatch


def pieces_match(gold: str, answer: str, compare: Callable[[str, str], Match]) -> Match | None:
    """Compare two functions in pieces; None where one of the two is none."""
    first, second = _pieces(gold), _pieces(answer)
    if first is None or second is None:
        return None
    if len(first) != len(second):
        return UNCLEAR
    left = list(second)
    matches = []
    for value, condition in first:
        at = next((at for at, (_, other) in enumerate(left) if condition == other), None)
        if at is None:
            at = next((at for at, (_, other) in enumerate(left)
                       if "" not in (condition, other) and compare(condition, other).equal), None)
        if at is None:
            return UNCLEAR
        matches.append(compare(value, left.pop(at)[0]))
    match = all_of(matches)
    return match if match.equal is not False else UNEQUAL


def pieces_key(text: str, key: Callable[[str], str]) -> str | None:
    """The key of a function in pieces, whatever their order; None for all else."""
    pieces = _pieces(text)
    return None if pieces is None else ";".join(sorted(f"{key(value)} if {condition}" for value, condition in pieces))


def _pieces(text: str) -> list[tuple[str, str]] | None:
    """Value and condition of every piece, the condition empty for `otherwise`."""
    cases = _CASES(text)
    if cases is None:
        return None
    pieces = []
    for row in filter(str.strip, cases[1].split(r"\\")):
        parted = _ROW(row.strip().rstrip(".,;"))
        if parted is None:
            return None
        condition = parted[2].strip(" .,;")
        pieces.append((parted[1].strip(), "" if _ELSE(condition.rstrip(".,; ")) else _WORDS.sub("", condition)))
    return pieces
