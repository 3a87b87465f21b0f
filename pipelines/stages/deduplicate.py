"""Deduplicate: within a problem, solutions that say the same are one solution.

In: `solutions` and `verdicts`. Out: `duplicates`, every solution that is set aside with its reason and its survivor;
the solutions themselves stay as they are, since measures count samples before deduplication. The rules are
deduplicate.sql and, where the recipe asks for `near` duplicates, near.sql over what the first has left. Near
duplicates are slow to find, and only solutions of one problem are compared. So each rank finds those of its own
problems or buckets, and a run larger than one machine needs no approximation such as MinHash.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from stepforge.builders.parquet import count_rows
from stepforge.builders.sql import load_sql, query_rows, query_to_parquet
from stepforge.builders.tables import DUPLICATES, TEXT
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.options.stages import Deduplicate
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Stage
from stepforge.pipelines.stages.shares import open_bucket

BATCH = 100_000  # rows of three short columns
BOTH_SQL = """
SELECT duplicate.* FROM (
    SELECT exact.solution_id, coalesce(near.survivor_id, exact.survivor_id) AS survivor_id, reason
    FROM exact LEFT JOIN near ON near.solution_id = exact.survivor_id
    UNION ALL
    SELECT solution_id, survivor_id, 'near' FROM near
) AS duplicate JOIN sample USING (solution_id) ORDER BY position
"""
PLACED_SQL = "SELECT repeats.*, position FROM repeats JOIN sample USING (solution_id) ORDER BY position"


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


class DuplicatesStep(PipelineStep):
    """Writes rows of `duplicates` for the problems of its rank or of its buckets, exact and near ones."""

    name = "stepforge duplicates"
    type = "dedup"

    def __init__(self, tables: Mapping[str, Path], options: Deduplicate, memory: str, output: TableOutput) -> None:
        super().__init__()
        self.tables = dict(tables)
        self.options = options
        self.memory = memory
        self.output = output

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        scratch = self.output.folder / "spill" / f"{rank:05d}"
        with self.output as output:
            output.open(rank, world_size)
            for bucket in range(rank, output.buckets, world_size) if output.buckets > 1 else [None]:
                if bucket is not None and output.has(bucket):
                    continue
                with open_bucket(self.memory, scratch, self.tables, bucket) as connection:
                    share = (rank, world_size) if bucket is None else (bucket, output.buckets)
                    sql = f"{load_sql(__package__, 'samples')} WHERE bucket_of(problem_id, $ranks) = $rank"
                    connection.execute(sql, dict(zip(("rank", "ranks"), share, strict=True)))
                    rows = self._find(connection, scratch)
                    for number, row in enumerate(query_rows(connection, PLACED_SQL), start=1):
                        size = rows if number == rows else None
                        output.write_tables({"duplicates": [row]}, rank, row.pop("position"), bucket, size)
        yield from ()

    def _find(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> int:
        """Make the view `repeats`; returns its number of rows."""
        exact, with_near = scratch / "exact.parquet", scratch / "near.parquet"
        rows = find_duplicates(connection, self.options.model_dump(include={"by", "keep"}), exact)
        if self.options.near is not None:
            near = self.options.model_dump(include={"keep", "near", "ngram"})
            rows = add_near(connection, near, exact, with_near)
        connection.from_parquet(str(exact if self.options.near is None else with_near)).create_view("repeats")
        return rows


def run(context: Context) -> Account:
    options, path, tables = context.recipe.deduplicate, context.file("duplicates"), ("solutions", "verdicts")
    if options.near is None and context.buckets == 1:
        with context.tell(context.work, "deduplicate", 0), context.duckdb(*tables) as connection:
            connection.execute(load_sql(__package__, "samples"))
            removed = find_duplicates(connection, options.model_dump(include={"by", "keep"}), path)
    else:
        work = context.work / "deduplicate"
        step = DuplicatesStep({name: context.table(name) for name in tables}, options,
                              context.recipe.executor.duckdb_memory, context.output(work, DUPLICATES))
        context.pipeline([step], "deduplicate", 0, work)
        removed = context.collect("duplicates", [work])
        context.finish([work], "deduplicate")
    rows_in = count_rows(context.table("solutions"))
    return Account(rows_in, rows_in - removed, {"duplicate": removed})


STAGE = Stage("deduplicate", 3, ("generate", "verify"), settings, run, ("duplicates",))
