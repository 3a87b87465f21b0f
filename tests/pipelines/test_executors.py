"""A rank that fails, however it fails, is reported, leaves the others alone, and is run again alone."""

import os
import signal
from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.inference.types import InferenceError

from stepforge.pipelines.executors import StageFailed, run_pipeline
from stepforge.pipelines.options.executor import Executor


class Step:
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
            if self.how == "cannot be unpickled":
                raise InferenceError(Document("", "d"), "a failure")
            raise OSError("no space left on device")


@pytest.mark.parametrize(("workers", "how", "told"), [
    (1, "raises", "no space left"), (2, "raises", "no space left"), (2, "killed", "code -9"),
    (2, "cannot be unpickled", "a failure"),
])
def test_failed_rank_is_told_and_only_it_runs_again(tmp_path, workers, how, told):
    step, executor = Step(tmp_path, how), Executor(tasks=3, workers=workers)
    with pytest.raises(StageFailed, match="1 of 3 ranks") as caught:
        run_pipeline([step], executor, tmp_path / "work")
    assert "rank 1" in str(caught.value) and told in str(caught.value)
    run_pipeline([step], executor, tmp_path / "work")
    assert [len((tmp_path / f"visits-{rank}").read_text()) for rank in range(3)] == [1, 2, 1]
