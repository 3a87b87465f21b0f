"""A step of a pipeline that fails as it is told, importable on a cluster's nodes (this folder is on their path)."""

import errno
import os
import signal
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.io import DataFolder
from datatrove.pipeline.inference.types import InferenceError


class FailsOnce:
    """Notes every visit of a rank; rank 1 fails in the way that it is told, once."""

    def __init__(self, folder: Path, how: str) -> None:
        self.folder, self.how = folder, how

    def __call__(self, data, rank, world_size):
        visits = self.folder / f"visits-{rank}"
        count = len(visits.read_text()) if visits.exists() else 0
        visits.write_text("x" * (count + 1))
        if rank == 1 and count == 0:
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "is slow":
                time.sleep(6)
                return
            if self.how == "fills the disk":
                _refuse_the_note()
                raise full_disk()
            if self.how == "cannot be unpickled":
                raise InferenceError(Document("", "d"), "a failure")
            raise OSError("no space left on device")


class Imports:
    """Notes what a rank would still have to import of what a stage needs."""

    NEEDED = ("pandas", "datatrove.data", "stepforge.pipelines.stages.verify", "stepforge.pipelines.stages.annotate",
              "stepforge.pipelines.inference.runner", "stepforge.pipelines.answers")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, data, rank, world_size):
        late = [name for name in self.NEEDED if name not in sys.modules]
        (self.folder / f"imports-{rank}").write_text(" ".join(late))


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _refuse_the_note() -> None:
    """A full disk takes no note of why a rank failed either; the next file that is opened for one is refused."""
    usual = DataFolder.open

    def refuse(self, path, *arguments, **options):
        if not path.startswith("failed"):
            return usual(self, path, *arguments, **options)
        DataFolder.open = usual
        raise full_disk()

    DataFolder.open = refuse


def visits(folder: Path) -> list[int]:
    """How often each rank ran."""
    return [len(path.read_text()) for path in sorted(folder.glob("visits-*"))]
