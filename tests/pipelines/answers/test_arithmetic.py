"""Equations in running text: which are found, which hold, and which pairs of solutions do the same computations."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepforge.pipelines.answers import Equation, arithmetic, equation_key, equations, first_false_step

DATA = Path(os.environ.get("STEPFORGE_TEST_DATA", ""))
needs_data = pytest.mark.skipif(not (DATA / "processbench_gsm8k.json").is_file(),
                                reason="STEPFORGE_TEST_DATA is not set")


def verdicts(text: str) -> list[bool | None]:
    return [equation.holds for equation in equations(text)]


@pytest.mark.parametrize("text", [
    "16 - 3 = 13", "So 16 eggs - 3 eggs = 13 eggs.", r"\(2 \text{ books} \times 3 = 6 \text{ books}\)",
    r"$\frac{1}{3} \times 18 = 6$",
    "1,000 - 1 = 999", "$5 * 3 = $15", "0.2 x 50 = 10", "20% of 50 = 10", "5/20 * 100 = 25%", "10/3 = 3.33",
    "2/3 = 0.67", r"10/3 \approx 3.3",
    "22 / 7 ≈ 3.14", "(2 + 3) * 4 = 20", "2 + 3 × 4 = 14", "9 + 9 = \\boxed{18}", "$12/hour * 5 hours = $60",
    "1/2 * 8 = 4", "6 ÷ 2 = 3",
    r"\[ \text{Total} = 20 + 22 + 66 = 108 \]", "8 – 3 = 5", "2^3 = 8", r"15\% \times 200 = 30", "3 * (4 + 1) = 15",
    "= 3 + 4 = 7",
])
def test_true_equation_holds(text: str) -> None:
    assert verdicts(text) == [True]


@pytest.mark.parametrize("text", [
    "16 - 3 = 12", "16 eggs - 3 eggs = 12 eggs", r"$\frac{1}{3} \times 18 = 7$", "1,000 - 1 = 99", "$5 * 3 = $16",
    "9 + 8 = \\boxed{18}",
    "10/3 = 3.43", r"10/3 \approx 4.5", "(2 + 3) * 4 = 14", "total = 5 + 6 = 12 dollars", "13 + 4 + 16 = 45",
    "2^3 = 6", "1/2 + 1/4 = 2/6", r"$\frac{1}{3} + \frac{1}{5} = \frac{2}{8}$",
])
def test_false_equation_does_not_hold(text: str) -> None:
    assert verdicts(text) == [False]


@pytest.mark.parametrize("text", [
    "100/3 = 33", "3.33 * 3 = 10", "2 * 60 minutes = 2 hours", "10 pens + 5 books = 55", "2 dozen = 2 * 13",
    "1/4 cup = 1 * 2", "28 / 1/5 = 140",
    "100 - 20% = 85", r"(1.5)^3 = \frac{4}{3} \pi", r"4^2 = 2^2 + 3 \cos C", r"5+5 = 3 \pmod{7}", "5 + 5 = 3 mod 7",
    "100 - 19 = 5AD^2", r"\overline{12} + 3 = 5 - 1", "1.000 + 1 = 1001", "1.5 million + 500,000 = 2 million",
    "5 dozen + 1 = 61", "6/2(1+2) = 1",
    "60 + 30 = 1.5 hours", "50 + 50 = 1 dollar", "In base 3, 2 + 1 = 10", "In mod 3, we have 2 + 2 = 1",
    "If 2 + 2 = 5 then one of them is odd, a contradiction.",
])
def test_doubtful_equation_is_not_called_false(text: str) -> None:
    assert False not in verdicts(text)


@pytest.mark.parametrize("text", [
    "hmm 2+2=5? no, 4", "Is 3 * 4 = 13 right?", "1 + 1 = 3, no.", "$5 * 3 = 14$. Wait, that is 15.",
    "7 - 2 = 4\nHmm, let me look again.", "9 + 8 = 18, which is wrong", "2 + 3 = 6 ✗",
    "It is not true that 8 / 2 = 3.", "She wrote by mistake 4 + 4 = 9 and went on.", "Suppose that 2 * 5 = 11.",
    "instead of 3 + 3 = 7 he pays 6", "2 + 3 = 6 isn't possible",
])
def test_what_the_text_takes_back_is_not_called_false(text: str) -> None:
    assert verdicts(text) == [None]


@pytest.mark.parametrize("text", [
    "16 - 3 = 12. How many are left? 12.", "She did not go. 16 - 3 = 12", "5 * 3 = 14\nNow 14 + 1 = 15",
    "No, 5 * 3 = 14", "a mistake costs 2 points; 3 * 2 = 7", "5 * 3 = 14, and nothing else", "7 + 7 = 15 nodes",
])
def test_words_around_an_equation_that_stands_take_nothing_back(text: str) -> None:
    assert False in verdicts(text)


@pytest.mark.parametrize(("steps", "first"), [
    (["7 - 2 = 4", "Wait, that is 5.", "5 + 1 = 6"], None), (["7 - 2 = 4", "Then 4 + 1 = 5", "Wait, no."], 0),
    (["1 + 1 = 2", "7 - 2 = 4.", "No, 7 - 2 = 5.", "5 + 1 = 7"], 3),
])
def test_the_next_step_may_take_an_equation_back(steps: list[str], first: int | None) -> None:
    assert first_false_step(steps) == first


@pytest.mark.parametrize("text", [
    "x + 4 = 10 - 4", "2x + 3 = 13", "3y = 9", "60 minutes = 1 hour", "x = 5", r"\frac{x}{2} + 7 = 43",
    "the 8th - 3 = 11", "10:00 - 2 = 8",
    "n = 5! = 120", "no numbers here", "a = b", "2 + 3", "= =", "16,0000/10 = 5", "", "f(3) = 7 * 9 + x",
])
def test_what_is_no_closed_equation_is_left_out(text: str) -> None:
    assert False not in verdicts(text)


def test_offsets_name_the_place() -> None:
    text = "He sold 48/2 = <<48/2=24.0>>24 clips."
    assert equations(text) == [Equation(8, 30, "prose", "48/2", "24", True),
                               Equation(15, 28, "annotation", "48/2", "24.0", True),
                               Equation(15, 30, "copied", "24.0", "24", True)]
    assert text[8:30] == "48/2 = <<48/2=24.0>>24"


def test_annotation_copy_and_prose_are_judged_apart() -> None:
    holds = {equation.kind: equation.holds for equation in equations("She has 16 - 3 = <<16-3=13>>14 eggs")}
    assert holds == {"annotation": True, "copied": False, "prose": False}


def test_chain_is_checked_link_by_link() -> None:
    assert verdicts("2 + 2 = 4 = 1 + 3") == [True, None] or verdicts("2 + 2 = 4 = 1 + 3") == [True, True]
    assert verdicts("2 * 3 = 3 + 3 = 7") == [True, False]


def test_running_on_after_a_result_is_bad_style_not_a_false_step() -> None:
    assert verdicts("2 + 3 = 5 * 2 = 10") == [None, True]


def test_first_false_step_is_the_first() -> None:
    assert first_false_step(["2 + 2 = 4", "so 4 * 3 = 11", "and 11 - 1 = 11"]) == 1
    assert first_false_step(["2 + 2 = 4"]) is None
    assert first_false_step([]) is None


@pytest.mark.parametrize(("first", "second"), [
    ("48/2 = <<48/2=24.0>>24", "She sold 48 / 2 = <<48 / 2 = 24>>24 clips"),
    ("It is 3 x 4 = 12.", r"We get $3 \times 4 = 12$."), ("1,000 - 1 = 999", "1000 - 1 = 999 eggs"),
    ("No  equation", "no equation"),
])
def test_same_computations_share_a_key(first: str, second: str) -> None:
    assert equation_key(first) == equation_key(second)


@pytest.mark.parametrize(("first", "second"), [
    ("2 + 3 = 5", "3 + 2 = 5"), ("2 + 3 = 5 and 5 * 2 = 10", "5 * 2 = 10 and 2 + 3 = 5"), ("1 + 2 = 3", "12 = 3 * 4"),
    ("no", "yes"),
    ("(2 + 3) * 4 = 20", "2 + 3 * 4 = 20"),
])
def test_other_computations_have_another_key(first: str, second: str) -> None:
    assert equation_key(first) != equation_key(second)


def test_long_keys_are_hashed() -> None:
    long = "; ".join(f"{n} + 1 = {n + 1}" for n in range(200))
    assert len(equation_key(long)) < 100
    assert equation_key(long) != equation_key(long + "; 1 + 1 = 2")


@needs_data
def test_no_solution_without_a_wrong_step_is_flagged_in_the_marked_data() -> None:
    solutions = json.loads((DATA / "processbench_gsm8k.json").read_text(encoding="utf-8"))
    flagged = [(first_false_step(solution["steps"]), solution["label"]) for solution in solutions]
    assert sum(step is not None for step, label in flagged if label < 0) == 0
    assert sum(step == label for step, label in flagged if step is not None) >= 12


@needs_data
def test_calculator_annotations_of_the_reference_solutions_hold() -> None:
    lines = (DATA / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    read = [equation for line in lines for equation in equations(json.loads(line)["answer"])]
    assert len(read) > 10_000
    assert sum(equation.holds is False for equation in read if equation.kind != "prose") == 0
    assert sum(equation.holds is False for equation in read) <= 10


PIECES = ["3", "12", "x", " ", "\n", "=", "+", "/", "per", "hour", "**", "\\text{", "}", "{", "$", "<<3+4=7>>", "7",
          "(", ")", "%", "-", "\\frac", "tax", "dollars"]


@given(st.lists(st.sampled_from(PIECES), min_size=3, max_size=24).map("".join))
def test_key_of_lines_read_one_by_one_is_the_key_of_the_whole_text(text):
    own = [equation for equation in equations(text) if equation.kind != "copied"]
    annotated = [equation for equation in own if equation.kind == "annotation"]
    spellings = [f"{arithmetic._spelling(e.lhs)}={arithmetic._spelling(e.rhs)}" for e in annotated or own]
    assert not spellings or equation_key(text) == "=: " + "; ".join(spellings)


def test_prose_beside_an_annotation_does_not_enter_the_key():
    assert equation_key("So 3 + 4 = <<3+4=7>>7.") == equation_key("That is <<3+4=7>>7.")
