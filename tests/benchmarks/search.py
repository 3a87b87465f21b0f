"""How many rollout tokens each search needs to find the pit and to estimate advantages, against exact values.

    make bench NAME=search        (writes build/bench/search.json; PROBLEMS=10 SEEDS=2 before it for a quick look)

An hour and a half on one core; WORKERS=2 takes two. Each world and seed is kept as it ends (_parts.py), so the same
command resumes after an interruption and pools the stored parts.

Worlds (_world.py): `martingale` draws its solutions from the rollout policy itself, `other_writer` from a policy that
errs and recovers far more often; in `recovers_often` 30% of the solutions recover from their pit, `short` has 3 or 4
steps, `long` about 29; `easy` and `hard` start at a base rate near .9 and .05. Pits of `hard` have a tolerance of .02:
with .05 its solutions start in the pit, and no rollout has anything to find. The chain model is fitted on 32 rollouts
a step of as many other problems of the same world and seed, and tested on fresh ones; rows `as run` fit it as a run
does, on a pilot's search, and stop as a run does. Truth is the rule applied to exact Q. All searches meet the
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
from _baselines import GAINS
from _parts import BATCH, HEADLINE, JUDGES, Measure, Part, parts
from _searches import LEVELS, VALUE_LEVELS, Row, Score, counts, finish, marked_pit, tokens_for
from _world import BASE, WORLDS, Array, Problem, draw, exact_pit

from stepforge.pipelines.credit.adaptive import pit_threshold
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.search import SearchSettings, make_search

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

        ratios = {"ratio_pit_raw32": ratio("pits", "pit", 0.01, raw32),
                  "ratio_pit_decoded16": ratio("pits", "pit", 0, base16),
                  "ratio_recovering": ratio("pits", "recovering", 0.03, base16),
                  "ratio_advantage": ratio("values", "error", 0, base16)}
        if "oracle" in curve:
            best, ours = ratio("oracle", "error", 0, base16), ratios["ratio_advantage"]
            ratios |= {"oracle": best, "ratio_to_oracle": None if None in (best, ours) else ours / best}
        for judge in JUDGES:
            if f"pits, {judge}" in curve:
                ratios |= {f"ratio_pit_raw32_{judge}": ratio(f"pits, {judge}", "pit", 0.01, raw32),
                           f"ratio_pit_{judge}": ratio(f"pits, {judge}", "pit", 0, base16),
                           f"ratio_advantage_{judge}": ratio(f"values, {judge}", "error", 0, base16)}
        return ratios

    def intervals(self) -> dict[str, tuple[float, float] | None]:
        """Central 95% of each ratio over resamples of the problems; None where a resample does not reach it."""
        size, rng = len(next(iter(self.single.values())).problems), np.random.default_rng(0)
        drawn = [self.ratios(rng.multinomial(size, np.full(size, 1 / size)).astype(float)) for _ in range(RESAMPLES)]
        intervals: dict[str, tuple[float, float] | None] = {}
        for key in drawn[0]:
            seen = [ratios[key] for ratios in drawn]
            low, high = np.quantile([np.inf if r is None else r for r in seen], (0.025, 0.975), method="nearest")
            intervals[key] = None if np.isinf(high) else (float(low), float(high))
        return intervals


def world_report(part: Part) -> dict[str, Any]:
    scores, table = Scores(part.single, part.curves), {key: score.row() for key, score in part.single.items()}
    levels = {"pits": LEVELS, "values": VALUE_LEVELS, "oracle": GAINS}
    for key, points in scores.curves.items():
        table |= {f"{key}, {level:.4g}": point.row()
                  for level, point in zip(levels[key.split(",")[0]], points, strict=True)}
    sums = {key: sum(fact[key] for fact in part.facts) for key in part.facts[0]}
    return {**scores.ratios(), "intervals": scores.intervals(), "table": table, "negatives": len(part.facts),
            "recovering": int(sums["recovers"]), "base_rate": sums["base_rate"] / len(part.facts),
            "steps": sums["steps"] / len(part.facts), "error_of_always_0": sums["change"] / sums["steps"],
            "seconds": part.seconds}


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


def run_worlds(names: Sequence[str], measure: Measure, more_code: Sequence[Path], report_of: Callable[[Part], Any],
               path: Path) -> None:
    """Measure these worlds at PROBLEMS and SEEDS, show them, and write their reports to `path`."""
    size, seeds = int(os.environ.get("PROBLEMS", "40")), int(os.environ.get("SEEDS", "4"))
    report: dict[str, Any] = {"problems": size, "seeds": seeds}
    for name, part in parts(names, size, range(seeds), int(os.environ.get("WORKERS", "1")), measure, more_code):
        report[name] = report_of(part)
        show(name, report[name]["table"], report[name])
    path.write_text(json.dumps(report, indent=1).replace("NaN", "null"))


def main() -> None:
    began, size = time.monotonic(), int(os.environ.get("PROBLEMS", "40"))
    seeds, workers = range(int(os.environ.get("SEEDS", "4"))), int(os.environ.get("WORKERS", "1"))
    path, report = Path("build/bench/search.json"), dict[str, Any](worlds={}, problems=size, seeds=len(seeds))
    names = os.environ.get("WORLDS", "martingale other_writer short recovers_often hard easy long").split()
    for name, part in parts(names, size, seeds, workers):
        report["worlds"][name] = world = world_report(part)
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
