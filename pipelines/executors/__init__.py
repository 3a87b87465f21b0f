"""Where a pipeline of a stage runs: datatrove's executors, which report failures here and leave no process.

In: pipeline steps that datatrove can pickle, and the executor settings of the stage. Out: every rank done, or an error
with the ranks that failed, why, and where their logs lie. Ranks that finished before are not run again. The stages are
the same wherever they run; what differs is one class for each kind.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.executors import slurm
from stepforge.pipelines.executors.base import Noted, Step
from stepforge.pipelines.executors.local import LocalExecutor, die_with_parent
from stepforge.pipelines.executors.slurm import SlurmExecutor
from stepforge.pipelines.options.executor import Executor

# Else a traceback in a log shows local values, keys among them. The environment variable for it counts only where
# nothing has imported loguru before, and datatrove adds its handlers without saying.
type(logger).add.__kwdefaults__ = {**(type(logger).add.__kwdefaults__ or {}), "diagnose": False}
__all__ = ["StageFailed", "Step", "abandon", "die_with_parent", "run_pipeline"]


def run_pipeline(steps: Sequence[Step], executor: Executor, folder: Path, run: Path | None = None) -> None:
    """Run `steps` on every rank that is not marked done in `folder`, the stage's working folder.

    Args:
        run: the folder of the whole run, for ranks that share no file system with this machine.

    Raises:
        StageFailed: at least one rank did not finish; the others did.
        UserError: the cluster that the recipe names cannot be used from here.
    """
    if executor.kind != "slurm":
        abandon(folder)  # the recipe may have said otherwise when an earlier process was killed
    ours = _make(list(steps), executor, folder, run or folder)
    for stale in (folder / "failed").glob("*.txt"):
        stale.unlink()
    logger.remove()
    try:
        ours.run()
    finally:
        logger.remove()
        logger.add(sys.stderr, level="WARNING")
    if left := ours.get_incomplete_ranks(skip_completed=True):
        reasons = ours.reasons()
        unfinished = "; ".join(f"rank {rank}: {reasons.get(rank, 'no reason known')}" for rank in left[:3])
        raise StageFailed(f"{len(left)} of {executor.tasks} ranks did not finish. {unfinished}. Logs: {ours.logs()}. "
                          "Run the same command again to go on.")


def abandon(folder: Path) -> None:
    """End what an earlier process left running on a cluster for the working folder `folder`."""
    for path in folder.rglob(slurm.JOBS):
        slurm.cancel(path)


def _make(steps: list[Step], executor: Executor, folder: Path, run: Path) -> Noted:
    match executor.kind:
        case "local":
            return LocalExecutor(steps, tasks=executor.tasks, workers=min(executor.workers, executor.tasks),
                                 logging_dir=str(folder))
        case "slurm":
            return SlurmExecutor.of(steps, executor, folder)
        case "ray":
            from stepforge.pipelines.executors.ray import RayExecutor

            return RayExecutor.of(steps, executor, folder)
        case "jobs":
            from stepforge.pipelines.executors.jobs import JobsExecutor

            return JobsExecutor.of(steps, executor, folder, run)
