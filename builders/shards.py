"""Whether a Parquet file of a release is safe to read: what its footer says, before a row of it is decoded.

In: a file that anybody may have made, and what the manifest says of it. Out: what is wrong, or nothing. A file of
some kilobytes can hold a billion rows or a terabyte of text (runs of one value, one long text in a dictionary), so
both are counted first.
"""

import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepforge.builders.manifest import ReleaseError
from stepforge.builders.terminal import in_line

if TYPE_CHECKING:
    import duckdb  # slow to import

MOST_FOOTER, MOST_PARTS = 16 * 2**20, 20_000  # bytes; row groups, columns, levels of nesting
LIMITS = {"thrift_string_size_limit": MOST_FOOTER, "thrift_container_size_limit": MOST_PARTS}
FREE_ROWS, ROWS_PER_BYTE = 10_000, 8
FREE_BYTES, BYTES_PER_BYTE = 64 * 2**20, 250  # a few-shot prompt of 4 kB before every row packs to a hundredth
REPEATING = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BYTE_ARRAY"}  # encodings in which a text costs no bytes
CHUNKS = ("SELECT column_id, path_in_schema, type, num_values, total_uncompressed_size, encodings, "
          "least(data_page_offset, dictionary_page_offset) FROM parquet_metadata(?)")
FAULTS = (pa.ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError, OverflowError)


class Wrong(NamedTuple):
    """Something that is wrong with a file, and whether its rows can be read all the same."""

    what: str
    detail: str
    readable: bool = False


def wrong_with_shard(path: Path, rows: int, columns: Mapping[str, str]) -> list[Wrong]:
    """What is wrong with a Parquet file; empty where it is safe to read and as the manifest says.

    Args:
        rows: their number by the manifest.
        columns: Arrow types in words by column, by the manifest.
    """
    try:
        size = path.stat().st_size
        if (footer := _footer_bytes(path, size)) > MOST_FOOTER:
            return [Wrong("its footer is too large", f"{footer:,} bytes; allowed are {MOST_FOOTER:,}")]
        with pq.ParquetFile(path, **LIMITS) as file:
            types = {field.name: str(field.type) for field in file.schema_arrow}
            if len({name.lower() for name in file.schema_arrow.names}) < len(file.schema_arrow.names):
                return [Wrong("two of its columns have one name", in_line(", ".join(file.schema_arrow.names), 150))]
            there = file.metadata.num_rows
            if large := _expands(path, there, size):
                return [Wrong("it would expand to more than a release holds", large)]
    except FAULTS as error:
        return [Wrong("it is no Parquet file that can be read", in_line(error, 150))]
    wrong = []
    if types != columns:
        wrong.append(Wrong("columns differ from the manifest", in_line(", ".join(types), 150), True))
    if there != rows:
        wrong.append(Wrong("the number of rows differs from the manifest", f"{there:,} instead of {rows:,}", True))
    return wrong


def demand_shards(folder: Path, manifest: Mapping[str, Any], config: str, split: str | None = None) -> list[Path]:
    """The files of a config, or of one split of it, in their order, once they are safe to read.

    Raises:
        ReleaseError: a file is missing or is not what the manifest says.
    """
    paths = []
    for name, facts in sorted(manifest["files"].items()):
        if facts.get("config") != config or split not in (None, facts["split"]):
            continue
        path = folder / name
        if not path.is_file():
            raise ReleaseError(f"{path} is in the manifest but not in the folder; download the release again")
        if wrong := wrong_with_shard(path, facts["rows"], manifest["configs"][config]["columns"]):
            raise ReleaseError(f"{path}: {wrong[0].what} ({wrong[0].detail}); download the release again, or inspect "
                               "it with `stepforge check`")
        paths.append(path)
    return paths


def _footer_bytes(path: Path, size: int) -> int:
    """Length of the footer, which stands before the mark at the end of the file."""
    with path.open("rb") as file:
        file.seek(max(size - 8, 0))
        end = file.read(8)
    return struct.unpack("<I", end[:4])[0] if len(end) == 8 else 0


class Chunk(NamedTuple):
    """What a footer says of one column in one row group."""

    column: int
    path: str
    type: str
    values: int
    bytes: int
    encodings: str
    start: int

    @property
    def repeats(self) -> bool:
        """Whether a text in it may stand for many."""
        return self.type == "BYTE_ARRAY" and any(name in self.encodings for name in REPEATING)


def _chunks(path: Path) -> list[Chunk]:
    """DuckDB reads them: pyarrow aborts the process where a column's size statistics do not fit its schema."""
    import duckdb

    try:
        return [Chunk(*row) for row in _footer_reader().cursor().execute(CHUNKS, [str(path)]).fetchall()]
    except duckdb.Error as error:
        _footer_reader.cache_clear()  # an internal error makes a connection useless for every later file
        raise ValueError(str(error)) from error


@cache
def _footer_reader() -> "duckdb.DuckDBPyConnection":
    """One connection for all files: to open one takes 20 times as long as to read a footer."""
    import duckdb

    return duckdb.connect(config={"threads": 1})


def _expands(path: Path, rows: int, size: int) -> str | None:
    """What makes the file much larger in memory than it is; None where nothing does."""
    if rows > (most := FREE_ROWS + ROWS_PER_BYTE * size):
        return f"{rows:,} rows in {size:,} bytes; allowed are {most:,}"
    limit = FREE_BYTES + BYTES_PER_BYTE * size
    chunks = _chunks(path)
    if any(chunk.values < 0 or chunk.bytes < 0 or not 0 <= chunk.start < size for chunk in chunks):
        raise ValueError("a size or a place in its footer is out of bounds")
    declared = sum(max(chunk.bytes, 8 * chunk.values) for chunk in chunks)
    repeating = [[chunk for chunk in chunks if chunk.column == column]
                 for column in sorted({chunk.column for chunk in chunks if chunk.repeats})]
    texts = sorted(((sum(chunk.values * chunk.bytes for chunk in column), column) for column in repeating),
                   reverse=True)
    total = declared + sum(most for most, _ in texts)           # the most that it may be; counted where it is too much
    for most, column in texts if declared <= limit else ():
        if total <= limit:
            break
        total += _counted(path, column, most, limit) - most
    return f"{total:,} bytes in {size:,}; allowed are {limit:,}" if total > limit else None


def _counted(path: Path, chunks: list[Chunk], most: int, limit: int) -> int:
    """Bytes of text in a column that names texts by number, up to a limit; `most` for a nested or delta-coded one."""
    name = chunks[0].path
    if "," in name or any("DELTA_BYTE_ARRAY" in chunk.encodings for chunk in chunks):
        return most
    total = 0
    with pq.ParquetFile(path, read_dictionary=[name]) as file:
        if name not in file.schema_arrow.names:
            return most
        for batch in file.iter_batches(columns=[name], batch_size=65536):
            texts = batch.column(0)
            if not pa.types.is_dictionary(texts.type):
                return most
            total += pc.sum(pc.take(pc.binary_length(texts.dictionary), texts.indices)).as_py() or 0
            if total > limit:
                break
    return min(total, most)
