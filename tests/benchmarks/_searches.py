"""Searches driven on recorded rollouts, and what they are worth against exact values.

In: problems of _world.py. Out: a `Score`: sums for each problem, so that scores of several seeds pool and a bootstrap
over problems weighs them anew. Every search is the real one, driven ask by ask; all meet the same recorded rollouts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
from _world import BASE, EPS, Array, Problem, exact_pit, recovers

from stepforge.pipelines.credit import lengths
from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.advantages import StepValue
from stepforge.pipelines.credit.chain import Chain, Counts
from stepforge.pipelines.credit.lengths import Seen
from stepforge.pipelines.credit.search import Search, SearchSettings, make_search

Row = dict[str, float]
LEVELS = (.6, .35, .2, .12, .08, .055, .04, .03, .022, .016, .012)     # of min_gain, for pits
VALUE_LEVELS = (.08, .04, .02, .012, .008, .0055, .004, .003, .0022, .0016)     # the same, for values
SUMS = ("tokens", "solutions", "hits", "recovering", "recovering_hits", "ruled", "zero_hits", "drop_hits", "steps",
        "error", "square", "intervals", "covered", "width", "intervals_model", "covered_model", "width_model")


@dataclass
class Score:
    """Sums over the solutions of each problem."""

    problems: list[Row] = field(default_factory=list)
    eps: float = EPS     # tolerance of the pits

    def start(self, tokens: float) -> None:
        """The next problem."""
        self.problems.append(dict.fromkeys(SUMS, 0.0) | {"tokens": tokens})

    def add(self, truth: Array, pit: int | None, q: Array | None, values: Sequence[StepValue] = ()) -> None:
        """One solution of it: its pit, its values under a model, and what `values()` publishes."""
        sums, right = self.problems[-1], pit == exact_pit(truth, self.eps)
        sums["solutions"] += 1
        sums["hits"] += right
        if recovers(truth, self.eps):
            sums["recovering"] += 1
            sums["recovering_hits"] += right
        if q is not None:
            errors = np.diff(q) - np.diff(truth)
            sums["steps"] += len(errors)
            sums["error"] += float(np.abs(errors).sum())
            sums["square"] += float((errors ** 2).sum())
        for value, exact in zip(values[:-1], truth[1:-1], strict=False):    # the last one is no estimate
            sums["intervals"] += 1
            sums["covered"] += value.q_low <= exact <= value.q_high
            sums["width"] += value.q_high - value.q_low
            if value.q_model_low is not None and value.q_model_high is not None:
                sums["intervals_model"] += 1
                sums["covered_model"] += value.q_model_low <= exact <= value.q_model_high
                sums["width_model"] += value.q_model_high - value.q_model_low

    def rules(self, truth: Array, values: Sequence[StepValue], n: int) -> None:
        """Pits of the same values by the other two rules, against these rules on exact Q."""
        zero = next((i for i, v in enumerate(values) if v.successes == 0 and (v.rollouts >= n or v.q == 0)), None)
        drops = [value.advantage for value in values]
        model = [value.advantage_model for value in values]
        drops = model if None not in model else drops
        lowest = None if None in drops else int(np.argmin(drops))    # type: ignore[arg-type]
        self.problems[-1]["ruled"] += 1
        self.problems[-1]["zero_hits"] += zero == int(np.argmax((1 - truth[1:]) ** n >= 0.5))
        self.problems[-1]["drop_hits"] += lowest == int(np.diff(truth).argmin())

    def row(self, weights: Array | None = None) -> Row:
        """Means over solutions; `weights` count each problem so often."""
        table = np.array([[sums[name] for name in SUMS] for sums in self.problems])
        total = dict(zip(SUMS, (np.ones(len(table)) if weights is None else weights) @ table, strict=True))

        def ratio(above: str, below: str) -> float:
            return float(total[above] / total[below]) if total[below] else float("nan")

        return {"tokens": ratio("tokens", "solutions"), "pit": ratio("hits", "solutions"),
                "recovering": ratio("recovering_hits", "recovering"), "zero": ratio("zero_hits", "ruled"),
                "drop": ratio("drop_hits", "ruled"), "error": ratio("error", "steps"),
                "rmse": ratio("square", "steps") ** 0.5, "cover": ratio("covered", "intervals"),
                "width": ratio("width", "intervals"), "cover_model": ratio("covered_model", "intervals_model"),
                "width_model": ratio("width_model", "intervals_model")}


def pooled(scores: Sequence[Score]) -> Score:
    return Score([sums for score in scores for sums in score.problems])


def finish(search: Search, problem: Problem, limit: int) -> None:
    while batch := search.next_batch(limit):
        for ask in batch:
            search.observe(ask, *problem.rollout(ask))


def marked_pit(values: Sequence[StepValue]) -> int | None:
    return next((i for i, value in enumerate(values) if value.is_pit), None)


def published(search: Search, problem: Problem, score: Score, n: int) -> None:
    """Adds what `values()` publishes of a finished search."""
    score.start(search.tokens + problem.read_tokens)
    for values, truth in zip(search.values().values(), problem.q, strict=True):
        modelled = [value.q_model if value.q_model is not None else value.q for value in values]
        bare = search.bare().q if values[0].q_model is None else values[0].q_model - (values[0].advantage_model or 0)
        known = None if None in modelled or bare is None else np.array([bare, *modelled], float)
        score.add(truth, marked_pit(values), known, values)
        score.rules(truth, values, n)


def plain(strategy: str | type[Search], problems: Sequence[Problem], n: int) -> Score:
    """A strategy without a model: pits and values as `values()` publishes them."""
    score, settings = Score(eps=problems[0].eps), SearchSettings(rollouts=n, eps=problems[0].eps)
    for problem in problems:
        if isinstance(strategy, str):
            search = make_search(strategy, problem.solutions, settings, problem.base_successes, BASE)
        else:
            search = strategy(problem.solutions, settings, problem.base_successes, BASE)
        finish(search, problem, 64)
        published(search, problem, score, n)
    return score


def as_run(problems: Sequence[Problem], chain: Chain | None, limit: int) -> Score:
    """The adaptive search as a recipe has it, with its own stop rule."""
    settings = SearchSettings(typical_length=typical_length(problems), eps=problems[0].eps)
    score = Score(eps=settings.eps)
    for problem in problems:
        search = Adaptive(problem.solutions, settings, problem.base_successes, BASE, chain)
        finish(search, problem, limit)
        published(search, problem, score, settings.rollouts)
    return score


def prefixes(problem: Problem) -> list[list[str]]:
    """For every solution a name of each node: the text so far; the whole solution is a node of its own."""
    return [[*accumulate(("", *each.steps[:-1])), f"end of {each.solution_id}"] for each in problem.solutions]


def counts(problems: Sequence[Problem], n: int) -> Counts:
    """What n rollouts at every step of all solutions tell, and what a judge says of them."""
    parts = []
    for problem in problems:
        search = Adaptive(problem.solutions, SearchSettings(), problem.base_successes, BASE)
        for (solution_id, step), node in search.tree.owners.items():
            if step >= 0 and node.exact is None:
                node.rollouts, node.successes = n, int(problem.outcomes[int(solution_id)][step + 1, :n].sum())
        parts.append(search.evidence())
    return Counts.joined(parts)


def fitted(problems: Sequence[Problem], n: int = 32) -> Chain:
    seen = [Seen(rest, solution.cost_after(-1) - rest, n, float(tokens[step + 1, :n].sum()))
            for problem in problems for solution, tokens in zip(problem.solutions, problem.tokens, strict=True)
            for step in range(len(solution.steps) - 1) for rest in [solution.cost_after(step)]]
    return replace(Chain.default(problems[0].eps).fit(counts(problems, n)),
                   lengths=lengths.fit(seen, typical_length(problems)))


def decoded(problems: Sequence[Problem], n: int, chain: Chain) -> Score:
    """`exhaustive` with n rollouts, read through the chain model."""
    score, beliefs, row = Score(eps=problems[0].eps), chain.beliefs(counts(problems, n), products=False), 0
    for p in problems:
        paid = {name: rows[i, :n].sum() for rows, names in zip(p.tokens, prefixes(p), strict=True)
                for i, name in enumerate(names[:-1]) if i}
        score.start(float(sum(paid.values())) + p.read_tokens)
        for truth in p.q:
            score.add(truth, int(beliefs.pit[row].argmax()) - 1, np.append(beliefs.q[row, :len(truth) - 1], 0.0))
            row += 1
    return score


def typical_length(problems: Sequence[Problem]) -> float:
    return float(np.mean([s.cost_after(-1) for p in problems for s in p.solutions]))


def adaptive(problems: Sequence[Problem], chain: Chain, goal: str, limit: int = 8, rollouts: int = 32,
             passing: bool = False) -> list[Score]:
    """The curve of one run: a search would have ended at each level when its price first fell below it."""
    weight, confidence = (0.0, 0.999) if goal == "pit" else (1.0, 0.0)     # 0: every pit counts as settled
    levels = LEVELS if goal == "pit" else VALUE_LEVELS
    curve = [Score(eps=problems[0].eps) for _ in levels]
    settings = SearchSettings(min_gain=levels[-1], value_weight=weight, rollouts=rollouts, confidence=confidence,
                              typical_length=typical_length(problems), eps=problems[0].eps, passing=passing)
    for problem in problems:
        search = Adaptive(problem.solutions, settings, problem.base_successes, BASE, chain)
        level, batch = 0, search.next_batch(limit)
        while level < len(levels):
            if search.price <= levels[level]:
                beliefs = search.beliefs()
                curve[level].start(search.tokens + problem.read_tokens)
                for b, truth in enumerate(problem.q):
                    q = np.append(beliefs.q[b, :len(truth) - 1], 0.0)
                    curve[level].add(truth, int(beliefs.pit[b].argmax()) - 1, q)
                level += 1
                continue
            for ask in batch:
                search.observe(ask, *problem.rollout(ask), passed=problem.passes(ask))
            batch = search.next_batch(limit)
    return curve


def fitted_on_pilot(problems: Sequence[Problem], limit: int = 64) -> Chain:
    """What `stepforge run` does: the adaptive search without a fit on a few problems, then a fit to its counts."""
    evidence, seen = [], list[Seen]()
    settings = SearchSettings(typical_length=typical_length(problems), eps=problems[0].eps)
    for problem in problems:
        search = Adaptive(problem.solutions, settings, problem.base_successes, BASE)
        finish(search, problem, limit)
        evidence.append(search.evidence())
        seen += search.lengths()
    return replace(Chain.default(settings.eps).fit(Counts.joined(evidence)),
                   lengths=lengths.fit(seen, typical_length(problems)))


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
