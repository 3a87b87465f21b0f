"""Where a pipeline of a stage runs: datatrove's executors, made quiet, loud on failure, and free of orphans.

In: pipeline steps that datatrove can pickle, and the recipe's executor settings. Out: every rank done, or an error
with the ranks that failed, why, and where their logs lie. Ranks that finished before are not run again.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from copy import deepcopy
from pathlib import Path
from typing import Any

os.environ.setdefault("LOGURU_DIAGNOSE", "NO")  # else a traceback in a log shows local values, keys among them

import multiprocess  # noqa: E402
from datatrove.executor.local import LocalPipelineExecutor  # noqa: E402
from loguru import logger  # noqa: E402
from multiprocess.connection import wait  # noqa: E402

from stepforge.pipelines.options.executor import Executor  # noqa: E402

Step = Callable[..., Any]


class StageFailed(RuntimeError):
    """Some ranks of a stage did not finish; running again goes on where they stopped."""


class _Local(LocalPipelineExecutor):
    """datatrove's local executor with its log in files only and a process of its own for every rank.

    The base class hands ranks to a pool, which waits forever for a worker that was killed or whose exception cannot be
    unpickled (datatrove's own InferenceError cannot), and ends all ranks when one fails.
    """

    def run(self) -> None:
        """Run the ranks that are not done, `workers` at a time; a rank that fails leaves the others alone."""
        ranks = self.get_incomplete_ranks(range(self.tasks))
        if self.workers == 1:
            for rank in ranks:
                deepcopy(self)._try_rank(rank)
            return
        context = multiprocess.get_context(self.start_method)
        context.set_forkserver_preload([__name__])  # datatrove takes seconds to import: once, not in every rank
        waiting = list(reversed(ranks))
        running: dict[int, tuple[int, Any]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    rank = waiting.pop()
                    process = context.Process(target=self._rank_process, args=(rank, os.getpid()), daemon=True)
                    process.start()
                    running[process.sentinel] = (rank, process)
                for sentinel in wait(list(running)):
                    rank, process = running.pop(sentinel)
                    process.join()
                    if process.exitcode:
                        self._note(rank, f"the process ended with code {process.exitcode}", keep=True)
        finally:
            for _, process in running.values():
                process.terminate()

    def reasons(self) -> dict[int, str]:
        """Why ranks failed, as far as they could tell."""
        found = self.logging_dir.list_files("failed", glob_pattern="*.txt")
        return {int(Path(name).stem): self.logging_dir.cat_file(name).decode() for name in found}

    def _rank_process(self, rank: int, parent: int) -> None:
        die_with_parent(parent)
        self._try_rank(rank)

    def _try_rank(self, rank: int) -> None:
        """Run a rank; what goes wrong is noted in a file, which says more than an exit code and needs no pickling."""
        try:
            with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
                self._run_for_rank(rank)
        except Exception as error:
            self._note(rank, f"{type(error).__name__}: {str(error)[:500]}")
        finally:
            logger.remove()  # datatrove set it up again to write to `nowhere`

    def _note(self, rank: int, reason: str, keep: bool = False) -> None:
        name = f"failed/{rank:05d}.txt"
        if not (keep and self.logging_dir.exists(name)):
            with self.logging_dir.open(name, "w") as file:
                file.write(reason)


def run_pipeline(steps: Sequence[Step], executor: Executor, folder: Path) -> None:
    """Run `steps` on every rank that is not marked done in `folder`, the stage's working folder.

    Raises:
        StageFailed: at least one rank did not finish; the others did.
    """
    workers = min(executor.workers, executor.tasks)
    local = _Local(list(steps), tasks=executor.tasks, workers=workers, logging_dir=str(folder))
    for stale in (folder / "failed").glob("*.txt"):
        stale.unlink()
    logger.remove()
    try:
        local.run()
    finally:
        logger.add(sys.stderr, level="WARNING")
    if left := local.get_incomplete_ranks(skip_completed=True):
        reasons = local.reasons()
        told = "; ".join(f"rank {rank}: {reasons.get(rank, 'no reason known')}" for rank in left[:3])
        raise StageFailed(f"{len(left)} of {executor.tasks} ranks did not finish. {told}. Logs: {folder / 'logs'}. "
                          "Run the same command again to go on.")


def die_with_parent(parent: int) -> None:
    """Let the kernel end this process when the one that made it dies, and end it now if that has happened (Linux).

    The fork server that makes our processes ends as soon as the run that started it has ended.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() == 1 or not Path(f"/proc/{parent}").exists():
            os._exit(1)
