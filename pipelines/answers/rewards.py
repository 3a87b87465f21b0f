"""Rewards in the signatures that trainers expect: `reward` for TRL's GRPO, `compute_score` for verl."""

from typing import Any

from stepforge.builders.outcomes import UNANSWERED
from stepforge.pipelines.answers.outcome import Claim, Verdict
from stepforge.pipelines.answers.verifier import shared_verifier


def reward(completions: list[Any], answer: list[str], **columns: Any) -> list[float | None]:
    """TRL's reward function: 1.0 for a correct completion, 0.0 for an incorrect one, one for each completion.

    completions: texts, or lists of messages whose last one holds the text. answer: the data set's column of reference
    answers. None (which TRL leaves out of the group) where the verdict is undecided for a reason that is not the
    model's: a time-out, a bound, an unparseable reference, an ambiguous form. No answer, a guess that does not match
    and a truncation earn 0.0.
    """
    texts = [completion if isinstance(completion, str) else completion[-1]["content"] for completion in completions]
    claims = [Claim(str(gold), text) for gold, text in zip(answer, texts, strict=True)]
    return [_score(verdict) for verdict in shared_verifier().verify_many(claims)]


def compute_score(data_source: str, solution_str: str, ground_truth: str,
                  extra_info: dict[str, Any] | None = None) -> float:
    """verl's scoring function: 1.0 for a correct solution, else 0.0, because verl has no way to leave a sample out."""
    return _score(shared_verifier().verify(Claim(str(ground_truth), solution_str))) or 0.0


def _score(verdict: Verdict) -> float | None:
    if verdict.verdict == "undecided" and verdict.reason not in UNANSWERED:
        return None
    return 1.0 if verdict.verdict == "correct" else 0.0
