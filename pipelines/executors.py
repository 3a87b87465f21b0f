"""Where a pipeline of a stage runs: datatrove's executors, made quiet, loud on failure, and free of orphans.

In: pipeline steps that datatrove can pickle, and the recipe's executor settings. Out: every rank done, or an error
with the ranks that failed and where their logs lie. Ranks that finished before are not run again.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

os.environ.setdefault("LOGURU_DIAGNOSE", "NO")  # else a traceback in a log shows local values, keys among them

from datatrove.executor.local import LocalPipelineExecutor  # noqa: E402
from loguru import logger  # noqa: E402

from stepforge.pipelines.recipe import Executor  # noqa: E402

Step = Callable[..., Any]


class StageFailed(RuntimeError):
    """Some ranks of a stage did not finish; running again goes on where they stopped."""


class _Local(LocalPipelineExecutor):
    """datatrove's local executor with its log in files only."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            try:
                return super()._run_for_rank(rank, local_rank, node_rank)
            finally:
                logger.remove()  # it was set up again to write to `nowhere`


def run_pipeline(steps: Sequence[Step], executor: Executor, folder: Path) -> None:
    """Run `steps` on every rank that is not marked done in `folder`, the stage's working folder.

    Raises:
        StageFailed: at least one rank did not finish.
    """
    workers = min(executor.workers, executor.tasks)
    guard = [_die_with_parent] if workers > 1 else []
    local = _Local([*guard, *steps], tasks=executor.tasks, workers=workers, logging_dir=str(folder))
    logger.remove()
    try:
        local.run()
    except Exception as error:
        left = local.get_incomplete_ranks(skip_completed=True)
        raise StageFailed(
            f"{len(left)} of {executor.tasks} ranks did not finish ({_shown(left)}): {type(error).__name__}: {error}. "
            f"Logs: {folder / 'logs'}. Run the same command again to go on."
        ) from error
    finally:
        logger.add(sys.stderr, level="WARNING")
    if left := local.get_incomplete_ranks(skip_completed=True):
        raise StageFailed(f"{len(left)} of {executor.tasks} ranks did not finish ({_shown(left)}); logs: {folder}")


def _shown(ranks: list[int]) -> str:
    return "ranks " + ", ".join(map(str, ranks[:10])) + (", ..." if len(ranks) > 10 else "")


def _die_with_parent(data: Any, rank: int, world_size: int) -> Iterator[Any] | None:
    """First step of every worker process: the kernel ends it when the process that made it dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() == 1:
            os._exit(1)
    return data
