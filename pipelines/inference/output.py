"""What ranks write: rows of tables in Parquet parts, and their progress.

There is a part for each table and rank or, in a large run, for each table and bucket of problem ids.
A part takes its name when it is whole, so a rank that was cut off leaves none; one that starts over writes its parts
anew, and the journal keeps what was paid for. Rows lie in a part as their documents ended, each with the `position` of
its document, by which they are put in order (builders/gather.py): the stage does it, or the rank for each bucket, in
memory where its rows are few enough.
"""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document

from stepforge.builders.files import replacing
from stepforge.builders.gather import gather, write_in_order
from stepforge.builders.parquet import BATCH_ROWS, refuse_unknown
from stepforge.builders.sql import open_duckdb
from stepforge.builders.tables import Table
from stepforge.pipelines.options.executor import bytes_of
from stepforge.pipelines.progress import RankProgress

POSITION = pa.field("position", pa.int64(), nullable=False)
GROUP_CHARACTERS = 16_000_000  # of text that a rank holds, about, before it writes a row group
HELD = 8  # memory of DuckDB over the rows of a bucket that are put in order without it


def parts_path(folder: Path, table: str) -> Path:
    """Where the ranks of the working folder `folder` put their parts of a table: RANK.parquet or BUCKET.parquet."""
    return folder / "out" / table


class Part:
    """Rows of one table and rank on their way into a Parquet file; the last ones are written as the block ends.

    `most`: bytes of rows that are `held` in memory instead; once there are more, all go into the file.
    """

    def __init__(self, table: Table, path: Path, most: int) -> None:
        self.table, self.path, self.most = table, path, most
        self.schema = pa.schema([*table.schema, POSITION])
        self.held: list[pa.Table] = []
        self.writer: pq.ParquetWriter | None = None
        self._files = ExitStack()
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def __enter__(self) -> Self:
        if not self.most:
            self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        if kind is not None:
            self._files.__exit__(kind, *error)
            return
        with self._files:
            self._flush()

    def _open(self) -> pq.ParquetWriter:
        temporary = self._files.enter_context(replacing(self.path))
        self.writer = self._files.enter_context(pq.ParquetWriter(temporary, self.schema, compression="zstd"))
        return self.writer

    def add(self, rows: Iterable[dict[str, Any]], position: int) -> None:
        """Hold the rows of the document at `position`, and write what is held where it is much."""
        for row in rows:
            self._rows.append(row | {POSITION.name: position})
            self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= BATCH_ROWS or self._characters >= GROUP_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            refuse_unknown(self._rows, self.schema, self.table.name)
            arrays = [_array(self._rows, field, self.table.name) for field in self.schema]
            self._rows, self._characters = [], 0
            self.held.append(pa.Table.from_arrays(arrays, schema=self.schema))
            if self.writer or sum(rows.nbytes for rows in self.held) > self.most:
                writer = self.writer or self._open()
                for rows in self.held:
                    writer.write_table(rows)
                self.held = []


class _Share:
    """The parts of all tables for one rank or bucket, until they are whole."""

    def __init__(self, folder: Path, tables: Iterable[Table], number: int, most: int) -> None:
        self.documents = 0
        self.documents_in_all: int | None = None
        self.parts: dict[str, Part] = {}
        self.files = ExitStack()
        for table in tables:
            path = parts_path(folder, table.name) / f"{number:05d}.parquet"
            part = Part(table, path, most if table.bucketed else 0)
            self.parts[table.name] = self.files.enter_context(part)


class TableOutput:
    """Writes rows to FOLDER/out/TABLE/RANK.parquet and counts to FOLDER/progress/RANK.json.

    With `buckets` above 1 a part holds one bucket of problem ids instead, FOLDER/out/TABLE/BUCKET.parquet, and those
    of bucketed tables are in order. It is there once all documents of its bucket are written.

    It has the part of datatrove's writers that its inference runner uses: a context manager with `write`.
    """

    def __init__(self, folder: Path, tables: Iterable[Table], buckets: int = 1, memory: str = "1GiB") -> None:
        self.folder = folder
        self.tables = tuple(tables)
        self.buckets = buckets
        self.memory = memory
        self.progress: RankProgress | None = None
        self._mine: list[int] = []
        self._shares: dict[int, _Share] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        shares, self._shares = self._shares, {}
        for share in shares.values():
            share.files.__exit__(kind, *error)
        if self.progress is not None:
            self.progress.tell()
        if kind is None and self.buckets > 1:
            if lost := [f"{share.documents} of bucket {bucket}" for bucket, share in shares.items()]:
                raise ValueError(f"only some documents came: {', '.join(lost)}")
            for bucket in self._mine:
                if not self.has(bucket):
                    self._finish(bucket, self._new_share(bucket))

    def write(self, document: Document, rank: int, **_: object) -> int | None:
        """Write what the rollout function of a document returned: table name to rows; as `write_tables`."""
        facts = document.metadata
        return self.write_tables(facts["rollout_results"][0], rank, facts["position"], facts.get("bucket"),
                                 facts.get("bucket_size"))

    def write_tables(self, tables: dict[str, list[dict[str, Any]]], rank: int, position: int,
                     bucket: int | None = None, bucket_size: int | None = None) -> int | None:
        """Write the rows of one document with its `position`, by which the finished table is ordered.

        Args:
            bucket: that of the document's problem.
            bucket_size: how many documents the bucket has; known with the last of them that is read.

        Returns:
            The bucket, where this was the last of its documents.

        Raises:
            OSError: the disk is full or gone.
            ValueError: a row has a column that its table does not know (misspelt, it would be null without a word),
                lacks one that it must have, or has a value of another type. It is raised when the rows are written.
        """
        self.open(rank)
        share = self._share(rank if bucket is None else bucket)
        for name, rows in tables.items():
            share.parts[name].add(rows, position)
            self.count(**{name: len(rows)})
        self.count(documents=1)
        if bucket is None:
            return None
        share.documents += 1
        share.documents_in_all = bucket_size or share.documents_in_all
        if share.documents != share.documents_in_all:
            return None
        self._finish(bucket, self._shares.pop(bucket))
        return bucket

    def count(self, **events: int) -> None:
        """Add to the numbers that people see of this rank; told to them every half second at most."""
        assert self.progress is not None
        self.progress.count(events)

    def open(self, rank: int, ranks: int = 1) -> None:
        """Give every table a part, rows or not, so that an absent part is a rank that never ran."""
        if self.progress is None:
            self.progress = RankProgress(self.folder, rank)
            self._mine = list(range(rank, self.buckets, ranks))
        if self.buckets == 1:
            self._share(rank)

    def _share(self, number: int) -> _Share:
        if number not in self._shares:
            self._shares[number] = self._new_share(number)
        return self._shares[number]

    def _new_share(self, number: int) -> _Share:
        most = bytes_of(self.memory) // (HELD * len(self.tables)) if self.buckets > 1 else 0
        return _Share(self._unsorted, self.tables, number, most)

    def has(self, bucket: int) -> bool:
        """Whether all parts of a bucket are there."""
        return all(self._part(table, bucket).exists() for table in self.tables)

    def _part(self, table: Table, bucket: int) -> Path:
        return parts_path(self.folder, table.name) / f"{bucket:05d}.parquet"

    @property
    def _unsorted(self) -> Path:
        """Where parts lie until they are in order."""
        return self.folder if self.buckets == 1 else self.folder / "unsorted"

    def _finish(self, bucket: int, share: _Share) -> None:
        """Close the parts of a bucket, put those of bucketed tables in order, and give them their names."""
        share.files.close()
        for table in self.tables:
            part, path = share.parts[table.name], self._part(table, bucket)
            if not table.bucketed:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(part.path, path)
            elif part.writer is None:
                write_in_order(pa.concat_tables([part.schema.empty_table(), *part.held]), table.order, path,
                               table.schema)
            else:
                with open_duckdb(self.memory, self._unsorted / "spill" / f"{bucket:05d}", threads=1) as connection:
                    gather(connection, [part.path], table.order, path, table.schema, bytes_of(self.memory))
                part.path.unlink()


def _array(rows: list[dict[str, Any]], field: pa.Field, table: str) -> pa.Array:
    """A column of rows; as in JSON, a number that is not finite is null."""
    try:
        column = pa.array([row.get(field.name) for row in rows], field.type, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise ValueError(f"rows for {table} do not fit its schema: column {field.name!r}: {error}") from error
    if pa.types.is_floating(field.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, field.type))
    if column.null_count and not field.nullable:
        raise ValueError(f"rows for {table} do not fit its schema: null in column {field.name!r}")
    return column
