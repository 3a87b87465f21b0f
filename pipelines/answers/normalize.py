"""One spelling for one answer: text as written goes in, a canonical LaTeX-like string comes out.

Only notation is touched (Unicode mathematics, spacing commands, delimiters, `\\dfrac`, thousands separators), never a
value, so two answers with the same canonical string are the same answer. Everything is linear in the length of
the text; callers bound that length first.
"""

import re
import unicodedata
from functools import lru_cache

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ",
    "÷": r"\div ", "∕": "/", "⁄": "/", "∞": r"\infty ", "π": r"\pi ", "θ": r"\theta ", "±": r"\pm ", "∓": r"\mp ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∅": r"\emptyset ",
    "°": r"^\circ ", "“": '"', "”": '"', "‘": "'", "’": "'", "¢": r"\text{ cents}", "…": r"\ldots ", "٫": ".",
    "٬": ",",
}
_FULL_SQRT = re.compile(r"√\s*(\d+(?:\.\d+)?|[a-zA-Z]|(?=[({]))")
_PAREN_SQRT = re.compile(r"\\sqrt\s*\(([^()]*)\)")
_SUPER_RUN = re.compile("[" + "".join(_SUPERSCRIPTS) + "]+")
_SUB_RUN = re.compile("[" + "".join(_SUBSCRIPTS) + "]+")


def ascii_math(text: str) -> str:
    """Unicode mathematics as LaTeX: full-width and other decimal digits, ½ √ ² ∞ π ° and the like."""
    if text.isascii() and text.isprintable():
        return text
    text = _SUPER_RUN.sub(lambda m: "^{" + "".join(_SUPERSCRIPTS[c] for c in m[0]) + "}", text)
    text = _SUB_RUN.sub(lambda m: "_{" + "".join(_SUBSCRIPTS[c] for c in m[0]) + "}", text)
    text = _FULL_SQRT.sub(lambda m: rf"\sqrt{{{m[1]}}}" if m[1] else r"\sqrt", text)
    return "".join(map(_ascii_character, text))


def _ascii_character(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    if character in _SYMBOLS:
        return _SYMBOLS[character]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "No" and "⁄" in (plain := unicodedata.normalize("NFKC", character)):
        numerator, denominator = plain.split("⁄")
        return rf"\frac{{{numerator}}}{{{denominator}}}" if denominator else character
    if category == "Cf":                # invisible: joiners, direction marks
        return ""
    if category.startswith(("Z", "C")):
        return r"\," if character in "\u2009\u202f\u00a0" else " "
    return unicodedata.normalize("NFKC", character)


_SIZES = re.compile(r"\\(?:[mM]?left|[mM]?right|[bB]igg?[lrm]?)(?![a-zA-Z])\s*\.?"
                    r"|\\(?:displaystyle|textstyle|limits|nolimits)(?![a-zA-Z])")
_THOUSANDS_GAP = re.compile(r"(?<=\d)(?:\\[,!; ]|~|\{,\}|,\s*\\!)\s*(?=\d{3}(?!\d))")
_BRACED_COMMA = re.compile(r"\{\s*,\s*\}|,\s*\\!")
_SPACES = re.compile(r"(?:\\[!,;:> ]|\\q?quad(?![a-zA-Z])|~|\s)+")
_FRACTION = re.compile(r"\\[dtc]?frac(?![a-zA-Z])")
_SHORT_FRACTION = re.compile(r"\\frac\s*(?:(\d)|\{([^{}]*)\})\s*(?:(\d)|\{([^{}]*)\})")
_SHORT_ROOT = re.compile(r"\\sqrt\s*(\d|[a-zA-Z](?![a-zA-Z]))")
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degrees?(?![a-zA-Z])")
_FONT = re.compile(r"\\(?:text(?:bf|it|rm|normal|sf|tt)?|mbox|hbox|math(?:rm|bf|it|sf|tt)|operatorname\*?)"
                   r"\s*\{([^{}]*)\}")
_BARE_FONT = re.compile(r"\\(?:mathrm|mathbf|mathit|rm|bf|it)\s+([a-zA-Z])(?![a-zA-Z])")
_SCRIPT = re.compile(r"([\^_])\{(\w)\}")
_ALIASES = re.compile(r"\\(leq|geq|neq|lbrace|rbrace|lbrack|rbrack|emptyset|varnothing|dots|cdots|lvert|rvert)"
                      r"(?![a-zA-Z])")
_ALIAS_OF = {"leq": r"\le", "geq": r"\ge", "neq": r"\ne", "lbrace": r"\{", "rbrace": r"\}", "lbrack": "[",
             "rbrack": "]",
             "emptyset": r"\emptyset", "varnothing": r"\emptyset", "dots": r"\ldots", "cdots": r"\ldots",
             "lvert": "|", "rvert": "|"}
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_INNER_SPACE = re.compile(r"(?<![a-zA-Z0-9]) | (?![a-zA-Z0-9])")
_TEXT_WITH_NUMBER = re.compile(r"\\text\{([^{}]*[0-9][^{}]*)\}").fullmatch
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z])")
_ROW = "\ue000"                         # stands for the row break of a matrix while spacing commands are removed
_PLAIN_INTEGER = re.compile(r"-?[0-9]{1,18}").fullmatch


def unwrap(text: str) -> str:
    """The text without the delimiters around it (`$…$`, `\\(…\\)`, `**…**`) and without closing punctuation."""
    while True:
        before = text
        text = text.strip().rstrip(".,;:\\ ").lstrip(":=").strip()
        for opening, closing in _WRAPPERS:
            inner = text[len(opening):len(text) - len(closing)]
            if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing) \
                    and not inner.endswith("\\") and opening not in inner:
                text = inner
                break
        if text == before:
            break
    return text


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    """The canonical spelling of an answer. `\\text{…}` keeps its marker, because words are not products of symbols."""
    if _PLAIN_INTEGER(text):
        return text
    text = unwrap(ascii_math(text))
    text = _DOUBLED.sub(r"\\", text) if "matrix" not in text else text
    text = text.replace("\\\\", _ROW)
    text = _SIZES.sub("", text)
    text = _THOUSANDS_GAP.sub(",", text)
    text = _BRACED_COMMA.sub(",", text)
    text = _FRACTION.sub(r"\\frac", text)
    text = _SHORT_FRACTION.sub(lambda m: rf"\frac{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}", text)
    text = _SHORT_ROOT.sub(r"\\sqrt{\1}", text)
    text = _PAREN_SQRT.sub(r"\\sqrt{\1}", text)
    text = _DEGREES.sub("°", text)
    text = _ALIASES.sub(lambda m: _ALIAS_OF[m[1]] + " ", text)
    text = _BARE_FONT.sub(r"\1", _FONT.sub(_plain_font, text))
    text = text.replace(r"\%", "%").replace(r"\$", "$").replace("\\#", "#")
    text = _SPACES.sub(" ", text)
    if match := _TEXT_WITH_NUMBER(text.strip()):
        text = match[1]
    text = _SCRIPT.sub(r"\1\2", text)
    return _INNER_SPACE.sub("", unwrap(text)).replace(_ROW, "\\\\")


def _plain_font(match: re.Match[str]) -> str:
    """The constants e and i in another font are constants; anything else is a word or a unit and stays marked."""
    content = match[1].strip()
    if content in ("e", "i"):
        return content + " "
    return rf"\text{{{' '.join(content.split())}}}" if content else " "
