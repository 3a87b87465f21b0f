"""Rollouts: continue a solution from a prefix, judge what comes out, and say how it counts.

In: a prefix of a solution and the index of a rollout. Out: a row of `rollouts`. Every rollout has a key and a seed of
its own, made from the run's seed, the policy, the problem, the prefix and the index, so that it is made once however
often a run is interrupted, and solutions with a common prefix share it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from stepforge.builders.outcomes import UNANSWERED
from stepforge.builders.tables import content_id
from stepforge.pipelines.answers import AnyVerifier, Claim, Verdict
from stepforge.pipelines.credit.tokens import Tokens, tokens_of
from stepforge.pipelines.credit.tree import Outcome
from stepforge.pipelines.inference.engines import payload_of, seed_of
from stepforge.pipelines.inference.runner import WITH_TEXT, Completion, Generate, Request
from stepforge.pipelines.options.generators import Writer


@dataclass(frozen=True)
class Start:
    """Where a rollout starts: the text so far, what it belongs to, and the rollout's number there."""

    prefix: str
    solution_id: str | None
    step_index: int
    index: int
    origin: str = "prefix"
    ids: tuple[int, ...] | None = None  # prompt and prefix as the tokens that the model read and wrote; null: as text
    max_tokens: int | None = None  # that it may write; null: as many as any completion of the policy


class Rolled(NamedTuple):
    """A row of `rollouts`, and the longer prefixes that the rollout passed through in the same tokens."""

    row: dict[str, Any]
    passed: list[str]


@dataclass(frozen=True)
class Policy:
    """The model that continues prefixes, with everything that a rollout's id depends on."""

    generator: Writer
    generator_id: str
    seed: int
    verifier: AnyVerifier
    lock: asyncio.Lock  # the verifier takes one caller at a time
    tokenizer: Path | None = None  # a file with the model's tokenizer (tokens.py), if there is one

    @cached_property
    def tokens(self) -> Tokens | None:
        """How the model's engine turns texts into tokens; none where that is not known."""
        return tokens_of(self.generator, self.tokenizer)

    async def roll_out(self, generate: Generate, problem_id: str, prompt: str, gold: str, starts: Sequence[Start],
                       prefixes: Mapping[str, tuple[int, ...]] | None = None) -> list[Rolled]:
        """Rollouts for `starts`, in their order; `prefixes` that they may pass, as the tokens of prompt and prefix."""
        seeds = [seed_of(self.generator, s.index, self.seed, "rollout", self.generator_id, problem_id, s.prefix)
                 for s in starts]
        limits = [{} if start.max_tokens is None else {"max_tokens": start.max_tokens} for start in starts]
        keys = [content_id("rollout", self.generator_id, problem_id, start.prefix, start.index, seed, start.ids,
                           *limit.values()) for start, seed, limit in zip(starts, seeds, limits, strict=True)]
        requests = [
            Request(key, payload_of(self.generator, list(start.ids or ()) or prompt + start.prefix, seed) | limit)
            for key, start, seed, limit in zip(keys, starts, seeds, limits, strict=True)]
        completions = [answer[0] for answer in await asyncio.gather(*map(generate, requests))]
        claims = [Claim(gold, start.prefix + completion.text, completion.complete)
                  for start, completion in zip(starts, completions, strict=True)]
        async with self.lock:
            verdicts = await asyncio.to_thread(lambda: list(self.verifier.verify_many(claims)))
        return [Rolled(
            {"rollout_id": key, "problem_id": problem_id, "solution_id": start.solution_id,
             "step_index": start.step_index, "index": start.index, "policy": self.generator_id,
             "origin": start.origin, "token_exact": start.ids is not None, "seed": seed, "passed": 0,
             **_told(completion, verdict)}, passed(start, completion, prefixes or {}))
            for key, start, seed, completion, verdict in zip(keys, starts, seeds, completions, verdicts, strict=True)
        ]


def passed(start: Start, completion: Completion, prefixes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Those of `prefixes` that go on from the start's and whose tokens are the first of what was read and written.

    Nothing where the tokens of start or completion are not known.
    """
    if start.ids is None or completion.token_ids is None:
        return []
    whole = (*start.ids, *completion.token_ids)
    return [prefix for prefix, ids in prefixes.items()
            if len(ids) <= len(whole) and whole[len(ids) - 1] == ids[-1] and whole[:len(ids)] == ids
            and len(prefix) > len(start.prefix) and prefix.startswith(start.prefix)]


def _told(completion: Completion, verdict: Verdict) -> dict[str, Any]:
    failed = completion.dropped is not None
    return {
        "completion": completion.text, "finish_reason": completion.finish_reason,
        "verdict": "undecided" if failed else verdict.verdict,
        "reason": completion.error if failed else verdict.reason,
        "completion_tokens": completion.completion_tokens, "prompt_tokens": completion.prompt_tokens,
        "cached_prompt_tokens": completion.cached_prompt_tokens,
        "logprob_sum": completion.logprob_sum, "logprob_mean": completion.logprob_mean,
    }


def outcome_of(row: dict[str, Any]) -> Outcome:
    """How a rollout counts: no answer or a truncation is a failure, what the tools could not do is excluded."""
    if row["verdict"] == "correct":
        return "success"
    if row["verdict"] == "incorrect" or (row["finish_reason"] in WITH_TEXT and row["reason"] in UNANSWERED):
        return "failure"
    return "excluded"
