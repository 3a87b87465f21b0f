"""Ranks on a Slurm cluster that shares a file system with this machine: submitted, waited for, and checked.

datatrove's executor submits an array job and returns. This one notes the job's id in the stage's folder before it
waits, so that a run whose process was killed finds the job again instead of starting it twice; it waits until every
rank is marked done or the job is over; and it ends the job when it is interrupted.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from datatrove.executor.slurm import SlurmPipelineExecutor

from stepforge.builders.errors import StageFailed, UserError
from stepforge.pipelines.executors.base import Noted, Step
from stepforge.pipelines.options.executor import Executor

JOBS = "slurm_jobs.txt"
POLL_SECONDS = 1.0
SETTLE_SECONDS = 15.0  # a network file system may show a finished rank's mark this much later than the job's end
SILENT_SECONDS = 900.0  # a controller that does not answer for longer is given up
OVER = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}


class SlurmExecutor(Noted, SlurmPipelineExecutor):
    """One array job a pipeline, `workers` of its tasks at a time."""

    @classmethod
    def of(cls, steps: list[Step], executor: Executor, folder: Path) -> "SlurmExecutor":
        """The executor for a stage's working folder, as the recipe says."""
        settings = executor.slurm
        assert settings is not None  # the recipe refuses it
        folder = folder.absolute()
        return cls(
            steps, tasks=executor.tasks, workers=executor.workers, tasks_per_job=executor.tasks_per_job,
            partition=settings.partition, time=settings.time, qos=settings.qos, sbatch_args=dict(settings.sbatch),
            cpus_per_task=executor.cpus_per_task, mem_per_cpu_gb=executor.memory_gb_per_cpu,
            gpus_per_task=executor.gpus_per_task, logging_dir=str(folder), job_name=f"stepforge-{folder.name}",
            env_command=settings.setup or f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
            with_srun=False,  # within a job, srun of Slurm 22.05 and later takes one CPU unless told otherwise
            job_id_retriever=partial(_note_job, str(folder / JOBS)),
        )

    def run(self) -> None:
        """On a node, the ranks of this job; else submit what is not done and wait for it."""
        if "SLURM_ARRAY_TASK_ID" in os.environ:
            super().run()
            if self.reasons().keys() & set(self._ranks_here()):
                sys.exit(1)  # so that Slurm's own tools show a failure too
            return
        if shutil.which("sbatch") is None:
            raise UserError("executor.kind is slurm, but there is no `sbatch` on PATH: run this on a machine of the "
                            "cluster, or set executor.kind to local")
        self._wait()  # for jobs of an earlier run whose process ended before they did
        if not self.get_incomplete_ranks():
            return
        self._jobs_file().unlink(missing_ok=True)
        try:
            self.launch_job()
            self._wait()
        except subprocess.CalledProcessError as error:
            raise StageFailed(f"sbatch refused the job of {self.job_name} (exit code {error.returncode}); "
                              f"its script is {self.logging_dir.resolve_paths('launch_script.slurm')}") from error
        except KeyboardInterrupt:
            cancel(self._jobs_file())
            raise

    def launch_merge_stats(self) -> None:
        """Nothing: the job that merges statistics waits forever when a rank fails, and no one reads them."""

    def logs(self) -> str:
        return f"{super().logs()} and {self.slurm_logs_folder}"

    def reasons(self) -> dict[int, str]:
        """What ranks noted, else what Slurm says became of their job."""
        known = super().reasons()
        if "SLURM_ARRAY_TASK_ID" in os.environ or not self._jobs_file().exists():
            return known
        ranks = json.loads(self.logging_dir.cat_file("ranks_to_run.json"))
        jobs = self._job_ids()
        for job, index, state in _tasks(jobs) or []:
            first = (index + self.max_array_size * jobs.index(job)) * self.tasks_per_job
            if state != "COMPLETED":
                for rank in ranks[first:first + self.tasks_per_job]:
                    known.setdefault(rank, f"Slurm job {job}_{index} is {state}")
        return known

    def _wait(self) -> None:
        """Until all ranks are marked, or no job is left that could mark one.

        Raises:
            StageFailed: the cluster has not answered for a long time; its jobs may still run.
        """
        jobs = self._job_ids()
        heard = time.monotonic()
        while jobs and self.get_incomplete_ranks():
            tasks = _tasks(jobs)
            if tasks is not None:
                heard = time.monotonic()
                if all(state in OVER for _, _, state in tasks):
                    self._settle()
                    return
            elif time.monotonic() - heard > SILENT_SECONDS:
                raise StageFailed(f"squeue has failed for {SILENT_SECONDS:.0f} s; jobs {', '.join(jobs)} may still "
                                  "run. Run the same command again to wait for them.")
            time.sleep(POLL_SECONDS)

    def _settle(self) -> None:
        """Give marks of ranks that are not known to have failed time to be seen."""
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until and set(self.get_incomplete_ranks()) - self.reasons().keys():
            time.sleep(POLL_SECONDS)

    def _ranks_here(self) -> list[int]:
        """The ranks of the job that this process is."""
        index = int(os.environ["SLURM_ARRAY_TASK_ID"]) + self.max_array_size * int(os.environ.get("RUN_OFFSET", 0))
        ranks: list[int] = json.loads(self.logging_dir.cat_file("ranks_to_run.json"))
        return ranks[index * self.tasks_per_job:(index + 1) * self.tasks_per_job]

    def _jobs_file(self) -> Path:
        return Path(self.logging_dir.resolve_paths(JOBS))

    def _job_ids(self) -> list[str]:
        path = self._jobs_file()
        return path.read_text().split() if path.exists() else []


def _note_job(path: str, answer: str) -> str:
    """The id in sbatch's answer, noted before anything else happens."""
    job = answer.split()[-1]
    with open(path, "a") as file:
        file.write(f"{job}\n")
    return job


def _tasks(jobs: list[str]) -> list[tuple[str, int, str]] | None:
    """Job, array index and state of every task that Slurm still knows; null when it does not answer."""
    rows = _squeue(jobs, "%F %K %T")
    if rows is None:
        return None
    return [(row[0], int(row[1]), row[2]) for row in rows if len(row) == 3 and row[1].isdigit()]


def states_of(jobs: list[str]) -> dict[str, str] | None:
    """The states of those jobs that Slurm still knows; null when it does not answer."""
    rows = _squeue(jobs, "%A %T")
    return None if rows is None else {row[0]: row[1] for row in rows if len(row) == 2}


def _squeue(jobs: list[str], columns: str) -> list[list[str]] | None:
    done = subprocess.run(
        ["squeue", "--noheader", "--array", "--states=all", f"--format={columns}", f"--jobs={','.join(jobs)}"],
        capture_output=True, text=True, check=False)
    if done.returncode and "Invalid job id" not in done.stderr:
        return None
    return [line.split() for line in done.stdout.splitlines()]


def cancel(path: Path) -> None:
    """End the jobs that are noted in a file, where there is a Slurm to ask."""
    if shutil.which("scancel") is not None and (jobs := path.read_text().split() if path.exists() else []):
        subprocess.run(["scancel", *jobs], capture_output=True, check=False)
        path.unlink(missing_ok=True)
