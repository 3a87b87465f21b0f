"""Where a text computes: its tokens, and the runs of arithmetic that equations can stand in.

A solution's text goes in; `Run`s come out, each a chain of sides and relations with their places. Words stay inside a
run only where a unit can stand (`16 eggs - 3 eggs = 13 eggs`).
"""

import re
from typing import NamedTuple


class Token(NamedTuple):
    """One number, operator, word or sign, with its place in the text."""

    kind: str          # number, operator, equals, approx, open, close, word, command, symbol, break
    text: str          # as the evaluator wants it
    start: int
    end: int


_TOKEN = re.compile(r"""
    (?P<number>(?:\d{1,3}(?:,\d{3}|\{,\}\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+))
  | (?P<text>\\(?:text|mbox|mathrm|textbf)\s*\{(?P<unit>[^{}]*)\})
  | (?P<delimiter>\\[()\[\]])
  | (?P<skip>\\[,!;: ]|\\(?:left|right|boxed|displaystyle|q?quad)(?![a-zA-Z])|&|[ \t]+|\*\*(?!\s*\d)|(?<!\d)\*\*)
  | (?P<approx>\\approx(?![a-zA-Z])|≈|≃|\\simeq)
  | (?P<equals>=)
  | (?P<rate>/\s*[a-zA-Z]{2,}|\bper\s+[a-zA-Z]+)
  | (?P<operator>\*\*|[-+*/^%×÷−·–]|\\(?:times|cdot|div)(?![a-zA-Z])|\\%|(?<![a-zA-Z])[xX](?=\s*[$\d(.\\]))
  | (?P<command>\\[dtc]?frac(?![a-zA-Z])|\\sqrt(?![a-zA-Z]))
  | (?P<open>[({\[])
  | (?P<close>[)}\]])
  | (?P<currency>\\?\$|[€£¥₹])
  | (?P<symbol>\\(?:pi|theta|alpha|beta|gamma|phi|omega|lambda|mu|sigma|delta|arc[a-z]+|sinh?|cosh?|tanh?|cot|sec|csc
      |log|ln|exp|d?binom|p?mod|bmod|infty|vec|overline|bar|hat|angle|sum|prod|int|lim|lfloor|lceil|[cl]?dots|pm|mp)(?![a-zA-Z])
      |(?:sin|cos|tan|log|ln|mod|pi|choose|remainder)(?![a-zA-Z])|(?<=\d)[A-Z]{2,}\^)
  | (?P<word>[a-zA-Z]+(?:'s)?)
  | (?P<break>.|\n)
    """, re.VERBOSE | re.ASCII)
_AS_OPERATOR = {"x": "*", "X": "*", r"\times": "*", r"\cdot": "*", "×": "*", "·": "*", r"\div": "/", "÷": "/",
                r"\%": "%", "**": "^", "–": "-", "−": "-"}
_ORDINALS = ("st", "nd", "rd", "th")


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text in their order; white space and commands of layout are left out."""
    tokens = []
    for match in _TOKEN.finditer(text):
        kind, written = match.lastgroup or "break", match[0]
        if kind == "unit":
            kind = "text"
        if kind == "skip":
            continue
        if kind == "number":
            written = written.replace("{,}", "").replace(",", "")
        elif kind == "operator":
            written = _AS_OPERATOR.get(written, written)
        elif kind == "command":
            written = r"\sqrt" if "sqrt" in written else r"\frac"
        elif kind == "text":
            kind, written = "word", match["unit"].strip()
        elif kind in ("rate", "delimiter"):
            kind = "word" if kind == "rate" else "break"
        tokens.append(Token(kind, written, match.start(), match.end()))
    return tokens


class Run(NamedTuple):
    """Tokens of one chain of equations. open_left, open_right: an outer side goes on in something that was cut off."""

    tokens: list[Token]
    open_left: bool
    open_right: bool


def runs(text: str) -> list[Run]:
    """Maximal runs of arithmetic, words only where a unit can stand."""
    made: list[Run] = []
    current: list[Token] = []
    tokens, before = tokens_of(text), None
    for at, token in enumerate([*tokens, _END]):
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.kind == "word" and token.text == "of" and current and _ends_a_value(current[-1]):
            current.append(token._replace(kind="operator", text="*"))
        elif token.kind not in ("break", "word", "symbol") or (
                token.kind == "word" and _is_unit(token, current, following)):
            current.append(token)
        else:
            if any(inside.kind in ("equals", "approx") for inside in current):
                made.append(Run(current, _continues(before, current[0], True), _continues(token, current[-1], False)))
            current, before = [], token
    return made


_END = Token("break", "\n", -1, -1)


def _continues(outside: Token | None, edge: Token, on_the_left: bool) -> bool:
    """Whether the expression at the edge of a run goes on outside: `x + 4`, `3y`, `2 \\pi`, `{2} + 7`, `8th - 3`."""
    if edge.text != "%" and edge.kind in ("operator", "command", "close" if on_the_left else "open"):
        return True
    if outside is None:
        return False
    if outside.kind == "symbol":
        return True
    adjacent = outside.end == edge.start if on_the_left else outside.start == edge.end
    return adjacent and len(outside.text) == 1 and outside.text not in (" \n;!?'\"" if on_the_left else " \n.,;!?'\":")


def _ends_a_value(token: Token) -> bool:
    return token.kind in ("number", "close") or token.text == "%"


def _is_unit(word: Token, run: list[Token], following: Token | None) -> bool:
    """A word is a unit after a number, a bracket or another unit, and before an operator, a relation or the end."""
    if not run or not (_ends_a_value(run[-1]) or run[-1].kind == "word"):
        return False
    if len(word.text) == 1 or word.text in _ORDINALS:
        return False
    return following is None or following.kind in ("operator", "equals", "approx", "close", "word", "break")


# What takes an equation back. Before it: it is denied, only tried, or one of other numbers (in base 3, modulo 7).
# Behind it: it is asked, denied, or thought again.
_TRIED = re.compile(r"(?:\b(?:not|never|cannot|can't|isn't|instead of|rather than|suppose|assume|assuming|whether)\b"
                    r"|\b(?:mistake|wrong|false|incorrect|err(?:or|oneous))\w*"
                    r"|\b(?:mod|modulo|modular|base \w+)\b)[^.;!?\n]{0,30}$", re.IGNORECASE)
_ABSURD = re.compile(r"\b(?:contradict|absurd|impossible|which is (?:false|wrong|not))", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"[\s$.,;:!()\[\]\\…–—*-]*(?:(?:which|that|this|it|but|so|and)(?:'s|\s+(?:is|was|can|does|makes))?\s+)*"
    r"(?:\?|no\b|nope|not\b|n't|wrong|false|incorrect|impossible|absurd|an?\s+(?:contradiction|mistake|error)|cannot|can't|"
    r"isn't|doesn't|contradict|wait|hmm|oops|actually|let me (?:re|check|double)|≠|✗|❌|\\ne)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!](?=\s|$)|\?|\n|$")


def is_taken_back(text: str, start: int, end: int) -> bool:
    """Whether the text asks, denies or corrects what it writes at [start, end): `2 + 2 = 5? no`, `not 3 * 4 = 13`."""
    stop = _SENTENCE_END.search(text, end)
    if _TAKEN_BACK.match(text, end) or stop and (stop[0] == "?" or _ABSURD.search(text, end, stop.start())):
        return True
    return _TRIED.search(text[max(0, start - 60):start]) is not None
