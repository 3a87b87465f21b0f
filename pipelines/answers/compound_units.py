"""Units of several parts without markup: `40 N·m`, `18 g/mol`, `8.314 J/(mol K)`, `4 μC`.

A text and the place behind a number go in; where the unit behind it ends, or the text with its unit marked, comes out.
"""

import re
from itertools import islice

from stepforge.pipelines.answers.units import is_unit, unit_of

MAX_PLACES = 3       # behind numbers of an answer, where its unit may begin
_SYMBOL = r"(?:[A-Za-z]{1,6}|[μΩ°][A-Za-z]{0,4})(?:\^\{?-?\d\}?)?"
_BY = r"\s?(?:[·/]|\\cdot\s?|\*)\s?"
_BELOW = rf"\(\s?{_SYMBOL}(?:(?:{_BY}|\s){_SYMBOL}){{0,2}}\s?\)"
_UNIT = re.compile(rf"[ \t~]*(?P<unit>{_SYMBOL}(?:{_BY}(?:{_SYMBOL}|{_BELOW})|\s[A-Za-z]{{1,3}}\^\{{?-\d\}}?){{0,3}})"
                   r"(?![\w^(])")
_PARTED = re.compile(r"[μΩ·/]|\\cdot|\^\{?-|dB|eV").search
_LETTERS = re.compile(r"[a-z](?:\s?(?:·|\\cdot|\*|/)\s?[a-z])+").fullmatch      # 2g\cdot h is a product
_SCALED = re.compile(r"\\times ?10\^(?:\d|\{-?\d+\})([ ~]?([A-Za-z]{1,3}))$").search      # 5.0\times 10^{-7} m
_AT_END = re.compile(r"(?<=\d)(?=[ \t~]?[A-Za-zμΩ])")


def unit_end(text: str, at: int) -> int:
    """Where a unit of several parts ends that begins at a position or a space behind it; the position without one."""
    found = _UNIT.match(text, at)
    if found is None or not _PARTED(found["unit"]):
        return at
    stated = found["unit"].replace(r"\cdot", "·")
    unit = None if _LETTERS(stated) and stated not in ("m/s", "g/l", "m/h") else unit_of(stated)
    return found.end() if unit and unit.dimension and not unit.nouns and not unit.marks else at


def with_marked_unit(text: str) -> str:
    """A text that ends in a number and such a unit, with `\\text{}` around the unit."""
    if "\\text" in text or (_PARTED(text) or _SCALED(text)) is None:
        return text
    scaled = _SCALED(text)
    if scaled and is_unit(scaled[2]):
        return rf"{text[:scaled.start(1)]}\text{{ {scaled[2]} }}"
    for place in islice(_AT_END.finditer(text), MAX_PLACES):
        if unit_end(text, place.end()) == len(text):
            unit = text[place.end():].strip().replace(r"\cdot", "·").replace("{", "").replace("}", "")
            return rf"{text[:place.end()]}\text{{ {unit} }}"
    return text
