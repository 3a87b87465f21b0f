"""Records out of users' files, one dict at a time: JSON, CSV, Parquet and Arrow, packed or not.

In: paths, folders, globs or URLs. Out: a `Record` for every row, or a `Drop` that says where the row was and what is
wrong with it. A row that cannot be parsed never stops the others and is never lost silently. Numbers of JSON arrive as
the text that they were written with, so that no digit changes; NaN and infinities, which Python writes, are null.
"""

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import polars as pl
import pyarrow as pa

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.formats import format_of
from stepforge.builders.sources.places import expand
from stepforge.builders.sources.whole_files import BY_COLUMNS, is_by_columns, lists_of_rows

LONGEST_CELL = 16 * 1024 * 1024  # the csv module's own limit of 128 KiB is too short for long solutions
LONGEST_ROW = 256 * 1024 * 1024  # characters of one element of a JSON array
BLOCK = 1 << 20                  # bytes of text that are read at a time
BATCH_ROWS = 500
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, pl.exceptions.PolarsError, csv.Error,
          ValueError)
MARK = b"\xef\xbb\xbf"           # the byte-order mark that some programs begin UTF-8 with
NOT_UTF8 = ("is not UTF-8; save the file as UTF-8, as `iconv -f CP1252 -t UTF-8 OLD > NEW` does, with the file's "
            "encoding, such as GB18030, in place of CP1252")
SPACE = re.compile(r"\s*")
__all__ = ["BATCH_ROWS", "LONGEST_CELL", "NOT_UTF8", "Drop", "Record", "expand", "load_json", "read_records",
           "require_columns"]


class Record(NamedTuple):
    """One row: where it stands (`file.jsonl:12`: a line from 1; in Parquet and Arrow a row from 0) and its values."""

    where: str
    values: dict


class Drop(NamedTuple):
    """A row that is left out: where it stands, one of a few reasons, and the details in words."""

    where: str
    reason: str
    detail: str


def read_records(paths: Iterable[str], columns: Collection[str] | None = None) -> Iterator[Record | Drop]:
    """All rows of all files, in the order of the paths and, within a glob or a folder, of the names.

    `columns`: those that are needed, where reading the others can be saved; absent ones are no error.

    Raises:
        SourceError: no file matches, or a file is of another format or cannot be read to its end.
    """
    for path in expand(paths):
        kind = format_of(path)
        try:
            if kind in _READERS:
                yield from _READERS[kind](path)
            else:
                yield from _rows(path, _FRAMES[kind](path, columns))
        except UnicodeError:
            raise SourceError(f"cannot read {path}: it {NOT_UTF8}") from None
        except BROKEN as error:
            raise SourceError(f"cannot read {path}: {str(error) or type(error).__name__}") from error


def require_columns(record: Record, columns: Iterable[str]) -> None:
    """Refuse a source whose rows lack a column that its mapping names."""
    if missing := [column for column in columns if column not in record.values]:
        raise SourceError(
            f"{record.where}: no column {missing}; the row has {sorted(record.values)}. Map the columns in the recipe."
        )


class TwiceError(ValueError):
    """An object has a key twice, with two values, and nobody knows which of them is meant."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs) and (twice := [key for key, value in pairs if values[key] != value]):
        raise TwiceError(f"an object has the key {twice[0][:80]!r} twice, with two values")
    return values


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=lambda _: None)


def load_json(text: str) -> Any:
    """A JSON value whose numbers are text.

    Raises:
        ValueError: it is no JSON, or an object has a key twice, with two values.
        RecursionError: it is nested too deep.
    """
    return _STRICT.decode(text)


def _open(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked."""
    openers: dict[str, Callable[[Path], Any]] = {
        ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open,
        ".zst": lambda packed: pa.CompressedInputStream(pa.OSFile(str(packed)), "zstd")}
    file: IO[bytes] = openers.get(path.suffix.lower(), lambda plain: plain.open("rb"))(path)
    return file


def _blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a text file behind its byte-order mark. Raises ValueError for UTF-16."""
    with _open(path) as file:
        block = file.read(BLOCK)
        if block[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError("it is UTF-16; save it as UTF-8")
        block = block.removeprefix(MARK)
        while block:
            yield block
            block = file.read(BLOCK)


def _read_lines(path: Path) -> Iterator[Record | Drop]:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            where = f"{path.name}:{number}"
            try:
                yield _record(where, load_json(line.decode()))
            except TwiceError as twice:
                yield _record(where, twice)
            except UnicodeDecodeError:
                yield Drop(where, "malformed", f"the line {NOT_UTF8}")
            except (ValueError, RecursionError) as error:
                yield Drop(where, "malformed", f"not JSON: {str(error)[:200]}")


def _lines(path: Path) -> Iterator[bytes]:
    pieces: list[bytes] = []  # of the line that is not at its end
    for block in _blocks(path):
        head, *lines = block.split(b"\n")
        pieces.append(head)
        if lines:
            yield b"".join(pieces)
            yield from lines[:-1]
            pieces = [lines[-1]]
    yield b"".join(pieces)


def _record(where: str, values: Any) -> Record | Drop:
    if is_by_columns(values):
        return Drop(where, "malformed", f"the object is {BY_COLUMNS}")
    if isinstance(values, dict):
        return Record(where, values)
    if isinstance(values, TwiceError):
        return Drop(where, "malformed", str(values))
    return Drop(where, "malformed", f"a {type(values).__name__} where an object is expected")


def _read_json(path: Path) -> Iterator[Record | Drop]:
    """The objects of one array, none of it held longer than needed; or a file of lines that is called .json."""
    start = b"".join(block for block, _ in zip(_blocks(path), range(1), strict=False)).lstrip()
    if start.startswith(b"["):
        yield from _read_array(path)
        return
    first = start.split(b"\n", 1)[0]
    try:
        load_json(first.decode() or "{}")
    except ValueError:
        if first.strip() == b"{":
            yield _whole_file(path)
            return
    yield from _read_lines(path)


def _whole_file(path: Path) -> Record | Drop:
    """The object that a file holds, as MATH keeps a problem. Raises ValueError where it holds a list of rows."""
    text = b"".join(itertools.islice(_blocks(path), LONGEST_ROW // BLOCK)).decode()
    values, end = _element(text, text.index("{"))
    if text[end:].strip():
        raise ValueError("it holds objects over several lines; write one object per line, as `jq -c .` does")
    if held := lists_of_rows(values):
        raise ValueError("it holds one object; allowed are an array of objects, or one object per line: "
                         f"`jq -c '.{held[0]}[]'` writes those of a list in it")
    return _record(f"{path.name}:1", values)


def _element(text: str, begin: int) -> tuple[Any, int]:
    """The JSON value that begins there, or why it cannot be used, and where it ends. Raises ValueError."""
    try:
        return _STRICT.raw_decode(text, begin)
    except TwiceError as twice:
        return twice, json.JSONDecoder().raw_decode(text, begin)[1]


def _read_array(path: Path) -> Iterator[Record | Drop]:
    blocks = io.TextIOWrapper(_Stream(_blocks(path)), encoding="utf-8")  # type: ignore[type-var]
    text, at, number = blocks.read(BLOCK), 0, 0
    at = text.index("[") + 1
    while True:
        at = SPACE.match(text, at).end()  # type: ignore[union-attr]
        comma = bool(number) and text[at:at + 1] == ","
        begin = SPACE.match(text, at + comma).end()  # type: ignore[union-attr]
        try:
            if text[at:at + 1] == "]":
                return
            if number and not comma:
                raise ValueError("no comma")
            value, end = _element(text, begin)
        except (ValueError, RecursionError) as error:  # most often the element goes on in the next block
            block = blocks.read(BLOCK)
            if not block or len(text) - at > LONGEST_ROW:
                raise ValueError(f"the array ends early or is not JSON after element {number}: {error}") from None
            text, at = text[at:] + block, 0
            continue
        number += 1
        yield _record(f"{path.name}:{number}", value)
        at = end


class _Stream(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._blocks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


_SEPARATED = re.compile(r"sep=(.)\r?\n").fullmatch
_QUOTED = re.compile('"[^"]*"')


def _read_table(path: Path, delimiters: str) -> Iterator[Record | Drop]:
    """Rows of CSV or TSV, cells separated by the first of `delimiters` in its header.

    Bytes that are no UTF-8 become half characters, which a mapping drops row by row. Raises UnicodeEncodeError for
    those of a header.
    """
    csv.field_size_limit(LONGEST_CELL)
    raw: Any = io.BufferedReader(_Stream(_blocks(path)), BLOCK)
    with io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        header = lines.readline()
        stated = _SEPARATED(header)                            # Excel's own mark
        if stated:
            header, delimiters = lines.readline(), stated[1]
        header.encode()
        delimiter = next((sign for sign in delimiters if sign in _QUOTED.sub("", header)), delimiters[0])
        reader = csv.DictReader(itertools.chain([header], lines), delimiter=delimiter, strict=True)
        names = reader.fieldnames or []
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"its header contains the columns {twice} twice")
        for values in _whole(reader):
            where = f"{path.name}:{reader.line_num + bool(stated)}"
            if None in values or None in values.values():
                yield Drop(where, "malformed", "the row has more or fewer cells than the header")
            else:
                yield Record(where, values)


def _whole(reader: "csv.DictReader[str]") -> Iterator[dict]:
    """The rows of a table. Raises ValueError for a quote without its partner: behind it rows would hide in a cell."""
    line = reader.line_num
    try:
        for values in reader:
            yield values
            line = reader.line_num
    except csv.Error as error:
        raise ValueError(f"the row that begins in line {line + 1} has a quoted cell that does not end ({error}); in a "
                         'quoted cell, a quote is written twice: ""') from None


def _parquet_frames(path: Path, columns: Collection[str] | None) -> Iterator[pl.DataFrame]:
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    kept = _kept(scan.collect_schema().names(), columns)
    yield from map(_short, scan.select(kept).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True))


def _arrow_frames(path: Path, columns: Collection[str] | None) -> Iterator[pl.DataFrame]:
    """Batches of an Arrow file, or of a stream, which `datasets` writes under the same name."""
    with pa.memory_map(str(path)) as file:
        try:
            reader = pa.ipc.open_file(file)
            batches: Iterable[pa.RecordBatch] = map(reader.get_batch, range(reader.num_record_batches))
        except pa.ArrowInvalid:
            file.seek(0)
            batches = pa.ipc.open_stream(file)
        for batch in batches:
            yield _short(pl.DataFrame(batch.select(_kept(batch.schema.names, columns))))


def _short(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with floats of half precision or less as the shortest numbers that they stand for: 0.1, not
    0.10000000149011612."""
    for name, kind in frame.schema.items():
        if (texts := _exchanged(kind, pl.String())) != kind:
            frame = frame.with_columns(pl.col(name).cast(texts).cast(_exchanged(kind, pl.Float64())))
    return frame


def _exchanged(kind: Any, other: Any) -> Any:
    """The type with `other` in place of every short float."""
    if isinstance(kind, pl.List):
        return pl.List(_exchanged(kind.inner, other))
    if isinstance(kind, pl.Array):
        return pl.Array(_exchanged(kind.inner, other), kind.size)
    if isinstance(kind, pl.Struct):
        return pl.Struct([pl.Field(field.name, _exchanged(field.dtype, other)) for field in kind.fields])
    return other if isinstance(kind, pl.Float32 | pl.Float16) else kind


def _kept(names: list[str], columns: Collection[str] | None) -> list[str]:
    """The columns to read; all where none is known, so that an error can name them."""
    return [name for name in names if columns is None or name in columns] or names


def _rows(path: Path, frames: Iterable[pl.DataFrame]) -> Iterator[Record]:
    rows = (values for frame in frames for values in frame.iter_rows(named=True))
    for number, values in enumerate(rows):
        yield Record(f"{path.name}:{number}", values)


_READERS: dict[str, Callable[[Path], Iterator[Record | Drop]]] = {
    ".jsonl": _read_lines, ".ndjson": _read_lines, ".json": _read_json,
    ".csv": lambda path: _read_table(path, ",;\t|"), ".tsv": lambda path: _read_table(path, "\t"),
}
_FRAMES: dict[str, Callable[[Path, Collection[str] | None], Iterator[pl.DataFrame]]] = {
    ".parquet": _parquet_frames, ".arrow": _arrow_frames}
