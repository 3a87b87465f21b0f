r"""LaTeX in the texts of models as MathML, which browsers show by themselves: no script, no network, no fonts.

In: a text. Out: its formulas (`$...$`, `$$...$$`, `\(...\)`, `\[...\]` and environments of equations) as trees of
tags, attributes and texts, or the whole text as HTML. A text is untrusted, and latex2mathml leaves `<` in
`\text{...}` as it is. So its elements are read one by one: only tags and attributes listed here, with plain values,
are taken over, and every text is escaped. Nothing that hides text or moves it onto other text is listed: people judge
what they see. What does not parse, or uses a command that is not known, stays the text that it was.
"""

import html
import re
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from markupsafe import Markup, escape

# Read by the page's script too, so it means the same in Python and in JavaScript. A dollar opens a formula where no
# space follows, and closes one where none stands before it and no digit follows: "$5 or $6" are prices.
FORMULA = (r"\$\$[^$]+\$\$|(?<!\\)\$(?![\s$])[^$\n]*?[^$\s\\]\$(?!\d)|\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\]"
           r"|\\begin\{(?:align|equation|gather|multline)\*?\}[\s\S]+?\\end\{(?:align|equation|gather|multline)\*?\}")
LONGEST = 2000  # letters of a formula; longer ones stay text
TAGS = frozenset("math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle menclose msub msup "
                 "msubsup munder mover munderover mtable mtr mtd".split())
PARTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
ATTRIBUTES = frozenset("display mathvariant stretchy fence separator form accent accentunder displaystyle scriptlevel "
                       "columnalign columnspacing rowspacing columnlines rowlines linethickness notation "
                       "movablelimits symmetric largeop width height depth lspace rspace minsize maxsize".split())
WORDS = re.compile(r"[a-zA-Z][a-zA-Z -]{0,60}")
LENGTH = re.compile(r"-?0?(\.\d{1,6})?(em)?|\d(\.\d{1,6})?(em|ex|px|pt)?|[1-3]\d\d%")  # too small to cover text
Tree = list[Any]  # [tag, attributes, text or list of trees]


@lru_cache(maxsize=100_000)
def tree(formula: str) -> Tree | None:
    """The MathML of a formula with its delimiters, or None where it stays text."""
    if len(formula) > LONGEST:
        return None
    body, display = _inside(formula)
    try:
        made = _tree(convert_to_element(body, display=display))
    except Exception:  # of a parser that was not written for hostile input; the formula is shown as text
        return None
    return made


def formulas(text: str) -> list[str]:
    """The formulas of a text, with their delimiters."""
    return [match[0] for match in re.finditer(FORMULA, text)]


def markup(text: str) -> Markup:
    """The text as HTML, with its formulas as MathML and their sources beside them, which the page hides."""
    parts, at = [], 0
    for match in re.finditer(FORMULA, text):
        if (made := tree(match[0])) is not None:
            parts += [escape(text[at:match.start()]), _element(match[0], made)]
            at = match.end()
    return Markup("").join([*parts, escape(text[at:])])


def _inside(formula: str) -> tuple[str, str]:
    """The formula without its delimiters, and whether it is in the line or a block."""
    if formula.startswith("\\begin"):
        return formula, "block"
    if formula.startswith(("$$", "\\[", "\\(")):
        return formula[2:-2], "inline" if formula.startswith("\\(") else "block"
    return formula[1:-1], "inline"


def _tree(element: Element) -> Tree:
    """An element of latex2mathml, taken over part by part; ValueError for what is not known."""
    if element.tag not in TAGS:
        raise ValueError(element.tag)
    text, children = html.unescape(element.text or ""), [_tree(child) for child in element]
    if "\\" in text or (text.strip() and children) or any((child.tail or "").strip() for child in element):
        raise ValueError(text)
    if len(children) != PARTS.get(element.tag, len(children)):
        raise ValueError(f"{element.tag} of {len(children)} parts")
    kept = {name: value for name, value in element.attrib.items()
            if name in ATTRIBUTES and (WORDS.fullmatch(value) or LENGTH.fullmatch(value))}
    return [element.tag, kept, children or text]


def _element(source: str, made: Tree) -> Markup:
    return Markup('<span class="tex" title="{}">{}<code>{}</code></span>').format(source, _html(made), source)


def _html(made: Tree) -> Markup:
    tag, attributes, inner = made
    words = Markup("").join(Markup(' {}="{}"').format(name, value) for name, value in attributes.items())
    inside = escape(inner) if isinstance(inner, str) else Markup("").join(map(_html, inner))
    return Markup("<{}{}>{}</{}>").format(Markup(tag), words, inside, Markup(tag))
