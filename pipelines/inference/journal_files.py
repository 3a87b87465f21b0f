"""The files of a journal: JSON lines while a rank writes, and one Parquet file for a bucket that is closed.

In: `RANKofRANKS-NUMBER.jsonl`. Out: `BUCKETofBUCKETS.parquet`, sorted by problem and key in small row groups: its keys
are read without its answers, and the answers of one problem lie together. It is whole before the lines that it
replaces are removed, so a process that is killed here leaves some answers twice and loses none. The same holds where
another number of buckets has them written again, in one pass.
"""

import os
import re
import shutil
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stepforge.builders.errors import StageFailed
from stepforge.builders.files import replacing

NAME = re.compile(r"(\d+)of(\d+)(?:-\d+\.jsonl|\.parquet)")
SCHEMA = pa.schema([("shard", pa.string()), ("key", pa.string()), ("record", pa.binary())])
GROUP_ROWS = 256
CACHED_GROUPS = 64
BUFFERED = 64_000_000  # bytes of lines that wait for their bucket's file


def shard_of(problem_id: str, ranks: int) -> int:
    """The rank or bucket of a problem: its first 32 bits modulo their number."""
    return int(problem_id[:8], 16) % ranks


class Entry(NamedTuple):
    """Where an answer lies in a file (a row group and a row, or an offset and a length), and what it answers."""

    key: str
    shard: str
    first: int
    second: int


class Compacted:
    """A Parquet file of answers; memory holds the latest row groups."""

    torn = 0

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()

    def entries(self) -> Iterator[Entry]:
        for group in range(self._file.num_row_groups):
            keys = self._file.read_row_group(group, ["shard", "key"])
            for row, (shard, key) in enumerate(zip(keys["shard"].to_pylist(), keys["key"].to_pylist(), strict=True)):
                yield Entry(key, shard, group, row)

    def read(self, group: int, row: int) -> dict[str, Any]:
        records = self._groups.pop(group, None)
        if records is None:
            records = self._file.read_row_group(group, ["record"])["record"]
        self._groups[group] = records
        if len(self._groups) > CACHED_GROUPS:
            self._groups.popitem(last=False)
        record: dict[str, Any] = orjson.loads(records[row].as_py())
        return record

    def close(self) -> None:
        self._file.close()


class Lines:
    """A file of JSON lines, one an answer; a process that is killed leaves at most one torn line at its end."""

    def __init__(self, path: Path, flags: int = os.O_RDONLY) -> None:
        self.path = path
        self.torn = 0
        self.descriptor = os.open(path, flags, 0o644)

    def entries(self) -> Iterator[Entry]:
        offset = 0
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    entry = orjson.loads(line)
                    record, shard = entry["record"], entry["shard"]
                    if isinstance(record, dict) and shard_of(shard, 1) == 0:
                        yield Entry(entry["key"], shard, offset, len(line))
                except (ValueError, KeyError, TypeError):  # a torn or foreign line
                    self.torn += 1
                offset += len(line)

    def read(self, offset: int, length: int) -> dict[str, Any]:
        line: dict[str, dict[str, Any]] = orjson.loads(os.pread(self.descriptor, length, offset))
        return line["record"]

    def close(self) -> None:
        os.close(self.descriptor)


def open_answers(path: Path) -> Lines | Compacted:
    """Raises StageFailed where a closed file cannot be read."""
    try:
        return Compacted(path) if path.suffix == ".parquet" else Lines(path)
    except pa.ArrowInvalid as error:
        raise StageFailed(f"{path} is damaged ({error}). Restore it from a copy; without it its answers are asked for "
                          "again, which may cost money") from error


def compact(folder: Path, bucket: int, buckets: int) -> None:
    """Put the answers of a bucket into one file; nothing to do where they are in one."""
    target = folder / f"{bucket:05d}of{buckets:05d}.parquet"
    lines = sorted(folder.glob(f"{bucket:05d}of{buckets:05d}-*.jsonl"))
    if not lines:
        return
    sizes = {path: path.stat().st_size for path in lines}
    files = [open_answers(path) for path in (*filter(Path.exists, [target]), *lines)]
    latest = {entry.key: (entry, file) for file in files for entry in file.entries()}
    ordered = sorted(latest.values(), key=lambda pair: (pair[0].shard, pair[0].key))
    with replacing(target) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for start in range(0, len(ordered), GROUP_ROWS):
            group = ordered[start:start + GROUP_ROWS]
            writer.write_table(pa.table({
                "shard": [entry.shard for entry, _ in group], "key": [entry.key for entry, _ in group],
                "record": [orjson.dumps(file.read(entry.first, entry.second)) for entry, file in group]}, SCHEMA))
    for file in files:
        file.close()
    for path, size in sizes.items():
        if path.stat().st_size == size:  # else somebody still writes to it
            path.unlink()


def files_of(folder: Path) -> list[Path]:
    """The files of a journal, closed ones first."""
    return sorted(folder.glob("[!.]*.parquet")) + sorted(folder.glob("[!.]*.jsonl"))


def regroup(folder: Path, buckets: int) -> int:
    """Write the answers of other numbers of ranks or buckets again by bucket; returns how many files had them."""
    strangers = [path for path in files_of(folder)
                 if (writer := NAME.fullmatch(path.name)) is None or int(writer[2]) != buckets]
    if not strangers:
        return 0
    scratch = folder / ".regrouped"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    waiting: defaultdict[int, list[bytes]] = defaultdict(list)
    size = 0

    def write() -> None:
        for bucket, lines in waiting.items():
            with (scratch / f"{bucket:05d}.jsonl").open("ab") as file:
                file.writelines(lines)
        waiting.clear()

    for path in strangers:
        with closing(open_answers(path)) as file:
            for entry in file.entries():
                line = orjson.dumps({"key": entry.key, "shard": entry.shard,
                                     "record": file.read(entry.first, entry.second)}) + b"\n"
                waiting[shard_of(entry.shard, buckets)].append(line)
                size += len(line)
                if size > BUFFERED:
                    write()
                    size = 0
    write()
    for path in sorted(scratch.glob("*.jsonl")):
        number = next(n for n in count() if not (folder / f"{path.stem}of{buckets:05d}-{n:06d}.jsonl").exists())
        path.rename(folder / f"{path.stem}of{buckets:05d}-{number:06d}.jsonl")
    for path in strangers:
        path.unlink()
    scratch.rmdir()
    return len(strangers)
