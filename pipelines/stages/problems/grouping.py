"""Groups of problems: near-duplicates join one group, so that no split tells them apart.

In: `seeds`, whose groups hold problems that differ in numbers, case and spacing alone. Out: the same table; groups
with problems that are nearly the same (grouping.sql) share the least of their ids, and so do groups that are linked by
others. Nothing is dropped: a near-duplicate is a problem of its own, with another answer.
"""

from collections.abc import Iterable

from stepforge.builders.sql import load_sql, open_duckdb, query_to_parquet
from stepforge.builders.tables import PROBLEMS
from stepforge.pipelines.stages.base import Context

MERGED_SQL = """
SELECT seeds.* REPLACE (coalesce(merged[group_id], group_id) AS group_id)
FROM seeds, (SELECT map($old::VARCHAR[], $new::VARCHAR[]) AS merged) ORDER BY file_row_number
"""


def merge_groups(context: Context, near: float) -> None:
    """Give near-duplicates in `seeds` one group."""
    with open_duckdb(context.recipe.executor.duckdb_memory, context.work / "spill",
                     {"seeds": context.table("seeds")}) as connection:
        pairs = connection.execute(load_sql(__package__, "grouping"), {"near": near}).fetchall()
        if found := linked(pairs):
            merged = {"old": list(found), "new": list(found.values())}
            query_to_parquet(connection, MERGED_SQL, merged, context.table("seeds"), PROBLEMS.schema)


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
