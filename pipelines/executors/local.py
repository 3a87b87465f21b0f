"""Ranks on this machine: datatrove's local executor, with a process of its own for every rank.

The base class hands ranks to a pool, which waits forever for a worker that was killed or whose exception cannot be
unpickled (datatrove's own InferenceError cannot), and ends all ranks when one fails.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import multiprocess
from datatrove.executor.local import LocalPipelineExecutor
from loguru import logger
from multiprocess.connection import wait

from stepforge.pipelines.executors.base import FULL, FULL_WORDS, Noted


class LocalExecutor(Noted, LocalPipelineExecutor):
    """`workers` processes at a time; their logs go to files only, and none outlives the process that started it."""

    def run(self) -> None:
        """Run the ranks that are not done; a rank that fails leaves the others alone.

        One worker runs in this process, except under an event loop, as in a notebook: a rank needs its own loop.
        """
        ranks = self.get_incomplete_ranks(range(self.tasks))
        if self.workers == 1 and not _under_a_loop():
            for rank in ranks:
                self._run_quietly(rank)
            return
        context = multiprocess.get_context(self.start_method)
        context.set_forkserver_preload(_needed())  # what a rank needs takes two seconds to import: once, not in each
        waiting = list(reversed(ranks))
        running: dict[int, tuple[int, Any]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    rank = waiting.pop()
                    process = context.Process(target=self._rank_process, args=(rank, os.getpid()), daemon=True)
                    with _main_unknown():
                        process.start()
                    running[process.sentinel] = (rank, process)
                for sentinel in wait(list(running)):
                    rank, process = running.pop(sentinel)
                    process.join()
                    if process.exitcode:
                        self.note(rank, why_ended(process.exitcode), keep=True)
        finally:
            for _, process in running.values():
                process.terminate()

    def _rank_process(self, rank: int, parent: int) -> None:
        die_with_parent(parent)
        self._run_quietly(rank)
        if rank in self.unwritten:
            os._exit(FULL)  # the one word that needs no disk

    def _run_quietly(self, rank: int) -> None:
        try:
            with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
                self._run_for_rank(rank)
        finally:
            logger.remove()  # datatrove set it up again to write to `nowhere`


def _needed() -> list[str]:
    """Modules to import before ranks fork: ours that are loaded here, and pandas, which DuckDB imports late."""
    return [*(name for name in list(sys.modules) if name.startswith("stepforge.")), "pandas"]


def _under_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def why_ended(code: int) -> str:
    """What the exit code of a process says to a person; a negative one is the signal that ended it."""
    if code == -signal.SIGKILL:
        return ("its process was killed (signal 9), as a system does that has no memory left; give the stage more "
                "memory, or set `executor.workers` lower or `executor.tasks` higher")
    if code == FULL:
        return f"{FULL_WORDS}: the disk that holds the run was full; make room"
    return f"the process ended with code {code}"


@contextmanager
def _main_unknown() -> Iterator[None]:
    """Hide the main module: a new process would run a user's script again, guard or no guard, and needs none of it."""
    main = sys.modules["__main__"]
    names = [name for name in ("__file__", "__spec__") if name in main.__dict__]
    known: dict[str, Any] = {name: main.__dict__.pop(name) for name in names}
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(known)


def die_with_parent(parent: int) -> None:
    """Let the kernel end this process when the one that made it dies, and end it now if that has happened (Linux).

    The fork server that makes our processes ends as soon as the run that started it has ended.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() == 1 or not Path(f"/proc/{parent}").exists():
            os._exit(1)
