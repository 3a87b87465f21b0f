"""What a stage works on, put in order once, so that a rank reads its share of it and no more.

In: a query over tables of the run, one row for each thing to work on. Out: one Parquet file with the rows of rank 0,
then those of rank 1 and so on, in row groups so small that a reader leaves out those of others. Without it every rank
would run the whole query, its joins and its sorting included. All rows of a problem are one rank's. Where tables lie
in parts, one for each bucket of problem ids, nothing is written: a rank runs the query over its buckets.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from stepforge.builders.files import replacing
from stepforge.builders.parquet import parts_of
from stepforge.builders.sql import open_duckdb, query_rows
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.run_folder import damage_told, shares_path

ROW_GROUPS = 16  # of a rank, about: at its two ends it may read some rows of its neighbours
VECTOR, LARGEST = 2048, 60 * 2048  # DuckDB's rows at a time, of which a row group holds whole numbers, and its default


@dataclass(frozen=True)
class Query:
    """A query over tables of the run; two of its columns are `problem_id` and `position`."""

    sql: str
    tables: Mapping[str, Path]
    parameters: Mapping[str, object] = field(default_factory=dict)


def write_shares(query: Query, memory: str, work: Path, ranks: int, rows: int) -> None:
    """Write the rows of a query by rank, in the order of `position`.

    Args:
        rows: about how many rows there are, which decides the size of row groups.
    """
    group = min(LARGEST, max(1, rows // (ranks * ROW_GROUPS * VECTOR)) * VECTOR)
    sql = f"SELECT *, bucket_of(problem_id, $ranks) AS share FROM ({query.sql}) ORDER BY share, position"
    work.mkdir(parents=True, exist_ok=True)
    with open_duckdb(memory, work / "spill", query.tables) as connection, replacing(shares_path(work)) as temporary:
        connection.sql(sql, params={**query.parameters, "ranks": ranks}).write_parquet(
            str(temporary), compression="zstd", row_group_size=group)


class ShareReader(PipelineStep):
    """First step of a pipeline: the rows of this rank, one document each, from what `write_shares` wrote."""

    name = "stepforge share"
    type = "reader"

    def __init__(self, work: Path, memory: str) -> None:
        super().__init__()
        self.work = work
        self.memory = memory

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        sql = "SELECT * EXCLUDE (share) FROM shares WHERE share = $rank ORDER BY position"
        with open_duckdb(self.memory, self.work / "spill" / f"{rank:05d}", threads=1) as connection:
            connection.from_parquet(str(shares_path(self.work))).create_view("shares")
            for row in query_rows(connection, sql, {"rank": rank}):
                yield Document(text="", id=row["problem_id"], metadata=row)


@contextmanager
def open_bucket(memory: str, scratch: Path, tables: Mapping[str, Path], bucket: int | None
                ) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees one bucket of tables, or all of them; a damaged part is named."""
    files = (part for path in tables.values() for part in parts_of(path, bucket))
    with damage_told(files), open_duckdb(memory, scratch, tables, threads=1, bucket=bucket) as connection:
        yield connection


class BucketReader(PipelineStep):
    """First step of a pipeline: the rows of a query over one bucket after another of this rank, one document each.

    Tables lie in parts, of which a bucket's query reads its own. Buckets whose output is there are left out. The last
    document of a bucket says how many there were.
    """

    name = "stepforge buckets"
    type = "reader"

    def __init__(self, query: Query, memory: str, output: TableOutput) -> None:
        super().__init__()
        self.query = query
        self.memory = memory
        self.output = output

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        sql, spill = f"FROM ({self.query.sql}) ORDER BY position", self.output.folder / "spill" / f"{rank:05d}"
        for bucket in range(rank, self.output.buckets, world_size):
            if self.output.has(bucket):
                continue
            with open_bucket(self.memory, spill, self.query.tables, bucket) as connection:
                yield from self._documents(query_rows(connection, sql, self.query.parameters), bucket)

    @staticmethod
    def _documents(rows: Iterator[dict[str, Any]], bucket: int) -> Iterator[Document]:
        held: Document | None = None
        number = 0
        for row in rows:
            number += 1
            if held is not None:
                yield held
            held = Document(text="", id=row["problem_id"], metadata=row | {"bucket": bucket})
        if held is not None:
            held.metadata["bucket_size"] = number
            yield held
