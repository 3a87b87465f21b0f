"""How well a reward model or a judge finds the first wrong step of a solution, as ProcessBench measures it.

    stepforge evaluate --source processbench --path FILE --prm PRM_FOLDER --threshold 0.5
    stepforge evaluate --source processbench --path FILE --judge MODEL

    {"id": "sum-1", "problem": "Add 2, 3 and 4.", "steps": ["2 + 3 = 6", "The answer is 10."], "label": 0}

In: a file with such rows in any format that the source `files` reads; `label` is the index of the first wrong step,
from 0, or -1 where all are right. Out: the share of wrong solutions whose first error is found, the share of right
ones in which none is named, and their harmonic mean, F1 (Zheng et al., arXiv 2412.06559, section 3). A reward model
names the first step that it scores below a threshold; a judge, who is not told the answer, names it in words, and a
critique without a readable last line names nothing right.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np

from stepforge.builders.errors import SourceError, UserError
from stepforge.builders.sources.records import Drop, Record, read_records
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.inference.models import check_exists
from stepforge.pipelines.inference.prompts import render
from stepforge.pipelines.inference.sample import sample
from stepforge.pipelines.inference.step_scores import score_steps
from stepforge.pipelines.stages.judge.prompt import CRITIQUE_WITHOUT_ANSWER, judge_prompt, read_vote
from stepforge.train.estimates import Estimate, harmonic_mean, proportion

Row = dict[str, Any]
RIGHT = -1
MAX_TOKENS = 512  # of a critique, as in reasoning.py


class Threshold(NamedTuple):
    """Below it a step counts as wrong; it was chosen on so many solutions, or given (0)."""

    value: float
    chosen_on: int = 0


class Measured(NamedTuple):
    """Solutions with what was found in them, estimates by name, and what else belongs to them: threshold, drops."""

    rows: list[Row]
    estimates: dict[str, Estimate]
    facts: dict[str, Any]


def processbench(path: str | None, limit: int | None, prm: str | None, judge: str | None, prompt: str,
                 threshold: float, tune: float | None, seed: int) -> Measured:
    """Read the file, have its solutions scored or judged, and measure; UserError for arguments that do not fit."""
    if not path:
        raise UserError("--source processbench: give the file of solutions with --path")
    if (prm is None) == (judge is None):
        raise UserError(f"--source processbench: --prm is {prm} and --judge {judge}; give one of them, which "
                        "finds the first errors")
    check_exists(prm or judge or "")
    rows, drops = read_solutions(path, limit)
    facts: dict[str, Any] = {"left_out": dict(drops)}
    chosen = None
    if prm is not None:
        score_solutions(rows, prm, prompt)
        chosen = Threshold(threshold) if tune is None else choose_threshold(rows, tune, seed)
        facts |= {"threshold": chosen.value, "threshold_chosen_on": chosen.chosen_on}
    elif judge is not None:
        judge_solutions(rows, judge)
    return Measured(rows, measure(rows, chosen, seed), facts)


def read_solutions(path: str, limit: int | None = None) -> tuple[list[Row], Counter[str]]:
    """Solutions (id, problem, steps, label) and how many rows were left out, by reason.

    The steps end in line breaks, all but the last, so that joined they are a solution in lines.

    Raises:
        UserError: the file cannot be read, or none of its rows can be used; the message says what is wrong with one.
    """
    rows: list[Row] = []
    drops: list[Drop] = []
    try:
        for record in read_records([path]):
            row = record if isinstance(record, Drop) else _solution(record)
            drops.append(row) if isinstance(row, Drop) else rows.append(row)
            if limit is not None and len(rows) == limit:
                break
    except SourceError as error:
        raise UserError(f"--path: {error}") from error
    if not rows:
        why = f"; the first one, {drops[0].where}: {drops[0].detail}" if drops else ""
        raise UserError(f"--path {path}: none of its {len(drops)} rows is a solution in steps with its first "
                        f"error{why}")
    return rows, Counter(drop.reason for drop in drops)


def _solution(record: Record) -> Row | Drop:
    problem, steps, label = (record.values.get(name) for name in ("problem", "steps", "label"))
    if not isinstance(problem, str) or not problem.strip():
        return Drop(record.where, "no_problem", "`problem` must be the text of a problem")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, str) and step.strip() for step in steps):
        return Drop(record.where, "no_steps", "`steps` must be a list of texts, one for each step, none of them empty")
    try:
        if isinstance(label, bool):
            raise ValueError
        first_error = int(label)  # type: ignore[arg-type]
        if not RIGHT <= first_error < len(steps):
            raise ValueError
    except (TypeError, ValueError):
        return Drop(record.where, "no_label", f"`label` is {label!r}; it must be the index of the first wrong step, "
                    f"from 0 to {len(steps) - 1}, or -1 where none is")
    lines = [step.rstrip("\n") + "\n" for step in steps[:-1]] + [steps[-1]]
    name = str(record.values.get("id") or record.where)
    return {"id": name, "problem": problem, "steps": lines, "label": first_error}


def score_solutions(rows: Sequence[Row], model: str, prompt: str) -> None:
    """Add `step_scores` by a process reward model; none where the solution is `too_long` for it."""
    for row in rows:
        row["step_scores"] = score_steps(model, None, render(prompt, row["problem"], model), row["steps"])
        row["too_long"] = row["step_scores"] is None


def judge_solutions(rows: Sequence[Row], model: str) -> None:
    """Add the greedy `critique` of `model`, and `predicted`: the first error that it names, or -1 for none.

    None for a critique without a verdict, and where the prompt is `too_long` for the model.
    """
    prompts = [judge_prompt(CRITIQUE_WITHOUT_ANSWER, row["problem"], "", None, row["steps"]) for row in rows]
    try:
        critiques = sample(model, prompts, temperature=0.0, max_tokens=MAX_TOKENS, skip_too_long=True)
    except ValueError as error:
        raise UserError(f"--judge {model}: {error}") from error
    for row, (critique,) in zip(rows, critiques, strict=True):
        vote = read_vote(critique.text, len(row["steps"]), critique.complete)
        row |= {"critique": critique.text, "too_long": critique.too_long,
                "predicted": RIGHT if vote.soundness == "sound" else vote.first_error}


def first_error(scores: Sequence[float], threshold: float) -> int:
    """The first step that is scored below the threshold, or -1."""
    return next((step for step, score in enumerate(scores) if score < threshold), RIGHT)


def best_threshold(rows: Iterable[Row]) -> float:
    """The lowest threshold with the highest F1 on scored solutions; ValueError unless there are wrong and right ones.

    A threshold finds what is labelled if it is above `low` and at most `high`: of a wrong solution the score of the
    first wrong step, and the least before it; of a right one minus infinity and the least of all. So F1 has its
    maximum at one of the `high`.
    """
    spans: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for row in rows:
        scores, label = row["step_scores"], row["label"]
        span = (-inf, min(scores)) if label == RIGHT else (scores[label], min(scores[:label], default=1.0))
        spans[label == RIGHT].append(span)
    if not all(spans.values()):
        raise ValueError(f"{len(spans[False])} wrong and {len(spans[True])} right solutions")
    candidates = np.unique([high for of_kind in spans.values() for _, high in of_kind])
    wrong, right = (((low[:, None] < candidates) & (candidates <= high[:, None])).mean(0)
                    for low, high in (np.array(spans[kind]).T for kind in (False, True)))
    return float(candidates[np.argmax(wrong * right / (wrong + right).clip(1e-12))])


def choose_threshold(rows: Sequence[Row], share: float, seed: int) -> Threshold:
    """The best threshold on a share of the solutions, drawn by hash, which are marked `tuned`; UserError for none."""
    if not 0 < share < 1:
        raise UserError(f"--tune {share}: a share between 0 and 1 is allowed, such as 0.2")
    for row in rows:
        row["tuned"] = int(content_id("tune", seed, row["id"], row["problem"])[:13], 16) / 16**13 < share
    tuned = [row for row in rows if row["tuned"] and not row["too_long"]]
    try:
        return Threshold(best_threshold(tuned), len(tuned))
    except ValueError as error:
        raise UserError(f"--tune {share} chooses the threshold on {error}; needed are some of both: take a larger "
                        "share, or give --threshold") from error


def measure(rows: Sequence[Row], threshold: Threshold | None, seed: int) -> dict[str, Estimate]:
    """Estimates by name, on the solutions that the threshold was not chosen on; `predicted` is added where it is one.

    A solution that is too long to be read is excluded and counted.
    """
    if threshold is not None:
        for row in rows:
            row["predicted"] = None if row["too_long"] else first_error(row["step_scores"], threshold.value)
    rows = [row for row in rows if not row.get("tuned")]

    def agrees(row: Row) -> bool | None:
        return None if row["too_long"] else bool(row["predicted"] == row["label"])

    wrong = proportion([agrees(row) for row in rows if row["label"] != RIGHT])
    right = proportion([agrees(row) for row in rows if row["label"] == RIGHT])
    estimates = {"first error found in wrong solutions": wrong, "none named in right solutions": right,
                 "F1": harmonic_mean(wrong, right, derive_seed(seed, "processbench"))}
    if threshold is None:
        estimates["critiques without a verdict"] = proportion([row["predicted"] is None for row in rows
                                                             if not row["too_long"]])
    return estimates
