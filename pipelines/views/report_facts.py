"""The numbers of a report: what became of the samples, what they cost, and how generators compare.

In: a run's tables and accounts. Out: plain rows of cells for the template; models wrote none of them, but names and
reasons are escaped there all the same.
"""

from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

from stepforge.builders.errors import UserError
from stepforge.builders.sql import query_rows
from stepforge.pipelines.budget import spent_on
from stepforge.pipelines.inference.models import model_path
from stepforge.pipelines.options.generators import RecordedGenerator
from stepforge.pipelines.plan import STAGES
from stepforge.pipelines.run_folder import Run
from stepforge.pipelines.stages.base import tabulate_spent
from stepforge.pipelines.views.comparison import Comparison, compare, unique_for_cost
from stepforge.pipelines.views.comparison_tables import NAMES, UNIQUE, UNIT, amount, scale

OUTCOMES_SQL = """
SELECT generator, verdict, coalesce(verdicts.reason, '') AS reason, duplicates.reason AS duplicate,
       count(*)::BIGINT AS n, coalesce(sum(completion_tokens), 0)::BIGINT AS tokens,
       coalesce(sum(prompt_tokens), 0)::BIGINT AS prompt_tokens, count(completion_tokens)::BIGINT AS counted
FROM solutions JOIN verdicts USING (solution_id) LEFT JOIN duplicates USING (solution_id) GROUP BY ALL
"""
LEDGER_SQL = """
SELECT stage, generator, sum(requests)::BIGINT AS requests, sum(prompt_tokens)::BIGINT AS prompt,
       coalesce(sum(cached_prompt_tokens), 0)::BIGINT AS cached, sum(completion_tokens)::BIGINT AS generated
FROM spent WHERE prompt_tokens IS NOT NULL AND completion_tokens IS NOT NULL
GROUP BY stage, generator ORDER BY list_position($stages, any_value(stage)), generator
"""
STEPS_SQL = """
SELECT is_pit, advantage, step_index, rollouts, max(step_index) OVER (PARTITION BY solution_id) AS last
FROM steps ORDER BY solution_id, step_index
"""


class Level(NamedTuple):
    """A level of the funnel: what is left of it, its share of the widest level, and what was lost on the way here."""

    name: str
    left: int
    share: float
    lost: dict[str, int]


class Steps(NamedTuple):
    """Positions of first pits from 0 to 1, advantages of other steps and of first pits, the most common n of rollouts.

    `rollouts` is None where no step has any.
    """

    pits: list[float]
    others: list[float]
    at_pits: list[float]
    rollouts: int | None


def outcomes(run: Run) -> list[dict[str, Any]]:
    """Solutions counted by generator, verdict, reason and the rule that made them duplicates."""
    with run.duckdb("solutions", "verdicts", "duplicates") as connection:
        return list(query_rows(connection, OUTCOMES_SQL))


def funnel(run: Run, rows: list[dict[str, Any]]) -> list[Level]:
    """From problems over the samples that were asked for to unique correct solutions; every loss has its name.

    Problems are measured against the problems that were read or asked for, all else against the samples.
    """
    made = run.accounts.get("generate", {})
    solutions = sum(row["n"] for row in rows)
    correct = [row for row in rows if row["verdict"] == "correct"]
    judged = [row for row in rows if row["verdict"] != "undecided"]
    counts: list[tuple[str, int, dict[str, int]]] = [
        ("samples asked for", made.get("rows_in", solutions), {}),
        ("solutions", solutions, made.get("dropped", {})),
        ("with a verdict", sum(row["n"] for row in judged), _by(rows, "undecided")),
        ("correct", sum(row["n"] for row in correct), _by(rows, "incorrect")),
        ("unique and correct", sum(row["n"] for row in correct if not row["duplicate"]), _duplicates(correct)),
    ]
    widest = max(1, counts[0][1])
    return [*_problems(run), *(Level(name, count, count / widest, lost) for name, count, lost in counts)]


def _problems(run: Run) -> list[Level]:
    """What is left of the problems that were read and the drafts that were asked for; none where no stage tells."""
    stages = [(stage.loses, run.accounts[stage.name]) for stage in STAGES
              if stage.loses is not None and stage.name in run.accounts]
    if not stages:
        return []
    drafts = sum(after["rows_in"] - before["rows_out"] for (_, before), (_, after) in pairwise(stages))
    left, total = stages[-1][1]["rows_out"], stages[0][1]["rows_in"] + drafts
    lost = {f"{kind}{reason}": count for kind, account in stages for reason, count in account["dropped"].items()}
    return [Level("problems", left, left / max(1, total), lost)]


def _by(rows: list[dict[str, Any]], verdict: str) -> dict[str, int]:
    """Solutions of a verdict by its reason."""
    counts = Counter[str]()
    for row in rows:
        if row["verdict"] == verdict:
            counts[f"{verdict}: {row['reason']}" if row["reason"] else verdict] += row["n"]
    return dict(counts.most_common())


def _duplicates(correct: list[dict[str, Any]]) -> dict[str, int]:
    counts = Counter[str]()
    for row in correct:
        if row["duplicate"]:
            counts[f"duplicate: {row['duplicate']}"] += row["n"]
    return dict(counts.most_common())


def stage_drops(run: Run) -> list[list[str]]:
    """Rows in, out and dropped, for every stage that has run."""
    return [[name, f"{account['rows_in']:,}", f"{account['rows_out']:,}",
             ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in account["dropped"].items()) or "–"]
            for name, account in run.accounts.items()]


def by_generator(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Solutions, correct, unique correct and undecided ones of each generator."""
    table = []
    for name in sorted({row["generator"] for row in rows}):
        mine = [row for row in rows if row["generator"] == name]
        total = sum(row["n"] for row in mine)
        counts = [sum(row["n"] for row in mine if row["verdict"] == "correct"),
                  sum(row["n"] for row in mine if row["verdict"] == "correct" and not row["duplicate"]),
                  sum(row["n"] for row in mine if row["verdict"] == "undecided")]
        table.append([name, f"{total:,}", *(f"{count:,} ({count / max(1, total):.1%})" for count in counts)])
    return table


def ledger(run: Run) -> list[list[str]]:
    """Tokens of every stage that asked a model, the FLOPs of the generated ones, and the money for all of them."""
    with run.duckdb("problems", "solutions", "drafts", "rulings", "judgements", "rollouts") as connection:
        tabulate_spent(connection, STAGES, run.recipe)
        order = {"stages": [stage.name for stage in STAGES]}
        return [_cost(run, **row) for row in query_rows(connection, LEDGER_SQL, order)]


def _cost(run: Run, stage: str, generator: str, requests: int, prompt: int, cached: int, generated: int) -> list[str]:
    writer, costs = run.recipe.generator(generator), []
    for match in ("flops", "price"):
        known = None
        if not isinstance(writer, RecordedGenerator):
            known = spent_on(match, writer, model_path(writer.model), generated, prompt, cached)
        costs.append("–" if known is None else amount(known))
    return [stage, generator, f"{requests:,}", f"{prompt:,}", f"{generated:,}", *costs]


def steps(run: Run) -> Steps:
    collected, rollouts = Steps([], [], [], None), Counter[int]()
    with run.duckdb("steps") as connection:
        for row in query_rows(connection, STEPS_SQL):
            if row["is_pit"]:
                collected.pits.append(row["step_index"] / max(1, row["last"]))
            if row["advantage"] is not None:
                (collected.at_pits if row["is_pit"] else collected.others).append(row["advantage"])
            rollouts[row["rollouts"]] += 1
    usual = [count for count, _ in rollouts.most_common() if count]
    return collected._replace(rollouts=usual[0] if usual else None)


def rollout_tokens(run: Run) -> int:
    """Tokens that models wrote in rollouts."""
    with run.duckdb("rollouts") as connection:
        (row,) = query_rows(connection, "SELECT coalesce(sum(completion_tokens), 0)::BIGINT AS tokens FROM rollouts")
    return int(row["tokens"])


def compared(run: Run) -> Comparison | str:
    """The comparison at equal cost, by samples where costs are not known, or why there is none."""
    try:
        return compare(run.folder)
    except UserError:
        try:
            return compare(run.folder, match="samples")
        except UserError as error:
            return str(error)


def comparison_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Column heads and rows: one thing compared a row, one generator a column, at the highest level of spending."""
    names = [side.generator for side in comparison.sides]
    top = max(row["level"] for row in comparison.rows)
    level = {(row["measure"], row["generator"]): row for row in comparison.rows if row["level"] == top}
    unit = scale(comparison)
    table = [["samples of a problem", *(f"{level['coverage', name]['k']:,}" for name in names)],
             ["mean tokens", *("–" if side.tokens is None else f"{side.tokens:.1f}" for side in comparison.sides)],
             [f"{UNIT[comparison.match]} a sample", *(amount(float(side.cost)) for side in comparison.sides)]]
    for measure, words in NAMES.items():
        table.append([words, *(_interval(level[measure, name]) for name in names)])
    for measure in UNIQUE:
        each = {row["generator"]: {end: row[end] * unit for end in ("value", "low", "high")}
                for row in unique_for_cost(comparison, measure)}
        words = f"{NAMES[measure]} for {amount(unit)} {UNIT[comparison.match]}"
        table.append([words, *(_interval(each[name]) for name in names)])
    alone = {solved.generator: solved for solved in comparison.solved}
    table.append(["problems solved by it alone",
                  *(f"{len(alone[name].alone):,} of {alone[name].n:,}" for name in names)])
    for measure in sorted({row["measure"] for row in comparison.false_positives}):
        by_generator = {row["generator"]: row for row in comparison.false_positives if row["measure"] == measure}
        table.append([measure.replace("_", " "),
                      *(_interval(by_generator[name]) if name in by_generator else "–" for name in names)])
    return names, table


def _interval(row: dict[str, Any]) -> str:
    return f"{row['value']:.3f}" + ("" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})")
