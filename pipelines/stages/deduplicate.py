"""Deduplicate: within a problem, solutions that say the same are one solution.

In: `solutions` and `verdicts`. Out: `duplicates`, every solution that is set aside with its reason and its survivor;
the solutions themselves stay as they are, since measures count samples before deduplication. The rules are
deduplicate.sql and, where the recipe asks for `near` duplicates, near.sql over what the first has left.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from stepforge.builders.parquet import count_rows, write_rows
from stepforge.builders.sql import load_sql, query_rows, query_to_parquet
from stepforge.builders.tables import DROPS, DUPLICATES, TEXT
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Stage

BATCH = 100_000  # rows of three short columns
BOTH_SQL = """
SELECT duplicate.* FROM (
    SELECT exact.solution_id, coalesce(near.survivor_id, exact.survivor_id) AS survivor_id, reason
    FROM exact LEFT JOIN near ON near.solution_id = exact.survivor_id
    UNION ALL
    SELECT solution_id, survivor_id, 'near' FROM near
) AS duplicate JOIN sample USING (solution_id) ORDER BY position
"""


def settings(recipe: Recipe) -> Any:
    return recipe.deduplicate.model_dump(mode="json", exclude={"near_problems"})


def find_duplicates(connection: duckdb.DuckDBPyConnection, rule: Mapping[str, object], path: Path) -> int:
    """Write `duplicates` from the `sample` that the connection sees; returns how many there are."""
    return query_to_parquet(connection, load_sql(__package__, "deduplicate"), rule, path, DUPLICATES.schema, BATCH)


def add_near(connection: duckdb.DuckDBPyConnection, rule: Mapping[str, object], exact: Path, path: Path) -> int:
    """Write the duplicates in `exact` and near-duplicates behind them; returns how many there are.

    In the order of their ranks a solution goes if it is near to one that stays, the best of those: each is near to its
    own survivor, and no two survivors are near. The connection sees `sample` and `solutions`.
    """
    connection.from_parquet(str(exact)).create_view("exact")
    near: dict[str, str] = {}
    for pair in query_rows(connection, load_sql(__package__, "near"), rule):
        if pair["survivor_id"] not in near:
            near.setdefault(pair["solution_id"], pair["survivor_id"])
    columns = {"solution_id": list(near), "survivor_id": list(near.values())}
    connection.register("near", pa.table(columns, pa.schema([("solution_id", TEXT), ("survivor_id", TEXT)])))
    return query_to_parquet(connection, BOTH_SQL, {}, path, DUPLICATES.schema, BATCH)


def run(context: Context) -> Account:
    with context.tell(context.work, "deduplicate", 0), context.duckdb("solutions", "verdicts") as connection:
        connection.execute(load_sql(__package__, "samples"))
        options, path, exact = context.recipe.deduplicate, context.table("duplicates"), context.work / "exact.parquet"
        rule = options.model_dump(include={"by", "keep"})
        removed = find_duplicates(connection, rule, path if options.near is None else exact)
        if options.near is not None:
            removed = add_near(connection, options.model_dump(include={"keep", "near", "ngram"}), exact, path)
    write_rows(context.drops("deduplicate"), [], DROPS.schema)
    rows_in = count_rows(context.table("solutions"))
    return Account(rows_in, rows_in - removed, {"duplicate": removed})


STAGE = Stage("deduplicate", 3, ("generate", "verify"), settings, run, ("duplicates",))
