"""How far a run has come, in small files that any machine can read while the run works.

Out: RUN/running.json by the process of the run (stage, label, how many documents, a pulse), and progress/RANK.json in
a stage's working folder by every rank (counts, and the seconds that it has worked by its own clock). Files are
replaced whole, so a reader never sees half of one. No two clocks are compared: rates use the rank's own, and how
long a run has been silent is measured by the times of files, which one file server sets.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from stepforge.builders.errors import StageFailed, UserError
from stepforge.builders.files import replacing
from stepforge.builders.repeating import repeating

TELL_SECONDS = 0.5
PULSE_SECONDS = 2.0
RUNNING = "running.json"


class RankProgress:
    """Counts of one rank, in FOLDER/progress/RANK.json."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.path = folder / "progress" / f"{rank:05d}.json"
        self.counts: Counter[str] = Counter()
        self.started = self.reported = time.monotonic()

    def count(self, events: Mapping[str, int]) -> None:
        self.counts.update(events)
        if time.monotonic() - self.reported > TELL_SECONDS:
            self.tell()

    def tell(self) -> None:
        """Replace the file. A disk that is full must stop the rows, not this."""
        self.reported = time.monotonic()
        _write(self.path, {"host": socket.gethostname(), "pid": os.getpid(), "counts": self.counts,
                           "seconds": round(self.reported - self.started, 3)})


def read_ranks(folder: Path) -> dict[int, dict[str, Any]]:
    """What every rank has told so far; `age` is the seconds since then by the time of the newest file beside it."""
    ranks, times = {}, {}
    for path in sorted((folder / "progress").glob("*.json")):
        if (report := read_json(path)) is not None:
            ranks[int(path.stem)], times[int(path.stem)] = report, path.stat().st_mtime
    newest = max(times.values(), default=0.0)
    return {rank: report | {"age": newest - times[rank]} for rank, report in ranks.items()}


def read_progress(folder: Path) -> Counter[str]:
    """Sum of what all ranks have told so far."""
    total: Counter[str] = Counter()
    for report in read_ranks(folder).values():
        total.update(report["counts"])
    return total


def read_json(path: Path) -> dict[str, Any] | None:
    """A file's content; null where there is none, or it is not whole."""
    try:
        content: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return content


@contextmanager
def announced(run: Path, stage: str, work: Path, label: str, documents: int) -> Iterator[None]:
    """Say in RUN/running.json that this process is at `stage`, with a pulse every two seconds, inside the block."""
    pulses = count(1)
    started = time.monotonic()

    def tell(state: str, pulse: int) -> None:
        _write(run / RUNNING, {
            "state": state, "stage": stage, "label": label, "documents": documents, "pulse": pulse,
            "work": os.path.relpath(work, run), "host": socket.gethostname(), "pid": os.getpid(),
            "seconds": round(time.monotonic() - started, 3)})

    def beat() -> None:
        tell("running", next(pulses))

    beat()
    state = "stopped"
    try:
        with repeating(beat, PULSE_SECONDS):
            yield
        state = "between stages"
    finally:
        tell(state, 0)


@contextmanager
def end_told(run: Path, stage: str) -> Iterator[None]:
    """Say in RUN/running.json where the run stopped, and why where it is no bug, if the block raises."""
    try:
        yield
    except BaseException as error:
        why = str(error) if isinstance(error, UserError | StageFailed) else ""
        before = read_json(run / RUNNING) or {"label": "", "documents": 0, "work": "", "pulse": 0, "seconds": 0.0}
        _write(run / RUNNING, before | {"state": "stopped", "stage": stage, "why": why, "host": socket.gethostname(),
                                        "pid": os.getpid()})
        raise


def runs_elsewhere(run: Path) -> str | None:
    """The process on another machine that works on the run now, by its pulse; locks may not reach other machines."""
    there = read_json(run / RUNNING)
    if there is None or there["state"] != "running" or there["host"] == socket.gethostname():
        return None
    time.sleep(PULSE_SECONDS + 1)
    goes_on = (read_json(run / RUNNING) or there)["pulse"] != there["pulse"]
    return f"process {there['pid']} on {there['host']}" if goes_on else None


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(orjson.dumps(content))
    except OSError:
        pass  # progress is for people to look at; a full disk stops the rows themselves, and says so
