"""Properties of comparison over real references and over the cases: every answer equals itself in any wrapping,
swapped sides never turn one decision into the other, other problems' answers are unequal, equal answers share a key.

The real references (GSM8K, MATH-500, ProcessBench) come from the folder that STEPFORGE_TEST_DATA names.
"""

import json
import os
from itertools import combinations
from pathlib import Path

import pytest

from stepforge.pipelines.answers import answer_key, extract_answer
from stepforge.pipelines.answers.equivalence import Match, compare
from stepforge.pipelines.answers.golds import reference_answer
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.quantity import measured

DATA = Path(os.environ.get("STEPFORGE_TEST_DATA", ""))
CASES = [json.loads(line) for path in sorted((Path(__file__).parent / "cases").glob("*.jsonl"))
         for line in path.read_text(encoding="utf-8").splitlines()]
needs_data = pytest.mark.skipif(not (DATA / "math500_test.jsonl").is_file(),
                                reason="STEPFORGE_TEST_DATA names no folder with math500_test.jsonl")


def real_golds(name: str, column: str) -> list[str]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return sorted({json.loads(line)[column].rsplit("####", 1)[-1].strip() for line in lines})


def math_golds() -> list[str]:
    return sorted({*real_golds("math500_test.jsonl", "answer"), *real_golds("processbench_math_400.jsonl", "gold")})


def wrapped(gold: str) -> list[str]:
    return [gold, f"${gold}$", f" {gold} ", f"${gold}$.", rf"\({gold}\)", rf"\[ {gold} \]", f"{{{gold}}}",
            gold.replace(r"\frac", r"\dfrac"), rf"\mathbf{{{gold}}}" if gold.isdigit() else gold]


@needs_data
@pytest.mark.parametrize(("name", "column"), [
    ("gsm8k_train.jsonl", "answer"), ("gsm8k_test.jsonl", "answer"), ("math500_test.jsonl", "answer"),
    ("processbench_math_400.jsonl", "gold")])
def test_every_real_gold_equals_itself_in_any_wrapping_and_has_one_key(name: str, column: str) -> None:
    for gold in real_golds(name, column):
        boxed = extract_answer(rf"We get $\boxed{{{gold}}}$.").answer
        assert boxed is not None
        for other in (*wrapped(gold), boxed):
            assert compare(gold, other).equal is True, (gold, other)
            assert compare(other, gold).equal is True, (gold, other)
            assert answer_key(other) == answer_key(gold), (gold, other)


def decided(match: Match) -> bool | str | None:
    return match.reason if match.equal is None else match.equal


@needs_data
def test_swapped_real_golds_get_the_same_verdict_and_equal_ones_share_a_key() -> None:
    golds = math_golds()
    equal = []
    for one, other in combinations(golds, 2):
        match = compare(one, other)
        assert decided(match) == decided(compare(other, one)), (one, other)
        if match.equal:
            equal.append((one, other))
            assert answer_key(one) == answer_key(other) or "(" in one + other, (one, other)      # (1,2) and 1,2
    # 36 and 36°, 5/4 and 1.25: the same answer to other problems, written otherwise. All others are told apart.
    assert len(equal) < len(golds) / 10
    assert all(_digits(one) == _digits(other) or compare(one, other).method == "numeric" for one, other in equal)


def _digits(text: str) -> list[str]:
    return sorted(character for character in text.split("text")[0].split("mbox")[0] if character.isdigit())


def test_swapped_sides_of_a_case_never_turn_one_decision_into_the_other() -> None:
    for case in CASES:
        gold, answer = reference_answer(case["gold"]), extract_answer(case["solution"]).answer
        if gold is not None and answer is not None:
            assert {compare(gold, answer).equal, compare(answer, gold).equal} != {True, False}, case


def test_equal_answers_of_the_cases_share_a_key() -> None:
    """With the few exceptions that equality itself makes; keys know no units, so 300 nm and 0.3 μm have two."""
    pairs = [(reference_answer(case["gold"]), extract_answer(case["solution"]).answer) for case in CASES
             if case["verdict"] == "correct"]
    equal = [(gold, answer) for gold, answer in pairs if gold and answer and compare(gold, answer).equal]
    other = [(gold, answer) for gold, answer in equal if answer_key(gold) != answer_key(answer)
             and len({one.unit.factor for one in (measured(canonical(gold)), measured(canonical(answer))) if one}) < 2]
    assert len(equal) > 700
    assert len(other) <= len(equal) / 25, other


@pytest.mark.parametrize(("first", "second"), [
    ("0.5", r"\frac12"), ("0.333333", r"\frac13"), (r"\pi", "3.141593"), ("x=5", "5"), ("y=2x+1", "2x-y+1=0"),
    ("y=2x+1", "2x+1"), (r"\{1,2\}", r"2 \text{ and } 1"), ("-1<x<3", "(-1,3)"),
    (r"x\ne 1", r"\mathbb{R}\setminus\{1\}"),
    ("(B)", r"\text{B}"), ("f(t)=t^2", "f(x)=x^2"), (r"\frac{x^2-1}{x-1}", "x+1"),
    (r"\cos 58^\circ", r"\sin 32^\circ"),
    (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"), ("x^2+y^2=9", "x^2=9-y^2"), ("2x=10", "x=5"), ("3:30 pm", "15:30"),
    (r"\sin 2x", r"2\sin x\cos x"), ("yes", r"\text{Yes}"), (r"\infty", r"+\infty"),
    (r"\emptyset", r"\text{no solution}"), ("12_{10}", "12"), ("0.666666", "2/3"), ("7", r"17 \pmod{10}"),
    (r"\frac{\pi}{4}+n\pi", r"\frac{\pi}{4}+k\pi"), ("4k+1", r"4k+1, k \in \mathbb{Z}"), ("noon", "12:00 pm"),
    (r"A\cap B=\{3,4\}", r"\{4,3\}"), (r"P\cup Q=(2,3)", "2<x<3"), ("2 at night", "2 am"),
    (r"\frac{\cancel{2}\cdot 3}{\cancel{2}}", "3"),
])
def test_key_is_shared_by(first: str, second: str) -> None:
    assert answer_key(first) == answer_key(second)


@pytest.mark.parametrize(("first", "second"), [
    ("5", "-5"), ("52_8", "52"), ("x+1", "x+2"), ("(1,2)", "(2,1)"), ("[1,2]", "(1,2)"), ("x<3", r"x\le 3"),
    ("B", "C"),
    ("0.333333", "0.333"), (r"\sqrt2", "1.41"), ("y=x", "y=-x"), ("1e-7", "4e-7"), ("10^{20}", "10^{20}+1"),
    (r"\{1,2\}", r"\{1,3\}"), ("3:4:5", "5:4:3"), ("yes", "no"), ("f(x)=x", "f(x)=2x"), ("x<y", "y<x"),
    (r"A\cap B=\{3,4\}", r"P\cup Q=(2,3)"),
    (r"U\cap V=W\cap X", r"U\cup V=W\cup X"), (r"a\oplus b=c\oplus d", r"a\oplus b=d\oplus c"),
    (r"a\oplus b<c\oplus d", r"a\oplus b<d\oplus c"),
])
def test_key_tells_apart(first: str, second: str) -> None:
    assert answer_key(first) != answer_key(second)
