"""What it is worth to count a rollout for the longer prefixes that it passes through: `make bench NAME=passing`.

In the two headline worlds of search.py with favoured steps (_passing.py), so that 12% or 24% of rollouts pass a longer
prefix, each search meets the same rollouts twice, with and without `passing`. One line for each: what values are off
by on average (`bias`, and how many standard errors that is over problems), and scores of search.py. Ratios of tokens
with over tokens without: of `exhaustive` where the number of outcomes is the same (`ratio_tokens`), and where the
error is (`ratio_advantage`); of `adaptive` at the error, and at the pits, that it has without where a run would end.
All seeds are pooled; intervals are the central 95% of a bootstrap over problems. Writes build/bench/passing.json;
SEEDS=1 PROBLEMS=12 before it for a quick look. Each world and seed is kept as it ends.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _parts import BATCH, HEADLINE, Part
from _passing import Passing, draw_passing
from _searches import LEVELS, VALUE_LEVELS, Score, adaptive, fitted, published, tokens_for, typical_length
from _world import BASE, WORLDS, Array
from search import Scores, run_worlds

from stepforge.pipelines.credit.search import Chain, Search, SearchSettings, make_search

LAWS = {"12%": (0.5, 1.5), "24%": (0.6, 0.9)}     # of the chance of a favoured step
SIZES = (8, 12, 16)     # rollouts a step of `exhaustive`
CODE = [Path(__file__), Path(__file__).with_name("_passing.py")]
CURVES = {"values": VALUE_LEVELS, "pit": LEVELS}


def finish(search: Search, problem: Passing, limit: int) -> None:
    while batch := search.next_batch(limit):
        for ask in batch:
            search.observe(ask, *problem.rollout(ask), passed=problem.passes(ask))


def scored(strategy: str, problems: Sequence[Passing], n: int, passing: bool, chain: Chain | None = None) -> Score:
    score, settings = Score(eps=problems[0].eps), SearchSettings(
        rollouts=n, eps=problems[0].eps, passing=passing, typical_length=typical_length(problems))
    for problem in problems:
        search = make_search(strategy, problem.solutions, settings, problem.base_successes, BASE, chain)
        finish(search, problem, BATCH if strategy == "adaptive" else 64)
        published(search, problem, score, n)
        off = [value.q - exact for values, truth in zip(search.values().values(), problem.q, strict=True)
               for value, exact in zip(values[:-1], truth[1:-1], strict=True) if value.q is not None]
        score.problems[-1] |= {"off": sum(off), "values": len(off)}
    return score


def measured(name: str, size: int, seed: int) -> Part:
    """All searches of one world and law at one seed, with and without."""
    began, (world, law) = time.monotonic(), name.split(" passing ")
    test = draw_passing(WORLDS[world], size, 8, seed, LAWS[law])
    chain = fitted(draw_passing(WORLDS[world], size, 8, 100 + seed, LAWS[law]))
    single, curves = dict[str, Score](), dict[str, list[Score]]()
    for passing, label in ((False, ""), (True, ", passing")):
        single |= {f"exhaustive-{n}{label}": scored("exhaustive", test, n, passing) for n in SIZES}
        single |= {f"{strategy}-16{label}": scored(strategy, test, 16, passing) for strategy in ("scan", "bisect")}
        single[f"adaptive as run{label}"] = scored("adaptive", test, 16, passing, chain)
        curves |= {f"{goal}{label}": adaptive(test, chain, goal, BATCH, passing=passing) for goal in CURVES}
    shares = [float((rows[1:] > 0).mean()) for problem in test for rows in problem.passed if len(rows) > 1]
    return Part(single, curves, [{"pass": float(np.mean(shares))}], time.monotonic() - began)


class Ratios(Scores):
    """Scores with and without passing."""

    def ratios(self, weights: Array | None = None) -> dict[str, float | None]:
        rows = {key: score.row(weights) for key, score in self.single.items()}
        plain = rows["exhaustive-16"]
        tokens = tokens_for([rows[f"exhaustive-{n}, passing"] for n in SIZES], "error", plain["error"])
        found = {"ratio_tokens": rows["exhaustive-16, passing"]["tokens"] / plain["tokens"],
                 "ratio_advantage": None if tokens is None else tokens / plain["tokens"],
                 "scan_ratio_tokens": rows["scan-16, passing"]["tokens"] / rows["scan-16"]["tokens"]}
        for goal, key in (("values", "error"), ("pit", "pit")):
            at = max(i for i, level in enumerate(CURVES[goal]) if level >= SearchSettings.min_gain)
            end = self.curves[goal][at].row(weights)
            tokens = tokens_for([score.row(weights) for score in self.curves[f"{goal}, passing"]], key, end[key])
            found[f"adaptive_ratio_{goal}"] = None if tokens is None else tokens / end["tokens"]
        return found


def bias(score: Score) -> dict[str, float]:
    """Mean of what values are off by, and how many standard errors over problems that is."""
    off, values = (np.array([problem[key] for problem in score.problems]) for key in ("off", "values"))
    mean = float(off.sum() / values.sum())
    error = float(np.sqrt(((off - mean * values) ** 2).sum()) / values.sum())
    return {"bias": mean, "bias_errors": mean / error}


def report_of(part: Part) -> dict[str, Any]:
    scores = Ratios(part.single, part.curves)
    table = {key: score.row() | bias(score) for key, score in part.single.items()}
    return {**scores.ratios(), "intervals": scores.intervals(), "table": table,
            "pass": float(np.mean([fact["pass"] for fact in part.facts])), "seconds": part.seconds}


if __name__ == "__main__":
    run_worlds([f"{name} passing {law}" for law in LAWS for name in HEADLINE], measured, CODE, report_of,
               Path("build/bench/passing.json"))
