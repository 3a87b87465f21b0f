"""Push what a run has finished to a branch, from time to time and at its end, while the stages work.

In: the run's folder and which stage is running. Out: the branch (cards/checkpoint.py), and RUN/checkpoint.json, which
says what was last pushed or why not. What is pushed are tables of stages that are done, and of a run in buckets the
buckets that the running stage has finished: files that are whole, and that nobody changes. A Hub that is out of reach
stops nothing; the next push tries again.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from stepforge.builders.files import replacing
from stepforge.builders.parquet import is_whole, parts_of
from stepforge.pipelines.options.release import ReleaseOptions
from stepforge.pipelines.run_folder import checkpoint_path, table_path, work_path

Tell = Callable[[Path, str, int], AbstractContextManager[None]]
PUSHED = ("problems", "solutions", "verdicts", "steps", "rollouts")  # tables whose rows a release may hold


class Checkpoints:
    """Pushes in a thread of its own; the run tells it of stages that begin and end."""

    def __init__(self, folder: Path, name: str, release: ReleaseOptions) -> None:
        self.folder, self.name, self.release = folder, name, release
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._tables: list[str] = []
        self._running: dict[str, Path] = {}
        self._checksums: dict[tuple[int, ...], str] = {}

    def begin(self, tables: Sequence[str], work: Path, buckets: int) -> None:
        """A stage begins to make these tables. With one bucket, its ranks leave nothing that can be read before all
        of them end; with more, its finished buckets will lie in its working folder."""
        with self._lock:
            self._running = dict.fromkeys(tables if buckets > 1 else (), work)

    def done(self, tables: Sequence[str]) -> None:
        """These tables are finished."""
        with self._lock:
            self._running = {}
            self._tables += [table for table in tables if table in PUSHED]

    @contextmanager
    def pushing(self, tell: Tell) -> Iterator[None]:
        """Push from time to time inside the block, and once where it ends or fails, but not where it is interrupted.

        `tell` shows a warning where the target takes no push as the block begins, and where the last push failed.
        """
        if self.release.checkpoint is None:
            yield
            return
        self._look(tell)
        thread = threading.Thread(target=self._repeat, daemon=True)
        thread.start()
        try:
            yield
        except Exception:
            self._finish(thread, tell)
            raise
        finally:
            self._ended.set()
        self._finish(thread, tell)

    def _look(self, tell: Tell) -> None:
        """Say at once what a push would fail with, so that nobody waits hours for one that never comes."""
        from stepforge.cards.checkpoint import demand_place
        from stepforge.cards.targets import open_target

        assert self.release.checkpoint is not None
        try:
            demand_place(open_target(self.release.checkpoint), self.release.private)
        except Exception as error:
            self._warn(tell, str(error))

    def _warn(self, tell: Tell, warning: str) -> None:
        with tell(self.folder, f"checkpoint: {warning}", 0):
            pass

    def _finish(self, thread: threading.Thread, tell: Tell) -> None:
        self._ended.set()
        thread.join()
        if warning := self.push().get("warning"):
            self._warn(tell, warning)

    def _repeat(self) -> None:
        while not self._ended.wait(60 * self.release.checkpoint_minutes):
            self.push()

    def push(self) -> dict[str, Any]:
        """Push once; returns what RUN/checkpoint.json then says, and nothing where no table is there yet.

        What goes wrong is recorded, and no error leaves: the run is worth more than its checkpoint.
        """
        from stepforge.cards.checkpoint import push  # slow to import, and few runs need it

        assert self.release.checkpoint is not None
        aside = work_path(self.folder, "checkpoint")
        outcome: dict[str, Any]
        try:
            aside.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=aside) as scratch:
                if not (tables := self._snapshot(Path(scratch))):
                    return {}
                outcome = push(self.release.checkpoint, self.name, tables, self.release.private,
                               self._checksums)._asdict()
        except Exception as error:
            outcome = {"warning": f"not pushed, and tried again later: {error}"}
        outcome |= {"to": self.release.checkpoint, "at": int(time.time())}
        with suppress(OSError), replacing(checkpoint_path(self.folder)) as temporary:
            temporary.write_bytes(orjson.dumps(outcome))
        return outcome

    def _snapshot(self, scratch: Path) -> dict[str, list[Path]]:
        """Files of tables under names of their own, so that stages may move or remove theirs meanwhile.

        Raises:
            FileNotFoundError: a file went away at this moment; without it the branch would lose rows.
        """
        with self._lock:
            homes = {table: table_path(self.folder, table) for table in dict.fromkeys(self._tables)}
            if moving := [table for table, home in homes.items() if not is_whole(home)]:
                raise FileNotFoundError(f"{', '.join(moving)} is being written into other parts")
            files = {table: parts_of(home) for table, home in homes.items()}
            files |= {table: finished_buckets(work, table) for table, work in self._running.items()
                      if table in PUSHED}
            linked: dict[str, list[Path]] = {}
            for table, paths in files.items():
                for number, path in enumerate(paths):
                    linked.setdefault(table, []).append(_link(path, scratch / f"{table}-{number:06d}.parquet"))
        return linked


def finished_buckets(work: Path, table: str) -> list[Path]:
    """The parts of a table that a stage in buckets has finished; those of a pilot are no rows of the table yet."""
    return sorted(path for path in work.glob(f"*/out/{table}/*.parquet")
                  if not path.relative_to(work).parts[0].startswith("pilot"))


def _link(path: Path, to: Path) -> Path:
    try:
        os.link(path, to)
    except FileNotFoundError:
        raise
    except OSError:  # a disk without links
        shutil.copyfile(path, to)
    return to
