"""Streaming reads and atomic writes of Parquet tables.

Rows go in as dicts and are written in batches under an explicit schema, to a temporary file that takes its name only
when it is whole: a reader never sees half a table. A table is one file, or a folder of parts that each hold one bucket
of problem ids (`part-00007-of-00064-000.parquet`; the last number tells parts of a bucket apart). Content-defined
chunking and the page index are on, so that the next version of a published file shares most of its chunks with this
one.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.builders.files import replacing

CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
BATCH_ROWS = 2000
Row = TypeVar("Row")
Finish = Callable[[pa.Table], pa.Table]  # completes a block of rows on their way into a file
_PART = re.compile(r"part-(\d{5})-of-(\d{5})-\d{3}\.parquet")


def part_name(bucket: int, buckets: int, number: int = 0) -> str:
    return f"part-{bucket:05d}-of-{buckets:05d}-{number:03d}.parquet"


def parts_of(table: Path, bucket: int | None = None) -> list[Path]:
    """The files of a table in the order of its rows: all, or those of one bucket where it lies in parts."""
    if not table.is_dir():
        return [table]
    return sorted(table.glob("part-*.parquet" if bucket is None else f"part-{bucket:05d}-of-*.parquet"))


def buckets_of(table: Path) -> int:
    """In how many buckets of problem ids a table lies; 1 for a file."""
    names = [_PART.fullmatch(path.name) for path in parts_of(table)] if table.is_dir() else []
    return max((int(name[2]) for name in names if name), default=1)


def write_rows(path: Path, rows: Iterable[dict], schema: pa.Schema, row_group: int = BATCH_ROWS) -> int:
    """Write `rows` to `path` and return their number.

    Raises:
        ValueError: a row does not fit the schema; the message names the file and the row's keys, never its text.
    """
    count = 0
    with table_writer(path, schema, row_group) as write:
        for batch in batched(rows, row_group):
            write(batch)
            count += len(batch)
    return count


@contextmanager
def table_writer(path: Path, schema: pa.Schema, row_group: int = BATCH_ROWS) -> Iterator[Callable[[list[dict]], None]]:
    """A function that appends a list of rows to a table, which is there once the block ends well.

    Errors as of `write_rows`.
    """
    with replacing(path) as temporary, open_writer(temporary, schema) as writer:
        def write(rows: list[dict]) -> None:
            refuse_unknown(rows, schema, path.name)
            try:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema), row_group_size=row_group)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise ValueError(f"rows for {path.name} do not fit its schema: {error}") from error

        yield write


def refuse_unknown(rows: Iterable[dict], schema: pa.Schema, table: str) -> None:
    """Raises ValueError where a row has a column that the schema does not know; pyarrow and DuckDB pass over it."""
    known = frozenset(schema.names)
    for row in rows:
        if not known.issuperset(row):
            raise ValueError(f"rows for {table} have columns that its schema does not know: "
                             f"{', '.join(sorted(row.keys() - known))}")


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path, schema, compression="zstd", use_content_defined_chunking=CHUNKING, write_page_index=True
    )


def read_rows(table: Path, columns: list[str] | None = None, batch_rows: int = BATCH_ROWS) -> Iterator[dict]:
    """Rows of a table as dicts, a batch in memory at a time."""
    for batch in read_batches(table, columns, batch_rows):
        yield from batch.to_pylist()


def read_batches(table: Path, columns: list[str] | None = None, batch_rows: int = BATCH_ROWS
                 ) -> Iterator[pa.RecordBatch]:
    """Rows of a table in their order, as batches; memory holds one."""
    for path in parts_of(table):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=batch_rows, columns=columns)


def is_whole(table: Path) -> bool:
    """Whether all files of a table are there with the footer that is written last, which half a file lacks."""
    try:
        for path in parts_of(table):
            pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        return False
    if not table.is_dir():
        return True
    counts = Counter(int(name[1]) for path in parts_of(table) if (name := _PART.fullmatch(path.name)))
    return len(counts) == buckets_of(table) and len(set(counts.values())) == 1


def damage(path: Path) -> str | None:
    """Why a Parquet file cannot be read to its end; null where it can."""
    try:
        for _ in read_rows(path):
            pass
    except (OSError, pa.ArrowException) as error:
        return str(error).strip()
    return None


def count_rows(table: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in parts_of(table))


def batched(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Lists of at most `size` rows; memory holds one list."""
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
