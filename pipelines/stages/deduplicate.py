"""Deduplicate: within a problem, solutions that say the same are one solution.

In: `solutions` and `verdicts`. Out: `duplicates`, every solution that is set aside with its reason and its survivor;
the solutions themselves stay as they are, since measures count samples before deduplication. The rule is
deduplicate.sql.
"""

from typing import Any

from stepforge.builders.parquet import count_rows, write_rows
from stepforge.builders.sql import load_sql, query_to_parquet
from stepforge.builders.tables import DROPS, DUPLICATES
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Stage


def settings(recipe: Recipe) -> Any:
    return recipe.deduplicate.model_dump(mode="json")


def run(context: Context) -> Account:
    sql = load_sql(__package__, "deduplicate")
    with context.tell(context.work, "deduplicate", 0), context.duckdb("solutions", "verdicts") as connection:
        parameters = {"by": context.recipe.deduplicate.by}
        removed = query_to_parquet(connection, sql, parameters, context.table("duplicates"), DUPLICATES.schema)
    write_rows(context.drops("deduplicate"), [], DROPS.schema)
    rows_in = count_rows(context.table("solutions"))
    return Account(rows_in, rows_in - removed, {"duplicate": removed})


STAGE = Stage("deduplicate", 1, ("generate", "verify"), settings, run, ("duplicates",))
