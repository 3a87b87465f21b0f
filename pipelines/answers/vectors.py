"""Vectors along unit vectors: `2\\hat{i}-3\\hat{j}` and `2\\mathbf{i}-3\\mathbf{j}` beside `(2,-3)`.

A canonical string and a number of dimensions go in, the same vector as a tuple comes out.
"""

import re

_AXIS = r"(?:\\(?:hat|vec|widehat|bold)\{\\?([ijk])(?:math)?\}|([ijk])(?![a-zA-Z]))"
_TERM = re.compile(r"\s*([+-]?)\s*((?:\\frac\{[^{}]{1,20}\}\{[^{}]{1,20}\}|\\sqrt\{[^{}]{1,20}\}|\\pi(?![a-zA-Z])"
                   rf"|[\d./()]|\s|\\cdot(?![a-zA-Z])){{0,8}}){_AXIS}\s*")


def along_axes(text: str, dimensions: int) -> str | None:
    """The tuple of a sum of multiples of i, j and k; None for any other text, as for the complex number `2+3i`."""
    if "j" not in text and "{i" not in text and "{k}" not in text and r"\imath" not in text:
        return None
    found, at = {}, 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None or at and not term[1]:
            return None
        axis, factor = term[3] or term[4], term[2].removesuffix(r"\cdot").strip() or "1"
        if axis in found or "ijk".index(axis) >= dimensions:
            return None
        found[axis], at = ("-" if term[1] == "-" else "") + factor, term.end()
    return f"({','.join(found.get(axis, '0') for axis in 'ijk'[:dimensions])})"
