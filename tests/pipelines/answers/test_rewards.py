"""Rewards in the signatures of TRL's GRPO and of verl."""

import inspect

from stepforge.pipelines.answers import compute_score, reward


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
