"""How many rollout tokens each search needs to find the pit and to estimate advantages, against exact values.

    make bench NAME=search        (writes build/bench/search.json; PROBLEMS=20 before it for a quick look)

Worlds (_world.py): `martingale` draws its solutions from the rollout policy itself, `other_writer` from a policy that
errs and recovers far more often, `open_end` is a process unlike both. The chain model is fitted on 32 rollouts a step
of other problems of the same world, and tested on fresh ones. Truth is the rule applied to exact Q. Every search is
the real one, driven ask by ask; all meet the same recorded rollouts. A ratio is tokens of `adaptive` over tokens of
the baseline where both reach the same accuracy or error, read between the points of adaptive's curve (one run, one
point for each level of `min_gain`); the pit's curve comes of a search for pits alone, the error's of one for values.
A ratio of null: not reached on the curve. Headline keys are the worse of the first two worlds, recovering solutions
only counted where there are at least 30. Goals: 0.10 (within a point), 0.25, 0.33 (within three points), 0.33.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from _world import BASE, WORLDS, Array, Problem, draw

from stepforge.pipelines.credit.adaptive import Adaptive, pit_threshold
from stepforge.pipelines.credit.advantages import StepValue
from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.search import Search, SearchSettings, make_search
from stepforge.pipelines.options.stages import Annotate

EPS = 0.05
Row = dict[str, float]
PILOT = Annotate.model_fields["pilot"].default
LEVELS = (0.6, 0.35, 0.2, 0.12, 0.08, 0.055, 0.04, 0.03, 0.022, 0.016, 0.011, 0.008, 0.006, 0.0045, 0.0033)


@dataclass
class Score:
    """Sums over solutions: tokens, pits found, recovering ones found, |A error| of all steps."""

    tokens: float = 0.0
    hits: list[bool] = field(default_factory=list)
    recovering: list[bool] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def add(self, truth: Array, pit: int | None, q: Array | None) -> None:
        right = pit == exact_pit(truth)
        self.hits.append(right)
        if recovers(truth):
            self.recovering.append(right)
        if q is not None:
            self.errors += list(np.abs(np.diff(q) - np.diff(truth)))

    def row(self) -> Row:
        return {"tokens": self.tokens / len(self.hits), "pit": float(np.mean(self.hits)),
                "recovering": float(np.mean(self.recovering)) if self.recovering else float("nan"),
                "error": float(np.mean(self.errors)) if self.errors else float("nan")}


def exact_pit(q: Array) -> int:
    """Step index of the first Q <= min Q + eps (q[0] is the bare problem)."""
    return int(np.argmax(q[1:] <= q[1:].min() + EPS))


def recovers(q: Array) -> bool:
    """Whether Q rises to twice the threshold after the first pit."""
    return bool((q[exact_pit(q) + 1:] > 2 * EPS).any())


RULES: dict[str, tuple[SearchSettings, Callable[[Array], int]]] = {
    "argmin_q": (SearchSettings(), exact_pit),
    "argmin_q of best-of-5": (SearchSettings(best_of=5), lambda q: exact_pit(1 - (1 - q) ** 5)),
    "zero_success of 16": (SearchSettings(pit="zero_success"), lambda q: int(np.argmax((1 - q[1:]) ** 16 >= 0.5))),
    "largest_drop": (SearchSettings(pit="largest_drop"), lambda q: int(np.diff(q).argmin())),
}


def finish(search: Search, problem: Problem, limit: int) -> None:
    while batch := search.next_batch(limit):
        for ask in batch:
            search.observe(ask, *problem.rollout(ask))


def marked_pit(values: Sequence[StepValue]) -> int | None:
    return next((i for i, value in enumerate(values) if value.is_pit), None)


def plain(strategy: str, problems: Sequence[Problem], n: int) -> Score:
    """A strategy without a model: pits and values as `values()` publishes them."""
    score, settings = Score(), SearchSettings(rollouts=n)
    for problem in problems:
        search = make_search(strategy, problem.solutions, settings, problem.base_successes, BASE)
        finish(search, problem, 64)
        score.tokens += search.tokens
        for values, truth in zip(search.values().values(), problem.q, strict=True):
            q = [problem.base_successes / BASE] + [value.q for value in values]
            score.add(truth, marked_pit(values), np.array(q) if strategy == "exhaustive" else None)
    return score


def by_rule(strategy: str, problems: Sequence[Problem], name: str, chain: Chain | None = None) -> Score:
    """Pits under another rule, against that rule on exact Q."""
    settings, exact = RULES[name]
    score = Score()
    for problem in problems:
        search = make_search(strategy, problem.solutions, settings, problem.base_successes, BASE, chain)
        finish(search, problem, 8)
        score.tokens += search.tokens
        score.hits += [marked_pit(values) == exact(truth)
                       for values, truth in zip(search.values().values(), problem.q, strict=True)]
    return score


def prefixes(problem: Problem) -> list[list[str]]:
    """For every solution a name of each node: the text so far; the whole solution is a node of its own."""
    return [[*accumulate(("", *each.steps[:-1])), f"end of {each.solution_id}"] for each in problem.solutions]


def counts(problems: Sequence[Problem], n: int) -> Counts:
    """What n rollouts at every step of all solutions tell."""
    rows = [(k, p, b) for k, p in enumerate(problems) for b in range(len(p.q))]
    width = max(len(p.q[b]) for _, p, b in rows)
    successes, failures = np.zeros((len(rows), width)), np.zeros((len(rows), width))
    place, number = np.full((len(rows), width), -1), {}
    for i, (k, p, b) in enumerate(rows):
        done = p.outcomes[b][1:, :n].sum(1)
        successes[i, 0], successes[i, 1:1 + len(done)] = p.base_successes, done
        failures[i, 0], failures[i, 1:1 + len(done)] = BASE - p.base_successes, n - done
        names = prefixes(p)[b]
        place[i, :len(names)] = [number.setdefault((k, name), len(number)) for name in names]
    last = np.array([len(p.q[b]) - 1 for _, p, b in rows])
    return Counts(successes, failures, last, np.zeros(len(rows), bool), place)


def decoded(problems: Sequence[Problem], n: int, chain: Chain) -> Score:
    """`exhaustive` with n rollouts, read through the chain model."""
    score, beliefs = Score(), chain.beliefs(counts(problems, n))
    for p in problems:
        paid = {name: rows[i, :n].sum() for rows, names in zip(p.tokens, prefixes(p), strict=True)
                for i, name in enumerate(names[:-1]) if i}
        score.tokens += float(sum(paid.values()))
    for i, truth in enumerate(q for p in problems for q in p.q):
        score.add(truth, int(beliefs.pit[i].argmax()) - 1, beliefs.q[i, :len(truth)])
    return score


def typical_length(problems: Sequence[Problem]) -> float:
    return float(np.mean([s.cost_after(-1) for p in problems for s in p.solutions]))


def adaptive(problems: Sequence[Problem], chain: Chain, goal: str, limit: int = 8, rollouts: int = 32) -> list[Row]:
    """The curve of one run: a search would have ended at each level when its price first fell below it."""
    curve = [Score() for _ in LEVELS]
    weight, confidence = (0.0, 0.999) if goal == "pit" else (1.0, 0.0)     # 0: every pit counts as settled
    levels = [level * (1.0 if goal == "pit" else 0.25) for level in LEVELS]
    settings = SearchSettings(min_gain=levels[-1], value_weight=weight, rollouts=rollouts, confidence=confidence,
                              typical_length=typical_length(problems))
    for problem in problems:
        search = Adaptive(problem.solutions, settings, problem.base_successes, BASE, chain)
        level, batch = 0, search.next_batch(limit)
        while level < len(levels):
            if search.price <= levels[level]:
                beliefs = search.beliefs()
                curve[level].tokens += search.tokens
                for b, truth in enumerate(problem.q):
                    curve[level].add(truth, int(beliefs.pit[b].argmax()) - 1, beliefs.q[b, :len(truth)])
                level += 1
                continue
            for ask in batch:
                search.observe(ask, *problem.rollout(ask))
            batch = search.next_batch(limit)
    return [score.row() for score in curve]


def tokens_for(curve: Sequence[Row], key: str, goal: float) -> float | None:
    """Tokens at which a curve first is as good as `goal`: more is better, for errors less."""
    sign = -1 if key == "error" else 1
    for a, b in zip(curve, curve[1:], strict=False):
        if sign * a[key] >= sign * goal:
            return a["tokens"]
        if sign * b[key] >= sign * goal:
            share = (goal - a[key]) / (b[key] - a[key])
            return a["tokens"] + share * (b["tokens"] - a["tokens"])
    return None


def accuracy_at(curve: Sequence[Row], tokens: float) -> float | None:
    """Pit accuracy of a curve at a budget, None where it begins above it."""
    if tokens < curve[0]["tokens"]:
        return None
    return float(np.interp(tokens, [row["tokens"] for row in curve], [row["pit"] for row in curve]))


def ratios(raw32: Row, base16: Row, pits: Sequence[Row], values: Sequence[Row] = ()) -> dict[str, float | None]:
    def ratio(curve: Sequence[Row], key: str, slack: float, base: Row) -> float | None:
        tokens = tokens_for(curve, key, base[key] - slack)
        return None if tokens is None else tokens / base["tokens"]

    return {"ratio_pit_raw32": ratio(pits, "pit", 0.01, raw32), "ratio_pit_decoded16": ratio(pits, "pit", 0, base16),
            "ratio_recovering": ratio(pits, "recovering", 0.03, base16),
            "ratio_advantage": ratio(values, "error", 0, base16)}


def world_report(name: str, size: int) -> tuple[dict[str, Any], Chain]:
    """All strategies in one world; the chain model fitted on its first half comes back for reuse."""
    chain = Chain.default(EPS).fit(counts(draw(WORLDS[name], size, 8, seed=1), 32))
    test = draw(WORLDS[name], size, 8, seed=2)
    table = {f"exhaustive-{n}": plain("exhaustive", test, n).row() for n in (8, 16, 32)}
    table |= {f"exhaustive-{n} decoded": decoded(test, n, chain).row() for n in (8, 16, 32)}
    table |= {f"{name}-{n}": plain(name, test, n).row() for name in ("scan", "bisect") for n in (4, 8, 16, 32)}
    pits, values = adaptive(test, chain, "pit"), adaptive(test, chain, "values")
    table |= {f"adaptive for pits, {level}": row for level, row in zip(LEVELS, pits, strict=True)}
    table |= {f"adaptive for values, {level / 4:.4f}": row for level, row in zip(LEVELS, values, strict=True)}
    ahead = {key: accuracy - row["pit"] for key, row in table.items() if key.startswith(("scan", "bisect"))
             if (accuracy := accuracy_at(pits, row["tokens"])) is not None}
    truths = [q for p in test for q in p.q]
    return {**ratios(table["exhaustive-32"], table["exhaustive-16 decoded"], pits, values), "table": table,
            "ahead_at_equal_tokens": ahead, "negatives": len(truths), "recovering": sum(map(recovers, truths)),
            "error_of_always_0": float(np.abs(np.concatenate([np.diff(q) for q in truths])).mean())}, chain


def fitted_on_pilot(problems: Sequence[Problem]) -> Chain:
    """What `stepforge run` does: the adaptive search without a fit on a few problems, then a fit to its counts."""
    evidence, settings = [], SearchSettings(typical_length=typical_length(problems))
    for problem in problems:
        search = Adaptive(problem.solutions, settings, problem.base_successes, BASE)
        finish(search, problem, 64)
        evidence.append(search.evidence())
    return Chain.default(EPS).fit(Counts.joined(evidence))


def variations(chain: Chain, size: int) -> dict[str, Any]:
    """What is lost when the model was fitted elsewhere or not at all, and with batches on a single negative."""
    report: dict[str, Any] = {}
    single = draw(WORLDS["martingale"], 3 * size, 1, seed=3)
    own = Chain.default(EPS).fit(counts(draw(WORLDS["open_end"], size, 8, seed=1), 32))
    pilot = fitted_on_pilot(draw(WORLDS["martingale"], PILOT, 8, seed=5))
    for name, test, model, limit in (
            ("model fitted on a pilot, as in a run", draw(WORLDS["martingale"], size, 8, seed=2), pilot, 8),
            ("unfitted model", draw(WORLDS["martingale"], size, 8, seed=2), Chain.default(EPS), 8),
            ("process unlike both, own fit", draw(WORLDS["open_end"], size, 8, seed=2), own, 8),
            ("process unlike both, model fitted on martingale", draw(WORLDS["open_end"], size, 8, seed=2), chain, 8),
            ("one negative a problem, 1 at a time", single, chain, 1),
            ("one negative a problem, batches of 4", single, chain, 4),
            ("one negative a problem, batches of 16", single, chain, 16)):
        raw, base, pits = plain("exhaustive", test, 32).row(), decoded(test, 16, model).row(), \
            adaptive(test, model, "pit", limit)
        report[name] = {**ratios(raw, base, pits), "exhaustive-32": raw, "exhaustive-16 decoded": base, "curve": pits}
        show(name, {"exhaustive-32": raw, "exhaustive-16 decoded": base}, report[name])
    return report


def rules(problems: Sequence[Problem], fit: Sequence[Problem]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for name, (settings, _) in RULES.items():
        model = Chain.default(pit_threshold(settings)).fit(counts(fit, 32))
        report[name] = {strategy: by_rule(strategy, problems, name, model if strategy == "adaptive" else None).row()
                        for strategy in ("exhaustive", "scan", "bisect", "adaptive")}
        show(f"rule {name} (exhaustive, scan, bisect with 16; adaptive as set by default)", report[name], {})
    return report


def show(title: str, table: dict[str, Row], report: dict[str, Any]) -> None:
    print(f"\n{title}\n{'':32}{'tokens':>9}{'pit':>8}{'recov.':>8}{'|A err|':>9}")
    for name, row in table.items():
        print(f"{name:32}{row['tokens']:9.0f}{row['pit']:8.3f}{row['recovering']:8.3f}{row['error']:9.4f}")
    facts = {key: value for key, value in report.items() if key.startswith(("ratio", "error", "neg", "recov"))}
    print("  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in facts.items()), flush=True)


def main() -> None:
    began, size = time.monotonic(), int(os.environ.get("PROBLEMS", "100"))
    worlds: dict[str, dict[str, Any]] = {}
    for name in ("martingale", "other_writer"):
        worlds[name], chain = world_report(name, size)
        show(f"world {name}", worlds[name]["table"], worlds[name])
        print("adaptive ahead of scan and bisect at their tokens:",
              {key: round(value, 3) for key, value in worlds[name]["ahead_at_equal_tokens"].items()})
        if name == "martingale":
            martingale = chain
    small = max(10, size // 3)
    report: dict[str, Any] = {}
    for key in ("ratio_pit_raw32", "ratio_pit_decoded16", "ratio_recovering", "ratio_advantage"):
        seen = [w[key] for w in worlds.values() if key != "ratio_recovering" or w["recovering"] >= 30]
        report[key] = max(seen) if seen and None not in seen else None
    for key, column in (("pit_accuracy", "pit"), ("advantage_error", "error")):
        report[key] = {f"{world}: {name}": row[column] for world, w in worlds.items()
                       for name, row in w["table"].items() if row[column] == row[column]}
    report["worlds"] = worlds
    report["rules"] = rules(draw(WORLDS["martingale"], small, 8, seed=2), draw(WORLDS["martingale"], small, 8, seed=1))
    report["variations"] = variations(martingale, small)
    report["seconds"] = time.monotonic() - began
    path = Path("build/bench/search.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1).replace("NaN", "null"))
    print("\n" + "  ".join(f"{key} {report[key]}" for key in report if key.startswith("ratio")))


if __name__ == "__main__":
    main()
