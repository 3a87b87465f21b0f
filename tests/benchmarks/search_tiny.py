"""The searches on the shipped tiny model: how near each comes to values from 256 rollouts a step, and at what cost.

    make bench NAME=search_tiny     (writes build/bench/search_tiny.json; PROBLEMS=20 before it for a quick look)

Problems are of the arithmetic source's test split. For each the model writes 16 solutions, the first three incorrect
ones are valued. From every step of theirs 320 rollouts are drawn once and kept in build/bench/search_tiny: the last
256 are the reference, the first 64 are what the searches get, so that none is measured against its own draws. The
chain model is fitted as a run does it, on a pilot's search, with the other half of the problems. Searches and scores
are those of search.py, once without evidence and once with false equations (keys and rows with `equations`).
`recovering` is the share of negatives whose reference value rises above twice the tolerance after the pit, where the
assumption of `bisect` fails. Two errors remain in the reference itself: with 256 rollouts a standard error of up to
.03 for each value, and pits of steps near the tolerance.
"""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _searches import (
    LEVELS,
    VALUE_LEVELS,
    Score,
    adaptive,
    as_run,
    decoded,
    fitted_on_pilot,
    plain,
    pooled,
    prefixes,
)
from _world import BASE, Problem, exact_pit, recovers
from search import BATCH, Scores, show

from stepforge.builders.outcomes import UNANSWERED
from stepforge.builders.sources import arithmetic
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.answers import Claim, Verifier, first_false_step
from stepforge.pipelines.credit.evidence import KINDS, SOURCES
from stepforge.pipelines.credit.search import Solution
from stepforge.pipelines.credit.split import split
from stepforge.pipelines.inference.embedded import shared_sampler
from stepforge.pipelines.inference.prompts import render

SPARE, REFERENCE, NEGATIVES = 64, 256, 3
CACHE = Path("build/bench/search_tiny")
SAMPLING = {"temperature": 0.7, "max_tokens": 128}


class TinyPolicy:
    """The tiny model, whose completions are judged at once."""

    def __init__(self, verifier: Verifier) -> None:
        self.sampler, self.verifier = shared_sampler(model="tiny"), verifier

    def start(self, prompt: str, n: int) -> "Future[dict[str, Any]]":
        return self.sampler.submit({"prompt": prompt, "n": n, "seed": derive_seed("search_tiny", prompt), **SAMPLING})

    def outcomes(self, answer: "Future[dict[str, Any]]", prefix: str, gold: str
                 ) -> tuple[list[str], list[bool | None], list[int]]:
        """Texts, whether each is right (null where it does not count), and tokens."""
        choices = answer.result()["choices"]
        claims = [Claim(gold, prefix + choice["text"], choice["finish_reason"] == "stop") for choice in choices]
        right = [v.verdict == "correct" if v.verdict != "undecided" or v.reason in UNANSWERED else None
                 for v in self.verifier.verify_many(claims)]
        return [c["text"] for c in choices], right, [len(c["token_ids"]) for c in choices]


def record(row: dict[str, Any], policy: TinyPolicy) -> dict[str, Any]:
    """One problem: its negatives in steps, and outcomes and tokens of the rollouts from each of their prefixes."""
    prompt, gold = render("plain", row["problem"], "tiny"), row["answer"]
    answer = policy.start(prompt, BASE)
    texts, right, _ = policy.outcomes(answer, "", gold)
    ended = [choice["finish_reason"] == "stop" for choice in answer.result()["choices"]]
    wrong = dict.fromkeys(text for text, good, end in zip(texts, right, ended, strict=True) if good is False and end)
    sampled: dict[str, Any] = {"base": sum(map(bool, right)), "negatives": list(wrong)[:NEGATIVES], "nodes": {}}
    steps = [split("newline", text) for text in sampled["negatives"]]
    starts = dict.fromkeys("".join(pieces[:i]) for pieces in steps for i in range(len(pieces)))
    running = {prefix: policy.start(prompt + prefix, SPARE + REFERENCE) for prefix in starts}
    for prefix, answer in running.items():
        _, right, tokens = policy.outcomes(answer, prefix, gold)
        if None in right:
            raise SystemExit(f"a rollout of {row['source_id']} has no verdict; every one of this source should")
        sampled["nodes"][prefix] = {"right": right, "tokens": tokens}
    return sampled


def recorded(problems: int) -> Iterator[dict[str, Any]]:
    """Records of problems with at least one negative; those of an earlier run are read again."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with Verifier() as verifier:
        policy = TinyPolicy(verifier)
        for row in arithmetic.generate(problems, 11, "test", (3, 6), 50):
            path = CACHE / f"{content_id(row['problem'], SAMPLING, SPARE, REFERENCE, NEGATIVES)}.json"
            if not path.exists():
                path.write_text(json.dumps(record(row, policy)))
            sampled = json.loads(path.read_text())
            if sampled["negatives"]:
                yield sampled


def as_problem(sampled: dict[str, Any]) -> Problem:
    """In the form that the searches of search.py are driven with; costs of steps in tokens as far as rollouts tell."""
    solutions = []
    for b, text in enumerate(sampled["negatives"]):
        steps = split("newline", text)
        size = np.mean(sampled["nodes"][""]["tokens"]) / np.mean([len(t) for t in sampled["negatives"]])
        solutions.append(Solution(str(b), tuple(steps), False, tuple(max(1, round(size * len(s))) for s in steps),
                                  {"equations": first_false_step(steps)}))
    problem = Problem(solutions, [], sampled["base"], [], [])
    for names in prefixes(problem):
        nodes = [sampled["nodes"][name] for name in names[:-1]]
        right, tokens = np.array([n["right"] for n in nodes], bool), np.array([n["tokens"] for n in nodes])
        problem.q.append(np.append(right[:, SPARE:].mean(1), 0.0))
        problem.outcomes.append(right[:, :SPARE])
        problem.tokens.append(tokens[:, :SPARE])
    return problem


def without_evidence(problem: Problem) -> Problem:
    return replace(problem, solutions=[replace(solution, first_errors={}) for solution in problem.solutions])


def main() -> None:
    began = time.monotonic()
    problems = [as_problem(sampled) for sampled in recorded(int(os.environ.get("PROBLEMS", "40")))]
    truths = [q for p in problems for q in p.q]
    plain_problems = list(map(without_evidence, problems))
    single = {f"{name}-{n}": plain(name, problems, n) for name in ("exhaustive", "scan", "bisect")
              for n in (8, 16, 32)}
    curves: dict[str, list[Score]] = {}
    for name, taken in (("", plain_problems), (", equations", problems)):
        halves = [taken[::2], taken[1::2]]
        chains = [fitted_on_pilot(halves[1], BATCH), fitted_on_pilot(halves[0], BATCH)]
        for n in (8, 16, 32):
            single[f"exhaustive-{n} decoded{name}"] = pooled([decoded(half, n, chain) for half, chain
                                                              in zip(halves, chains, strict=True)])
        single[f"adaptive as run{name}"] = pooled([as_run(half, chain, BATCH) for half, chain
                                                   in zip(halves, chains, strict=True)])
        for goal, label in (("pit", "pits"), ("values", "values")):
            runs = [adaptive(half, chain, goal, BATCH, 16) for half, chain in zip(halves, chains, strict=True)]
            curves[label + name] = [pooled(list(points)) for points in zip(*runs, strict=True)]
        if name:
            rates = dict(zip(KINDS, np.mean([chain.rates[SOURCES.index("equations")] for chain in chains], axis=0),
                             strict=True))
    flagged = [solution.first_errors["equations"] for problem in problems for solution in problem.solutions]
    report = {**Scores(single, curves).ratios(), "negatives": len(truths),
              **{f"{key}_equations": value for key, value in
                 Scores(single, {"pits": curves["pits, equations"], "values": curves["values, equations"]}
                        ).ratios().items()},
              "recovering": float(np.mean([recovers(q) for q in truths])),
              "with_a_false_equation": float(np.mean([step is not None for step in flagged])),
              "false_equation_at_the_pit": float(np.mean([step == exact_pit(q) for step, q in zip(flagged, truths,
                                                                                                 strict=True)])),
              **{f"equations_name_a_step_that_is_{kind}": float(rate) for kind, rate in rates.items()},
              "error_of_always_0": float(np.abs(np.concatenate([np.diff(q) for q in truths])).mean())}
    table = {name: score.row() for name, score in single.items()}
    levels = {"pits": LEVELS, "values": VALUE_LEVELS}
    for name, points in curves.items():
        table |= {f"{name}, {level:.4g}": point.row()
                  for level, point in zip(levels[name.split(",")[0]], points, strict=True)}
    show("tiny model, 256 rollouts a step as reference", table, report)
    Path("build/bench/search_tiny.json").write_text(json.dumps(
        {**report, "table": table, "seconds": time.monotonic() - began}, indent=1).replace("NaN", "null"))


if __name__ == "__main__":
    main()
