"""The journal of paid completions: what an engine once answered is never asked or paid for again.

In: a folder that processes append to, one file each, one JSON line for every answered request. Out: an index from the
request's key to its line. A line is written in one call as soon as its answer arrives; a process that is killed leaves
at most one torn line at the end of its own file, which the next reader skips and counts. No file is ever appended to
by a second process, and nothing in it depends on how many processes there are, so a run can be resumed with other
settings of the executor. The name of a file says which rank of how many wrote it, so that a rank opens those files
alone that can hold problems of its own: with the same number of ranks its own ones.
"""

import math
import os
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow.parquet as pq

from stepforge.pipelines.inference.journal_files import (
    NAME,
    Compacted,
    Lines,
    compact,
    files_of,
    open_answers,
)
from stepforge.pipelines.inference.journal_files import shard_of as shard_of

WAITING = ".waiting"  # how the names of files with unanswered requests end


class _Place(NamedTuple):
    file: int
    first: int
    second: int


class Journal:
    """Answers by key. Memory holds about 200 bytes a key; the answers stay on disk until they are asked for."""

    def __init__(self, folder: Path, rank: int = 0, ranks: int = 1) -> None:
        """Index the answers in `folder` whose shard belongs to `rank` of `ranks`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.rank, self.ranks = rank, ranks
        self.torn = 0
        self._places: dict[str, _Place] = {}
        self._readers: list[Lines | Compacted] = []
        self._writer: int | None = None
        self._written = 0
        self._waits = False
        for path in files_of(folder):
            if _may_hold(path.name, rank, ranks):
                self._index(open_answers(path))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def get(self, key: str) -> dict | None:
        """The record under `key`, or null where none was written."""
        place = self._places.get(key)
        return None if place is None else self._readers[place.file].read(place.first, place.second)

    def append(self, key: str, shard: str, record: dict) -> None:
        """Write `record` before returning.

        Raises:
            OSError: the disk is full or gone; the caller must not go on.
        """
        if self._writer is None:
            self._writer = self._create()
        line = orjson.dumps({"key": key, "shard": shard, "record": record}) + b"\n"
        if os.write(self._writer, line) != len(line):
            raise OSError(f"the journal in {self.folder} took only part of a line; is the disk full?")
        self._places[key] = _Place(len(self._readers) - 1, self._written, len(line))
        self._written += len(line)

    def wait(self, key: str, shard: str, request: dict) -> None:
        """Write down a request that somebody else will have answered (batch.py); the next run writes them anew."""
        mode = "ab" if self._waits else "wb"
        self._waits = True
        with (self.folder / f"{self.rank:05d}{WAITING}").open(mode) as file:
            file.write(orjson.dumps({"key": key, "shard": shard, **request}) + b"\n")

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._readers, self._writer = [], None

    def _create(self) -> int:
        """A new file of this process alone, open for reading and writing."""
        for number in range(1_000_000):
            path = self.folder / f"{self.rank:05d}of{self.ranks:05d}-{number:06d}.jsonl"
            try:
                lines = Lines(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
            except FileExistsError:
                continue
            self._readers.append(lines)
            return lines.descriptor
        raise OSError(f"{self.folder} holds a million journals of rank {self.rank}")

    def _index(self, reader: Lines | Compacted) -> None:
        number = len(self._readers)
        self._readers.append(reader)
        for key, shard, first, second in reader.entries():
            if shard_of(shard, self.ranks) == self.rank:
                self._places[key] = _Place(number, first, second)
        self.torn += reader.torn


class Journals:
    """The journals of a rank: one for all of its problems, or with `buckets` above 1 one for each of their buckets."""

    def __init__(self, folder: Path, rank: int, ranks: int, buckets: int = 1) -> None:
        self.folder, self.rank = folder, rank
        self.buckets = buckets if buckets > 1 else ranks
        self.by_bucket = buckets > 1
        self._open: dict[int, Journal] = {}

    def of(self, problem_id: str) -> Journal:
        """The journal of a problem, opened with the first of its bucket."""
        bucket = shard_of(problem_id, self.buckets) if self.by_bucket else self.rank
        if bucket not in self._open:
            self._open[bucket] = Journal(self.folder, bucket, self.buckets)
        return self._open[bucket]

    def finish(self, bucket: int) -> None:
        """Close the journal of a bucket that is done, and let one file hold its answers."""
        if bucket in self._open:
            self._open.pop(bucket).close()
        compact(self.folder, bucket, self.buckets)

    def close(self) -> None:
        """Close those that are open."""
        while self._open:
            self._open.popitem()[1].close()


def _may_hold(name: str, rank: int, ranks: int) -> bool:
    """Whether a file of this name can hold lines of `rank`: a problem that is its writer's and ours, too."""
    writer = NAME.fullmatch(name)
    if writer is None:
        return True
    common = math.gcd(int(writer[2]), ranks)
    return int(writer[1]) % common == rank % common


def journal_lines(folder: Path) -> int:
    """Answers in all journals below `folder`, torn lines included."""
    count = 0
    for path in folder.rglob("*.jsonl"):
        with path.open("rb") as file:
            count += sum(1 for _ in file)
    return count + sum(pq.read_metadata(path).num_rows for path in folder.rglob("[!.]*.parquet"))
