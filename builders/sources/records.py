"""Records out of users' files: JSONL, CSV and Parquet, one dict at a time.

In: paths or globs. Out: a `Record` for every row, or a `Drop` that says where the row was and what is wrong with it. A
row that cannot be parsed never stops the others and is never lost silently.
"""

import csv
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow as pa

from stepforge.builders.errors import SourceError
from stepforge.builders.parquet import read_rows
from stepforge.builders.sources.remote import fetch, is_remote

FORMATS = (".jsonl", ".csv", ".parquet")
LONGEST_CELL = 16 * 1024 * 1024  # the csv module's own limit of 128 KiB is too short for long solutions


class Record(NamedTuple):
    """One row: where it stands (`file.jsonl:12`) and its values."""

    where: str
    values: dict


class Drop(NamedTuple):
    """A row that is left out: where it stands, one of a few reasons, and the details in words."""

    where: str
    reason: str
    detail: str


def read_records(paths: Iterable[str]) -> Iterator[Record | Drop]:
    """All rows of all files, in the order of the paths and, within a glob, of the names.

    Raises:
        SourceError: no file matches, or a file is of another format or cannot be opened.
    """
    for path in expand(paths):
        try:
            yield from _READERS[path.suffix](path)
        except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"cannot read {path}: {error}") from error


def expand(paths: Iterable[str]) -> list[Path]:
    """Files behind paths, globs and URLs (remote.py), each known to exist and to be of a format that is read here."""
    found = []
    for pattern in paths:
        matches = fetch(pattern) if is_remote(pattern) else sorted(glob(pattern, recursive=True))
        if not matches:
            raise SourceError(f"no file matches {pattern!r}")
        found += [Path(match) for match in matches]
    for path in found:
        if path.suffix not in FORMATS:
            raise SourceError(f"{path}: the format {path.suffix!r} is not read; allowed: {', '.join(FORMATS)}")
    return found


def require_columns(record: Record, columns: Iterable[str]) -> None:
    """Refuse a source whose rows lack a column that its mapping names."""
    if missing := [column for column in columns if column not in record.values]:
        raise SourceError(
            f"{record.where}: no column {missing}; the row has {sorted(record.values)}. Map the columns in the recipe."
        )


def _read_jsonl(path: Path) -> Iterator[Record | Drop]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path.name}:{number}"
            try:
                values = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield Drop(where, "malformed", f"not JSON: {error}")
                continue
            if isinstance(values, dict):
                yield Record(where, values)
            else:
                yield Drop(where, "malformed", f"a {type(values).__name__} where an object is expected")


def _read_csv(path: Path) -> Iterator[Record | Drop]:
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        for values in reader:
            where = f"{path.name}:{reader.line_num}"
            if None in values or None in values.values():
                yield Drop(where, "malformed", "the row has more or fewer cells than the header")
            else:
                yield Record(where, values)


def _read_parquet(path: Path) -> Iterator[Record | Drop]:
    for number, values in enumerate(read_rows(path)):
        yield Record(f"{path.name}:{number}", values)


_READERS = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}
