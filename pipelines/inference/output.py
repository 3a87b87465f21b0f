"""What ranks hand back: rows of tables in Parquet parts, one for each table and rank, and how far they have come.

A part takes its name when it is whole, so a rank that was cut off leaves none; one that starts over writes its parts
anew, and the journal keeps what was paid for. Rows lie in a part as their documents ended, each with the `position` of
its document, by which the stage puts them in order (stages/gather.py).
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document

from stepforge.builders.files import replacing
from stepforge.builders.parquet import BATCH_ROWS, refuse_unknown
from stepforge.builders.tables import Table
from stepforge.pipelines.progress import RankProgress

POSITION = pa.field("position", pa.int64(), nullable=False)
GROUP_CHARACTERS = 16_000_000  # of text that a rank holds, about, before it writes a row group


def parts_path(folder: Path, table: str) -> Path:
    """Where the ranks of the working folder `folder` put their parts of a table: files RANK.parquet."""
    return folder / "out" / table


class Part:
    """Rows of one table and rank on their way into a Parquet file; the last ones are written as the block ends."""

    def __init__(self, table: Table, writer: pq.ParquetWriter) -> None:
        self.table = table
        self.writer = writer
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

    def add(self, rows: Iterable[dict[str, Any]], position: int) -> None:
        """Hold the rows of the document at `position`, and write what is held where it is much."""
        for row in rows:
            self._rows.append(row | {POSITION.name: position})
            self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= BATCH_ROWS or self._characters >= GROUP_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            refuse_unknown(self._rows, self.writer.schema, self.table.name)
            arrays = [_array(self._rows, field, self.table.name) for field in self.writer.schema]
            self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.writer.schema))
            self._rows, self._characters = [], 0


class TableOutput:
    """Writes rows to FOLDER/out/TABLE/RANK.parquet and counts to FOLDER/progress/RANK.json.

    It has the part of datatrove's writers that its inference runner uses: a context manager with `write`.
    """

    def __init__(self, folder: Path, tables: Iterable[Table]) -> None:
        self.folder = folder
        self.tables = tuple(tables)
        self.progress: RankProgress | None = None
        self._parts: dict[str, Part] = {}
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._parts = {}
        self._files.__exit__(*error)
        if self.progress is not None:
            self.progress.tell()

    def write(self, document: Document, rank: int, **_: object) -> None:
        """Write what the rollout function of a document returned: table name to rows."""
        self.write_tables(document.metadata["rollout_results"][0], rank, document.metadata["position"])

    def write_tables(self, tables: dict[str, list[dict[str, Any]]], rank: int, position: int) -> None:
        """Write the rows of one document with its `position`, by which the finished table is ordered.

        Raises:
            OSError: the disk is full or gone.
            ValueError: a row has a column that its table does not know (misspelt, it would be null without a word),
                lacks one that it must have, or has a value of another type. It is raised when the rows are written.
        """
        self.open(rank)
        for name, rows in tables.items():
            self._parts[name].add(rows, position)
            self.count(**{name: len(rows)})
        self.count(documents=1)

    def count(self, **events: int) -> None:
        """Add to the numbers that people see of this rank; told to them every half second at most."""
        assert self.progress is not None
        self.progress.count(events)

    def open(self, rank: int) -> None:
        """Give every table a part, rows or not, so that an absent part is a rank that never ran."""
        if self._parts:
            return
        self.progress = RankProgress(self.folder, rank)
        for table in self.tables:
            path = parts_path(self.folder, table.name) / f"{rank:05d}.parquet"
            schema = pa.schema([*table.schema, POSITION])
            writer = self._files.enter_context(pq.ParquetWriter(self._files.enter_context(replacing(path)), schema,
                                                                compression="zstd"))
            self._parts[table.name] = self._files.enter_context(Part(table, writer))


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
