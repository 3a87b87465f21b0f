"""One spelling for one answer: text as written goes in, a canonical LaTeX-like string comes out.

Only notation is touched (Unicode mathematics, spacing commands, delimiters, `\\dfrac`, thousands separators), never a
value, so two answers with the same canonical string are the same answer. Everything is linear in the length of
the text; callers bound that length first.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from stepforge.pipelines.answers.arguments import with_braces
from stepforge.pipelines.answers.dollars import out_of_dollars
from stepforge.pipelines.answers.foreign_numbers import han_number, with_magnitudes, with_units
from stepforge.pipelines.answers.markup import without_html
from stepforge.pipelines.answers.number_words import leading_number
from stepforge.pipelines.answers.plain import FUNCTIONS, closing, latex_of_plain
from stepforge.pipelines.answers.remarks import without_remarks
from stepforge.pipelines.answers.spacing import ROW_BREAK, part_columns, part_rows, part_statements, part_wide_gaps
from stepforge.pipelines.answers.spellings import respelled

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ",
    "÷": r"\div ", "∕": "/", "⁄": "/", "∞": r"\infty ", "π": r"\pi ", "θ": r"\theta ", "±": r"\pm ", "∓": r"\mp ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "‰": "/1000 ", "∅": r"\emptyset ", "∛": r"\sqrt[3]",
    "Ω": r"\Omega ", "\u2126": r"\Omega ",
    "°": r"^\circ ", "“": '"', "”": '"', "‘": "'", "’": "'", "¢": r"\text{ cents}", "…": r"\ldots ", "٫": ".",
    "٬": ",", "✓": "", "✔": "", "✅": "", "■": "", "□": "", "∎": "",
}
_SYMBOLS |= {sign: rf"\mathbb{{{letter}}}" for sign, letter in zip("ℝℤℕℚℂ", "RZNQC", strict=True)}
_SYMBOLS |= {chr(ord("①") + at): f"({at + 1})" for at in range(20)}
_COMBINING_BAR = "\u0305"
_BARRED = re.compile(f"(?:[0-9]{_COMBINING_BAR})+")
_FULL_SQRT = re.compile(r"([√∛])\s*(\d+(?:\.\d+)?|[a-zA-Z]|(?=[({]))")
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]"}
_SUPER_RUN = re.compile("[" + "".join(_SUPERSCRIPTS) + "]+")
_SUB_RUN = re.compile("[" + "".join(_SUBSCRIPTS) + "]+")


def ascii_math(text: str) -> str:
    """Unicode mathematics as LaTeX: full-width and other decimal digits, ½ √ ² ∞ π ° and the like."""
    if "<" in text or "&" in text:
        text = without_html(text)
    if text.isascii() and text.isprintable():
        return text
    text = with_magnitudes(with_units(unicodedata.normalize("NFC", text)))
    text = _SUPER_RUN.sub(lambda m: "^{" + "".join(_SUPERSCRIPTS[c] for c in m[0]) + "}", text)
    text = _SUB_RUN.sub(lambda m: "_{" + "".join(_SUBSCRIPTS[c] for c in m[0]) + "}", text)
    text = _BARRED.sub(lambda m: rf"\overline{{{m[0].replace(_COMBINING_BAR, '')}}}", text)
    text = _FULL_SQRT.sub(lambda m: _ROOTS[m[1]] + (rf"{{{m[2]}}}" if m[2] else ""), text)
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


_STYLES = re.compile(r"\\(?:[mM]?left|[mM]?right|middle|[bB]igg?[lrm]?)(?![a-zA-Z])\s*\.?"
                     r"|\\(?:displaystyle|textstyle|limits|nolimits|tiny|small|normalsize|large|Large|LARGE|huge|Huge"
                     r"|bfseries|itshape|centering|bf|it|sf|tt|boldmath)(?![a-zA-Z])|\\h?phantom\s*\{[^{}]*\}"
                     r"|\\color\s*(?:\[\w*\])?\{[^{}]*\}|\\color\s+[a-z]+(?![a-z])"
                     r"|\\(?:checkmark|blacksquare|square|Box|qed)(?![a-zA-Z])\s*$")
_DRAWN = re.compile(r"\\(?:textcolor\s*(?:\[\w*\])?\{[^{}]*\}|colorbox\s*\{[^{}]*\}|underline|uline|emph|boldsymbol"
                    r"|bm|pmb|math(?:bf|it|sf|tt|normal|cal|scr|frak)|ensuremath|fbox|framebox|boxed)\s*"
                    r"\{([^{}]*(?:\{[^{}]*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}[^{}]*)*\}[^{}]*)*)\}")
_STRUCK = re.compile(r"\\[bx]?cancel\s*\{([^{}]*)\}")
_THOUSANDS_GAP = re.compile(r"(?<=\d)(?:\\[,!; ]|~|\{,\}|,\s*\\!)\s*(?=\d{3}(?!\d))")
_SPACED_THOUSANDS = re.compile(r"(?<![\d.,] )(?<![\d.,_^])[1-9]\d{0,2}(?: \d{3})+(?!\d| \d|/| /|\s*[-+*/^]?\\?frac)")
_LIST_COMMA = re.compile(r"(?<=[\d}])\s*,(?:\s|\\ |~)+(?=[-\d$\\])(?!000(?!\d))")    # 101, 202; but 10, 000
_INDIAN = re.compile(r"(?<![\d,.])[1-9]\d?(?:,\d\d)*(?:,0\d(?:,\d\d)*,\d{3}|(?:,\d\d)+,0\d\d)(?![\d,])")  # 15,00,000
_GROUPED = re.compile(r"\d,(?:\s|\\ |~)*\d{3}(?!\d)|^-?\d+,(?:\s|\\ |~)+\d+$").search     # 1, 25 is no 1.25
_BRACED_MARK = re.compile(r"\{\s*([,:.])\s*\}|(,)\s*\\!")
_SPACES = re.compile(r"(?:\\[!,;:> ]|\\q?quad(?![a-zA-Z])|~|\s)+")
_FRACTION = re.compile(r"\\[dtc]?frac(?![a-zA-Z])")
_NAMED_FUNCTION = re.compile(rf"\\(?:operatorname\*?|mathrm|text)\s*\{{\s*({FUNCTIONS})\s*\}}"
                             r"(?=\s*[_^({\\\d]|\s*[a-zA-Z](?![a-zA-Z]))")
_GLUED = re.compile(r"\\(sin|cos|tan|cot|sec|csc|ln|log)(?=[a-gi-zA-Z](?![a-zA-Z]))")
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degrees?(?![a-zA-Z])")
_FONT = re.compile(r"\\(?:text(?:bf|it|rm|normal|sf|tt|up|sc)?|mbox|hbox|mathrm|operatorname\*?)\s*"
                   r"\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_DOTTED_UNITS = re.compile(r"(\\text\{[A-Za-z ~μ]{1,4}\}(?:\^\{?-?\d\}?)?)\s*\\cdot(?![a-zA-Z])\s*"
                           r"(?=\\text\{[A-Za-z ~μ/]{1,6}\})")
_UNIT_FRACTION = re.compile(r"\\frac\{\s*\\text\{([^{}]*)\}\s*\}\{\s*\\text\{([^{}]*)\}(\^\d|\^\{\d\})?\s*\}")
_MICRO = re.compile(r"(?<=[\d}~;, ])\\mu(?:\s|\\[,;: ]|~)*(?:\\(?:text|mathrm)\s*\{\s*([a-zA-Z]{1,3})\s*\}"
                    r"|(mol|Hz|Pa|eV|[sACFHLVW])(?=[\s.$]*$))")           # \mu m g is friction
_OHM = re.compile(r"(?<=[\d}~;, ])(?:\\(?:text|mathrm)\s*\{\s*)?(?:([kMm])\s*\}?)?(?:\s|\\[,;: ]|~)*"
                  r"(?:\\(?:text|mathrm)\s*\{\s*)?\\Omega\s*\}?(?=[\s.$]*$)")
_BARE_FONT = re.compile(r"\\(?:mathrm|mathbf|mathit|rm)\s+([a-zA-Z])(?![a-zA-Z])|\\rm(?![a-zA-Z])")
_GROUPED_BASE = re.compile(r"\d{1,3}(?:,\d{3})+(?=_)")
_BRACKETED_BASE = re.compile(r"_\{?\((\d+)\)\}?")
_INFINITE = re.compile(r"([\^_])\{\s*([-+]?\\infty)\s*\}\s*")
_SCRIPT = re.compile(r"([\^_])\{(\w)\}(?![\d.])")
_POWERS_BESIDE = re.compile(r"(?<=\^)(\w |\{[^{}]*\} ?)(?=\d+\^)")
_ALIAS_OF = {"leqq": r"\le", "geqq": r"\ge", "leq": r"\le", "geq": r"\ge", "leqslant": r"\le", "geqslant": r"\ge",
             "lt": "<", "gt": ">", "neq": r"\ne", "lbrace": r"\{", "rbrace": r"\}", "langle": "(", "rangle": ")",
             "lbrack": "[", "rbrack": "]",
             "varnothing": r"\emptyset", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "dbinom": r"\binom",
             "tbinom": r"\binom", "R": r"\mathbb{R}", "reals": r"\mathbb{R}", "iff": r"\implies",
             "Rightarrow": r"\implies", "Longrightarrow": r"\implies", "Leftrightarrow": r"\implies", "vee": r"\lor",
             "wedge": r"\land",
             "backslash": r"\setminus", "smallsetminus": r"\setminus", "ast": "*", "varepsilon": r"\epsilon",
             "colon": ":", "degree": "°", "pounds": "£", "euro": "€",
             "top": "T", "intercal": "T",
             "land": r"\land", "lor": r"\lor", "implies": r"\implies", "emptyset": r"\emptyset",
             "le": r"\le", "ge": r"\ge", "ne": r"\ne"}
_ALIASES = re.compile(r"\\(" + "|".join(sorted(_ALIAS_OF, key=len, reverse=True)) + r")(?![a-zA-Z])\s*")
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("*", "*"), ("`", "`"))
_INNER_SPACE = re.compile(r"(?<![a-zA-Z0-9]) | (?![a-zA-Z0-9])")
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z]{2})")
_TURNED = re.compile(r"(?:^|(?<=[=\s(])|(?<=\\cup)|(?<=\\cap)|(?<=\\in))(\]|\[)([^][]{1,200}[,;][^][]{1,200})([][])"
                     r"(?=\s*(?:$|[\\),;]))")               # ]0,4[, as many countries write (0,4)
_CIS = re.compile(r"(?:\\text\{cis\}|(?<![a-zA-Z\\])cis(?![a-zA-Z]))\s*"
                  r"(\((?:[^()]|\([^()]*\)){1,80}\)|[^,;=+()\s\\]{0,20}(?:\\(?:pi|frac)(?![a-z])[^,;=+()]{0,40})?)")
_BARE_SET = re.compile(r"(?:(?<==)|(?<=\\in)|(?<=\\cup)|(?<=\\cap)|(?<=\\setminus))\{((?:[^{}]|\{[^{}]*\}){1,300})\}")
_ROW = "\ue000"                         # stands for the row break of a matrix while spacing commands are removed
_PREFIXED = re.compile(r"(-?)0(?=x[0-9a-f]{1,16}$|b[01]{1,64}$|o[0-7]{1,21}$)([xbo])(\w+)",
                       re.ASCII | re.IGNORECASE).fullmatch
_BASE_OF = {"x": 16, "b": 2, "o": 8}                         # 0x1A is written 1A_{16}
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?").fullmatch


def unwrap(text: str) -> str:
    """The text without the delimiters around it (`$…$`, `\\(…\\)`, `**…**`) and without closing punctuation."""
    while True:
        before = text
        text = text.strip().rstrip(".,;:?\\ ").lstrip(":=").removeprefix(r"\approx").strip()
        for opening, end in _WRAPPERS:
            inner = text[len(opening):len(text) - len(end)]
            if len(text) > len(opening) + len(end) and text.startswith(opening) and text.endswith(end) \
                    and not inner.endswith("\\") and opening not in inner.replace(r"\$", ""):
                text = inner
                break
        if text == before:
            break
    return text


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    """The canonical spelling of an answer. `\\text{…}` keeps its marker, because words are not products of symbols."""
    if _PLAIN_NUMBER(text):
        return text
    text = latex_of_plain(ascii_math(respelled(text)))
    if "$" in text:
        text = out_of_dollars(text)
    text = unwrap(text)
    if not text.isascii():
        text = han_number(text)
    if _PLAIN_NUMBER(text):
        return text
    if prefixed := _PREFIXED(text):
        sign, letter, digits = prefixed.groups()
        return f"{sign}{digits.upper()}_{{{_BASE_OF[letter.lower()]}}}"
    if "\\" in text or "{" in text or "&" in text:
        text = _canonical_latex(text)
    text = _plain_words(text)
    text = _REMAINDER.sub(r"\\text{remainder }", text)
    text = _SPACED_THOUSANDS.sub(lambda m: m[0].replace(" ", ","), text)
    text = _INDIAN.sub(lambda m: m[0].replace(",", ""), text)
    if _GROUPED(text):
        text = _LIST_COMMA.sub(";", text)
    text = _SPACES.sub(" ", part_statements(text))
    if "mod" in text:
        text = _MODULO.sub(lambda m: rf"\pmod{{{m[1] or m[2]}}}", text)
    text = _POWERS_BESIDE.sub(r"\1\\cdot ", text)
    text = _GROUPED_BASE.sub(lambda m: m[0].replace(",", ""), text)
    text = _INFINITE.sub(r"\1\2 ", text)
    text = _SCRIPT.sub(r"\1\2", _BRACKETED_BASE.sub(r"_{\1}", text))
    text = _INNER_SPACE.sub("", unwrap(_LEAD_IN.sub("", text))).replace(_ROW, "\\\\")
    if "cis" in text:
        text = _CIS.sub(lambda m: rf"(\cos({m[1]})+i\sin({m[1]}))" if m[1] else m[0], text)
    if "[" in text or "]" in text:
        text = _TURNED.sub(lambda m: ("(" if m[1] == "]" else "[") + m[2] + (")" if m[3] == "[" else "]"), text)
    if "{" in text and "," in text:
        text = _BARE_SET.sub(lambda m: rf"\{{{m[1]}\}}" if _is_list(m[1]) else m[0], text)    # x\in{2,3}
    return _ungrouped(text)


def _canonical_latex(text: str) -> str:
    text = _DOUBLED.sub(r"\\", text) if "matrix" not in text and "array" not in text else text
    text = part_rows(text)
    text = ROW_BREAK.sub(_ROW if r"\begin" in text else r"\\quad ", text)
    if "&" in text and r"\begin" not in text:
        text = part_columns(text)
    text = _STYLES.sub("", text)
    for _ in range(3):
        if (plainer := _DRAWN.sub(_undrawn, text)) == text:
            break
        text = plainer
    if r"\text" in text:
        text = without_remarks(text)
    if "cancel" in text:
        text = _unstruck(text)
    text = _THOUSANDS_GAP.sub(",", text)
    text = _BRACED_MARK.sub(lambda m: m[1] or m[2], text)
    text = _FRACTION.sub(r"\\frac", text)
    text = _NAMED_FUNCTION.sub(r"\\\1 ", text)
    text = _GLUED.sub(r"\\\1 ", text)
    text = _DEGREES.sub("°", text)
    text = _ALIASES.sub(lambda m: _ALIAS_OF[m[1]] + (" " if _ALIAS_OF[m[1]][-1].isalpha() else ""), text)
    text = with_braces(text)
    text = _MICRO.sub(lambda m: rf"\text{{ μ{m[1] or m[2]} }}", text)
    text = _OHM.sub(lambda m: rf"\text{{ {m[1] or ''}ohm }}", text)
    text = _FONT.sub(_plain_font, text)
    text = _DOTTED_UNITS.sub(r"\1", text)
    text = _UNIT_FRACTION.sub(r"\\text{\1/\2\3}", text)
    text = _BARE_FONT.sub(r"\1", text)
    text = text.replace(r"\%", "%").replace(r"\$", "$").replace(r"\#", "#").replace(r"\&", r"\land ")
    return part_wide_gaps(text)


def _unstruck(text: str) -> str:
    """`\\frac{\\cancel{2}\\cdot 3}{\\cancel{2}}` without its strokes, where what is struck comes in pairs."""
    counts = Counter(match[1].strip() for match in _STRUCK.finditer(text))
    in_pairs = r"\frac" in text and counts and all(count % 2 == 0 for count in counts.values())
    return _STRUCK.sub(r"{\1}", text) if in_pairs else text


def _undrawn(match: re.Match[str]) -> str:
    """What a style is applied to, as a group of its own where it could run into its neighbours."""
    content = match[1].strip()
    if _CHOICE(content):
        return rf"\text{{{content}}}"
    return f" {content} " if content.isalnum() else f"{{{content}}}"


_AND_OR = re.compile(r"(?<![a-zA-Z\\])(and|or)(?![a-zA-Z]{2}|[a-zA-Z](?!(?:_\w)?(?:\(\w\))?\s*=))", re.IGNORECASE)
_CONNECTIVES = dict.fromkeys(("oder", "ou", "o", "или", "或", "或者"), "or") | dict.fromkeys(
    ("und", "et", "y", "и", "和", "且", "与"), "and")
_CHOICE = re.compile(r"\([A-J]\)").fullmatch
_CHOICES = re.compile(r"\(?[A-J]\)?(?:\s*(?:,|,?\s*\band\b)\s*\(?[A-J]\)?)+").fullmatch
_CHOICE_LETTER = re.compile(r"\(?[A-J]\)?")
_OPERATIONS = {"times": r"\cdot ", "plus": "+", "minus": "-", "divided by": "/"}
_IN_DIGITS = re.compile(r"(?:[0-9A-Z]|\\(?:text|mathrm)\{[A-Z]\})*_\{?\d").match
_REMARK = re.compile(r"\((?:a )?(?:double|repeated|simplified|exact|approx|rounded|total|in total|since|because|as|by"
                     r"|i\.e|given|final)\b[^()]*\)|\(the other \w+ [^()\d]*\)", re.IGNORECASE).fullmatch
_EITHER = re.compile(r"(?<![a-zA-Z\\])(?:either|both)(?![a-zA-Z])\s*", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+$]*[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?").fullmatch
_REMAINDER = re.compile(r"(?<=\d)\s*,?\s*(?:\\text\{)?\s*(?:R|r|rem\.?|remainder)\s*\}?\s*(?=\d+$)")
_MODULO = re.compile(r"\(?\s*(?:\\(?:pmod|bmod|mod)(?![a-zA-Z])|\\text\{\(?mod(?:ulo)?\}"
                     r"|(?<![\\a-zA-Z])mod(?:ulo)?(?![a-zA-Z]))"
                     r"\s*(?:\{\s*(\w+)\s*\}|(\w+))\s*(?:\)|\\text\{\)\})?")
_LEAD_IN = re.compile(r"^\s*(?:\\(?:implies|therefore|rightarrow|to)(?![a-zA-Z])|→|⇒|∴)"
                      r"|^\s*\\text\{[^{}]*\b(?:is|are|equals):?\}(?=\s*\S)")
_IN_WORDS = re.compile(r"(.*\d)\s*\(([a-zA-Z -]+)\)").fullmatch
_LETTERS = re.compile(r"[a-zA-Z]").search
_BETWEEN_UNITS = re.compile(r"(?<=[A-Za-z])\s*\\cdot(?![a-zA-Z])\s*(?=[A-Za-z])")       # kg \cdot m


def _plain_font(match: re.Match[str]) -> str:
    """What `\\text{…}` holds. Numbers, choices and connectives come out of it; words and units stay marked."""
    content = " ".join(_BETWEEN_UNITS.sub(" ", match[1]).replace("$", " ").replace(_ROW, " ").split())
    if len(content) == 1 and content.isupper() and _IN_DIGITS(match.string, match.end()):
        return content                                         # 2\text{A}5_{11}
    if content in ("e", "i") and match[1] == content:
        return content + " "
    if len(content) > 1 or match[1] != content:                # \text{ 或 }, \text{ y }, no \text{y}
        content = _CONNECTIVES.get(content, content)
    if (sign := _OPERATIONS.get(content)) and match.string[match.end():].strip(" $"):
        return sign
    if content.casefold() in ("negative", "minus") and not match.string[match.end():].strip(" $"):
        return rf" \text{{{content}}} "                        # the word is the answer, not a sign
    return " " + _marked_words(content) + " "


def _marked_words(content: str) -> str:
    if content.casefold() in ("negative", "minus"):
        return "-"
    content = _EITHER.sub("", content)
    if content[:1] == "(" and (repeated := leading_number(content[1:-1])) and not repeated[1]:
        return " "                                             # 17 (seventeen)
    if spelled := leading_number(content):
        rest = _marked_words(spelled[1]) if spelled[1] else ""
        return f"{spelled[0]} {rest}" if not rest or rest[0] in "\\ " else content
    if _REMARK(content):
        return " "                                             # 2 (double root)
    if _CHOICES(content):
        return ",".join(rf"\text{{{letter}}}" for letter in _CHOICE_LETTER.findall(content))
    if _AND_OR.search(content):
        pieces = _AND_OR.split(content)
        signs = {"or": r"\lor ", "and": r"\land "}
        return "".join(signs[piece.casefold()] if at % 2 else _marked_words(piece.strip())
                       for at, piece in enumerate(pieces))
    if not _LETTERS(content) or any(character.isdigit() or character in "\\=<>" for character in content):
        return content
    return rf"\text{{{content}}}" if content.strip() else " "


def _plain_words(text: str) -> str:
    """Number words and connectives in a text that has no markup around them."""
    if not _LETTERS(text):
        return text
    if "\\text" not in text and (spelled := leading_number(text)):
        text = " ".join(spelled).strip()
    if (again := _IN_WORDS(text)) and (spelled := leading_number(again[2])) and not spelled[1]:
        text = again[1]                                        # 17 (seventeen)
    text = _EITHER.sub("", text)
    return _AND_OR.sub(lambda m: r"\lor " if m[1].casefold() == "or" else r"\land ", text)


def _ungrouped(text: str) -> str:
    """The text without braces or a `\\text{}` marker around all of it; `{1,2}` is meant as a set."""
    while text[:1] == "{" and closing(text, 0) == len(text) - 1:
        inner = text[1:-1]
        if _is_list(inner):
            return rf"\{{{inner}\}}"
        text = inner
    return text


def _is_list(text: str) -> bool:
    """Whether a comma that parts no thousands stands outside all brackets."""
    if _THOUSANDS(text):
        return False
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            return True
    return False
