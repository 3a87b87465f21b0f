"""Rewards in the signatures of TRL's GRPO and of verl."""

import inspect
from fractions import Fraction
from typing import Any

import pytest

from stepforge.pipelines.answers import compute_score, reward, verify


def test_reward_gives_one_number_for_each_completion() -> None:
    assert reward(["The answer is 18", "The answer is 17"], answer=["18", "18"], prompts=["", ""], step=3) == [1.0,
                                                                                                               0.0]


def test_reward_reads_conversational_completions() -> None:
    assert reward([[{"role": "assistant", "content": r"\boxed{\frac12}"}]], answer=["0.5"]) == [1.0]


def test_fault_of_ours_gives_none_and_fault_of_the_model_zero() -> None:
    assert reward([r"\boxed{5\%}", "The answer is 5", r"\boxed{9^{9^{9^9}}}"], answer=["5", "", "5"]) == [None, None,
                                                                                                          None]
    assert reward(["no idea", "<think>on and on"], answer=["5", "5"]) == [0.0, 0.0]


def test_reward_fits_the_signature_that_trl_calls() -> None:
    inspect.signature(reward).bind(prompts=[], completions=[], completion_ids=[], answer=[], trainer_state=None)


def test_score_fits_the_signature_that_verl_calls() -> None:
    assert compute_score(data_source="gsm8k", solution_str="#### 18", ground_truth="18",
                         extra_info={"index": 0}) == 1.0
    assert compute_score("gsm8k", "#### 17", "18") == 0.0
    assert compute_score("gsm8k", r"\boxed{5\%}", "5") == 0.0


@pytest.mark.parametrize("gold", [5, 5.0, Fraction(10, 2), "5"])
def test_gold_answers_come_as_numbers_too(gold: Any) -> None:
    assert verify(gold, "The answer is 5.").verdict == "correct"
    assert reward(["The answer is 5."], answer=[gold]) == [1.0] and compute_score("x", "It is \\boxed{6}", gold) == 0.0


def test_what_is_no_answer_is_refused_and_no_gold_is_a_gold_that_nobody_can_read() -> None:
    assert verify(None, "The answer is 5.").reason == "gold_unparseable"  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the gold answer is a text or a number, not list"):
        reward(["5"], answer=[["5"]])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="the solution is a text, not NoneType"):
        verify("5", None)  # type: ignore[arg-type]
