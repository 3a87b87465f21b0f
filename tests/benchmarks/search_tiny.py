"""The searches on the shipped tiny model: how near each comes to values from 256 rollouts a step, and at what cost.

    make bench NAME=search_tiny     (writes build/bench/search_tiny.json; PROBLEMS=20 before it for a quick look)

Problems are of the arithmetic source's test split. For each the model writes 16 solutions, the first three incorrect
ones are valued. From every step of theirs 320 rollouts are drawn once and kept in build/bench/search_tiny: the last
256 are the reference, the first 64 are what the searches get, so that none is measured against its own draws. The
chain model is fitted as a run does it, on a pilot's search, with the other half of the problems. Searches and scores
are those of search.py. `recovering` is the share of negatives whose reference value rises above twice the tolerance
after the pit, where the assumption of `bisect` fails. Two errors remain in the reference itself: with 256 rollouts a
standard error of up to .03 for each value, and pits of steps near the tolerance.
"""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from _world import BASE, Problem
from search import Row, adaptive, decoded, fitted_on_pilot, plain, prefixes, ratios, recovers, show

from stepforge.builders.sources import arithmetic
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.answers import Claim, Verifier
from stepforge.pipelines.credit.rollouts import FAILURES
from stepforge.pipelines.credit.search import Solution
from stepforge.pipelines.credit.split import split
from stepforge.pipelines.inference.embedded import shared_sampler
from stepforge.pipelines.inference.prompts import render

SPARE, REFERENCE, NEGATIVES = 64, 256, 3
CACHE = Path("build/bench/search_tiny")
SAMPLING = {"temperature": 0.7, "max_tokens": 128}


class Policy:
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
        right = [v.verdict == "correct" if v.verdict != "undecided" or v.reason in FAILURES else None
                 for v in self.verifier.verify_many(claims)]
        return [c["text"] for c in choices], right, [len(c["token_ids"]) for c in choices]


def record(row: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """One problem: its negatives in steps, and outcomes and tokens of the rollouts from each of their prefixes."""
    prompt, gold = render("plain", row["problem"], "tiny"), row["answer"]
    answer = policy.start(prompt, BASE)
    texts, right, _ = policy.outcomes(answer, "", gold)
    ended = [choice["finish_reason"] == "stop" for choice in answer.result()["choices"]]
    wrong = dict.fromkeys(text for text, good, end in zip(texts, right, ended, strict=True) if good is False and end)
    found: dict[str, Any] = {"base": sum(map(bool, right)), "negatives": list(wrong)[:NEGATIVES], "nodes": {}}
    steps = [split("newline", text) for text in found["negatives"]]
    starts = dict.fromkeys("".join(pieces[:i]) for pieces in steps for i in range(len(pieces)))
    running = {prefix: policy.start(prompt + prefix, SPARE + REFERENCE) for prefix in starts}
    for prefix, answer in running.items():
        _, right, tokens = policy.outcomes(answer, prefix, gold)
        if None in right:
            raise SystemExit(f"a rollout of {row['source_id']} has no verdict; every one of this source should")
        found["nodes"][prefix] = {"right": right, "tokens": tokens}
    return found


def recorded(problems: int) -> Iterator[dict[str, Any]]:
    """Records of problems with at least one negative; those of an earlier run are read again."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with Verifier() as verifier:
        policy = Policy(verifier)
        for row in arithmetic.generate(problems, 11, "test", (3, 6), 50):
            path = CACHE / f"{content_id(row['problem'], SAMPLING, SPARE, REFERENCE, NEGATIVES)}.json"
            if not path.exists():
                path.write_text(json.dumps(record(row, policy)))
            found = json.loads(path.read_text())
            if found["negatives"]:
                yield found


def as_problem(found: dict[str, Any]) -> Problem:
    """In the form that the searches of search.py are driven with; costs of steps in tokens as far as rollouts tell."""
    solutions = []
    for b, text in enumerate(found["negatives"]):
        steps = split("newline", text)
        size = np.mean(found["nodes"][""]["tokens"]) / np.mean([len(t) for t in found["negatives"]])
        solutions.append(Solution(str(b), tuple(steps), False, tuple(max(1, round(size * len(s))) for s in steps)))
    problem = Problem(solutions, [], found["base"], [], [])
    for names in prefixes(problem):
        nodes = [found["nodes"][name] for name in names[:-1]]
        right, tokens = np.array([n["right"] for n in nodes], bool), np.array([n["tokens"] for n in nodes])
        problem.q.append(np.append(right[:, SPARE:].mean(1), 0.0))
        problem.outcomes.append(right[:, :SPARE])
        problem.tokens.append(tokens[:, :SPARE])
    return problem


def main() -> None:
    began = time.monotonic()
    problems = [as_problem(found) for found in recorded(int(os.environ.get("PROBLEMS", "40")))]
    truths = [q for p in problems for q in p.q]
    table: dict[str, Row] = {f"{name}-{n}": plain(name, problems, n).row()
                             for name in ("exhaustive", "scan", "bisect") for n in (8, 16, 32)}
    halves = [problems[::2], problems[1::2]]
    chains = [fitted_on_pilot(halves[1]), fitted_on_pilot(halves[0])]

    def both(rows: list[Row]) -> Row:
        weights = [sum(len(p.q) for p in half) for half in halves]
        return {key: float(np.average([row[key] for row in rows], weights=weights)) for key in rows[0]}

    for n in (8, 16, 32):
        table[f"exhaustive-{n} decoded"] = both([decoded(half, n, chain).row()
                                                 for half, chain in zip(halves, chains, strict=True)])
    curves = {goal: [both(list(rows)) for rows in zip(*(adaptive(half, chain, goal, 8, 16) for half, chain
                                                       in zip(halves, chains, strict=True)), strict=True)]
              for goal in ("pit", "values")}
    table |= {f"adaptive for {goal}, {i}": row for goal, curve in curves.items() for i, row in enumerate(curve)}
    report = {**ratios(table["exhaustive-32"], table["exhaustive-16 decoded"], curves["pit"], curves["values"]),
              "negatives": len(truths), "recovering": float(np.mean([recovers(q) for q in truths])),
              "error_of_always_0": float(np.abs(np.concatenate([np.diff(q) for q in truths])).mean())}
    show("tiny model, 256 rollouts a step as reference", table, report)
    Path("build/bench/search_tiny.json").write_text(json.dumps(
        {**report, "table": table, "seconds": time.monotonic() - began}, indent=1).replace("NaN", "null"))


if __name__ == "__main__":
    main()
