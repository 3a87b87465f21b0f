"""Values in words: `negative 5`, `the square root of 5`, `less than 5`, `5 or more`, `5 squared` as mathematics.

A line and a position go in; the value that is written there comes out as a `Term` whose words are applied to it, so
that `less than 5` is no 5.
"""

import re

from stepforge.pipelines.answers.number_words import PARTS, leading_number, nth
from stepforge.pipelines.answers.terms import Term, series_at, term_at
from stepforge.pipelines.answers.units import is_unit, unit_of
from stepforge.pipelines.answers.wording import FILLER

_SIGN = re.compile(r"(?:negative|minus)\s+(?=[\d\\$.a-z(])", re.IGNORECASE)
_MUCH = r"(?:(?:strictly|much|slightly|a bit|a little|well|just)\s+)*"
_LESS, _MORE = r"(?:less|fewer|smaller|lower) than", r"(?:more|greater|larger|bigger|higher) than"
_APPLIED = tuple((re.compile(words + r"\s+", re.IGNORECASE), form) for words, form in (
    (r"(?:positive |principal )?square root of", r"\sqrt{%s}"),
    (r"cube root of", r"\sqrt[3]{%s}"),
    (r"fourth root of", r"\sqrt[4]{%s}"),
    (r"fifth root of", r"\sqrt[5]{%s}"),
    (r"absolute value of", "|%s|"),
    (r"factorial of", "(%s)!"),
    (r"natural log(?:arithm)? of", r"\ln(%s)"),
    (r"sine of", r"\sin(%s)"),
    (r"cosine of", r"\cos(%s)"),
    (r"tangent of", r"\tan(%s)"),
    (r"square of", "(%s)^2"),
    (r"cube of", "(%s)^3"),
    (r"(?:opposite|negative|additive inverse) of", "-(%s)"),
    *((rf"(?:one )?{part} of", rf"\frac{{%s}}{{{number}}}") for part, number in PARTS.items()),
    (r"(?:twice|double)", r"2\cdot(%s)"),
    (r"(?:three times|triple)", r"3\cdot(%s)"),
    (r"(?:reciprocal|inverse) of", r"\frac{1}{%s}"),
    (rf"(?:{_LESS} or equal to|at (?:the |a )?(?:most|maximum)|no {_MORE}|up to)", r"x\le %s"),
    (rf"(?:{_MORE} or equal to|at (?:the |a )?(?:least|minimum)|no {_LESS})", r"x\ge %s"),
    (rf"{_MUCH}(?:{_LESS}|under|below)", "x<%s"),
    (rf"{_MUCH}(?:{_MORE}|over|above)", "x>%s")))
_COUNTED = re.compile(r"(\w+)\s+(less|fewer|more|greater) than\s+(?=[\d\\$])", re.IGNORECASE)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\s+[a-z]")             # the 12th prime
_OF_TWO = re.compile(r"(sum|product|difference|quotient) (?:of|between)\s+(?=[\d\\$])", re.IGNORECASE)
_COMBINED = {"sum": "(%s)+(%s)", "product": r"(%s)\cdot(%s)", "difference": "(%s)-(%s)", "quotient": r"\frac{%s}{%s}"}
_AND = re.compile(r"\s+and\s+(?=[\d\\$])")
MAX_OPERATIONS = 4   # in words behind a value
_BETWEEN = re.compile(r"(?:strictly |somewhere |anywhere )?(?:between|from|in the range(?: of)?)\s+", re.IGNORECASE)
_TO = re.compile(r"\s+(?:and|to|through)\s+")
_OF = re.compile(r"\s+of\s+(?=[\d$\\])")
_PERCENT = re.compile(r"\s*(?:percent|per cent|pct)\b")
_PART = re.compile(r".*(?:%|/|frac)").match
_OR_MORE = re.compile(r"\s*,?\s*(?:or (?:(more|greater|higher|larger|above)|less|fewer|lower|smaller|below)"
                      r"|at (?:the )?(?:most|(least)))\b|(\+)(?=\s*(?:[.,;!]|$))", re.IGNORECASE)
NUMERATORS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
_OR_NEGATIVE = re.compile(r"\s+or its (?:negative|opposite)\b")
_AND_PART = re.compile(rf"\s+and\s+({'|'.join(NUMERATORS)})\s+({'|'.join(PARTS)})s?\b", re.IGNORECASE)
_BINARY = re.compile(r"\s+(choose|(?:over|to|in)(?=\s+\d+\s*(?:[.;!?]|$))|(?<!from)to"
                     r"(?=\s+\$?\d[\d.,]*\s*(?:%|(?!decimal|significant|d\.?p|s\.?f|places|digits|figures|the\b)[a-z]{3}))"
                     r"|out of|times|[xX×]|plus|minus|multiplied by"
                     r"|divided by|(?:raised )?to the power(?: of)?|raised to"
                     r"|(?:more|greater|larger) than"
                     r"|(?:less|fewer|smaller) than)\s+(?=[\d\\$(]|[b-hj-z](?![\w'’])|the (?:square|cube) root)")
_THINGS_OUT_OF = re.compile(r"\s+out of\s+\d[\d,]*\s+(?!chances?\b)[a-z]{3,}")        # 25 out of 100 students play
_SHARE = re.compile(r"%|\bfraction|\bprobabilit|\bpercent|\bwhich is\b|\bchance", re.IGNORECASE)
_OPERATIONS = {"times": r"(%s)\cdot(%s)", "multiplied": r"(%s)\cdot(%s)", "divided": r"\frac{%s}{%s}",
               "choose": r"\binom{%s}{%s}", "to": "%s:%s"} | dict.fromkeys("xX×", r"%s\times %s") | dict.fromkeys(
    ("to the", "raised"), "(%s)^{%s}") | dict.fromkeys(
    ("over", "in", "out"), r"\frac{%s}{%s}") | dict.fromkeys(
    ("plus", "more", "greater", "larger"), "%s+(%s)") | {"minus": "%s-(%s)"} | dict.fromkeys(
    ("less", "fewer", "smaller"), "-(%s)+(%s)")
_BELOW_ZERO = re.compile(r"\s+below (?:zero|0)\b")
_TENTHS = re.compile(rf"(\d+)[ -]({'|'.join(PARTS.keys() - {'half', 'quarter'})})s\b.*").fullmatch
_REMAINDER_UNIT = re.compile(r" rem(?:ainder|\.)?$")
_SMALLER = re.compile(r",?\s+\d+(?:\.\d+)?\s+([a-z]+)(?!\w)")
_POWER = re.compile(r"\s+(squared|cubed|factorial)\b")
_NTH = re.compile(r"\s+(?:raised )?to the (\w+)(?: power)?\b")
_TAILS = tuple((re.compile(pattern, re.IGNORECASE), form) for pattern, form in (
    (r"\s*\(?(?:mod|modulo)\s+\$?(\d+)\$?\)?", r"%s \pmod{%s}"),
    (r"\s*,?\s*(?:R|r|rem\.?|remainder)\s*(\d+)\b", r"%s \text{ remainder } %s"),
    (r"\s*\(?(?:in )?base[- ]\$?(\w+)\$?\)?", r"%s \text{ base %s}"),
    (r"\s+((?:in the (?:morning|afternoon|evening)|at night))", r"%s \text{ %s}")))
_MAY_TAIL = re.compile(r"\s*,?\s*\(?(?:mod|r|in|base|at)", re.IGNORECASE).match
_CLOCK = re.compile(r"(\d{1,2}(?::\d\d(?::\d\d)?)?)\s*([ap])\.?\s?m\b\.?", re.IGNORECASE)
_POWERS = {"squared": "(%s)^2", "cubed": "(%s)^3", "factorial": "(%s)!"}


def skip(line: str, at: int = 0) -> int:
    """Where the words end that only lead to a value: `therefore`, `a total of`, `the number`."""
    filler = FILLER.match(line, at)
    return filler.end() if filler else at


def value_at(line: str, at: int) -> Term | None:
    """The value that is written at a position, with the words that change it."""
    if line[at:at + 1].isalpha() and (applied := _in_words(line, at)) is not None:
        return applied
    if clock := _CLOCK.match(line, at):
        return Term(at, clock.end(), f"{clock[1]} {clock[2].lower()}m", "number")
    term = series_at(line, at)
    if term is None or _ORDINAL.match(line, term.end):
        return None
    if term.text.endswith("'") and line[at - 1:at] == "'":
        term = term._replace(text=term.text[:-1])               # 'quoted'
    if term.kind == "number":
        term = _with_smaller(line, term)
    if term.kind == "number" and (half := _AND_PART.match(line, term.end)):
        return Term(at, half.end(), f"{term.text}+{NUMERATORS[half[1].lower()]}/{PARTS[half[2].lower()]}", "number")
    if term.many == 1 and (both := _OR_NEGATIVE.match(line, term.end)):
        return term._replace(end=both.end(), text=rf"\pm {term.text}", kind="formula")
    if term.many == 1 and (more := _OR_MORE.match(line, term.end)):
        order = r"x\ge" if more[1] or more[2] or more[3] else r"x\le"
        return term._replace(end=more.end(), text=f"{order} {term.text}", kind="formula")
    for tail, form in _TAILS if (term.kind == "number" or "equiv" in term.text) and _MAY_TAIL(line, term.end) else ():
        if (matched := tail.match(line, term.end)) is not None:
            spelled = leading_number(matched[1])
            return term._replace(end=matched.end(), text=form % (term.text, spelled[0] if spelled else matched[1]))
    return _operated(line, term)


def _things_out_of(line: str, at: int) -> bool:
    """Whether `25 out of 100 students play` counts things; not so where the line goes on to their share."""
    return _THINGS_OUT_OF.match(line, at) is not None and _SHARE.search(line) is None


def _with_smaller(line: str, term: Term) -> Term:
    """The number with what its unit hides: `7 feet 5 inches`, `7 tenths`, `7 below zero`, `7 remainder 3`."""
    if below := _BELOW_ZERO.match(line, term.end):
        return term._replace(end=below.end(), text=f"-{term.text}") if term.text[0].isdigit() else term
    if parts := _TENTHS(term.text):
        return term._replace(end=term.start + parts.end(2), text=f"{parts[1]}/{PARTS[parts[2]]}")
    if left := _REMAINDER_UNIT.search(term.text):
        return term._replace(end=term.end - len(left[0]), text=term.text[:left.start()])
    unit = term.text.rsplit(" ", 1)[-1]
    if is_unit(unit) and (smaller := _SMALLER.match(line, term.end)) and is_unit(smaller[1]) and smaller[1] != unit \
            and (both := unit_of(unit), less := unit_of(smaller[1])) and both and less \
            and both.dimension == less.dimension and both.factor > less.factor:
        return term._replace(end=smaller.end(), text=term.text + smaller[0])
    return term


def _operated(line: str, term: Term) -> Term:
    """The term with the operations in words that follow it: `4 squared plus 16`."""
    for _ in range(MAX_OPERATIONS):
        if power := _POWER.match(line, term.end):
            area = term.kind == "number" and term.text[-1].isalpha() and power[1] != "factorial"     # 5 meters squared
            term = term._replace(end=power.end(), text=term.text + power[0] if area else _POWERS[power[1]] % term.text)
        elif (power := _NTH.match(line, term.end)) and (exponent := nth(power[1])):
            term = term._replace(end=power.end(), text=f"({term.text})^{{{exponent}}}", kind="formula")
        elif term.many == 1 and (word := _BINARY.match(line, term.end)) and not _things_out_of(line, term.end) \
                and (other := term_at(line, word.end()) or _in_words(line, skip(line, word.end()))):
            operation = _OPERATIONS["to the" if word[1].startswith("to the") else word[1].split()[0]]
            combined = _result(other.text) or operation % (term.text, _bare(operation, other.text))
            term = term._replace(end=other.end, text=combined, kind="formula")
        elif term.many == 1 and _PART(share := _PERCENT.sub("%", term.text)) and (of := _OF.match(line, term.end)) \
                and (whole := term_at(line, of.end())):
            combined = _result(whole.text) or rf"{share}\cdot({whole.text})"
            term = term._replace(end=whole.end, text=combined, kind="formula")
        else:
            break
    return term


def _result(text: str) -> str:
    """60 of `5 = 60`, which ends `12 times 5 = 60`; empty where nothing is computed."""
    return text.rpartition("=")[2].strip() if "=" in text else ""


def _bare(operation: str, text: str) -> str:
    """A denominator without its unit: `3 out of 8 chances`."""
    return text.split(" ")[0] if operation.startswith(r"\frac") and text[0].isdigit() else text


def _in_words(line: str, at: int) -> Term | None:
    """The value behind words that change it."""
    if between := _BETWEEN.match(line, at):
        if (low := term_at(line, between.end())) and (to := _TO.match(line, low.end)) \
                and (high := term_at(line, to.end())):
            return low._replace(end=high.end, text=f"({low.text}, {high.text})", kind="formula")
        both = series_at(line, between.end())
        return both._replace(text=f"({both.text})", kind="formula") if both else None
    if sign := _SIGN.match(line, at):
        if (spelled := leading_number(line[sign.end():].rstrip(" .!"))) and not spelled[1]:
            return Term(at, len(line), f"-{spelled[0]}", "number")
        term = term_at(line, sign.end())
        return term._replace(text=f"-{term.text}") if term else None
    if (counted := _COUNTED.match(line, at)) and (count := leading_number(counted[1])) and not count[1]:
        term = term_at(line, counted.end())
        operator = "-" if counted[2].lower() in ("less", "fewer") else "+"
        return term._replace(text=f"{term.text}{operator}{count[0]}", kind="formula") if term else None
    if (of_two := _OF_TWO.match(line, at)) and (first := term_at(line, of_two.end())) \
            and (joined := _AND.match(line, first.end)) and (second := term_at(line, joined.end())):
        return Term(at, second.end, _COMBINED[of_two[1].lower()] % (first.text, second.text), "formula")
    if (part := leading_number(line[at:])) and "/" in part[0] and (of := _OF.match(" " + part[1])) \
            and (whole := term_at(line, len(line.rstrip()) - len(part[1]) + of.end() - 1)):
        return whole._replace(text=rf"{part[0]}\cdot({whole.text})", kind="formula")
    for words, form in _APPLIED:
        if (applied := words.match(line, at)) and (term := term_at(line, skip(line, applied.end()))):
            return term._replace(text=form % term.text, kind="formula")
    return None
