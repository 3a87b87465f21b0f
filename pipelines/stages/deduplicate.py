"""Deduplicate: within a problem, solutions that say the same are one solution.

In: `solutions` and `verdicts`. Out: `duplicates`, every solution that is set aside with its reason and its survivor;
the solutions themselves stay as they are, since measures count samples before deduplication. The rule is
deduplicate.sql.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from stepforge.builders.parquet import count_rows, write_rows
from stepforge.builders.sql import load_sql, query_to_parquet
from stepforge.builders.tables import DROPS, DUPLICATES
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Stage

BATCH = 100_000  # rows of three short columns


def settings(recipe: Recipe) -> Any:
    return recipe.deduplicate.model_dump(mode="json")


def find_duplicates(connection: duckdb.DuckDBPyConnection, rule: Mapping[str, object], path: Path) -> int:
    """Write `duplicates` from the `sample` that the connection sees; returns how many there are."""
    return query_to_parquet(connection, load_sql(__package__, "deduplicate"), rule, path, DUPLICATES.schema, BATCH)


def run(context: Context) -> Account:
    with context.tell(context.work, "deduplicate", 0), context.duckdb("solutions", "verdicts") as connection:
        connection.execute(load_sql(__package__, "samples"))
        parameters = context.recipe.deduplicate.model_dump(include={"by", "keep"})
        removed = find_duplicates(connection, parameters, context.table("duplicates"))
    write_rows(context.drops("deduplicate"), [], DROPS.schema)
    rows_in = count_rows(context.table("solutions"))
    return Account(rows_in, rows_in - removed, {"duplicate": removed})


STAGE = Stage("deduplicate", 2, ("generate", "verify"), settings, run, ("duplicates",))
