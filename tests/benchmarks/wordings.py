"""What it is worth that wordings of one computation inform each other: `make bench NAME=wordings`.

In the two headline worlds of search.py with wordings (_wordings.py), apart by a spread of 0, 0.05 and 0.15, a pilot of
16 problems teaches the chain model as a run does; the fit decides whether wordings share, and how far apart they are.
Then the same fresh problems are searched twice, with and without. One line for each search as a run stops it, and
ratios of tokens with sharing over tokens without: `ratio_as_run` where each stops, `ratio_advantage` and `ratio_pit`
where the curve with sharing reaches the error, or the pits, that the curve without has where a run would end,
`ratio_advantage_late` the same at a quarter of that `min_gain` (above 1 it does harm). `error_as_run` is the ratio
of errors where each stops. All seeds are pooled; intervals are the central 95% of a bootstrap over problems. Writes
build/bench/wordings.json; SEEDS=1 PROBLEMS=12 before it for a quick look. Each world and seed is kept as it ends.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _parts import BATCH, HEADLINE, Part
from _searches import LEVELS, VALUE_LEVELS, Score, adaptive, as_run, finish, tokens_for, typical_length
from _wordings import draw_wordings, in_text_alone, repeated
from _world import BASE, EPS, WORLDS, Array, Problem
from search import Scores, run_worlds

from stepforge.pipelines.credit import fit, lengths
from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.lengths import Seen
from stepforge.pipelines.credit.search import SearchSettings

SPREADS, PILOT = (0.0, 0.05, 0.15), 16
RUN, LATE = SearchSettings.min_gain, SearchSettings.min_gain / 4
ENDS = {"ratio_advantage": ("values", "error", RUN), "ratio_advantage_late": ("values", "error", LATE),
        "ratio_pit": ("pit", "pit", RUN)}
CURVES = {"values": VALUE_LEVELS, "pit": LEVELS}
CODE = [Path(__file__), Path(__file__).with_name("_wordings.py")]


def taught(pilot: Sequence[Problem]) -> tuple[Chain, dict[str, Any]]:
    """The model of a pilot, as annotate makes it, and what the fit says."""
    known, seen, settings = [], list[Seen](), SearchSettings(typical_length=typical_length(pilot))
    for problem in pilot:
        search = Adaptive(problem.solutions, settings, problem.base_successes, BASE)
        finish(search, problem, BATCH)
        known.append([*search.history, search.evidence()])
        seen += search.lengths()
    chain, fit_facts = fit.fitted_model(known, EPS)
    assert chain is not None, fit_facts
    return replace(chain, lengths=lengths.fit(seen, typical_length(pilot))), fit_facts


def measured(name: str, size: int, seed: int) -> Part:
    """The searches with and without sharing, of one world and spread at one seed."""
    began, (world, spread) = time.monotonic(), name.split(" spread ")
    pilot = draw_wordings(WORLDS[world], PILOT, 8, 500 + seed, float(spread))
    test = draw_wordings(WORLDS[world], size, 8, seed, float(spread))
    single, curves, facts = dict[str, Score](), dict[str, list[Score]](), {"repeated": repeated(test)}
    views: dict[str, Callable[[Problem], Problem]] = {"computations": lambda problem: problem, "text": in_text_alone}
    for key, seen in views.items():
        chain, fit_facts = taught(list(map(seen, pilot)))
        if key == "computations":
            facts |= {"spread": chain.spread or 0.0, "nats": max(fit_facts["sharing"].values(), default=0.0)}
        single[f"{key}, as run"] = as_run(list(map(seen, test)), chain, BATCH)
        curves |= {f"{key}, {goal}": adaptive(list(map(seen, test)), chain, goal, BATCH) for goal in CURVES}
    return Part(single, curves, [facts], time.monotonic() - began)


class Shared(Scores):
    """Scores with and without sharing."""

    def ratios(self, weights: Array | None = None) -> dict[str, float | None]:
        rows = {key: score.row(weights) for key, score in self.single.items()}
        found: dict[str, float | None] = {
            "ratio_as_run": rows["computations, as run"]["tokens"] / rows["text, as run"]["tokens"],
            "error_as_run": rows["computations, as run"]["error"] / rows["text, as run"]["error"]}
        for ratio, (goal, key, min_gain) in ENDS.items():
            at = max(i for i, level in enumerate(CURVES[goal]) if level >= min_gain)
            end = self.curves[f"text, {goal}"][at].row(weights)
            tokens = tokens_for([score.row(weights) for score in self.curves[f"computations, {goal}"]], key, end[key])
            found[ratio] = None if tokens is None else tokens / end["tokens"]
        return found


def report_of(part: Part) -> dict[str, Any]:
    scores, table = Shared(part.single, part.curves), {key: score.row() for key, score in part.single.items()}
    table |= {f"{key}, {level:.4g}": score.row() for key, points in part.curves.items()
              for level, score in zip(CURVES[key.split(", ")[1]], points, strict=True)}
    chosen = [(fact["spread"], fact["nats"]) for fact in part.facts]
    return {**scores.ratios(), "intervals": scores.intervals(), "chosen": chosen, "table": table,
            "repeated": float(np.mean([fact["repeated"] for fact in part.facts])), "seconds": part.seconds}


if __name__ == "__main__":
    run_worlds([f"{name} spread {spread}" for spread in SPREADS for name in HEADLINE], measured, CODE, report_of,
               Path("build/bench/wordings.json"))
