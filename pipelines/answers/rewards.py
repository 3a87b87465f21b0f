"""Rewards in the signatures that trainers expect: `reward` for TRL's GRPO, `compute_score` for verl."""

from typing import Any

from stepforge.builders.outcomes import UNANSWERED
from stepforge.pipelines.answers.outcome import Verdict
from stepforge.pipelines.answers.verifier import claimed, shared_verifier


def reward(completions: list[Any], answer: list[str], **columns: Any) -> list[float | None]:
    """Reward function for TRL: one number per completion, 1.0 if it is correct and 0.0 if it is incorrect.

    completions: texts, or lists of messages whose last one contains the text.
    answer: gold answers, the column of that name.

    A completion without an answer, with a wrong guess, or truncated earns 0.0. The reward is None, which TRL excludes,
    if the verdict is undecided for a reason outside the model: a time-out, a limit, an unusable gold answer.
    """
    texts = [completion if isinstance(completion, str) else completion[-1]["content"] for completion in completions]
    claims = [claimed(gold, text) for gold, text in zip(answer, texts, strict=True)]
    return [_score(verdict) for verdict in shared_verifier().verify_many(claims)]


def compute_score(data_source: str, solution_str: str, ground_truth: str,
                  extra_info: dict[str, Any] | None = None) -> float:
    """verl's scoring function: 1.0 for a correct solution, else 0.0, because verl has no way to leave a sample out."""
    return _score(shared_verifier().verify(claimed(ground_truth, solution_str))) or 0.0


def _score(verdict: Verdict) -> float | None:
    if verdict.verdict == "undecided" and verdict.reason not in UNANSWERED:
        return None
    return 1.0 if verdict.verdict == "correct" else 0.0
