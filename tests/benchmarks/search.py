"""How many rollout tokens each search needs to find the pit and to estimate advantages, against exact values.

    make bench NAME=search        (writes build/bench/search.json; PROBLEMS=10 SEEDS=2 before it for a quick look)

Worlds (_world.py): `martingale` draws its solutions from the rollout policy itself, `other_writer` from a policy that
errs and recovers far more often; in `recovers_often` 30% of the solutions recover from their pit, `short` has 3 or 4
steps, `long` about 29; `easy` and `hard` start at a base rate near .9 and .05. The chain model is fitted on 32
rollouts a step of as many other problems of the same world and seed, and tested on fresh ones; rows `as run` fit it as
a run does, on a pilot's search, and stop as a run does. Truth is the rule applied to exact Q. All searches meet the
same recorded rollouts. A ratio is tokens of `adaptive` over tokens of the baseline where both reach the same accuracy
or error, read between the points of adaptive's curve (one run, one point for each level of `min_gain`); the curve of
pits comes of a search for pits alone, that of errors of one for values. null: not reached on the curve. All seeds are
pooled; intervals are the central 95% of a bootstrap over problems. A judge's reads (1.5 lengths of the solution each)
count as tokens. Headline keys are the worse of the first two worlds.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _baselines import GAINS, Amcs, Omega, oracle
from _searches import (
    LEVELS,
    VALUE_LEVELS,
    Row,
    Score,
    adaptive,
    as_run,
    counts,
    decoded,
    finish,
    fitted,
    fitted_on_pilot,
    marked_pit,
    plain,
    pooled,
    tokens_for,
)
from _world import BASE, WORLDS, Array, Problem, draw, exact_pit, judged, recovers

from stepforge.pipelines.credit.adaptive import pit_threshold
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.search import SearchSettings, make_search
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.stages.annotate.problem import ADAPTIVE_BATCH as BATCH

PILOT = Annotate.model_fields["pilot"].default
JUDGES = {"judge": (0.70, 0.93), "good_judge": (0.85, 0.97)}
HEADLINE = ("martingale", "other_writer")
BASE_RATES = {"easy": 0.9, "hard": 0.05}
RESAMPLES = 200
Ratios = dict[str, float | None]


@dataclass
class Scores:
    """Scores of one world, by name; seeds pool by joining them."""

    single: dict[str, Score]                 # one point
    curves: dict[str, list[Score]]           # a point for each level

    def ratios(self, weights: Array | None = None) -> Ratios:
        row = {name: score.row(weights) for name, score in self.single.items()}
        curve = {name: [score.row(weights) for score in points] for name, points in self.curves.items()}
        raw32, base16 = row["exhaustive-32"], row["exhaustive-16 decoded"]

        def ratio(name: str, key: str, slack: float, base: Row) -> float | None:
            tokens = tokens_for(curve[name], key, base[key] - slack)
            return None if tokens is None else tokens / base["tokens"]

        found = {"ratio_pit_raw32": ratio("pits", "pit", 0.01, raw32),
                 "ratio_pit_decoded16": ratio("pits", "pit", 0, base16),
                 "ratio_recovering": ratio("pits", "recovering", 0.03, base16),
                 "ratio_advantage": ratio("values", "error", 0, base16)}
        if "oracle" in curve:
            best, ours = ratio("oracle", "error", 0, base16), found["ratio_advantage"]
            found |= {"oracle": best, "ratio_to_oracle": None if None in (best, ours) else ours / best}
        for judge in JUDGES:
            if f"pits, {judge}" in curve:
                found |= {f"ratio_pit_raw32_{judge}": ratio(f"pits, {judge}", "pit", 0.01, raw32),
                          f"ratio_pit_{judge}": ratio(f"pits, {judge}", "pit", 0, base16),
                          f"ratio_advantage_{judge}": ratio(f"values, {judge}", "error", 0, base16)}
        return found

    def intervals(self) -> dict[str, tuple[float, float] | None]:
        """Central 95% of each ratio over resamples of the problems; None where a resample does not reach it."""
        size, rng = len(self.single["exhaustive-32"].problems), np.random.default_rng(0)
        drawn = [self.ratios(rng.multinomial(size, np.full(size, 1 / size)).astype(float)) for _ in range(RESAMPLES)]
        found: dict[str, tuple[float, float] | None] = {}
        for key in drawn[0]:
            seen = [ratios[key] for ratios in drawn]
            low, high = np.quantile([np.inf if r is None else r for r in seen], (0.025, 0.975), method="nearest")
            found[key] = None if np.isinf(high) else (float(low), float(high))
        return found


def measured(name: str, size: int, seed: int) -> tuple[Scores, list[Problem]]:
    """All strategies in one world at one seed, and the problems that they met."""
    rate = BASE_RATES.get(name)
    train = draw(WORLDS[name], size, 8, 100 + seed, rate)
    test = draw(WORLDS[name], size, 8, seed, rate)
    chain, pilot = fitted(train), fitted_on_pilot(draw(WORLDS[name], PILOT, 8, 200 + seed, rate))
    single = {f"exhaustive-{n}": plain("exhaustive", test, n) for n in (8, 16, 32)}
    single |= {f"exhaustive-{n} decoded": decoded(test, n, chain) for n in (8, 16, 32)}
    single["exhaustive-16 decoded by the pilot's fit"] = decoded(test, 16, pilot)
    single |= {f"{plan}-{n}": plain(plan, test, n) for plan in ("scan", "bisect") for n in (4, 8, 16)}
    single |= {"omega": plain(Omega, test, 8), "amcs": plain(Amcs, test, 16)}
    single |= {"adaptive as run": as_run(test, pilot, BATCH), "adaptive as run, no fit": as_run(test, None, BATCH)}
    curves = {"pits": adaptive(test, chain, "pit", BATCH), "values": adaptive(test, chain, "values", BATCH)}
    if name in HEADLINE:
        curves["oracle"] = oracle(test, chain)
        for judge, (sensitivity, specificity) in JUDGES.items():
            read = judged(test, sensitivity, specificity, 300 + seed)
            model = fitted(judged(train, sensitivity, specificity, 400 + seed))
            curves |= {f"pits, {judge}": adaptive(read, model, "pit", BATCH),
                       f"values, {judge}": adaptive(read, model, "values", BATCH)}
    return Scores(single, curves), test


def world_report(name: str, size: int, seeds: Sequence[int]) -> dict[str, Any]:
    parts = [measured(name, size, seed) for seed in seeds]
    first = parts[0][0]
    scores = Scores({key: pooled([part.single[key] for part, _ in parts]) for key in first.single},
                    {key: [pooled([part.curves[key][i] for part, _ in parts]) for i in range(len(points))]
                     for key, points in first.curves.items()})
    table = {key: score.row() for key, score in scores.single.items()}
    levels = {"pits": LEVELS, "values": VALUE_LEVELS, "oracle": GAINS}
    for key, points in scores.curves.items():
        table |= {f"{key}, {level:.4g}": point.row()
                  for level, point in zip(levels[key.split(",")[0]], points, strict=True)}
    truths = [q for _, problems in parts for problem in problems for q in problem.q]
    return {**scores.ratios(), "intervals": scores.intervals(), "table": table, "negatives": len(truths),
            "recovering": sum(map(recovers, truths)), "base_rate": float(np.mean([q[0] for q in truths])),
            "steps": float(np.mean([len(q) - 1 for q in truths])),
            "error_of_always_0": float(np.abs(np.concatenate([np.diff(q) for q in truths])).mean())}


RULES: dict[str, tuple[SearchSettings, Callable[[Array], int]]] = {
    "argmin_q": (SearchSettings(), exact_pit),
    "argmin_q of best-of-5": (SearchSettings(best_of=5), lambda q: exact_pit(1 - (1 - q) ** 5)),
    "zero_success of 16": (SearchSettings(pit="zero_success"), lambda q: int(np.argmax((1 - q[1:]) ** 16 >= 0.5))),
    "largest_drop": (SearchSettings(pit="largest_drop"), lambda q: int(np.diff(q).argmin())),
}


def by_rule(strategy: str, problems: Sequence[Problem], name: str, chain: Chain | None = None) -> Row:
    """Tokens per negative and pits under one rule, against that rule on exact Q."""
    (settings, exact), hits, tokens = RULES[name], [], 0
    for problem in problems:
        search = make_search(strategy, problem.solutions, settings, problem.base_successes, BASE, chain)
        finish(search, problem, BATCH)
        tokens += search.tokens
        hits += [marked_pit(values) == exact(truth)
                 for values, truth in zip(search.values().values(), problem.q, strict=True)]
    return {"tokens": tokens / len(hits), "pit": float(np.mean(hits))}


def rules(problems: Sequence[Problem], fit: Sequence[Problem]) -> dict[str, Any]:
    """Each search made for each rule."""
    report: dict[str, Any] = {}
    for name, (settings, _) in RULES.items():
        model = Chain.default(pit_threshold(settings)).fit(counts(fit, 32))
        report[name] = {strategy: by_rule(strategy, problems, name, model if strategy == "adaptive" else None)
                        for strategy in ("exhaustive", "scan", "bisect", "adaptive")}
        show(f"rule {name} (exhaustive, scan, bisect with 16; adaptive as set by default)", report[name], {})
    return report


def show(title: str, table: dict[str, Row], facts: dict[str, Any]) -> None:
    columns = list(next(iter(table.values())))
    print(f"\n{title}\n{'':42}" + "".join(f"{column:>12}" for column in columns))
    for name, row in table.items():
        print(f"{name:42}" + "".join(f"{'–':>12}" if row[c] != row[c] else f"{row[c]:12.3f}" for c in columns))
    print("  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in facts.items() if key not in ("table", "intervals")), flush=True)
    for key, interval in facts.get("intervals", {}).items():
        ends = "not always reached" if interval is None else "{:.3f} to {:.3f}".format(*interval)
        print(f"    {key:30} {ends}", flush=True)


def main() -> None:
    began, size = time.monotonic(), int(os.environ.get("PROBLEMS", "40"))
    seeds = range(int(os.environ.get("SEEDS", "4")))
    path, report = Path("build/bench/search.json"), dict[str, Any](worlds={})
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in os.environ.get("WORLDS", "martingale other_writer short recovers_often hard easy long").split():
        report["worlds"][name] = world = world_report(name, size, seeds)
        show(f"world {name}", world["table"], world)
        path.write_text(json.dumps(report, indent=1).replace("NaN", "null"))
    first = [world for name, world in report["worlds"].items() if name in HEADLINE]
    for key in [key for key in (first or [{}])[0] if key.startswith("ratio")]:
        seen = [world[key] for world in first]
        report[key] = None if None in seen else max(seen)
    fit, test = (draw(WORLDS["martingale"], max(10, size // 3), 8, seed) for seed in (1, 2))
    report["rules"] = rules(test, fit)
    report["seconds"] = time.monotonic() - began
    path.write_text(json.dumps(report, indent=1).replace("NaN", "null"))
    print("\n" + "  ".join(f"{key} {report[key]}" for key in report if key.startswith("ratio")))


if __name__ == "__main__":
    main()
