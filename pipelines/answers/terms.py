"""Terms: the stretches of a sentence that can be an answer, such as `$x = 5$`, `10\\sqrt{2} m`, `(2, 3)` or `1/2`.

A text and a position go in; the term that begins there comes out, with the unit behind it and without the words that
follow. A term ends where its notation ends, so `12 cups of sugar` is `12 cups` and `72, not 71` is `72`. `series_at`
joins terms by commas, `and` and `or` into one list. Texts come as one line of ASCII mathematics.
"""

import re
from typing import Literal, NamedTuple

from stepforge.pipelines.answers.compound_units import unit_end
from stepforge.pipelines.answers.units import is_unit, unit_of

MAX_TOKENS = 200     # of one plain term

Kind = Literal["number", "formula", "name"]


class Term(NamedTuple):
    """kind: `number` has a digit or a constant and no sign of equality, `formula` is any other mathematics, `name` is
    letters alone (`n`, `a + b`). text: the term without its delimiters. many: how many terms a series joins.
    """

    start: int
    end: int
    text: str
    kind: Kind
    many: int = 1


_UNIT_BEHIND = re.compile(r"([ \t~]*)[A-Za-zμΩ]")
MATH = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$((?:\\.|[^$\n\\])+?)\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_THOUSANDS = r"\d{1,3}(?:(?:,|\{,\}|,[ ]?\\![ ]?)\d{3})+(?!,?\d)|\d{1,3}(?:[ ]\d{3})+(?![ ]?\d)"
_PREFIXED = r"0(?:[xX][\da-fA-F]{1,16}|[bB][01]{1,64}|[oO][0-7]{1,21})(?!\w)"           # 0x1A
_NUMBER = (rf"{_PREFIXED}|\d+[ ]\d+/\d+(?!\d|\.\d|/)"
           rf"|(?:{_THOUSANDS}|\d+)(?:\.\d+)?(?:[eE][+-]?\d+(?![\da-zA-Z]))?(?:\.\.\.)?"
           r"|\.\d+")
_TOKEN = re.compile(rf"""(?P<number>(?:\\?[$€£¥₹]\s?[-+]?\s?)?(?:{_NUMBER}))
    |(?P<text>\\begin\{{[a-z]+\}}.{{1,600}}?\\end\{{[a-z]+\}}
        |\\(?:text|mathrm|mathbf|textbf|mbox|operatorname)\s*\{{[^{{}}]*\}})
    |(?P<operator>(?:\\(?:times|cdot|div|pm|mp|le|leq|ge|geq|ne|neq|lt|gt|approx|equiv|cup|cap|in|to|mid|setminus
        |over)(?![a-zA-Z])|<=|>=|!=|\*\*|:(?=\d)(?<=\d:)|:(?=[ ]\d)(?<=\d[ ]:)|=(?!>)|[-+*/^_<>]))
    |(?P<function>\\(?:[dt]?frac|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|arc(?:sin|cos|tan))(?![a-zA-Z])
        |(?:sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp)(?![a-zA-Z]))
    |(?P<command>\\[a-zA-Z]+|\\[,!%|])
    |(?P<open>\\\{{|[(\[{{])
    |(?P<close>\\\}}|[)\]}}])
    |(?P<postfix>[%'°]|!(?!!*\s*(?:$|[A-Z])))
    |(?P<comma>[,;])
    |(?P<name>(?:pi|inf|infinity)(?![a-zA-Z])
        |[a-zA-Z](?:\d+(?!\d))?(?![a-zA-Z0-9\u00c0-\u024f\u0400-\u04ff]|['’][a-z]))""", re.VERBOSE | re.ASCII)
_SPACE = re.compile(r"[ \t~]*")
_SYMBOLS = re.compile(r"(?P<name>(?:(?<=\d)|(?<=rt\())[a-z]{2,3}(?![a-zA-Z]))")
_CLOSING = {"(": ")]", "[": ")]", "{": "}", "\\{": ("\\}",)}
_MATHS = re.compile(r"\d|\\(?:pi|sqrt|infty|emptyset|varnothing|mathbb|frac)|\b(?:pi|infinity)\b|sqrt")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|leq|geq|lt|gt|ne|neq|in|approx|equiv)(?![a-zA-Z])")
_RELATED = re.compile(r"\s*(=|-(?=\s?\$))\s*")                  # $x$ = 5; the range $12$-$13$
_OPERATED, _ENDS = re.compile(r"\s*[-+*/^=]\s*[\w(\\]"), re.compile(r"\s*(?:[.,;:!?]|$)")
_PERCENT = re.compile(r"\s*(?:\\?%|(?:percent|per cent|pct)\b)")
_PLAIN_NUMBER = re.compile(r"(?:[-+\d\s,./$€£¥₹%°]|\\[$%,! ]|\\[dt]?frac|\^?\\circ|[{}]"
                           r"|(?:\\times|\\cdot|[*x×])\s*10\s*\^)+").fullmatch
_NAMED = re.compile(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?\s*=\s*").match
_SCIENTIFIC = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:\s*\\(?:times|cdot)\s*10\^(?:\d|\{-?\d+\}))?").fullmatch
_TEXT = re.compile(r"\\text[a-z]{0,2}\s*\{[^{}]*\}")
_WORDS_INSIDE = re.compile(r"(?<![\\a-zA-Z{])[a-z]{3,}(?![a-zA-Z{}])")
_WORD = re.compile(r"\s?((?:[ap]\.m\.|[A-Za-z][a-zA-Z/]*(?:'s)?)(?:\^\{?-?\d\}?)?)(?![\w'])")
SHORT_UNITS = frozenset("m g s h L l V W N J K A C F cm mm km kg mg ml mL ft yd mi lb oz hr am pm AM PM °C KM CM KG"
                        " Mg mW MW kW Mb MB mb Gb GB gb kb kB KB Tb TB".split())
_CAPITALISED = frozenset("Celsius Fahrenheit Kelvin North South East West AM PM".split())
STOP = frozenset("""a an the of for in on at to from with within without by as into onto over under about above below
    between among against during after before since until till while when where whenever which that who whom whose what
    why how if then than so because hence thus therefore and or nor but not no yet is are was were be been being am has
    have had do does did can cannot could will would shall should may might must it its it's she he they we you i this
    these those there each every all both either neither also too only just even still altogether respectively exactly
    making giving using given assuming including plus minus times divided multiplied mod modulo choose wait let via
    namely squared cubed factorial more less fewer below out raised fails fail works work""".split())
_SEPARATOR = re.compile(r"(?:,?\s*(?:but|or|and)\s+(?:it\s+)?(?:might|could|may)\s+(?:also\s+)?be\b"
                        r"|\s*(?:[,;&]|\\q?quad(?![a-zA-Z]))+(?:\s*(?:and|or)\b)?|\s*(?:and|or)\b|\s*\(\s*or\b)"
                        r"\s*(?:\b(?:maybe|possibly|perhaps|probably|else|also|even|either)\b\s*)?")
_NEW_CLAUSE = re.compile(r"\s*(?:of\b|(?:more|less|fewer|older|younger|longer|taller) than\b"
                         r"|(?:is|are|was|were|has|have|had|can|will|do|does|did|fails?|works?)\b)")


def inner(formula: re.Match[str]) -> str:
    """What stands between the delimiters of a formula that MATH matched."""
    return next(filter(None, formula.groups()))


def term_at(text: str, at: int) -> Term | None:
    """The term that begins exactly at a position, with its unit."""
    if text[at:at + 1] in ("$", "\\") and (math := MATH.match(text, at)) and not _is_prose(math):
        return _delimited(text, at, math)
    end = _plain_end(text, at)
    if end == at:
        return None
    stated = text[at:end]
    kind = _kind(stated)
    return _with_unit(text, Term(at, end, stated, kind)) if kind == "number" else Term(at, end, stated, kind)


def series_at(text: str, at: int) -> Term | None:
    """The term that begins at a position, and what commas, `and` and `or` join to it."""
    first = term_at(text, at)
    if first is None:
        return None
    stated, end, many = first.text, first.end, 1
    kinds = {first.kind}
    while separator := _SEPARATOR.match(text, end):
        following = term_at(text, separator.end())
        if following is None or _begins_clause(text, first, following) \
                or (following.kind == "name") != ("name" in kinds) \
                or first.kind == "number" and "=" in following.text:
            break
        stated += (separator[0] if separator[0].strip() != "(or" else " or ") + following.text
        end, many = following.end, many + 1
        kinds.add(following.kind)
    kind: Kind = first.kind if len(kinds) == 1 else "formula"
    return Term(at, end, stated, kind, many)


def _begins_clause(text: str, first: Term, following: Term) -> bool:
    """Whether a joined term is the subject of what follows: `5 eggs and 3 are old`, not `x=1 and x=4 are roots`."""
    clause = _NEW_CLAUSE.match(text, following.end)
    both = first.kind == following.kind == "formula" and clause is not None and clause[0].strip() in ("are", "were")
    return clause is not None and not both


def _is_prose(math: re.Match[str]) -> bool:
    """Whether `$…$` is only the text between two prices."""
    return math[2] is not None and math[2][0].isdigit() and bool(_WORDS_INSIDE.search(_TEXT.sub("", math[2])))


def _delimited(text: str, at: int, math: re.Match[str]) -> Term:
    stated, end = inner(math).strip(), math.end()
    follows = _RELATED.match(text, end)
    if follows and (value := term_at(text, follows.end())):
        return Term(at, value.end, f"{stated} {follows[1]} {value.text}", "formula")
    if (percent := _PERCENT.match(text, end)) and stated[-1:].isdigit():
        return Term(at, percent.end(), stated + r"\%", "number")
    term = Term(at, end, stated, _kind(stated))
    if (name := _NAMED(stated)) and _SCIENTIFIC(stated[name.end():]) and (behind := _UNIT_BEHIND.match(text, end)):
        known = _with_unit(text, term._replace(text="1"))
        unit = unit_of(text[end:known.end])
        if unit and unit.dimension and not unit.nouns:         # $h = 5$ cm
            return term._replace(end=known.end, text=f"{stated}{behind[1]}{text[behind.end(1):known.end]}")
    return _with_unit(text, term) if term.kind == "number" else term


def _kind(stated: str) -> Kind:
    if _RELATION.search(stated):
        return "formula"
    return "number" if _MATHS.search(stated) else "name"


def _plain_end(text: str, at: int) -> int:
    """Where the longest balanced run of mathematical tokens from a position ends."""
    position = end = at
    open_brackets: list[str] = []
    operand = False                                             # whether the last token can end a term
    for _ in range(MAX_TOKENS):
        token = _TOKEN.match(text, position)
        if token is None and open_brackets and (symbols := _SYMBOLS.match(text, position)) and not is_unit(symbols[0]):
            token = symbols                                    # sqrt(2gh)
        if token is None:
            break
        kind = token.lastgroup
        spaced = position > at and text[position - 1] in " \t~"
        if operand and not open_brackets and (spaced and not _continues(text, token) or token.lastgroup == "name" and (
                unit_end(text, token.start()) > token.end())):
            break
        if kind == "open":
            open_brackets.append(token[0])
        elif kind == "close":
            if not open_brackets or token[0] not in _CLOSING[open_brackets.pop()]:
                break
        elif kind == "comma" and not open_brackets or kind == "postfix" and not operand:
            break
        operand = kind in ("number", "text", "command", "close", "postfix", "name")
        position = token.end()
        if operand and not open_brackets:
            end = position
        position = _SPACE.match(text, position).end()           # type: ignore[union-attr]
    return end


def _continues(text: str, token: re.Match[str]) -> bool:
    """Whether a token after an operand and a space belongs to the same term: `2 x + 3`, but not `5 a day`."""
    if token.lastgroup in ("operator", "command", "function", "text") or token[0] == "%":
        return True
    if token.lastgroup == "name":
        ends = token[0].islower() and token[0] not in SHORT_UNITS and token[0] != "a"
        return _OPERATED.match(text, token.end()) is not None or ends and _ENDS.match(text, token.end()) is not None
    return False


def _with_unit(text: str, term: Term) -> Term:
    """The term with up to four words that can be its unit: `12 cups`, `20% increase`, `5 cm^2`, `4 km/h`.

    Behind anything but a plain number (`6\\pi cm`) the unit is read and left out.
    """
    end = unit_end(text, term.end)
    words = 4 if end > term.end else 0
    while words < 4 and (word := _WORD.match(text, end)):
        name = word[1].split("^")[0]
        if name == "A" and _ENDS.match(text, word.end()):
            return term._replace(end=word.end(), text=term.text + text[term.end:word.end()])      # 12 A
        if name.lower() in STOP or name.lower().removesuffix("'s") in STOP or (
                len(name) < 3 and name not in SHORT_UNITS and not (len(name) == 2 and is_unit(name))) or (
                words and name[0].isupper() and name not in _CAPITALISED):
            break
        end, words = word.end(), words + 1
    if text.endswith(" per", 0, end):
        end -= len(" per")
    if end == term.end:
        return term
    return term._replace(end=end, text=term.text + text[term.end:end] if _PLAIN_NUMBER(term.text) else term.text)
