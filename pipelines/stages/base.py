"""What every stage shares: its description, the context it runs in, and the account that it must give.

A stage is one file with a `STAGE`: whole tables in, whole tables out. Its account says how many rows came in, went out
and were dropped for which reason; the plan marks a stage as done only when the account adds up.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import json_columns, open_duckdb, query_rows, query_to_parquet
from stepforge.builders.tables import DROPS, TABLES
from stepforge.pipelines.executors import StageFailed, Step, run_pipeline
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.inference.runner import Rollout, Runner
from stepforge.pipelines.inference.servers import Servers
from stepforge.pipelines.options.generators import Writer
from stepforge.pipelines.recipe import Recipe

SHARE_SQL = "('0x' || substr(problem_id, 1, 8))::BIGINT % $ranks = $rank"  # the rows of a rank: whole problems
Tell = Callable[[Path, str, int], AbstractContextManager[None]]


@dataclass(frozen=True)
class Account:
    """Rows in, rows out and rows dropped by reason; `ledger` counts tokens of engines, the manifest tells `facts`.

    `failed` counts requests that got no answer: they are asked again on the next run.
    """

    rows_in: int
    rows_out: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    ledger: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    failed: int = 0

    def check(self, stage: str) -> None:
        """Raises StageFailed when rows were lost."""
        if self.rows_in != self.rows_out + sum(self.dropped.values()):
            raise StageFailed(
                f"{stage}: {self.rows_in} rows in, but {self.rows_out} out and {sum(self.dropped.values())} dropped "
                f"({dict(self.dropped)}). Rows were lost; run again, and report it if it stays."
            )


@dataclass(frozen=True)
class Stage:
    """One stage: its name, the version of its results, the stages whose tables it reads, and what it does.

    `imported` gives the hashes of files in the run's folder that came from outside, such as what people found; `asks`
    says that it asks a model.
    """

    name: str
    version: int
    inputs: tuple[str, ...]
    settings: Callable[[Recipe], Any]
    run: Callable[["Context"], Account]
    tables: tuple[str, ...] = ()
    imported: Callable[[Path], list[str]] = lambda folder: []
    asks: bool = False


@dataclass(frozen=True)
class Context:
    """What a stage works with: the recipe, the run's folder, and a working folder of its own."""

    recipe: Recipe
    folder: Path
    work: Path
    tell: Tell
    accounts: Mapping[str, dict] = field(default_factory=dict)
    servers: Servers | None = None

    def table(self, name: str) -> Path:
        return self.folder / "tables" / f"{name}.parquet"

    def drops(self, stage: str) -> Path:
        return self.folder / "tables" / "drops" / f"{stage}.parquet"

    def duckdb(self, *tables: str) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A bounded connection that sees the named tables as views."""
        return open_duckdb(self.recipe.executor.duckdb_memory, self.work / "spill",
                           {name: self.table(name) for name in tables})

    def pipeline(self, steps: Sequence[Step], label: str, documents: int, work: Path) -> None:
        """Run a datatrove pipeline whose last step writes a `TableOutput` in `work`, with a progress bar."""
        with self.tell(work, label, documents):
            run_pipeline(steps, self.recipe.executor, work, self.folder)

    def runner(self, rollout: Rollout, generator: Writer, journal: Path, output: TableOutput,
               shared: Callable[[], AbstractContextManager[dict]] | None = None) -> Runner:
        """The last step of a pipeline that asks a model; on this machine its ranks share the servers of the run."""
        addresses = self.servers.addresses(generator) if self.servers and self.recipe.executor.kind == "local" else ()
        return Runner(rollout, generator, journal, output, shared, addresses, self.folder / "logs" / "servers")

    def collect(self, table: str, works: Sequence[Path], order: str, path: Path | None = None) -> int:
        """Turn the JSON lines of all ranks into a Parquet table, ordered; returns the number of rows.

        Raises:
            StageFailed: the file of a rank is missing.
        """
        schema = TABLES[table].schema
        if not works:
            return write_rows(path or self.table(table), [], schema)
        found = [str(file) for work in works for file in sorted((work / "out" / table).glob("*.jsonl"))]
        if len(found) != len(works) * self.recipe.executor.tasks:
            expected = len(works) * self.recipe.executor.tasks
            raise StageFailed(f"{table}: output of {expected - len(found)} of {expected} ranks is missing; run again")
        columns = json_columns(pa.schema([*schema, pa.field("position", pa.int64())]))
        with self.duckdb() as connection:
            sql = (f"SELECT * FROM read_json($files, format = 'newline_delimited', columns = {columns}, "
                   f"maximum_object_size = 33554432) ORDER BY position, {order}")
            return query_to_parquet(connection, sql, {"files": found}, path or self.table(table), schema)

    def drop_counts(self, stage: str) -> dict[str, int]:
        """Rows of the stage's table of drops by reason."""
        sql = "SELECT reason, count(*)::BIGINT AS n FROM drops GROUP BY ALL ORDER BY 1"
        with open_duckdb(self.recipe.executor.duckdb_memory, self.work / "spill",
                         {"drops": self.drops(stage)}) as connection:
            return {row["reason"]: row["n"] for row in query_rows(connection, sql)}

    def finish(self, works: Sequence[Path], stage: str) -> None:
        """Keep the logs of finished pipelines and remove the rest of their working folders."""
        for work in works:
            logs = self.folder / "logs" / stage / work.name
            shutil.rmtree(logs, ignore_errors=True)
            if (work / "logs").is_dir():
                logs.parent.mkdir(parents=True, exist_ok=True)
                os.replace(work / "logs", logs)
            shutil.rmtree(work, ignore_errors=True)


class QueryReader(PipelineStep):
    """First step of a pipeline: the rows of a query that belong to this rank, one document each.

    The query must give a column `problem_id`; its first 32 bits decide the rank, so that a problem and all its rows
    stay together however many ranks there are.
    """

    name = "stepforge query"
    type = "reader"

    def __init__(self, sql: str, tables: Mapping[str, Path], parameters: Mapping[str, object], memory: str,
                 scratch: Path) -> None:
        super().__init__()
        self.sql = sql
        self.tables = dict(tables)
        self.parameters = dict(parameters)
        self.memory = memory
        self.scratch = scratch

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        sql = f"SELECT * FROM ({self.sql}) WHERE {SHARE_SQL} ORDER BY position"
        parameters = {**self.parameters, "rank": rank, "ranks": world_size}
        with open_duckdb(self.memory, self.scratch / f"{rank:05d}", self.tables, threads=1) as connection:
            for row in query_rows(connection, sql, parameters):
                yield Document(text="", id=row["problem_id"], metadata=row)


def drop_row(stage: str, row_id: str, reason: str, detail: str) -> dict[str, str]:
    return dict(zip(DROPS.schema.names, (stage, row_id, reason, detail), strict=True))


def schema_of(table: str) -> pa.Schema:
    return TABLES[table].schema
