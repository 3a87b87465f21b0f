"""What the arms of a study train on: a model's own solutions, their steps' values, and the pairs made of both.

In: a fine-tuned model and the problems that it was fine-tuned on. Out: rows in the columns of the release's configs
(positives, pairs, step_pairs, weighted), so that the trainers' own code encodes them. Every arm of one size and seed
shares the same samples, negatives and values; the arms differ in what they make of them.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stepforge.builders.tables import derive_seed
from stepforge.train.studies.sampling import Policy, Text
from stepforge.train.studies.world import Task

Row = dict[str, Any]
EPSILON = 0.05  # two values this near count as equal where the first lowest is sought


@dataclass
class Annotated:
    """A solution with its steps and the value of each: share of correct rollouts; of the last step, the verdict."""

    problem: Row
    steps: list[str]
    correct: bool
    values: list[float] = field(default_factory=list)
    rollouts: list[list[tuple[Text, bool]]] = field(default_factory=list)  # made after each step but the last

    @property
    def text(self) -> str:
        return "".join(self.steps)

    @property
    def pit(self) -> int:
        """First step whose value is the lowest, but for EPSILON."""
        return next(i for i, value in enumerate(self.values) if value <= min(self.values) + EPSILON)


@dataclass
class Samples:
    """All samples of a model on its own problems; `own` are distinct whole ones, `base` the share that is correct."""

    problems: list[Row]
    own: list[tuple[list[str], list[str]]]  # of each problem its distinct correct and incorrect solutions
    base: list[float]
    positives: list[Annotated] = field(default_factory=list)
    negatives: list[Annotated] = field(default_factory=list)


def draw(policy: Policy, task: Task, problems: list[Row], samples: int, temperature: float, seed: int) -> Samples:
    """Sample every problem `samples` times and judge; truncated solutions count as wrong and are no negatives."""
    asked = [row for row in problems for _ in range(samples)]
    texts = policy.complete([row["prompt"] for row in asked], temperature, derive_seed(seed, "samples"))
    good = task.correct(asked, texts)
    own, base = [], []
    for at in range(0, len(asked), samples):
        found = list(zip(texts[at:at + samples], good[at:at + samples], strict=True))
        whole = [(text.text, correct) for text, correct in found if text.complete and text.text]
        right, wrong = (list(dict.fromkeys(t for t, good in whole if good is kind)) for kind in (True, False))
        own.append((right, wrong))
        base.append(sum(correct for _, correct in found) / samples)
    return Samples(problems, own, base)


def annotate(
    policy: Policy, task: Task, found: Samples, positives: int, negatives: int, rollouts: int, temperature: float,
    seed: int,
) -> None:
    """Value every step of up to so many positives and negatives a problem by `rollouts` continuations each."""
    for row, (right, wrong) in zip(found.problems, found.own, strict=True):
        found.positives += [Annotated(row, task.steps(text), True) for text in right[:positives]]
        found.negatives += [Annotated(row, task.steps(text), False) for text in wrong[:negatives]]
    chains = found.positives + found.negatives
    spots = [(chain, end) for chain in chains for end in range(1, len(chain.steps))]
    outcomes = roll_out(policy, task, [(chain.problem, "".join(chain.steps[:end])) for chain, end in spots], rollouts,
                        temperature, derive_seed(seed, "rollouts"))
    for (chain, _), made in zip(spots, outcomes, strict=True):
        chain.rollouts.append(made)
        chain.values.append(sum(right for _, right in made) / rollouts)
    for chain in chains:
        chain.values.append(float(chain.correct))


def roll_out(
    policy: Policy, task: Task, prefixes: Sequence[tuple[Row, str]], rollouts: int, temperature: float, seed: int
) -> list[list[tuple[Text, bool]]]:
    """Of every (problem, prefix) its continuations, and whether prefix and continuation together are correct."""
    if not prefixes:
        return []
    asked = [(row, prefix) for row, prefix in prefixes for _ in range(rollouts)]
    texts = policy.complete([row["prompt"] + prefix for row, prefix in asked], temperature, seed)
    whole = [Text(prefix + text.text, text.complete) for (_, prefix), text in zip(asked, texts, strict=True)]
    good = list(zip(texts, task.correct([row for row, _ in asked], whole), strict=True))
    return [good[at:at + rollouts] for at in range(0, len(good), rollouts)]


def own_positives(found: Samples, most: int) -> list[Row]:
    """RFT: up to `most` distinct correct solutions of its own for each problem, and the teacher's."""
    return [{"prompt": row["prompt"], "completion": text, "complete": True}
            for row, (right, _) in zip(found.problems, found.own, strict=True)
            for text in dict.fromkeys([row["solution"], *right[:most]])]


def response_pairs(found: Samples, negatives: int, rule: str, seed: int) -> list[Row]:
    """Each annotated negative with a correct solution of its problem: a random one, or the one least like it."""
    rows = []
    for row, (right, wrong) in zip(found.problems, found.own, strict=True):
        positives = list(dict.fromkeys([*right, row["solution"]]))
        for text in wrong[:negatives]:
            if rule == "max_edit_distance":
                chosen = max(positives, key=lambda other: edit_distance(other, text))
            else:
                chosen = random.Random(derive_seed(seed, row["problem_id"], text)).choice(positives)
            rows.append({"prompt": row["prompt"], "chosen": chosen, "rejected": text})
    return rows


def truncated_pairs(found: Samples, seed: int) -> list[Row]:
    """full_vs_truncated: a correct solution against the negative cut behind its pit; EOS where that is its end."""
    right_of = {row["problem_id"]: list(dict.fromkeys([*right, row["solution"]]))
                for row, (right, _) in zip(found.problems, found.own, strict=True)}
    rows = []
    for chain in found.negatives:
        rng = random.Random(derive_seed(seed, chain.problem["problem_id"], chain.text))
        rows.append({
            "prompt": chain.problem["prompt"], "chosen": rng.choice(right_of[chain.problem["problem_id"]]),
            "rejected": "".join(chain.steps[:chain.pit + 1]), "chosen_complete": True,
            "rejected_complete": chain.pit == len(chain.steps) - 1})
    return rows


def prefix_pairs(
    policy: Policy, task: Task, found: Samples, rollouts: int, margin: float, temperature: float, seed: int
) -> list[Row]:
    """shared_prefix: after the steps before the pit, the first step of a correct rollout against the pit step.

    The candidate is valued by rollouts of its own, and must be better than the pit by `margin`. Before the first step
    the correct samples of the problem stand in for rollouts.
    """
    spots: list[tuple[Annotated, str, bool]] = []  # a negative, its candidate, and whether the candidate ends it
    right_of = {row["problem_id"]: right for row, (right, _) in zip(found.problems, found.own, strict=True)}
    for chain in found.negatives:
        pit = chain.pit
        texts = right_of[chain.problem["problem_id"]] if pit == 0 else [
            text.text for text, right in chain.rollouts[pit - 1] if right]
        steps = [task.steps(text) for text in texts]
        fresh = [cut for cut in steps if cut and cut[0] != chain.steps[pit]]
        if fresh:
            spots.append((chain, fresh[0][0], len(fresh[0]) == 1))
    prefixes = [(chain.problem, "".join(chain.steps[:chain.pit]) + step) for chain, step, _ in spots]
    outcomes = roll_out(policy, task, prefixes, rollouts, temperature, derive_seed(seed, "candidates"))
    rows = []
    for (chain, step, ends), made in zip(spots, outcomes, strict=True):
        value = 1.0 if ends else sum(right for _, right in made) / rollouts
        if value - chain.values[chain.pit] >= margin:
            rows.append({
                "prompt": chain.problem["prompt"] + "".join(chain.steps[:chain.pit]), "chosen": step,
                "rejected": chain.steps[chain.pit], "chosen_complete": ends,
                "rejected_complete": chain.pit == len(chain.steps) - 1})
    return rows


def weighted(found: Samples, beta: float, most: float) -> list[Row]:
    """AWR: every annotated solution, each step weighing min(exp(A / beta), most), scaled to mean 1 over all steps."""
    base = {row["problem_id"]: value for row, value in zip(found.problems, found.base, strict=True)}
    rows = []
    for chain in found.positives + found.negatives:
        before = [base[chain.problem["problem_id"]], *chain.values[:-1]]
        weights = [min(math.exp((after - earlier) / beta), most)
                   for after, earlier in zip(chain.values, before, strict=True)]
        ends = [len("".join(chain.steps[:end])) for end in range(1, len(chain.steps) + 1)]
        rows.append({"prompt": chain.problem["prompt"], "completion": chain.text, "ends": ends, "weights": weights})
    mean = sum(sum(row["weights"]) for row in rows) / max(1, sum(len(row["weights"]) for row in rows))
    return [row | {"weights": [weight / mean for weight in row["weights"]]} for row in rows]


def edit_distance(first: str, second: str) -> int:
    """Levenshtein's, in characters."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
