"""Ranks as jobs on the Hugging Face Hub, which share no file system with this machine.

datatrove's executor coordinates through a remote folder (`jobs.staging`, on hf:// or s3://). The rest of a run lives
in local files, so here the run's tables and journals are copied there before the jobs start; a job copies them to its
own disk, works there, and copies what its rank made back before the rank is marked done; and this machine fetches it.
Journals are copied back every minute, so that a job that is ended loses a minute of paid completions at most.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datatrove.executor.jobs import ARRAY_INDEX_ENV_VAR, JobsPipelineExecutor
from datatrove.utils.stats import PipelineStats

from stepforge.builders.errors import UserError
from stepforge.builders.repeating import repeating
from stepforge.pipelines.executors.base import Noted, Step
from stepforge.pipelines.options.executor import Executor
from stepforge.pipelines.run_folder import OWN, shares_path

SAVE_SECONDS = 60.0


class JobsExecutor(Noted, JobsPipelineExecutor):
    """`workers` jobs at a time, each of `tasks_per_job` ranks."""

    folder: Path
    home: Path

    @classmethod
    def of(cls, steps: list[Step], executor: Executor, folder: Path, home: Path) -> "JobsExecutor":
        """The executor for a stage's working folder and the run's own, as the recipe says."""
        settings = executor.jobs
        assert settings is not None  # the recipe refuses it
        missing = [name for name in settings.secrets if name not in os.environ]
        if missing:
            raise UserError(f"executor.jobs.secrets names {', '.join(missing)}, which is not in the environment")
        inside = folder.relative_to(home).as_posix()
        made = cls(
            steps, tasks=executor.tasks, workers=executor.workers, tasks_per_job=executor.tasks_per_job,
            logging_dir=f"{settings.staging.rstrip('/')}/{home.name}/{inside}", dependencies=list(settings.install),
            flavor=settings.flavor, image=settings.image, timeout=settings.timeout, namespace=settings.namespace,
            poll_interval=settings.poll_s, job_name=f"stepforge-{folder.name}", env={"LOGURU_DIAGNOSE": "NO"},
            secrets={name: os.environ[name] for name in settings.secrets})
        made.folder, made.home = folder, home
        return made

    def run(self) -> None:
        """In a job, its ranks; else send what jobs need, wait for them, and fetch what they made."""
        if ARRAY_INDEX_ENV_VAR in os.environ:
            os.chdir(tempfile.mkdtemp())
            self.home.mkdir(parents=True, exist_ok=True)
            self._fetch("run", self.home)
            super().run()
            return
        try:
            self._ensure_logging_dir_repo()
            for path in (*self._carried(), *filter(Path.exists, [shares_path(self.folder)])):
                self._send(path, f"run/{path.relative_to(self.home)}")
            super().run()
        except (OSError, ValueError) as error:
            raise UserError(f"executor.jobs: {error}") from error
        finally:
            self.logging_dir.fs.invalidate_cache()
            self._fetch("work", self.folder)
            self._fetch("journals", self.home)

    def _merge_stats(self) -> None:
        """Nothing: a rank that is done leaves no statistics, and no one reads them."""

    def mark_rank_as_completed(self, rank: int) -> None:
        """Mark it once everything that it made is where others see it."""
        self._send_work(rank)
        super().mark_rank_as_completed(rank)

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        known = set(self._carried())
        with self._saving(known):
            return super()._run_for_rank(rank, local_rank, node_rank)

    @contextmanager
    def _saving(self, known: set[Path]) -> Iterator[None]:
        """Copy journals that this job began, every minute and at the end."""
        def save() -> None:
            for path in set(self._carried()) - known:
                self._send(path, f"journals/{path.relative_to(self.home)}")

        try:
            with repeating(save, SAVE_SECONDS):
                yield
        finally:
            save()

    def _carried(self) -> list[Path]:
        """Files of the run that jobs read and add to."""
        folders = [path for path in sorted(self.home.iterdir()) if path.is_dir() and path.name not in OWN]
        return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]

    def _send_work(self, rank: int) -> None:
        for ending in ("json", "parquet"):
            for path in sorted(self.folder.rglob(f"{rank:05d}.{ending}")):
                self._send(path, f"work/{path.relative_to(self.folder)}")

    def _send(self, path: Path, name: str) -> None:
        self.logging_dir.put_file(str(path), name)

    def _fetch(self, name: str, folder: Path) -> None:
        """Copy everything under `name` to `folder`; what is not there yet is nothing."""
        if not self.logging_dir.exists(name):
            return
        for file in self.logging_dir.find(name):
            target = folder / Path(file).relative_to(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.logging_dir.get_file(file, str(target))
