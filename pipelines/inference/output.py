"""What ranks hand back: rows of tables in JSON lines, one file for each table and rank, and how far they have come.

A rank that starts over writes its files anew; the journal keeps what was paid for. When all ranks are done the stage
turns the lines into a Parquet table with an explicit schema (stages/context.py).
"""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import orjson
from datatrove.data import Document

from stepforge.builders.parquet import replacing

PROGRESS_SECONDS = 0.5


class TableOutput:
    """Writes rows to FOLDER/out/TABLE/RANK.jsonl and counts to FOLDER/progress/RANK.json.

    It has the part of datatrove's writers that its inference runner uses: a context manager with `write`.
    """

    def __init__(self, folder: Path, tables: Iterable[str]) -> None:
        self.folder = folder
        self.tables = tuple(tables)
        self.counts: Counter[str] = Counter()
        self._files: dict[str, IO[bytes]] = {}
        self._rank: int | None = None
        self._told = 0.0

    def __enter__(self) -> "TableOutput":
        return self

    def __exit__(self, *_: object) -> None:
        if self._rank is not None:
            self._tell(self._rank)
        for file in self._files.values():
            file.close()
        self._files.clear()

    def write(self, document: Document, rank: int, **_: object) -> None:
        """Write what the rollout function of a document returned: table name to rows."""
        self.write_tables(document.metadata["rollout_results"][0], rank, document.metadata["position"])

    def write_tables(self, tables: dict[str, list[dict[str, Any]]], rank: int, position: int) -> None:
        """Write the rows of one document with its `position`, by which the finished table is ordered.

        Raises:
            OSError: the disk is full or gone.
        """
        self.open(rank)
        for name, rows in tables.items():
            lines = (orjson.dumps(row | {"position": position}, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
            self._files[name].writelines(lines)
            self.counts[name] += len(rows)
        self.counts["documents"] += 1
        if time.monotonic() - self._told > PROGRESS_SECONDS:
            self._tell(rank)

    def open(self, rank: int) -> None:
        """Give every table a file, rows or not, so that an absent file is a rank that never ran."""
        if self._files:
            return
        self._rank = rank
        for name in self.tables:
            path = self.folder / "out" / name / f"{rank:05d}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[name] = path.open("wb")

    def _tell(self, rank: int) -> None:
        self._told = time.monotonic()
        with replacing(self.folder / "progress" / f"{rank:05d}.json") as temporary:
            temporary.write_bytes(orjson.dumps(self.counts))


def read_progress(folder: Path) -> Counter[str]:
    """Sum of what all ranks have told so far."""
    total: Counter[str] = Counter()
    for path in (folder / "progress").glob("*.json"):
        try:
            total.update(orjson.loads(path.read_bytes()))
        except (OSError, orjson.JSONDecodeError):
            continue  # replaced while it was read; the next look sees it
    return total
