"""Whether an answer equals the reference: cheap exact tiers first, the symbolic check only where they cannot tell.

Two bare answers go in, a `Match` comes out. The same recursion runs on both sides of the process boundary: in the
caller without a symbolic check, where a pair that needs one comes back as `needs_symbolic`, and in a killable worker
with it. All parts of a structure pass through the same guards. Swapping the sides never turns `equal` into `unequal`.
"""

import re
from functools import partial

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.algebra import algebraically_equal
from stepforge.pipelines.answers.calls import primed
from stepforge.pipelines.answers.chains import chains_match
from stepforge.pipelines.answers.chemistry import same_formula
from stepforge.pipelines.answers.conditions import conditioned
from stepforge.pipelines.answers.dates import dates_match
from stepforge.pipelines.answers.differ import integers_match
from stepforge.pipelines.answers.dollars import mixes_words
from stepforge.pipelines.answers.expressions import equations_match, expressions_match, orders_match
from stepforge.pipelines.answers.matches import (
    EQUAL,
    NEEDS_SYMBOLIC,
    NO_GOLD,
    OTHER_WORDS,
    SAME_WORDS,
    TOO_BIG,
    UNCLEAR,
    UNEQUAL,
    Match,
    Symbolic,
    all_of,
    unclear_where_equal,
)
from stepforge.pipelines.answers.names import are_two, letters_of, permuted
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.parts import one_of_many, parts_match
from stepforge.pipelines.answers.piecewise import pieces_match
from stepforge.pipelines.answers.products import has_order, numbered_match, orders_of_names, same_order
from stepforge.pipelines.answers.quantity import TOO_LARGE, UNDEFINED, Quantity, measured, read_number, same, spells
from stepforge.pipelines.answers.readings import (
    all_alike,
    commas_match,
    dotted_match,
    labels_match,
    letter_match,
    proportions_match,
    second_readings,
)
from stepforge.pipelines.answers.regions import Region, is_region, orders, region, unnamed_set
from stepforge.pipelines.answers.relations import Statement, solution, split, statement, symbols
from stepforge.pipelines.answers.renaming import renamed_match
from stepforge.pipelines.answers.residues import residues_match
from stepforge.pipelines.answers.structure import structure
from stepforge.pipelines.answers.units import conflict
from stepforge.pipelines.answers.word_forms import holds, same_day, same_stems, worded_match
from stepforge.pipelines.answers.words import choice, choice_letters, is_marked, same_letters, words

__all__ = ["NEEDS_SYMBOLIC", "Match", "Symbolic", "compare"]

_BOUND = re.compile(r"[<>]|\\[gl]e(?![a-zA-Z])").search
_DEGREE_UNIT = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])"
                          r"|[a-zA-Z]°|°\s*(?:\\text\{\s*)?[A-Z]").search         # J/g°C
_NATURAL = re.compile(r"(?:\\ge|>)\s*[01]").fullmatch          # n \ge 1; who says x>100 answers something else
_INTEGER = re.compile(r"-?[0-9]{1,18}").fullmatch
MAX_CHARS = 1000       # of one answer; the longest reference of MATH-500 has 75


def compare(gold: str, answer: str, symbolic: Symbolic | None = None) -> Match:
    """Whether two bare answers, as written, are equal. A name that only one of them gives (`x = 5`) is left out."""
    if _INTEGER(gold) and _INTEGER(answer):                # most answers by far
        return SAME_WORDS if gold == answer else EQUAL if int(gold) == int(answer) else UNEQUAL
    if len(gold) > MAX_CHARS or len(answer) > MAX_CHARS:
        return SAME_WORDS if gold.strip() == answer.strip() else TOO_BIG
    if (recorded := dates_match(gold, answer)) is not None:
        return recorded
    if same_formula(gold, answer):
        return SAME_WORDS
    ordered, worded = has_order(gold) or has_order(answer), mixes_words(gold)
    gold, answer = primed(canonical(gold)), primed(canonical(answer))
    if not gold:
        return NO_GOLD
    if not answer:
        return OTHER_WORDS
    match = _compare(gold, answer, symbolic)
    if match.equal and ordered and not same_order(gold, answer):
        return UNCLEAR                                         # a product that does not commute
    if match.equal or match.reason == NEEDS_SYMBOLIC:
        return match
    for first, second, sure in second_readings(gold, answer):
        again = _compare(first, second, symbolic)
        if again.equal is not False:
            return again if sure else unclear_where_equal(again)
    if match.equal is False and (chosen := renamed_match(gold, answer)) is not None:
        return chosen
    struck = any(r"\frac" in text and "cancel{" in text for text in (gold, answer))
    return UNCLEAR if (struck or worded) and match.equal is False else match


def _compare(gold: str, answer: str, symbolic: Symbolic | None) -> Match:
    if gold == answer and read_number(gold) is not UNDEFINED:
        return SAME_WORDS
    if ")" in gold and (numbered := numbered_match(gold, answer)) is not None:
        return numbered
    gold_number, answer_number = read_number(gold), read_number(answer)
    if UNDEFINED in (gold_number, answer_number):
        return NO_GOLD if gold_number is UNDEFINED else UNEQUAL
    if TOO_LARGE in (gold_number, answer_number):
        return TOO_BIG
    if isinstance(gold_number, Quantity) and isinstance(answer_number, Quantity):
        equal = same(gold_number, answer_number)
        return Match(equal, "numeric", outcome.AMBIGUOUS if equal is None else None)
    if spells(gold_number, answer) or spells(answer_number, gold):
        return Match(None, "numeric", outcome.AMBIGUOUS)
    if any(word in gold + answer for word in ("infinite", "Infinite")) and r"\infty" in (gold, answer):
        return UNCLEAR                                         # infinitely many
    if gold.lstrip("-+") == r"\infty" or answer.lstrip("-+") == r"\infty":
        return Match(gold.lstrip("+") == answer.lstrip("+"), "literal")
    if (conditional := _conditioned(gold, answer, symbolic)) is not None:
        return conditional
    for compared in (orders_of_names, chains_match, integers_match):
        if (named := compared(gold, answer)) is not None:
            return named
    if r"\begin{cases}" in gold and r"\begin{cases}" in answer \
            and (pieces := pieces_match(gold, answer, partial(_compare, symbolic=symbolic))) is not None:
        return pieces
    return worded_match(gold, answer) or labels_match(gold, answer) or residues_match(gold, answer) \
        or proportions_match(gold, answer) or dotted_match(gold, answer) \
        or letter_match(gold, answer) or _choices(gold, answer, symbolic) \
        or _regions(gold, answer, symbolic) or _words(gold, answer) \
        or _structures(gold, answer, symbolic) \
        or _statements(gold, answer, symbolic) or _angles(gold, answer) \
        or _measures(gold, answer, symbolic) or expressions_match(gold, answer, symbolic)


def _conditioned(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    """Compare answers of which one or both end in the domain of a parameter: `2\\pi k, k\\in\\mathbb{Z}`."""
    first, second = conditioned(gold), conditioned(answer)
    if not (first.domain or second.domain):
        return None
    match = _compare(first.stated, second.stated, symbolic)
    if first.domain and second.domain:
        if not match.equal and first.domain == second.domain and (free := first.name and second.renamed(first.name)):
            match = _compare(first.stated, free, symbolic)
        return match if first.domain == second.domain else unclear_where_equal(match)
    bound = _BOUND(first.domain or second.domain) is not None and not _NATURAL(first.domain or second.domain)
    return unclear_where_equal(match) if bound else match


# Words: names, choices, letters -----------------------------------------------------------------------------------

def _choices(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    """`(B)`, `B)`, `(B)7`: the letter decides where both have one, unless it leads to another number; else what
    stands behind it does."""
    first, second = choice(gold), choice(answer)
    if first and second and (first.marked or second.marked):
        if first.letter.casefold() != second.letter.casefold():
            return OTHER_WORDS
        values = [read_number(canonical(one.content)) for one in (first, second)]
        other_value = all(isinstance(value, Quantity) for value in values) and not same(*values)  # type: ignore[arg-type]
        return UNCLEAR if other_value else SAME_WORDS
    for one, other, text in ((first, second, answer), (second, first, gold)):
        if one and one.content and not other:
            inner = (one.content, text) if text is answer else (text, one.content)
            return _compare(canonical(inner[0]), canonical(inner[1]), symbolic)
    return None


def _words(gold: str, answer: str) -> Match | None:
    """Compare names and letters as text; None where neither side is a word, or where symbols may be meant."""
    first, second = words(gold), words(answer)
    if first is None and second is None:
        return None
    if first is not None and second is not None:
        if first == second or (len(first) == len(second) == 1 and first.casefold() == second.casefold()
                               and (is_marked(gold) or is_marked(answer))):
            return SAME_WORDS
        if (day := same_day(first, second)) is not None:
            return day
        if holds(first, second) or holds(second, first):
            return UNCLEAR
        if (alike := same_stems(first, second)) is not None:
            names = any(map(str.isupper, (gold + answer).replace("\\", "").replace("text{", ""))) and " " not in first
            return UNCLEAR if names else alike
        anagram = sorted(first) == sorted(second) and not is_marked(gold) and not is_marked(answer)
        return UNCLEAR if anagram else OTHER_WORDS
    word, text, other = (first, gold, answer) if first is not None else (second, answer, gold)
    if (ordered := same_letters(text, other)) is not None:
        return SAME_WORDS if ordered else OTHER_WORDS
    if is_marked(text) or isinstance(read_number(other), Quantity):
        return None if "=" in other and word is not None else OTHER_WORDS
    return None


# Sets of numbers and inequalities ----------------------------------------------------------------------------------

def _regions(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    """Sets of real numbers in any notation, and inequalities; None where neither side is one."""
    if not (is_region(gold) or is_region(answer)):
        return None
    if (bare := (unnamed_set(gold), unnamed_set(answer))) != (gold, answer):
        return _compare(*bare, symbolic)
    first, second = region(gold), region(answer)
    if first is not None and second is not None:
        return _same_region(first, second, symbolic)
    if (first is None) != (second is None):
        known, other = (first, answer) if first is not None else (second, gold)
        assert known is not None
        if known.intervals and all(one.low == one.high for one in known.intervals):
            points = rf"\{{{','.join(one.low for one in known.intervals)}\}}"
            if points != (gold if other is answer else answer):
                return _compare(points, answer, symbolic) if other is answer else _compare(gold, points, symbolic)
        if isinstance(read_number(other), Quantity) or words(other) is not None:
            return UNEQUAL
    chains = orders(gold), orders(answer)
    if chains[0] and chains[1]:
        return orders_match(chains[0], chains[1])
    return None


def _same_region(gold: Region, answer: Region, symbolic: Symbolic | None) -> Match:
    if len(gold.intervals) != len(answer.intervals):
        return UNEQUAL
    matches = []
    for one, other in zip(gold.intervals, answer.intervals, strict=True):
        if (one.closed_low, one.closed_high) != (other.closed_low, other.closed_high):
            return UNEQUAL
        matches += [_compare(one.low, other.low, symbolic), _compare(one.high, other.high, symbolic)]
    match = all_of(matches or [EQUAL])
    if gold.variable and answer.variable and gold.variable != answer.variable and match.equal:
        return UNCLEAR if "(" in gold.variable + answer.variable else UNEQUAL
    return match


# Structures: tuples, sets, lists, matrices -------------------------------------------------------------------------

def _structures(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    first, second = structure(gold), structure(answer)
    if first is not None and second is not None:
        return parts_match(first, second, partial(_compare, symbolic=symbolic))
    if first is None and second is None:
        return None
    parts, other = (first, answer) if first is not None else (second, gold)
    assert parts is not None
    if other == r"\emptyset" or other.count(r"\begin") > 1:
        return UNCLEAR                                         # a sum or product of matrices is not computed
    if parts.shape == "labelled":
        return UNCLEAR                                         # one answer to a problem of two parts
    if (commas := commas_match(gold if other is answer else answer, parts, other)) is not None:
        return commas
    if parts.shape == "()" and "," in other and (wrapped := structure(f"({other})")) is not None:      # 5,107,130
        pair = (parts, wrapped) if other is answer else (wrapped, parts)
        return parts_match(*pair, partial(_compare, symbolic=symbolic))
    letters = choice_letters(parts.parts)
    if letters and letters == choice_letters((other,)):
        return SAME_WORDS
    if parts.kind == "tuple" and (alike := all_alike(other, len(parts.parts))):
        return _compare(gold, alike, symbolic) if other is answer else _compare(alike, answer, symbolic)
    chain = split(other, "=")
    if len(chain) > 1 and all(map(structure, chain)) and not symbols(other):       # (4/2,6/2)=(2,3)
        ends = (gold, chain[-1]) if other is answer else (chain[-1], answer)
        return all_of([_compare(*ends, symbolic), *(_compare(side, chain[-1], symbolic) for side in chain[:-1])])
    named = statement(other)
    if named.value != other and named.value:
        return _compare(gold, named.value, symbolic) if other is answer else _compare(named.value, answer, symbolic)
    if named.sides and parts.kind == "tuple":
        return UNEQUAL
    if parts.kind in ("list", "set"):
        return one_of_many(other, parts, other is answer, partial(_compare, symbolic=symbolic))
    return UNEQUAL


# Statements: x = 5, y = 2x + 1, f(x) = x^2 -------------------------------------------------------------------------

def _statements(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    """Take names off on either side; rearranged equations are equal, a false chain (`17=3`) equals nothing."""
    first, second = statement(gold), statement(answer)
    match = _stated(gold, answer, first, second, symbolic)
    return unclear_where_equal(match) if match and (first.doubtful or second.doubtful) else match


def _stated(gold: str, answer: str, first: Statement, second: Statement, symbolic: Symbolic | None) -> Match | None:
    if first.value == gold and second.value == answer and not (first.sides and second.sides):
        return None
    if not second.value:
        return UNEQUAL
    if not first.value:
        return NO_GOLD
    if first.name and second.name:
        return _both_named(first, second, symbolic)
    if first.sides and second.sides:
        return equations_match(first.sides, second.sides, symbolic)
    if first.value == gold and second.value != answer:
        return _one_named(second, gold, False, symbolic)
    if second.value == answer and first.value != gold:
        return _one_named(first, answer, True, symbolic)
    return _best(first, second, symbolic)


def _one_named(named: Statement, other: str, named_is_gold: bool, symbolic: Symbolic | None) -> Match:
    """A statement against a bare answer."""
    bare = Statement(None, other)
    pair = (named, bare) if named_is_gold else (bare, named)
    if named.name is not None:
        match = _best(*pair, symbolic)
        asked = len(symbols(named.name)) > 1 and bool(named.sides)         # x^2+y^2=25: a curve, or the number 25
        return unclear_where_equal(match) if asked and named_is_gold else match
    if not named.sides:
        return _best(*pair, symbolic)
    zero = next((side for side, rest in (named.sides[:2], named.sides[1::-1]) if rest == "0"), None)     # P(x)=0 for P
    values = [value for value in (named.value, solution(named.sides), zero) if value is not None]
    return UNCLEAR if any(_compare(value, other, symbolic).equal is not False for value in values) else UNEQUAL


def _best(gold: Statement, answer: Statement, symbolic: Symbolic | None) -> Match:
    """Compare the values; what one gives beside (`\\sqrt2\\approx 1.41`, `101_2=5`) counts too."""
    match = _compare(gold.value, answer.value, symbolic)
    pairs = (*((one, answer.value) for one in gold.beside), *((one, gold.value) for one in answer.beside))
    return EQUAL if not match.equal and any(_compare(*pair, None).equal for pair in pairs) else match


def _both_named(gold: Statement, answer: Statement, symbolic: Symbolic | None) -> Match:
    first, second = letters_of(str(gold.name)), letters_of(str(answer.name))
    if (gold.name, gold.value) == (answer.value, answer.name):
        return EQUAL                                           # AB = CD
    if are_two(str(gold.name), str(answer.name)) and not symbols(gold.value):
        return OTHER_WORDS
    if gold.call and answer.call and len(gold.call) == len(answer.call) and gold.call != answer.call:
        if re.split("[(_]", first)[0] == re.split("[(_]", second)[0]:
            return _compare(gold.renamed(), answer.renamed(), symbolic)
    if first == second:
        return _best(gold, answer, symbolic)
    if first[:1] == second[:1] == "(":
        return permuted((first, gold.value), (second, answer.value), partial(_compare, symbolic=symbolic))
    if gold.sides and answer.sides:
        return equations_match(gold.sides, answer.sides, symbolic)
    if (gold.call and second in ("y", first.split("(")[0])) or (answer.call and first in ("y", second.split("(")[0])):
        return _compare(gold.value, answer.value, symbolic)
    if len(first) > 1 or len(second) > 1:
        return unclear_where_equal(_compare(gold.value, answer.value, symbolic))
    return OTHER_WORDS


def _angles(gold: str, answer: str) -> Match | None:
    """`90°+\\frac{A}{2}`: angles among letters, which are degrees on either side."""
    if "°" not in gold + answer or not (symbols(gold) and symbols(answer)) or _DEGREE_UNIT(f"{gold} {answer}"):
        return None
    if not algebraically_equal(gold.replace("°", ""), answer.replace("°", "")):
        return None
    return EQUAL if "°" in gold and "°" in answer else UNCLEAR


# Units on expressions that are no plain numbers --------------------------------------------------------------------

def _measures(gold: str, answer: str, symbolic: Symbolic | None) -> Match | None:
    first, second = measured(gold), measured(answer)
    for parted, other in ((first, answer), (second, gold)):
        if parted and parted.plain_letter and parted.plain_letter in symbols(other):
            return None
        if parted and parted.unit.dimension == (("degree", 1),) and (first is None or second is None) \
                and r"\pi" in other:
            return unclear_where_equal(expressions_match(gold, answer, symbolic))      # 60° and \pi/3
    if first is None and second is None:
        return None
    if first and second:
        if {first.unit.dimension, second.unit.dimension} == {(("degree", 1),), (("radian", 1),)}:
            turned = [f"({one.bare})°" if "degree" in one.unit.dimension[0] else one.bare for one in (first, second)]
            return expressions_match(turned[0], turned[1], symbolic)
        if conflict(first.unit, second.unit):
            return UNEQUAL
    scaled = first is not None and second is not None and first.unit.dimension == second.unit.dimension
    texts = []
    for parted, text in ((first, gold), (second, answer)):
        factor = parted.multiplier * (parted.unit.factor if scaled else 1) if parted else 1
        bare = parted.bare if parted else text
        texts.append(bare if factor == 1 else f"({bare})\\cdot\\frac{{{factor.numerator}}}{{{factor.denominator}}}")
    return _compare(texts[0], texts[1], symbolic)
