"""Plain-text mathematics as LaTeX: `sqrt(25)`, `pi/4`, `2**(1/4)`, `1.5 x 10^8`, `x >= 5`, `0.333...`, `2 \\over 3`.

Spellings from program code, word processors and old TeX go in, LaTeX as the rest of this package reads it comes out.
Only notation changes, never a value.
"""

import re

FUNCTIONS = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp|gcd|lcm|max|min"

_ROOTS = {"sqrt": r"\sqrt", "cbrt": r"\sqrt[3]"}
_ROOT = re.compile(r"(?<![a-zA-Z\\])(sqrt|cbrt)\s*(\(|\{|\d+(?:\.\d+)?|[a-zA-Z](?![a-zA-Z]))")
_BARS = {"abs": ("|", "|"), "floor": (r"\lfloor ", r"\rfloor "), "ceil": (r"\lceil ", r"\rceil ")}
_CALLED = re.compile(r"(?<![a-zA-Z\\])(abs|floor|ceil)\(")
_POWER = re.compile(r"\^\s*\(")
_SIGNS = ((re.compile(r"(?<=[^*])\*\*(?=[^*])"), "^"), (re.compile(r"<=|=<"), r"\\le "), (re.compile(r">="), r"\\ge "),
          (re.compile(r"(?<![\d)}])\s*!=|(?<=[a-zA-Z)}])\s+!=|\\not\s*="), r"\\ne "),
          (re.compile(r"==|:="), "="))
_PI = re.compile(r"(?<![a-zA-Z\\])(?:pi|Pi|PI)(?![a-zA-Z])")
_INFINITY = re.compile(r"(?<![a-zA-Z\\])(?:infinity|inf|oo)(?![a-zA-Z])", re.IGNORECASE)
_FUNCTION = re.compile(rf"(?<![a-zA-Z\\])({FUNCTIONS})(?=\s*[(\d\\_^]|\s+[a-zA-Z](?![a-zA-Z]))")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*\^)")
_ELLIPSIS = re.compile(r"\.{3,}|\\[lc]?dots(?![a-zA-Z])")
_BAR = re.compile(r"(?<![\d.])(\d*\.\d*)\s*(?:\\(?:overline|bar|overbar|dot|widebar)\s*(?:\{\s*(\d+)\s*\}|(\d))"
                  r"|\((\d+)\)(?![\d(]))")
_DOTTED = re.compile(r"(?<![\d.])(\d*\.\d*)\\dot\{?(\d)\}?(\d*)\\dot\{?(\d)\}?")
_GOES_ON = re.compile(r"(?<![\d.])(\d*\.\d*?)(?:(\d)\2+|(\d{2,6}?)\3+)\s*\\ldots")
_SAID = re.compile(r"(?<![\d.])(\d*\.)(\d)\s*(?:\\text\{)?[\s(]*(?:repeating|recurring)\)?\}?")
_POWER_WORD = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?) (squared|cubed)(?![\w ])")
_OVER = re.compile(r"\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\\(over|choose)(?![a-zA-Z])\s*([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_COMBINATIONS = re.compile(r"(?:\{\})?[\^_](?:\{(\w+)\}|(\w))\s*C\s*_\s*(?:\{(\w+)\}|(\w))")
_COMBINATIONS_BEHIND = re.compile(r"(?<![a-zA-Z\\])C\s*_\s*\{?(\d{1,3})\}?\s*\^\s*\{?(\d{1,3})\}?(?![\d}])")
_SLASHED = re.compile(r"\\(?:nicefrac|sfrac|flatfrac)(?![a-zA-Z])")
_FEET = re.compile(r"(?<![\w.])(\d+)'\s*-?\s*(\d+(?:\.\d+)?)(?:''|\")(?!\w)")
_UNDERSCORED = re.compile(r"\s*-?\d{1,3}(?:_\d{3})+\s*").fullmatch                 # 1_000_000
_PYTHON = re.compile(r"(?:Fraction|Rational)\((-?\d+), ?(\d+)\)")
_MAYBE = re.compile(r"sqrt|cbrt|squared|cubed|abs\(|floor|ceil"
                    r"|pi|PI|Pi|inf|Inf|INF|oo|\*\*|[<>=!:]=|=<|10\s*\^|\.\.\.|dots|overline|\\bar|\\dot"
                    rf"|\.\d*\(|\\over|choose|C\s*_|frac|repeating|recurring|\^\s*\(|\\not|(?<!\\)(?:{FUNCTIONS})")


def latex_of_plain(text: str) -> str:
    """The text with plain-text notation replaced; linear in its length."""
    if "'" in text:
        text = _FEET.sub(r"\1 feet \2 inches", text)
    if "_" in text and _UNDERSCORED(text):
        text = text.replace("_", "")
    if "ction(" in text or "onal(" in text:
        text = _PYTHON.sub(r"\\frac{\1}{\2}", text)
    if not _MAYBE.search(text):
        return text
    text = _ELLIPSIS.sub(r"\\ldots ", text)
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    text = _TIMES_TEN.sub(r"\\times ", text)
    text = _PI.sub(r"\\pi ", text)
    text = _INFINITY.sub(r"\\infty ", text)
    text = _FUNCTION.sub(r"\\\1", text)
    text = _SLASHED.sub(r"\\frac", text)
    text = _COMBINATIONS.sub(lambda m: rf"\binom{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}", text)
    text = _COMBINATIONS_BEHIND.sub(lambda m: rf"\binom{{{m[1]}}}{{{m[2]}}}" if int(m[1]) >= int(m[2]) > 1 else m[0],
                                    text)
    text = _POWER_WORD.sub(lambda m: f"({m[1]})^{2 if m[2] == 'squared' else 3}", text)
    text = _roots(text)
    text = _powers(_barred(text))
    if r"\over" in text or r"\choose" in text:
        text = _over(text)
    return _repeating(text)


def _roots(text: str) -> str:
    """`sqrt(x)` as `\\sqrt{x}`, brackets inside it included; from the right, so that inner roots come first."""
    for match in reversed(list(_ROOT.finditer(text))):
        root, argument = _ROOTS[match[1]], match[2]
        if argument in "({":
            end = closing(text, match.end() - 1)
            if end is None:
                continue
            text = f"{text[:match.start()]}{root}{{{text[match.end():end]}}}{text[end + 1:]}"
        else:
            text = f"{text[:match.start()]}{root}{{{argument}}}{text[match.end():]}"
    return text


def _barred(text: str) -> str:
    """`abs(x)`, `floor(x)` and `ceil(x)` in the brackets of their own."""
    for match in reversed(list(_CALLED.finditer(text))):
        if (end := closing(text, match.end() - 1)) is not None:
            left, right = _BARS[match[1]]
            text = f"{text[:match.start()]}{left}{text[match.end():end]}{right}{text[end + 1:]}"
    return text


def _powers(text: str) -> str:
    """`x^(1/2)` as `x^{1/2}`."""
    for match in reversed(list(_POWER.finditer(text))):
        if (end := closing(text, match.end() - 1)) is not None:
            text = f"{text[:match.start()]}^{{{text[match.end():end]}}}{text[end + 1:]}"
    return text


def closing(text: str, at: int) -> int | None:
    """Where the bracket at a position closes, None where it does not."""
    depth = 0
    for here in range(at, len(text)):
        depth += (text[here] in "([{") - (text[here] in ")]}")
        if depth == 0:
            return here
    return None


def _over(text: str) -> str:
    for _ in range(4):
        changed = _OVER.sub(lambda m: rf"\{'frac' if m[2] == 'over' else 'binom'}{{{m[1].strip()}}}{{{m[3].strip()}}}",
                            text)
        if changed == text:
            break
        text = changed
    match = _OVER.fullmatch("{" + text + "}")
    return rf"\{'frac' if match[2] == 'over' else 'binom'}{{{match[1].strip()}}}{{{match[3].strip()}}}" if match \
        else text


def _repeating(text: str) -> str:
    r"""`0.(3)`, `0.\bar{3}`, `0.\dot3` and `0.333\ldots` as `0.\overline{3}`."""
    text = _SAID.sub(r"\1\\overline{\2}", text)
    text = _DOTTED.sub(r"\1\\overline{\2\3\4}", text)
    text = _BAR.sub(lambda m: rf"{m[1]}\overline{{{m[2] or m[3] or m[4]}}}" if m[1] != "." or m[2] else m[0], text)
    return _GOES_ON.sub(lambda m: rf"{m[1]}\overline{{{m[2] or m[3]}}}", text) if r"\ldots" in text else text
