"""Measure: what a run made, by generator and by level, subject and source of the problems, with 95% intervals.

In: the tables of the run, and what people said of a sample (people.py). Out: `measures`: coverage@k, diversity@k and
maj@k (curves.py), false reasoning by the method that saw it, lengths, where first pits lie, advantages, and the tokens
and FLOPs that were spent. SQL counts whole numbers, so the same samples give the same digits in any order.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb

from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import load_sql
from stepforge.builders.tables import MEASURES
from stepforge.pipelines.budget import token_cost
from stepforge.pipelines.inference.models import model_path
from stepforge.pipelines.options.generators import EmbeddedGenerator, RecordedGenerator
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import TOKENS, Account, Context, Stage
from stepforge.pipelines.stages.measure import people
from stepforge.pipelines.stages.measure.curves import curve_rows, majority_rows
from stepforge.pipelines.stages.measure.sums import Counted
from stepforge.pipelines.stages.shares import Query
from stepforge.pipelines.statistics.intervals import Ratio, kappa_of, ratio_interval, wilson

INPUTS = ("problems", "solutions", "verdicts", "rulings", "judgements", "steps", "rollouts", "drafts")
MOST_SQL = """
SELECT coalesce(max(n), 0)::BIGINT AS most FROM (
    SELECT count(*) AS n FROM solutions SEMI JOIN verdicts USING (solution_id) GROUP BY generator, problem_id
)
"""
MICRO = 10**6
BINS = {"first_pit_histogram": 10, "advantage_histogram": 20}
MOST_GROUPS = 50  # of a kind that manifest and card show one by one; 1,000 subjects made a card of 1.2 MB
Row = dict[str, Any]


def settings(recipe: Recipe) -> Any:
    return [[g.name, g.parameters] for g in recipe.generators if not isinstance(g, RecordedGenerator)]


def ladder(most: int) -> list[int]:
    """The k that are measured: powers of two up to `most`, 10, 30 and 100 where they fit, and `most` itself."""
    powers = [2**i for i in range(most.bit_length())]
    return sorted({k for k in [*powers, 3, 10, 30, 100, most] if 1 <= k <= most})


def run(context: Context) -> Account:
    tables = {name: context.table(name) for name in INPUTS}
    with context.tell(context.work, "measure", 0):
        ks = ladder(max(row["most"] for row in context.query_by_bucket(Query(MOST_SQL, tables))))
        counted = count(context, tables, ks)
        rows = curve_rows(counted.totals.rows(), counted.spread.rows(), ks)
        rows += majority_rows(counted.votes.rows(), ks)
        rows += [*share_rows(counted.shares.rows()), *mean_rows(counted.means.rows()),
                 *kappa_rows(counted.first_errors.rows()), *ledger_rows(counted.ledger.rows(), context.recipe)]
        with context.duckdb("verdicts", "judgements") as connection:
            rows += people.measures(people.read_opinions(context.folder, connection))
    written = write_rows(context.table("measures"), sorted(rows, key=_order), MEASURES.schema)
    return Account.kept(written)


def count(context: Context, tables: Mapping[str, Path], ks: Sequence[int]) -> Counted:
    """The sums of all buckets."""
    with context.duckdb("problems") as connection:
        name_groups(connection)
        ranked = connection.table("ranked").to_arrow_table()
    counted = Counted.none()
    for bucket, connection in context.each_bucket(tables):
        connection.execute(f"SET VARIABLE most_groups = {MOST_GROUPS}")
        connection.register("ranked", ranked)
        counted.add(connection, ks, context.stages, context.recipe, bucket, context.buckets)
    return counted


def _order(row: Row) -> tuple:
    return row["generator"], row["by"] != "all", row["by"], row["group"], row["measure"], row["k"] or 0


def name_groups(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables `ranked` and `shown` (ranks.sql) for a connection that sees `problems`."""
    connection.execute(f"SET VARIABLE most_groups = {MOST_GROUPS}")
    connection.execute(load_sql(__package__, "ranks"))


def shown_rows(connection: duckdb.DuckDBPyConnection, rows: Iterable[Row]) -> list[Row]:
    """Those of `measures` that manifest, card and terminal show: the largest groups of a kind, the others as one."""
    name_groups(connection)
    shown = set(connection.execute('SELECT "by", "group" FROM shown').fetchall())
    return [row for row in rows if (row["by"], row["group"]) in shown]


def share_rows(shares: Iterable[tuple]) -> Iterator[Row]:
    """False reasoning, and histograms of pits and advantages; Wilson's interval over solutions or steps."""
    groups: defaultdict[tuple, dict[int, tuple[int, int]]] = defaultdict(dict)
    for *key, number, hits, n in shares:
        groups[tuple(key)][number] = (hits, n)
    for group, bins in groups.items():
        n = sum(count for _, count in bins.values())
        for k in range(BINS.get(group[-1], 1)):
            hits = bins[k][0] if k in bins else 0
            yield _row(group, k if group[-1] in BINS else None, hits / n, wilson(hits / n, n), "wilson", n)


def kappa_rows(first_errors: Iterable[tuple]) -> Iterator[Row]:
    """Cohen's kappa of the first errors that judge and rollouts find, a step being a label; none without a value."""
    groups: defaultdict[tuple, dict[tuple[int, int], int]] = defaultdict(dict)
    for generator, by, group, judge_error, rollouts_error, n in first_errors:
        groups[generator, by, group][judge_error, rollouts_error] = n
    for group, counts in groups.items():
        if (kappa := kappa_of(dict(sorted(counts.items())))) is not None:
            yield _row((*group, "first_error_kappa"), None, kappa.value, (kappa.low, kappa.high), "wilson", kappa.n)


def mean_rows(means: Iterable[tuple]) -> Iterator[Row]:
    """Means over solutions or steps; problems, whose samples are alike, are what the interval counts."""
    for *group, problems, total, count, tt, tc, cc in means:
        interval = ratio_interval(Ratio(problems, total, count, tt, tc, cc), MICRO)
        yield _row(group, None, total / (count * MICRO), interval, "problems", count)


def ledger_rows(ledger: Iterable[tuple], recipe: Recipe) -> Iterator[Row]:
    """Tokens by generator and stage: NAME_prompt_tokens and so on; of generated tokens the FLOPs. Totals, no interval.

    n is the number of requests whose tokens are known; a server that sends no usage leaves some out.

    A generated token costs 2 FLOPs a parameter; reading prompts is left out, as it is in budgets.
    """
    flops = flops_per_token(recipe)
    for cells in ledger:
        row = dict(zip(("generator", "by", "group", "stage", *TOKENS, *(f"{name}_of" for name in TOKENS)), cells,
                       strict=True))
        for tokens in TOKENS:
            if row[tokens] is not None:
                yield _row((row["generator"], row["by"], row["group"], f"{row['stage']}_{tokens}"), None,
                           float(row[tokens]), None, "none", row[f"{tokens}_of"])
        if row["generator"] in flops and row["completion_tokens"] is not None:
            yield _row((row["generator"], row["by"], row["group"], f"{row['stage']}_flops"), None,
                       float(flops[row["generator"]] * row["completion_tokens"]), None, "none",
                       row["completion_tokens_of"])


def flops_per_token(recipe: Recipe) -> dict[str, Fraction]:
    """By generator, where its parameters are told or its model lies here."""
    flops = {}
    for generator in recipe.generators:
        if isinstance(generator, RecordedGenerator):
            continue
        if generator.parameters or isinstance(generator, EmbeddedGenerator):
            flops[generator.name] = token_cost("flops", generator, model_path(generator.model)) or Fraction(0)
    return flops


def _row(group: Iterable[str], k: int | None, value: float, interval: tuple[float, float] | None, kind: str, n: int
         ) -> Row:
    low, high = interval or (None, None)
    named: Mapping[str, Any] = dict(zip(("generator", "by", "group", "measure"), group, strict=True))
    return {**named, "k": k, "value": value, "low": low, "high": high, "interval": kind, "n": n, "excluded": 0}


STAGE = Stage("measure", 8, ("synthesize", "decontaminate", "generate", "verify", "judge", "annotate"), settings, run,
              ("measures",), people.audit_hashes)
