"""Properties over generated answers: unequal values are never `correct`, equal ones never `incorrect`, nothing
crashes.

Every case knows its truth by construction: values are drawn first, spellings of them second. The fast tier draws a few
hundred cases of each kind; the slow tier draws STEPFORGE_FUZZ_CASES altogether (100,000 for a release, 10,000 unless
set). Draws are derandomised, so a failure comes again.
"""

import os
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepforge.pipelines.answers import Claim, Verifier, answer_key, equation_key, equations
from stepforge.pipelines.answers.equivalence import compare

SLOW = int(os.environ.get("STEPFORGE_FUZZ_CASES", "10000"))


def cases(count: int) -> settings:
    return settings(max_examples=count, derandomize=True, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))


# Numbers -----------------------------------------------------------------------------------------------------------

def decimal(value: Fraction) -> str | None:
    """The terminating decimal, None where there is none of at most 12 places."""
    for places in range(13):
        scaled = value * 10**places
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
            whole, part = (digits[:-places], digits[-places:]) if places else (digits, "")
            return ("-" if value < 0 else "") + whole + (f".{part}" if part else "")
    return None


@st.composite
def spelling(draw: st.DrawFn, value: Fraction, units: bool = False) -> str:
    """One of the ways in which people and models write a rational number; with units on one side of a pair only."""
    sign, size = "-" if value < 0 else "", abs(value)
    top, bottom = size.numerator, size.denominator
    factor = draw(st.integers(1, 9))
    forms = [rf"{sign}\frac{{{top}}}{{{bottom}}}", rf"{sign}\dfrac{{{top * factor}}}{{{bottom * factor}}}",
             f"{sign}{top}/{bottom}",
             rf"\frac{{{sign}{top}}}{{{bottom}}}", f"${sign}{top * factor}/{bottom * factor}$",
             f"x = {sign}{top}/{bottom}",
             rf"{sign}\left(\frac{{{top}}}{{{bottom}}}\right)"]
    if bottom == 1:
        forms += [f"{sign}{top}", f"{sign}{top:,}", f"{sign}{top}.0", f"{sign}{top}.",
                  f"{sign}{top:,}".replace(",", "{,}"),
                  f"{sign}{top}".translate({48 + n: 0xFF10 + n for n in range(10)})]
        forms += [f"{sign}{top} eggs", rf"{sign}{top}\text{{ cm}}", f"{sign}\\${top}"] if units else []
    elif top > bottom:
        forms += [rf"{sign}{top // bottom}\frac{{{top % bottom}}}{{{bottom}}}"] if not sign else []
    if (written := decimal(value)) is not None:
        forms += [written, written + "0" if "." in written else written + ".00", rf"{written} \times 10^{{0}}",
                  f"{written}e0"]
    if (percent := decimal(value * 100)) is not None:
        forms += [rf"{percent}\%"]
    return draw(st.sampled_from(forms))


small = st.integers(-60, 60)
numbers = st.one_of(small.map(Fraction), st.builds(Fraction, small, st.sampled_from([2, 3, 4, 5, 7, 8, 10, 25, 100])),
                    st.integers(-10**7, 10**7).map(Fraction),
                    st.builds(Fraction, st.integers(-10**6, 10**6), st.just(1000)))


@st.composite
def number_pairs(draw: st.DrawFn) -> tuple[Fraction, str, Fraction, str]:
    """Two values that are equal, near, related by a factor of 100, or unrelated, each in a spelling of its own."""
    first = draw(numbers)
    second = draw(st.sampled_from([first, first, first, -first, first + 1, first * 100, first / 100,
                                   first + Fraction(1, 1000),
                                   1 / first if first else first, first + Fraction(1, 10**9)]) | numbers)
    return first, draw(spelling(first)), second, draw(spelling(second, units=True))


def check_numbers(pair: tuple[Fraction, str, Fraction, str]) -> None:
    first, gold, second, answer = pair
    match = compare(gold, answer)
    if first != second:
        assert match.equal is not True, (gold, answer, match)
    else:
        assert match.equal is not False, (gold, answer, match)
        assert match.equal is True, (gold, answer, match)
        assert answer_key(gold) == answer_key(answer), (gold, answer)


# Expressions -------------------------------------------------------------------------------------------------------

POINTS = ({"x": Fraction(3, 7), "y": Fraction(-5, 3)}, {"x": Fraction(11, 2), "y": Fraction(2, 9)},
          {"x": Fraction(-13, 5), "y": Fraction(4)})
Written = tuple[str, tuple[Fraction, ...],
                int]       # text, its values at POINTS, binding strength (0 sum, 1 product, 2 atom)


def grouped(written: Written, least: int) -> str:
    return written[0] if written[2] >= least else f"({written[0]})"


def added(a: Written, b: Written) -> Written:
    return f"{a[0]}+{grouped(b, 1)}", tuple(p + q for p, q in zip(a[1], b[1], strict=True)), 0


def subtracted(a: Written, b: Written) -> Written:
    return f"{a[0]} - {grouped(b, 1)}", tuple(p - q for p, q in zip(a[1], b[1], strict=True)), 0


def multiplied(a: Written, b: Written) -> Written:
    return rf"{grouped(a, 1)} \cdot {grouped(b, 2)}", tuple(p * q for p, q in zip(a[1], b[1], strict=True)), 1


def halved(a: Written) -> Written:
    return rf"\frac{{{a[0]}}}{{2}}", tuple(p / 2 for p in a[1]), 2


def squared(a: Written) -> Written:
    return f"({a[0]})^2", tuple(p * p for p in a[1]), 2


atoms = st.one_of(st.sampled_from("xy").map(lambda name: (name, tuple(point[name] for point in POINTS), 2)),
                  st.integers(0, 9).map(lambda n: (str(n), (Fraction(n),) * 3, 2)))
expressions = st.recursive(atoms, lambda inner: st.one_of(
    st.builds(added, inner, inner), st.builds(subtracted, inner, inner), st.builds(multiplied, inner, inner),
    st.builds(halved, inner),
    st.builds(squared, inner)), max_leaves=6)


@st.composite
def expression_pairs(draw: st.DrawFn) -> tuple[Written, Written]:
    first = draw(expressions)
    rewritten = [added(subtracted(first, ("y", tuple(p["y"] for p in POINTS), 2)),
                       ("y", tuple(p["y"] for p in POINTS), 2)),
                 multiplied(("2", (Fraction(2),) * 3, 2), halved(first)), halved(added(first, first))]
    return first, draw(st.sampled_from(rewritten) | expressions)


def check_expressions(pair: tuple[Written, Written]) -> None:
    (gold, gold_values, _), (answer, answer_values, _) = pair
    match = compare(gold, answer)
    if gold_values != answer_values:
        assert match.equal is not True, (gold, answer, match)
    else:
        assert match.equal is not False or match.method == "none", (gold, answer, match)


# Soup --------------------------------------------------------------------------------------------------------------

PIECES = list("0123456789xye+-*/^_=(){}[],.;:!%$&|<> \n\\") + [
    r"\frac", r"\sqrt", r"\boxed{", r"\text{", r"\left", r"\right", r"\pi", r"\cup", r"\in", r"\pm",
    r"\begin{pmatrix}", r"\end{pmatrix}",
    r"\\", "The answer is ", "#### ", "A: ", "<think>", "</think>", "<<", ">>", " or ", " and ", "½", "²", "√", "∞",
    "°", "٣", "７", "\u202e",
    "\u200b", "\x00", "\ud800", "1e9", "99!", "and", "cm", "dollars", "percent", "10,000", r"1\frac{1}{2}", "^{", "}",
    "-", "≈", "×"]
soup = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def check_soup(pair: tuple[str, str]) -> None:
    gold, text = pair
    match = compare(gold, text)
    assert match.equal in (True, False, None)
    for equation in equations(text):
        assert 0 <= equation.start < equation.end <= len(text)
    assert equation_key(text) == equation_key(text)
    assert len(answer_key(text)) <= 1000


# The two tiers -----------------------------------------------------------------------------------------------------

@cases(600)
@given(number_pairs())
def test_numbers_are_equal_exactly_when_their_values_are(pair: tuple[Fraction, str, Fraction, str]) -> None:
    check_numbers(pair)


@cases(300)
@given(expression_pairs())
def test_expressions_are_equal_only_when_their_values_are(pair: tuple[Written, Written]) -> None:
    check_expressions(pair)


@cases(300)
@given(st.tuples(soup, soup))
def test_soup_never_crashes(pair: tuple[str, str]) -> None:
    check_soup(pair)


@pytest.mark.slow
@cases(SLOW * 6 // 10)
@given(number_pairs())
def test_many_pairs_of_numbers(pair: tuple[Fraction, str, Fraction, str]) -> None:
    check_numbers(pair)


@pytest.mark.slow
@cases(SLOW * 2 // 10)
@given(expression_pairs())
def test_many_pairs_of_expressions(pair: tuple[Written, Written]) -> None:
    check_expressions(pair)


@pytest.mark.slow
@cases(SLOW * 2 // 10)
@given(st.tuples(soup, soup))
def test_many_soups(pair: tuple[str, str]) -> None:
    check_soup(pair)


@pytest.mark.slow
def test_soup_through_the_workers_ends_in_verdicts_and_kills_none() -> None:
    with Verifier(workers=2, timeout_s=5) as verifier:
        @cases(SLOW // 20)
        @given(st.tuples(soup, soup))
        def each(pair: tuple[str, str]) -> None:
            verdict = verifier.verify(Claim(pair[0], rf"\boxed{{{pair[1]}}}"))
            assert verdict.reason != "worker_died", pair

        each()
