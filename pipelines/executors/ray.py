"""Ranks on a Ray cluster whose nodes share a file system.

datatrove's executor runs ranks in a pool inside an actor, waits forever for one that is killed there, only warns of
one that failed, and ends with a KeyError when one overruns its time. Here a rank is a Ray task, a process of its own.
"""

import os
from collections import deque
from pathlib import Path
from typing import Any

from datatrove.executor.base import PipelineExecutor
from datatrove.executor.ray import RayPipelineExecutor
from datatrove.utils.stats import PipelineStats

from stepforge.builders.errors import UserError
from stepforge.pipelines.executors.base import Noted, Step
from stepforge.pipelines.options.executor import Executor

ATTEMPTS_AFTER_CRASH = 2  # a worker that the machine ended; what it paid for is in the journal
GIBIBYTE = 1024**3


class _OnSharedDisk(RayPipelineExecutor):
    """Logs straight into the stage's folder, as the base class of all executors does, not into /tmp of a node."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        return PipelineExecutor._run_for_rank(self, rank, local_rank, node_rank)


class RayExecutor(Noted, _OnSharedDisk):
    """`workers` jobs at a time, each of `tasks_per_job` ranks."""

    address: str | None = None

    @classmethod
    def of(cls, steps: list[Step], executor: Executor, folder: Path) -> "RayExecutor":
        """The executor for a stage's working folder, as the recipe says."""
        made = cls(steps, tasks=executor.tasks, workers=executor.workers, tasks_per_job=executor.tasks_per_job,
                   cpus_per_task=executor.cpus_per_task, mem_per_cpu_gb=executor.memory_gb_per_cpu,
                   gpus_per_task=executor.gpus_per_task, logging_dir=str(folder.absolute()))
        made.address = executor.ray.address
        return made

    def run(self) -> None:
        """Run the ranks that are not done; what became of one that could not tell itself is noted here."""
        ray = _connect(self.address)
        task = ray.remote(_run_ranks).options(
            num_cpus=self.cpus_per_task, num_gpus=self.gpus_per_task, max_retries=ATTEMPTS_AFTER_CRASH,
            memory=int(self.mem_per_cpu_gb * self.cpus_per_task * GIBIBYTE))
        ranks = self.get_incomplete_ranks(range(self.tasks))
        waiting = deque(ranks[i:i + self.tasks_per_job] for i in range(0, len(ranks), self.tasks_per_job))
        shared, here = ray.put(self), os.getcwd()
        running: dict[Any, list[int]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    group = waiting.popleft()
                    running[task.remote(shared, group, here)] = group
                for reference in ray.wait(list(running), num_returns=1)[0]:
                    group = running.pop(reference)
                    try:
                        ray.get(reference)
                    except ray.exceptions.RayError as error:
                        for rank in group:
                            self.note(rank, f"{type(error).__name__}: {str(error).splitlines()[0][:500]}", keep=True)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _run_ranks(executor: RayExecutor, ranks: list[int], folder: str) -> None:
    """On a node: relative paths of the recipe mean what they mean where the run was started."""
    os.chdir(folder)
    for rank in ranks:
        executor._run_for_rank(rank)


def _connect(address: str | None) -> Any:
    """The module `ray`, connected.

    Raises:
        UserError: it is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("executor.kind is ray, which needs more packages: pip install 'stepforge[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=False,
                     runtime_env={"env_vars": {"LOGURU_DIAGNOSE": "NO"}})
        except (ConnectionError, ValueError) as error:
            raise UserError(f"executor.ray.address {address!r}: cannot connect to the cluster: {error}") from error
    return ray
