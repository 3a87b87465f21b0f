"""What every stage shares: its description, the context it runs in, and the account that it must give.

A stage is one file with a `STAGE`: whole tables in, whole tables out. Its account says how many rows came in, went out
and were dropped for which reason; the plan marks a stage as done only when the account adds up.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from stepforge.builders.gather import gather
from stepforge.builders.parquet import count_rows, part_name, read_rows, write_rows
from stepforge.builders.sql import open_duckdb, query_rows, query_to_parquet
from stepforge.builders.tables import DROPS, TABLES, Table
from stepforge.pipelines.executors import StageFailed, Step, run_pipeline
from stepforge.pipelines.inference.demand import offered
from stepforge.pipelines.inference.journal_files import regroup
from stepforge.pipelines.inference.output import TableOutput, parts_path
from stepforge.pipelines.inference.runner import Rollout, Runner
from stepforge.pipelines.inference.servers import Servers
from stepforge.pipelines.options.executor import bytes_of
from stepforge.pipelines.options.generators import Writer
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import (
    drops_path,
    journal_path,
    logs_path,
    server_logs_path,
    shares_path,
    table_file_path,
    table_parts_path,
    table_path,
)
from stepforge.pipelines.stages.buckets import install, settle
from stepforge.pipelines.stages.shares import BucketReader, Query, ShareReader, open_bucket, write_shares

SPENT_SQL = """
CREATE TEMP TABLE spent (stage VARCHAR, generator VARCHAR, problem_id VARCHAR, requests BIGINT, prompt_tokens BIGINT,
                         cached_prompt_tokens BIGINT, completion_tokens BIGINT, prompt_tokens_of BIGINT,
                         cached_prompt_tokens_of BIGINT, completion_tokens_of BIGINT)
"""
TOKENS = ("prompt_tokens", "cached_prompt_tokens", "completion_tokens")
SUMS = ", ".join([f"sum({name})::BIGINT AS {name}" for name in ("requests", *TOKENS)]
                 + [f"sum(requests) FILTER ({name} IS NOT NULL)::BIGINT AS {name}_of" for name in TOKENS])
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

    @classmethod
    def kept(cls, rows: int) -> "Account":
        """All rows came through."""
        return cls(rows, rows)

    def check(self, stage: str) -> None:
        """Raises StageFailed when rows were lost, or some of them are counted twice."""
        if min(self.rows_in, self.rows_out, *self.dropped.values()) < 0:
            raise StageFailed(f"{stage}: {self.rows_in} rows in, {self.rows_out} out, {dict(self.dropped)} dropped: "
                              "no number of rows is negative. Report it.")
        if self.rows_in != self.rows_out + sum(self.dropped.values()):
            raise StageFailed(
                f"{stage}: {self.rows_in} rows in, but {self.rows_out} out and {sum(self.dropped.values())} dropped "
                f"({dict(self.dropped)}). Rows were lost; run again, and report it if it stays."
            )


class Expected(NamedTuple):
    """What a stage is expected to make, in words, and how many problems the stages behind it then have, if known."""

    text: str
    problems: int | None


class Spent(NamedTuple):
    """A query for what a stage asked of models, with its parameters.

    Its columns: generator (a name), problem_id (of the problem that it was spent for), requests, prompt_tokens,
    cached_prompt_tokens, completion_tokens.
    """

    sql: str
    parameters: Mapping[str, object] = {}


@dataclass(frozen=True)
class Stage:
    """One stage: everything that others must know of it. Whoever lists stages loops over plan.STAGES.

    Attributes:
        version: of its results; raised when they change.
        inputs: the stages whose tables it reads.
        settings: the parts of the recipe that determine its results.
        tables: what it writes.
        imported: hashes of files in the run's folder that came from outside, such as what people found.
        journal: the folder of its journal in the run, where it asks models.
        spent: what it asked of models; None where the recipe does without it.
        expects: what it would make, from the recipe, the number of problems where known, and the run's folder; None
            where the recipe does without it.
        described: what it writes into the manifest under a key of its own.
        unread: those of `inputs` whose rows decide nothing under this recipe.
        loses: how its drops are introduced among losses of problems; None where it drops none of them.
    """

    name: str
    version: int
    inputs: tuple[str, ...]
    settings: Callable[[Recipe], Any]
    run: Callable[["Context"], Account]
    tables: tuple[str, ...] = ()
    imported: Callable[[Path], list[str]] = lambda folder: []
    journal: str | None = None
    spent: Callable[[Recipe], Spent | None] = lambda recipe: None
    expects: Callable[[Recipe, int | None, Path], Expected | None] = lambda recipe, problems, folder: None
    described: tuple[str, Callable[["Context"], Any]] | None = None
    unread: Callable[[Recipe], tuple[str, ...]] = lambda recipe: ()
    loses: str | None = None


@dataclass(frozen=True)
class Context:
    """What a stage works with: the recipe, the run's folder, a working folder of its own, and all stages' records."""

    recipe: Recipe
    folder: Path
    work: Path
    tell: Tell
    accounts: Mapping[str, dict] = field(default_factory=dict)
    servers: Servers | None = None
    stages: tuple[Stage, ...] = ()

    def table(self, name: str) -> Path:
        """Where to read a table: its file, or its folder of parts."""
        return table_path(self.folder, name)

    def file(self, name: str) -> Path:
        """Where to write a table as one file; parts that an earlier run left are removed."""
        shutil.rmtree(table_parts_path(self.folder, name), ignore_errors=True)
        return table_file_path(self.folder, name)

    @property
    def buckets(self) -> int:
        return self.recipe.executor.buckets

    def settle(self, *tables: str) -> None:
        """Bring tables into the recipe's number of buckets, in one pass, where they lie in another."""
        for name in settle(self.folder, tables, self.buckets, self.recipe.executor.duckdb_memory, self.work):
            with self.tell(self.work, f"{name}: into {self.buckets} buckets", 0):
                pass

    def output(self, work: Path, *tables: Table) -> TableOutput:
        """What the last step of a pipeline by bucket writes to; with one bucket, by rank."""
        return TableOutput(work, tables, self.buckets, self.recipe.executor.duckdb_memory)

    def each_bucket(self, tables: Mapping[str, Path]) -> Iterator[tuple[int | None, duckdb.DuckDBPyConnection]]:
        """Each bucket with a connection that sees its parts of tables; None and all of them where there is one."""
        for bucket in range(self.buckets) if self.buckets > 1 else [None]:
            with open_bucket(self.recipe.executor.duckdb_memory, self.work / "spill", tables, bucket) as connection:
                yield bucket, connection

    def drops(self, stage: str) -> Path:
        return drops_path(self.folder, stage)

    def duckdb(self, *tables: str, **paths: Path) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A bounded connection that sees the named tables of the run, and other tables by path, as views."""
        seen = {name: self.table(name) for name in tables} | paths
        return open_duckdb(self.recipe.executor.duckdb_memory, self.work / "spill", seen)

    def query_to_table(self, sql: str, tables: Mapping[str, Path], path: Path, schema: pa.Schema,
                       parameters: Mapping[str, object] | None = None) -> int:
        """Write what a query over `tables` gives; returns the number of rows."""
        with self.duckdb(**tables) as connection:
            return query_to_parquet(connection, sql, parameters or {}, path, schema)

    def query_to_parts(self, sql: str, tables: Mapping[str, Path], name: str) -> int:
        """Write a table of the run, bucket by bucket, or as a file where there is one; returns its number of rows."""
        schema = TABLES[name].schema
        if self.buckets == 1:
            return self.query_to_table(sql, tables, self.file(name), schema)
        made = self.work / f"made-{name}"
        paths = [made / f"{bucket:05d}.parquet" for bucket in range(self.buckets)]
        rows = 0
        for bucket, path in enumerate(paths):
            with open_bucket(self.recipe.executor.duckdb_memory, self.work / "spill", tables, bucket) as connection:
                rows += query_to_parquet(connection, sql, {}, path, schema)
        install(table_parts_path(self.folder, name),
                ((path, part_name(bucket, self.buckets)) for bucket, path in enumerate(paths)))
        return rows

    def reader(self, query: Query, output: TableOutput, label: str, rows: int) -> ShareReader | BucketReader:
        """The first step of a pipeline that ends in `output`: about so many `rows` of a query, each rank's own.

        With one bucket they are put in order by rank first. A run that was cut off finds them in the working folder,
        which belongs to one fingerprint and number of ranks.
        """
        executor, work = self.recipe.executor, output.folder
        if output.buckets > 1:
            return BucketReader(query, executor.duckdb_memory, output)
        if not shares_path(work).exists():
            with self.tell(work, f"{label}: shares", 0):
                write_shares(query, executor.duckdb_memory, work, executor.tasks, rows)
        return ShareReader(work, executor.duckdb_memory)

    def query_by_bucket(self, query: Query) -> Iterator[dict[str, Any]]:
        """Rows of a query that looks at the problems of one bucket after another, or at all where there is one."""
        for _, connection in self.each_bucket(query.tables):
            yield from query_rows(connection, query.sql, query.parameters)

    def pipeline(self, steps: Sequence[Step], label: str, documents: int, work: Path) -> None:
        """Run a datatrove pipeline whose last step writes a `TableOutput` in `work`, with a progress bar."""
        with self.tell(work, label, documents):
            run_pipeline(steps, self.recipe.executor, work, self.folder)

    def ask(self, query: Query, rollout: Rollout, generator: Writer, journal: Sequence[str], output: TableOutput,
            label: str, documents: int, shared: Callable[[], AbstractContextManager[dict]] | None = None) -> None:
        """Run `rollout`, which asks `generator`, for every row of a query; its rows lie in the folder of `output`.

        `journal` are the folders of the journal below the run's. On this machine, and on a cluster where the
        recipe says so, ranks share the run's servers, which start when a rank first needs one.
        """
        reader = self.reader(query, output, label, documents)
        if output.buckets > 1:
            regroup(journal_path(self.folder, *journal), output.buckets)
        ours = self.servers and self.servers.of(self.recipe.executor)
        with offered(ours, generator, output.folder / "servers") if ours else nullcontext() as servers:
            runner = Runner(rollout, generator, journal_path(self.folder, *journal), output, shared, servers,
                            server_logs_path(self.folder))
            self.pipeline([reader, runner], label, documents, output.folder)

    def parts(self, table: str, works: Sequence[Path]) -> list[Path]:
        """The parts of a table that ranks left in the folders `works`, folder by folder.

        Raises:
            StageFailed: the part of a rank or of a bucket is missing.
        """
        parts = [part for work in works for part in sorted(parts_path(work, table).glob("*.parquet"))]
        by_bucket = self.buckets > 1 and not any(shares_path(work).exists() for work in works)
        expected = len(works) * (self.buckets if by_bucket else self.recipe.executor.tasks)
        if missing := expected - len(parts):
            raise StageFailed(f"{table}: output of {missing} of {expected} {'buckets' if by_bucket else 'ranks'} is "
                              "missing; run again")
        return parts

    def collect(self, table: str, works: Sequence[Path], path: Path | None = None) -> int:
        """Turn the parts of all ranks into one table, ordered, at `path` or in the run; returns the number of rows.

        Parts of buckets are in order and become parts of the table as they are. Errors as of `parts`.
        """
        schema, order, bucketed = TABLES[table].schema, TABLES[table].order, TABLES[table].bucketed
        if not works:
            return write_rows(path or self.file(table), [], schema)
        parts = self.parts(table, works)
        if bucketed and self.buckets > 1:
            named = [(part, part_name(number % self.buckets, self.buckets, number // self.buckets))
                     for number, part in enumerate(parts)]
            home = path or table_parts_path(self.folder, table)
            install(home, named)
            return count_rows(home)
        executor = self.recipe.executor
        memory = bytes_of(executor.duckdb_memory)
        with self.duckdb() as connection:
            return gather(connection, parts, order, path or self.file(table), schema, memory)

    def collect_drops(self, works: Sequence[Path], stage: str) -> dict[str, int]:
        """Turn the drops of all ranks into the stage's table of drops; returns their number by reason."""
        if not self.collect("drops", works, self.drops(stage)):
            self.drops(stage).unlink()
        return self.drop_counts(stage)

    def keep_drops(self, stage: str, rows: Iterable[dict[str, str]]) -> dict[str, int]:
        """Write the stage's table of drops, where there are any; returns their number by reason."""
        if not write_rows(self.drops(stage), rows, DROPS.schema):
            self.drops(stage).unlink()
        return self.drop_counts(stage)

    def drop_counts(self, stage: str) -> dict[str, int]:
        """Rows of the stage's table of drops by reason."""
        if not self.drops(stage).exists():
            return {}
        sql = "SELECT reason, count(*)::BIGINT AS n FROM drops GROUP BY ALL ORDER BY 1"
        with self.duckdb(drops=self.drops(stage)) as connection:
            return {row["reason"]: row["n"] for row in query_rows(connection, sql)}

    def finish(self, works: Sequence[Path], stage: str) -> None:
        """Keep the logs of finished pipelines and remove the rest of their working folders."""
        for work in works:
            logs = logs_path(self.folder, stage, work.name)
            shutil.rmtree(logs, ignore_errors=True)
            if (work / "logs").is_dir():
                logs.parent.mkdir(parents=True, exist_ok=True)
                os.replace(work / "logs", logs)
            shutil.rmtree(work, ignore_errors=True)


def why_failed(folder: Path, stage: str) -> str:
    """The most common reason why requests of a stage got no answer, as part of a sentence."""
    path = drops_path(folder, stage)
    if not path.exists():
        return ""
    reasons = Counter(row["detail"] for row in read_rows(path, ["reason", "detail"]) if row["reason"] == "error")
    return "".join(f", most often for this reason: {reason}" for reason, _ in reasons.most_common(1))


def tabulate_spent(connection: duckdb.DuckDBPyConnection, stages: Iterable[Stage], recipe: Recipe) -> None:
    """Make the table `spent`: a row for each stage, generator and problem with the sums of what was asked.

    The connection sees the tables that the stages' queries read; columns as in `Spent`, `stage`, and `NAME_of`: the
    requests whose tokens of that kind are known.
    """
    connection.execute(SPENT_SQL)
    for stage in stages:
        if (spent := stage.spent(recipe)) is not None:
            connection.execute(f"INSERT INTO spent BY NAME SELECT $stage AS stage, generator, problem_id, "
                               f"{SUMS} FROM ({spent.sql}) GROUP BY ALL", {"stage": stage.name, **spent.parameters})


def drop_row(stage: str, row_id: str, reason: str, detail: str) -> dict[str, str]:
    return dict(zip(DROPS.schema.names, (stage, row_id, reason, detail), strict=True))
