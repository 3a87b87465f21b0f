"""Canonical keys of answers, for votes: an answer goes in, a string that all its spellings share comes out.

`0.5`, `1/2` and `\\frac{1}{2}` count as one. A key depends on the answer alone, never on the reference. What
`equivalence.compare` calls equal shares its key, as far as equality is transitive: names and units that only one side
gives are left out, so `5`, `x=5`, `5 cm` and `5 m` share one, and `6:10` is a time, though it equals `3:5`.
Expressions are keyed by their value at a fixed point.
"""

import hashlib
import re
from fractions import Fraction
from functools import lru_cache

from stepforge.pipelines.answers.algebra import normal_form, rational, solved_for
from stepforge.pipelines.answers.calls import primed
from stepforge.pipelines.answers.chains import chain_key
from stepforge.pipelines.answers.clocks import MINUTES
from stepforge.pipelines.answers.conditions import conditioned
from stepforge.pipelines.answers.differ import probe
from stepforge.pipelines.answers.exact import TooLarge, Undefined
from stepforge.pipelines.answers.expressions import INTEGERS, within_bounds
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.piecewise import pieces_key
from stepforge.pipelines.answers.products import order_key
from stepforge.pipelines.answers.quantity import ROUNDED_PLACES, Quantity, measured, quantity, terminates
from stepforge.pipelines.answers.regions import Interval, is_region, orders, region, unnamed_set
from stepforge.pipelines.answers.relations import Statement, solution, statement, symbols
from stepforge.pipelines.answers.residues import residue
from stepforge.pipelines.answers.structure import structure
from stepforge.pipelines.answers.vectors import along_axes
from stepforge.pipelines.answers.word_forms import roman_labels
from stepforge.pipelines.answers.words import LETTERS, Choice, choice, choice_letters, words

MAX_KEY = 200          # longer keys are replaced by a hash
DIGITS = 9             # of the value of an expression at a fixed point
SIMPLE = 100           # denominators up to which a long decimal is taken for a fraction
_HALF_DAY = 12 * MINUTES
_EXACT_BITS = 512      # larger fractions are written in hexadecimal
_INTEGER = re.compile(r"-?[0-9]{1,18}").fullmatch
_PRODUCT = re.compile(r"[a-z]|[a-cx-z]{2,3}").fullmatch      # symbols, not a word
_INFINITE = (r"\infty", r"-\infty")


def answer_key(answer: str) -> str:
    """The key of an answer as written: an exact fraction for numbers, a value at a fixed point for expressions."""
    if _INTEGER(answer):
        return str(int(answer))
    if len(answer) > MAX_KEY * 5:
        return _hashed(answer)
    return _key(answer)


@lru_cache(maxsize=16384)
def _key(answer: str) -> str:
    key = _spelling(canonical(answer))
    return key if len(key) <= MAX_KEY else _hashed(key)


def _spelling(text: str) -> str:
    text = unnamed_set(conditioned(primed(text)).stated.removeprefix("+"))
    if (ordered := order_key(text) or chain_key(text) or pieces_key(text, _spelling)) is not None:
        return ordered
    try:
        number = quantity(text)
    except (Undefined, TooLarge):
        return text.replace(" ", "")
    if number is not None:
        return _number(number)
    if (chosen := choice(text)) and chosen.marked:
        return chosen.letter.upper()
    if text.count(":") > 1 and (ratio := _ratio(text)):
        return ratio
    if (letters := choice_letters((text,))) is not None:
        return _unordered(list(letters))
    if _PRODUCT(text):
        return _expression(text)
    if "only" in text and (labels := roman_labels(text)):
        return _unordered(list(labels)) if len(labels) > 1 else _spelling(*labels)
    if vector := along_axes(text, 2) or along_axes(text, 3):
        return _spelling(vector)
    if (classes := residue(text)) is not None:
        return _unordered([str(value) for value in classes.values])
    return _set(text) or words(text) or _structure(text) or _statement(text) or _expression(text)


def _ratio(text: str) -> str | None:
    """`6:8:10` as the ratios to its first number."""
    numbers = [quantity(part) for part in text.split(":")]
    if not numbers[0] or not numbers[0].value or None in numbers:
        return None
    return ":".join(_real(number.value / numbers[0].value) for number in numbers if number is not None)


def _number(number: Quantity) -> str:
    if number.form == "based":
        base = number.detail.rsplit("_")[1]
        return _real(number.value) if base == "10" else f"{number.value}_{base}"
    if number.form == "clock":
        return _real(number.value % _HALF_DAY / MINUTES)
    return _real(number.value)


def _real(value: Fraction) -> str:
    """Exact, but for fractions without an end and the long decimals that may stand for them: those are rounded."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _EXACT_BITS:
        return f"{value.numerator:x}/{value.denominator:x}"
    if value.denominator == 1 or (terminates(value) and not _long(value)):
        return str(value)
    near = value.limit_denominator(SIMPLE)                     # 0.666666 is cut, 0.666667 rounded
    if terminates(near) and 0 < abs(near - value) * 2 * 10**15 <= abs(near):
        return str(near)                                       # 0.30000000000000004
    return _rounded(float(near if abs(near - value) < Fraction(1, 10**ROUNDED_PLACES) else value))


def _long(value: Fraction) -> bool:
    places = 1
    while (value * 10**places).denominator != 1:
        places += 1
    return places >= ROUNDED_PLACES and len(str(abs(value * 10**places))) >= ROUNDED_PLACES


def _rounded(value: float) -> str:
    shown = f"{value:.{ROUNDED_PLACES}f}" if 0.1 <= abs(value) < 1e8 else f"{value:.{ROUNDED_PLACES - 1}e}"
    return "~" + shown


def _set(text: str) -> str | None:
    solutions = region(text) if is_region(text) else None
    if solutions is None:
        chain = orders(text) if is_region(text) else None
        forms = [(normal_form(above, signed=True), closed) for above, closed in chain or ()]
        known = all(form is not None for form, _ in forms)
        return known and " and ".join(sorted(f"0<{'=' * closed}{form}" for form, closed in forms)) or None
    if solutions.intervals and all(one.low == one.high for one in solutions.intervals):
        return _unordered([one.low for one in solutions.intervals])
    return " or ".join(map(_interval, solutions.intervals)) or "no solution"


def _interval(one: Interval) -> str:
    low, high = (end if end in _INFINITE else _spelling(end) for end in (one.low, one.high))
    return f"{'[' if one.closed_low else '('}{low},{high}{']' if one.closed_high else ')'}"


def _structure(text: str) -> str | None:
    parts = structure(text)
    if parts is None or not parts.parts:
        return None
    if parts.kind in ("list", "set"):
        return _unordered(list(parts.parts))
    keys = ",".join(map(_spelling, parts.parts))
    if parts.kind == "tuple":
        return parts.shape[0] + keys + parts.shape[1]
    return f"({keys})" if "1" in parts.shape.split("x") else f"{parts.shape}({keys})"


def _unordered(parts: list[str]) -> str:
    keys = sorted({_spelling(part) for part in parts})
    return keys[0] if len(keys) == 1 else "{" + ",".join(keys) + "}"


def _statement(text: str) -> str | None:
    said = statement(text)
    if not said.value or (said.value == text and not said.sides):
        return None
    free = symbols(" ".join(said.sides))
    among_symbols = len(free) > 1 and (free <= set("xyzt") or all(map(symbols, said.sides)))
    if (said.name is not None and not among_symbols) or not said.sides:
        return _spelling(_with_plain_letters(said))
    if (root := solution(said.sides)) is not None:
        return _spelling(root)
    difference = f"({said.sides[0]})-({said.sides[1]})"
    if not within_bounds(difference):
        return None
    names = sorted(symbols(difference), key=lambda name: (name[0].isupper(), name == "y", name), reverse=True)
    solved = next((value for name in names if (value := solved_for(difference, name)) is not None), None)
    if solved is not None:
        return _spelling(solved)
    curve = said.name is None or (free <= set("xyzt") and said.value in said.sides and not symbols(said.value))
    if curve and (form := normal_form(difference)) is not None:
        return f"0={form}"
    return _spelling(said.value) if said.value != text else text.replace(" ", "")


def _with_plain_letters(said: Statement) -> str:
    """The value of `f(t)=t^2` as that of `f(x)=x^2`, of `a_k=2k` as that of `a_n=2n`."""
    letters = "n" if "_" in (said.name or "") else "xyz"
    if not said.call or len(said.call) > len(letters) or said.call == tuple(letters[:len(said.call)]):
        return said.value
    plain = said.renamed()
    for at in range(len(said.call)):
        plain = plain.replace(f"u_{at}", letters[at])
    return plain


def _expression(text: str) -> str:
    if (parted := measured(text)) is not None and not parted.plain_letter:
        return _spelling(parted.bare) if parted.multiplier == 1 else f"{_spelling(parted.bare)}*{parted.multiplier}"
    if within_bounds(text) and (number := rational(text)) is not None:
        return _real(number)
    if r"\pi" in text and len(free := symbols(text)) == 1 and free <= INTEGERS:
        text = re.sub(rf"(?<![\\a-zA-Z]){free.pop()}(?![a-zA-Z])", "n", text)
    probed = probe(text) if within_bounds(text) else None
    if probed is None:
        return text.replace(" ", "").replace(r"\text", "")
    value, largest = probed
    if abs(value.imag) < 1e-9 * max(1.0, largest) and not symbols(text):
        return _rounded(value.real)
    parts = (0.0 if abs(part) < 1e-9 * max(1.0, largest) else part for part in (value.real, value.imag))
    return ",".join(sorted(symbols(text))) + ":" + "i".join(f"{part:.{DIGITS - 1}e}" for part in parts)


def _hashed(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(maxsize=4096)
def named_choice(gold: str) -> Choice | None:
    """The choice, A to J, that a reference names: `C`, `(C)`, `\\text{(C)}`, `C. 25`; None for any other reference."""
    chosen = choice(canonical(gold)) if len(gold) <= MAX_KEY else None
    return chosen if chosen is not None and chosen.letter in LETTERS else None
