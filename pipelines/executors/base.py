"""What all executors share: a rank that fails writes the reason to a file, without pickling or a live parent."""

import errno
import os
from collections.abc import Callable
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

from datatrove.executor.base import PipelineExecutor
from datatrove.utils.stats import PipelineStats

Step = Callable[..., Any]
FULL = errno.ENOSPC
FULL_WORDS = os.strerror(FULL)  # which systems give for a full disk


class Noted(PipelineExecutor):
    """A datatrove executor whose ranks note in `failed/RANK.txt` what went wrong, and leave the other ranks alone."""

    @cached_property
    def unwritten(self) -> dict[int, str]:
        """What could not be noted."""
        return {}

    def reasons(self) -> dict[int, str]:
        """Why ranks failed, as far as they could tell."""
        files = self.logging_dir.list_files("failed", glob_pattern="*.txt")
        written = {int(Path(name).stem): self.logging_dir.cat_file(name).decode() for name in files}
        return {rank: reason for rank, reason in written.items() if reason} | self.unwritten

    def logs(self) -> str:
        """Where a person reads more."""
        return str(self.logging_dir.resolve_paths("logs"))

    def note(self, rank: int, reason: str, keep: bool = False) -> None:
        """Write why a rank failed; with `keep`, only where nothing is known yet.

        A disk that is full takes no word of it: then the exit code says it, or this process itself remembers.
        """
        name = f"failed/{rank:05d}.txt"
        if not (keep and self.logging_dir.exists(name)):
            try:
                with self.logging_dir.open(name, "w") as file:
                    file.write(reason)
            except OSError as error:
                self.unwritten[rank] = reason if error.errno != FULL else f"{FULL_WORDS}; make room ({reason})"

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        fresh = deepcopy(self)  # steps remember what a rank did, and a job may run several
        try:
            stats = super(Noted, fresh)._run_for_rank(rank, local_rank, node_rank)
        except Exception as error:
            self.note(rank, f"{type(error).__name__}: {str(error)[:500]}")
            return PipelineStats()
        self._tidy(rank)
        return stats

    def _tidy(self, rank: int) -> None:
        """Remove what nobody reads of a rank that is done, its statistics and its log: ranks may be thousands."""
        if self.is_rank_completed(rank):
            for name in (f"stats/{rank:05d}.json", f"logs/task_{rank:05d}.log"):
                if self.logging_dir.exists(name):
                    self.logging_dir.rm_file(name)
