"""Measure: what a run made, by generator and by level, subject and source of the problems, with 95% intervals.

In: the tables of the run, and what people said of a sample (people.py). Out: `measures`: coverage@k, diversity@k and
maj@k (curves.py), false reasoning by the method that saw it, lengths, where first pits lie, advantages, and the tokens
and FLOPs that were spent. SQL counts whole numbers, so the same samples give the same digits in any order.
"""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import groupby
from typing import Any

import duckdb

from stepforge.builders import configs
from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import load_sql, query_rows
from stepforge.builders.tables import MEASURES
from stepforge.pipelines import stages
from stepforge.pipelines.budget import token_cost
from stepforge.pipelines.inference.models import model_path
from stepforge.pipelines.options.generators import EmbeddedGenerator, RecordedGenerator
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import TOKENS, Account, Context, Stage, tabulate_spent
from stepforge.pipelines.stages.measure import people
from stepforge.pipelines.stages.measure.curves import curve_rows, majority_rows
from stepforge.pipelines.statistics.intervals import Ratio, kappa_of, ratio_interval, wilson

INPUTS = ("problems", "solutions", "verdicts", "rulings", "judgements", "steps", "rollouts", "drafts")
MOST_SQL = """
SELECT coalesce(max(n), 0)::BIGINT FROM (SELECT count(*) AS n FROM sample GROUP BY generator, problem_id)
"""
FIRST_ERRORS_SQL = """
SELECT generator, "by", "group", judge_error, rollouts_error, count(*)::BIGINT AS n
FROM first_error JOIN (SELECT solution_id, generator FROM solutions) USING (solution_id)
JOIN grouping USING (problem_id)
WHERE judge_error IS NOT NULL AND rollouts_error IS NOT NULL
GROUP BY ALL ORDER BY ALL
"""
MICRO = 10**6
MOST_GROUPS = 50  # of a kind that manifest and card show one by one; 1,000 subjects made a card of 1.2 MB
Row = dict[str, Any]


def settings(recipe: Recipe) -> Any:
    return [[g.name, g.parameters] for g in recipe.generators if not isinstance(g, RecordedGenerator)]


def ladder(most: int) -> list[int]:
    """The k that are measured: powers of two up to `most`, 10, 30 and 100 where they fit, and `most` itself."""
    powers = [2**i for i in range(most.bit_length())]
    return sorted({k for k in [*powers, 3, 10, 30, 100, most] if 1 <= k <= most})


def run(context: Context) -> Account:
    with context.tell(context.work, "measure", 0), context.duckdb(*INPUTS) as connection:
        connection.execute(load_sql(stages.__name__, "samples"))
        name_groups(connection)
        connection.execute(load_sql(configs.__name__, "first_errors"))
        [(most,)] = connection.execute(MOST_SQL).fetchall()
        rows = curve_rows(connection, ladder(most)) + majority_rows(connection, ladder(most))
        rows += [*share_rows(connection), *mean_rows(connection), *kappa_rows(connection)]
        rows += ledger_rows(connection, context)
        rows += people.measures(people.read_opinions(context.folder, connection))
    written = write_rows(context.table("measures"), sorted(rows, key=_order), MEASURES.schema)
    return Account.kept(written)


def _order(row: Row) -> tuple:
    return row["generator"], row["by"] != "all", row["by"], row["group"], row["measure"], row["k"] or 0


def name_groups(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables `grouping` and `shown` (groups.sql) for a connection that sees `problems`."""
    connection.execute(f"SET VARIABLE most_groups = {MOST_GROUPS}")
    connection.execute(load_sql(__package__, "groups"))


def shown_rows(connection: duckdb.DuckDBPyConnection, rows: Iterable[Row]) -> list[Row]:
    """Those of `measures` that manifest, card and terminal show: the largest groups of a kind, the others as one."""
    name_groups(connection)
    shown = set(connection.execute('SELECT "by", "group" FROM shown').fetchall())
    return [row for row in rows if (row["by"], row["group"]) in shown]


def share_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """False reasoning, and histograms of pits and advantages; Wilson's interval over solutions or steps."""
    for *group, k, hits, n in connection.execute(load_sql(__package__, "shares")).fetchall():
        yield _row(group, k, hits / n, wilson(hits / n, n), "wilson", n)


def kappa_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Cohen's kappa of the first errors that judge and rollouts find, a step being a label; none without a value."""
    rows = query_rows(connection, FIRST_ERRORS_SQL)
    for group, cells in groupby(rows, lambda row: (row["generator"], row["by"], row["group"])):
        counts = {(row["judge_error"], row["rollouts_error"]): row["n"] for row in cells}
        if (found := kappa_of(counts)) is not None:
            yield _row((*group, "first_error_kappa"), None, found.value, (found.low, found.high), "wilson", found.n)


def mean_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Means over solutions or steps; problems, whose samples are alike, are what the interval counts."""
    for *group, problems, total, count, tt, tc, cc in connection.execute(load_sql(__package__, "means")).fetchall():
        interval = ratio_interval(Ratio(problems, total, count, tt, tc, cc), MICRO)
        yield _row(group, None, total / (count * MICRO), interval, "problems", count)


def ledger_rows(connection: duckdb.DuckDBPyConnection, context: Context) -> Iterator[Row]:
    """Tokens by generator and stage: NAME_prompt_tokens and so on; of generated tokens the FLOPs. Totals, no interval.

    n is the number of requests whose tokens are known; a server that sends no usage leaves some out.

    A generated token costs 2 FLOPs a parameter; reading prompts is left out, as it is in budgets.
    """
    flops = flops_per_token(context.recipe)
    tabulate_spent(connection, context.stages, context.recipe)
    for row in query_rows(connection, load_sql(__package__, "ledger")):
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
    found = {}
    for generator in recipe.generators:
        if isinstance(generator, RecordedGenerator):
            continue
        if generator.parameters or isinstance(generator, EmbeddedGenerator):
            found[generator.name] = token_cost("flops", generator, model_path(generator.model)) or Fraction(0)
    return found


def _row(group: Iterable[str], k: int | None, value: float, interval: tuple[float, float] | None, kind: str, n: int
         ) -> Row:
    low, high = interval or (None, None)
    named: Mapping[str, Any] = dict(zip(("generator", "by", "group", "measure"), group, strict=True))
    return {**named, "k": k, "value": value, "low": low, "high": high, "interval": kind, "n": n, "excluded": 0}


STAGE = Stage("measure", 8, ("synthesize", "decontaminate", "generate", "verify", "judge", "annotate"), settings, run,
              ("measures",), people.audit_hashes)
