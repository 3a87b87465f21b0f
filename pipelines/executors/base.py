"""What all executors share: a rank that goes wrong says why in a file, which needs no pickling and no live parent."""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from datatrove.executor.base import PipelineExecutor
from datatrove.utils.stats import PipelineStats

Step = Callable[..., Any]


class Noted(PipelineExecutor):
    """A datatrove executor whose ranks note in `failed/RANK.txt` what went wrong, and leave the other ranks alone."""

    def reasons(self) -> dict[int, str]:
        """Why ranks failed, as far as they could tell."""
        found = self.logging_dir.list_files("failed", glob_pattern="*.txt")
        return {int(Path(name).stem): self.logging_dir.cat_file(name).decode() for name in found}

    def logs(self) -> str:
        """Where a person reads more."""
        return str(self.logging_dir.resolve_paths("logs"))

    def note(self, rank: int, reason: str, keep: bool = False) -> None:
        """Write why a rank failed, where the disk still takes it; with `keep`, only where nothing is known yet."""
        name = f"failed/{rank:05d}.txt"
        if not (keep and self.logging_dir.exists(name)):
            with suppress(OSError), self.logging_dir.open(name, "w") as file:
                file.write(reason)

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        fresh = deepcopy(self)  # steps remember what a rank did, and a job may run several
        try:
            return super(Noted, fresh)._run_for_rank(rank, local_rank, node_rank)
        except Exception as error:
            self.note(rank, f"{type(error).__name__}: {str(error)[:500]}")
            return PipelineStats()
