"""Groups of problems: near-duplicates join one group, so that no split tells them apart.

In: `seeds`, whose groups hold problems that differ in numbers, case and spacing alone. Out: the same table; groups
with problems that are nearly the same (grouping.sql) share the least of their ids, and so do groups that are linked by
others. Nothing is dropped: a near-duplicate is a problem of its own, with another answer.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import pyarrow as pa

from stepforge.builders.sql import load_sql, open_duckdb, query_to_parquet
from stepforge.builders.tables import PROBLEMS, TEXT
from stepforge.pipelines.stages.base import Context

CROWD = 32  # problems that a problem is compared with for one run that they share; beyond, they are a crowd
CROWDED_SQL = "SELECT count(DISTINCT gram) FROM crowd WHERE part > 0"
MERGED_SQL = """
SELECT seeds.* REPLACE (coalesce(least_id, group_id) AS group_id)
FROM seeds LEFT JOIN merged USING (group_id) ORDER BY file_row_number
"""


def merge_groups(context: Context, near: float) -> dict[str, Any]:
    """Give near-duplicates in `seeds` one group; returns what the manifest says of it."""
    with open_duckdb(context.recipe.executor.duckdb_memory, context.work / "spill",
                     {"seeds": context.table("seeds")}) as connection:
        merged = linked(near_pairs(connection, near))
        if merged:
            columns = {"group_id": list(merged), "least_id": list(merged.values())}
            connection.register("merged", pa.table(columns, pa.schema([("group_id", TEXT), ("least_id", TEXT)])))
            query_to_parquet(connection, MERGED_SQL, {}, context.table("seeds"), PROBLEMS.schema)
        (crowded,), = connection.execute(CROWDED_SQL).fetchall()
    return {"near_problems": {"jaccard": near, "merged_groups": len(merged), "runs_shared_by_a_crowd": crowded}}


def near_pairs(connection: duckdb.DuckDBPyConnection, near: float) -> Iterator[tuple[str, str]]:
    """Pairs of groups to link, from the `seeds` that the connection sees (grouping.sql)."""
    parameters = {"near": near, "crowd": CROWD}
    for statement in duckdb.extract_statements(load_sql(__package__, "grouping")):
        result = connection.execute(statement, {name: parameters[name] for name in statement.named_parameters})
    while rows := result.fetchmany(100_000):
        yield from rows


def linked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Every name that pairs link to a lesser one, with the least of those that it is linked to."""
    parent: dict[str, str] = {}

    def least(name: str) -> str:
        while (above := parent.get(name, name)) != name:
            name = above
        return name

    for pair in pairs:
        one, other = sorted(map(least, pair))
        if one != other:
            parent[other] = one
    return {name: least(name) for name in parent}
