"""What a stage works on, put in order once, so that a rank reads its share of it and no more.

In: a query over tables of the run, one row for each thing to work on. Out: one Parquet file with the rows of rank 0,
then those of rank 1 and so on, in row groups so small that a reader leaves out those of others. Without it every rank
would run the whole query, its joins and its sorting included. All rows of a problem are one rank's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from stepforge.builders.files import replacing
from stepforge.builders.sql import open_duckdb, query_rows
from stepforge.pipelines.run_folder import shares_path

SHARE_SQL = "('0x' || substr(problem_id, 1, 8))::BIGINT % $ranks"  # the rank that works on a problem
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
    sql = f"SELECT *, {SHARE_SQL} AS share FROM ({query.sql}) ORDER BY share, position"
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
