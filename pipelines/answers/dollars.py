"""Answers of several formulas in `$`, or with words beside them: `$a=1$, $b=2$`, `$n$ is even`, `$2\\sqrt3$ cm`.

A text as written goes in; one formula without the signs comes out, or whether words stand in it. Prices stay.
"""

import re

from stepforge.pipelines.answers.units import unit_of

_DOLLAR = re.compile(r"(?<!\\)\$")
_MEASURE = re.compile(r"(-?\d[\d.,]*\s*)\$\s*(\\(?:text|mathrm)\s*\{[^{}$]*\}(?:\^\{?-?\d\}?)?)\s*\$").fullmatch
_BESIDE = re.compile(r"[a-zA-Z ,;.'’-]{0,60}").fullmatch
_IN_PROSE = re.compile(r"(?<![\\a-zA-Z{])[a-z]{4,}(?![a-zA-Z])|\d\s+(?:and|or|for|per|to|a|is)\b").search
_CONNECTS = re.compile(r"[\s.]*(?:,|;|,?\s*(?:or|and)\b)?[\s.]*").fullmatch


def mixes_words(text: str) -> bool:
    """Whether a text has words besides its formulas, as `$n$ is even` has.

    Connectives and units do not count: `$x=1$ or $x=2$` and `$5$ cm` have none.
    """
    pieces = _pieces_of(text)
    return any(not (_CONNECTS(piece) or _is_measure(piece)) for piece in pieces[::2])


def out_of_dollars(text: str) -> str:
    """A text of several formulas, or of words around them, as one: `$n$ is even`, `$a=1$, $b=2$`."""
    if measure := _MEASURE(text):
        return measure[1] + measure[2]
    pieces = _pieces_of(text)
    pieces[::2] = [rf"\text{{{piece}}}" if _is_measure(piece) else piece for piece in pieces[::2]]
    return " ".join(pieces) if pieces else text


def _pieces_of(text: str) -> list[str]:
    """The words, formulas and words of a text in turn; empty where it is one formula, or its signs are prices."""
    pieces = _DOLLAR.split(text) if "$" in text else []
    if len(pieces) < 3 or len(pieces) % 2 == 0 or not any(map(str.strip, pieces[::2])):
        return []
    return pieces if all(map(_BESIDE, pieces[::2])) and not any(map(_IN_PROSE, pieces[1::2])) else []    # $5 and $7


def _is_measure(words: str) -> bool:
    unit = unit_of(words.strip()) if words.strip() else None
    return bool(unit and unit.dimension and not unit.nouns)
