"""Spellings of one sign in several countries, fonts and programs: `\\Bbb{R}` and `\\mathbf{R}`, `或`, `Rs.`, `\\lg`.

A text as written goes in; the same text in the spelling that the rest of this package reads comes out.
"""

import re

_MAYBE = re.compile(r"[、或和且与]|[rR][sS]|\\(?:math|Bbb|bf|lg|prime|log_\d\d|begin|text"
                    r"|operatorname)|\((?:to )?\d|\\(?:ln|cos|sin|tan|log)\^\d\d")
_FONT = r"\\(?:mathbf|mathrm|mathds|Bbb|bf|boldsymbol)\s*\{?\s*([RZNQ])(?![a-zA-Z])\s*\}?"
_IN_SET = re.compile(rf"(?<=\\in)\s*{_FONT}")
_SET = re.compile(rf"^\s*\$?{_FONT}(?=\s*\$?(?:\\(?:setminus|backslash)|\^\s*\{{?[*+]|$))")
_UNBRACED = re.compile(r"\\mathbb\s+([A-Z])(?![a-zA-Z])|\\mathbb([A-Z])(?![a-zA-Z])")
_BEFORE, _BEHIND = r"(?<=[\d})$a-z])\s*", r"\s*(?=[-\d\\($a-z])"
_OR = re.compile(rf"{_BEFORE}(?:\\text\{{\s*)?(?:或者|或)\s*\}}?{_BEHIND}")
_AND = re.compile(rf"{_BEFORE}(?:\\text\{{\s*)?[和且与]\s*\}}?{_BEHIND}")
_RUPEES = re.compile(r"^\s*(?:\\text\s*\{)?\s*[rR][sS]\s*\.?\s*\}?\s*\.?\s*(?=\d)")
_POINT = re.compile(r"\\text\{\s*(?:\.\s*\}(?=[\s$]*$)|([:,;])\s*\})")
_ONE_ROW = re.compile(r"\\begin\{(aligned|align\*?|gathered|array|split)\}(?:\{[clr]+\})?"
                      r"([^&\\]*(?:\\(?!\\|end)[^&\\]*)*)\\end\{\1\}")
_PRIMES = re.compile(r"\^\s*\{?\s*((?:\\prime(?![a-zA-Z])\s*)+)\}?")
_INDEX = re.compile(r"_\{\s*\\(?:mathrm|text|rm)\s*\{\s*(\w|max|min|out|in)\s*\}\s*\}")
_ARGUMENT = re.compile(r"(\\log_\d|\\(?:ln|log|sin|cos|tan)\^\d)(?=\d+\s*(?:$|[-+)}\]=,;$]))")
_CASES = re.compile(r"\\left\s*\\\{\s*\\begin\{array\}\s*\{[lcr]+\}(.*?)\\end\{array\}\s*\\right\s*\.", re.DOTALL)
_ROUNDED = re.compile(r"(?<=[\d)}])\s*\\text\s*\{[\s(]*(?:or )?(?:approximately|approx\.?|about|roughly)\s*\}\s*"
                      r"[-\d.,]+\s*(?:\\text\s*\{[^{}]*\})?\)?\s*$"
                      r"|\s*\((?:to )?\d (?:d\.?p\.?|s\.?f\.?|decimal places|significant figures)\)")
_PART = re.compile(r"\\(?:operatorname|text|mathrm)\s*\{\s*(Re|Im)\s*\}(?=\s*[({a-z])")
_COMMON_LOG = re.compile(r"\\lg(?![a-zA-Z])")
_LABEL = re.compile(r"\\text\{\s*(\((?:[a-h]|i{1,3}|iv|v|[1-9])\))\s*\}")


def respelled(text: str) -> str:
    """The text in one spelling; linear in its length."""
    if not _MAYBE.search(text):
        return text
    text = _UNBRACED.sub(lambda m: rf"\mathbb{{{m[1] or m[2]}}}", text.replace("、", ","))
    text = _SET.sub(r"\\mathbb{\1}", _IN_SET.sub(r" \\mathbb{\1}", text), count=1)
    text = _AND.sub(" and ", _OR.sub(" or ", text))
    text = _RUPEES.sub("₹", text)
    text = _LABEL.sub(r"\1 ", _POINT.sub(lambda m: m[1] or "", text))
    text = _ONE_ROW.sub(r"\2", text)
    text = _CASES.sub(r"\\begin{cases}\1\\end{cases}", text)
    text = _PART.sub(r"\\\1 ", _ROUNDED.sub("", text))
    text = _PRIMES.sub(lambda m: m[1].count("prime") * "'", text)
    text = _INDEX.sub(r"_{\1}", text)
    return _ARGUMENT.sub(r"\1 ", _COMMON_LOG.sub(r"\\log_{10}", text))
