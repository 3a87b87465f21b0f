"""What ranks hand back: rows of tables in JSON lines, one file for each table and rank, and how far they have come.

A rank that starts over writes its files anew; the journal keeps what was paid for. When all ranks are done the stage
turns the lines into a Parquet table with an explicit schema (stages/base.py).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import orjson
from datatrove.data import Document

from stepforge.builders.parquet import refuse_unknown
from stepforge.builders.tables import TABLES
from stepforge.pipelines.progress import RankProgress


class TableOutput:
    """Writes rows to FOLDER/out/TABLE/RANK.jsonl and counts to FOLDER/progress/RANK.json.

    It has the part of datatrove's writers that its inference runner uses: a context manager with `write`.
    """

    def __init__(self, folder: Path, tables: Iterable[str]) -> None:
        self.folder = folder
        self.tables = tuple(tables)
        self.progress: RankProgress | None = None
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> "TableOutput":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        if self.progress is not None:
            self.progress.tell()

    def write(self, document: Document, rank: int, **_: object) -> None:
        """Write what the rollout function of a document returned: table name to rows."""
        self.write_tables(document.metadata["rollout_results"][0], rank, document.metadata["position"])

    def write_tables(self, tables: dict[str, list[dict[str, Any]]], rank: int, position: int) -> None:
        """Write the rows of one document with its `position`, by which the finished table is ordered.

        Raises:
            OSError: the disk is full or gone.
            ValueError: a row has a column that its table does not know: misspelt, it would be null without a word.
        """
        self.open(rank)
        for name, rows in tables.items():
            if name in TABLES:
                refuse_unknown(rows, TABLES[name].schema, name)
            lines = (orjson.dumps(row | {"position": position}, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
            self._files[name].writelines(lines)
            self.count(**{name: len(rows)})
        self.count(documents=1)

    def count(self, **events: int) -> None:
        """Add to the numbers that people see of this rank; told to them every half second at most."""
        assert self.progress is not None
        self.progress.count(events)

    def open(self, rank: int) -> None:
        """Give every table a file, rows or not, so that an absent file is a rank that never ran."""
        if self._files:
            return
        self.progress = RankProgress(self.folder, rank)
        for name in self.tables:
            path = self.folder / "out" / name / f"{rank:05d}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[name] = path.open("wb")
