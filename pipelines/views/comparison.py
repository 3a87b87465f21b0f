"""Generators compared at equal cost: which of them is the better one to sample training data from?

In: the folder of a run. Out: for levels of spending (what k samples of the dearest generator cost) how many samples
each generator gets, and their coverage and diversity with intervals and paired differences; unique correct solutions
for a unit of cost, all of them and those not found unsound; problems that one generator alone solves; false
positives. It is the comparison of Bansal et al. (arXiv 2408.16737, sections 3 and 5.1): FLOPs are those of generated
tokens, money counts what was read too, and what annotation and judging cost stands apart. Mean lengths are those of
the pilot where a budget decided the numbers of samples by them, else of all samples.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from stepforge.builders.errors import UserError
from stepforge.builders.parquet import read_rows
from stepforge.builders.sql import load_sql, query_rows
from stepforge.pipelines.budget import as_generated, token_cost
from stepforge.pipelines.inference.models import model_path
from stepforge.pipelines.options.generators import RecordedGenerator
from stepforge.pipelines.run_folder import Run, read_run, run_tables
from stepforge.pipelines.statistics.intervals import wilson

TABLES = ("problems", "solutions", "verdicts", "judgements")
GROUPS = ("generator", "level", "subject", "source")
MATCHES = ("flops", "price", "samples")
FALSE_POSITIVES = ("false_equation_rate", "false_positive_rate")
SIDES_SQL = """
SELECT generator, max(n)::BIGINT AS most, sum(n)::BIGINT AS samples, sum(tokens)::BIGINT AS tokens,
       sum(counted)::BIGINT AS counted, coalesce(sum(read), 0)::BIGINT AS read
FROM (SELECT generator, problem_id, sum(completion_tokens) AS tokens, count(completion_tokens) AS counted,
             sum(prompt_tokens) AS read,
             count(*) FILTER (is_outcome(verdict, reason)) AS n
      FROM solutions JOIN verdicts USING (solution_id) GROUP BY ALL)
GROUP BY generator ORDER BY generator
"""


class Side(NamedTuple):
    """A generator: most samples that a problem has of it, their mean length in tokens, the mean cost of one."""

    generator: str
    most: int
    tokens: float | None
    token_cost: float | None
    cost: Fraction


class Solved(NamedTuple):
    """Problems that a generator solves, of `n`, and those that no other does, with the share's 95% interval."""

    generator: str
    k: int
    n: int
    solved: int
    alone: tuple[str, ...]
    share: float
    low: float
    high: float


class Comparison(NamedTuple):
    """`rows`: group, level, generator, k, measure, value, low, high, n, difference (and its ends) to `reference`."""

    match: str
    by: str
    reference: str
    sides: tuple[Side, ...]
    rows: tuple[dict[str, Any], ...]
    solved: tuple[Solved, ...]
    false_positives: tuple[dict[str, Any], ...]
    apart: dict[str, int]  # generated tokens of stages that are no sampling


def compare(folder: Path, by: str = "generator", match: str | None = None) -> Comparison:
    """Compare the generators of a run.

    Args:
        by: `generator`, or the column of problems within whose values they are compared.
        match: flops, price or samples; by default what the recipe's budget matches, else flops.

    Raises:
        UserError: the run is not so far, has one generator only, or costs are not known.
    """
    run = read_run(folder)
    for name, value, allowed in (("by", by, GROUPS), ("match", match, (None, *MATCHES))):
        if value not in allowed:
            raise UserError(f"--{name}: {value!r} is not among {', '.join(filter(None, allowed))}")
    match = match or (run.recipe.budget.match if run.recipe.budget else "flops")
    with run.duckdb(*TABLES) as connection:
        sampled = [row for row in query_rows(connection, SIDES_SQL) if row["most"]]
        if len(sampled) < 2:
            raise UserError(f"{folder} has solutions of {len(sampled)} generator; a comparison takes at least two")
        pilot = {row["generator"]: Fraction(row["pilot_tokens"], row["pilot_samples"])
                 for row in read_rows(run_tables(folder, "budgets")["budgets"]) if row["match"] == match}
        sides = tuple(sorted((_side(run, match, row, pilot.get(row["generator"])) for row in sampled),
                             key=lambda side: (side.cost, side.generator)))
        reference = sides[-1]
        levels = spending(sides, reference)
        parameters = {"levels": [{"level": level, "generator": name, "k": k} for level, ks in levels.items()
                                 for name, k in ks.items()], "reference": reference.generator, "by": by}
        rows = tuple(_bounded(row) for row in query_rows(connection, load_sql(__package__, "comparison"), parameters))
        solved = _solved(list(query_rows(connection, load_sql(__package__, "solved"), {
            "bought": [{"generator": name, "k": k} for name, k in levels[max(levels)].items()]})),
            levels[max(levels)])
    apart = {stage: account["ledger"]["completion_tokens"] for stage, account in run.accounts.items()
             if stage != "generate" and "completion_tokens" in account.get("ledger", {})}
    return Comparison(match, by, reference.generator, sides, rows, solved, _false_positives(folder), apart)


def spending(sides: Sequence[Side], reference: Side) -> dict[int, dict[str, int]]:
    """Samples of each generator at levels of spending, by the reference's own k; every generator has that many."""
    most = min(ceil((side.most + 1) * side.cost / reference.cost) - 1 for side in sides)  # k is rounded down
    if not most:
        names = ", ".join(f"{side.generator} ({side.most})" for side in sides)
        raise UserError(f"the samples of a problem do not add up to the cost of one of {reference.generator}: "
                        f"{names}; generate more, or give the recipe a budget")
    ks = sorted({*(2**i for i in range(most.bit_length())), *(k for k in (10, 30, 100) if k <= most), most})
    return {k: {side.generator: int(k * reference.cost / side.cost) for side in sides} for k in ks}


def unique_for_cost(comparison: Comparison, measure: str) -> list[dict[str, Any]]:
    """Expected unique correct solutions for a unit of cost, at the highest level; the mean cost counts as known."""
    cost = {side.generator: float(side.cost) for side in comparison.sides}
    top = max(row["level"] for row in comparison.rows)
    return [{"generator": row["generator"], "group": row["group"],
             **{end: row[end] / (row["k"] * cost[row["generator"]]) for end in ("value", "low", "high")}}
            for row in comparison.rows if row["level"] == top and row["measure"] == measure]


def _side(run: Run, match: str, row: dict[str, Any], tokens: Fraction | None) -> Side:
    generator, name = run.recipe.generator(row["generator"]), row["generator"]
    if tokens is None and row["counted"]:
        tokens = Fraction(row["tokens"], row["counted"])
    if match == "samples":
        return Side(name, row["most"], None if tokens is None else float(tokens), None, Fraction(1))
    if isinstance(generator, RecordedGenerator) or tokens is None:
        raise UserError(f"the tokens of {name!r} are not known, so neither is its cost; compare with --match samples")
    each = token_cost(match, generator, model_path(generator.model))
    assert each is not None  # only where samples are matched
    read = Fraction(row["read"], row["counted"] or 1)
    return Side(name, row["most"], float(tokens), float(each), each * as_generated(match, generator, tokens, read))


def _bounded(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the ends of its intervals in place of their half widths."""
    half, wide, value, difference = row.pop("half"), row.pop("difference_half"), row["value"], row["difference"]
    high = min(1.0, value + half) if row["measure"] == "coverage" else value + half
    ends = (None, None) if difference is None else (difference - wide, difference + wide)
    return {**row, "low": max(0.0, value - half), "high": high, "difference_low": ends[0], "difference_high": ends[1]}


def _solved(rows: list[dict[str, Any]], bought: dict[str, int]) -> tuple[Solved, ...]:
    solved = []
    total = Counter(name for row in rows for name in row["solved_by"] or ())
    for name, k in bought.items():
        alone = tuple(row["problem_id"] for row in rows if row["solved_by"] == [name])
        share = len(alone) / len(rows) if rows else 0.0
        low, high = wilson(share, len(rows)) if rows else (0.0, 1.0)
        solved.append(Solved(name, k, len(rows), total[name], alone, share, low, high))
    return tuple(solved)


def _false_positives(folder: Path) -> tuple[dict[str, Any], ...]:
    """What the stage `measure` says of them, where it ran."""
    measures = read_rows(run_tables(folder, "measures")["measures"])
    return tuple(row for row in measures if row["measure"].startswith(FALSE_POSITIVES) and row["by"] == "all")
