"""Servers as jobs of a Slurm cluster: one job per GPU node, which ranks on any node find and share.

In: a generator, and the settings of the cluster. Out: the addresses of servers that answer. The folder `work/servers`
of the run holds what jobs and the run's process tell each other: `task.json` (what to serve, and the key to ask for),
`JOB.json` (where a job's servers answer, with a beat that shows that it lives, or why they do not) and `alive` (the
beat of the run's process: jobs end when it has been silent for long). A job that is over, or silent, is replaced.
"""

import secrets
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from stepforge.builders.errors import StageFailed, UserError
from stepforge.pipelines.executors.slurm import OVER, states_of
from stepforge.pipelines.inference.demand import read_private, unpacked, write_private
from stepforge.pipelines.inference.server_process import Address
from stepforge.pipelines.options.executor import Slurm
from stepforge.pipelines.options.generators import LaunchedGenerator, ServerOptions, Writer

TASK, JOBS, ALIVE = "task.json", "jobs.json", "alive"
BEAT_SECONDS = 2.0
SILENT_SECONDS = 120.0  # a job that has not been heard of for longer is replaced
ASK_SECONDS = 2.0  # between two looks at the jobs: a question to Slurm, and a file of each
GATHER_SECONDS = 120.0  # that the first server waits for the others, so that ranks spread over all of them
REPLACED = 3  # jobs that never served, one after another


def served(generator: LaunchedGenerator) -> dict[str, object]:
    """What decides which servers run."""
    return generator.model_dump(mode="json", include={*ServerOptions.model_fields, "engine"})


class Beat:
    """How long a file has not changed, by the clock of who looks: clocks of machines differ."""

    def __init__(self) -> None:
        self._last: object = None
        self._since = time.monotonic()

    def silence(self, value: object) -> float:
        """Seconds since `value` was another."""
        if value != self._last:
            self._last, self._since = value, time.monotonic()
        return time.monotonic() - self._since


class ServerJobs:
    """Jobs with servers; `addresses` submits them and replaces those that are over."""

    def __init__(self, folder: Path, logs: Path, settings: Slurm) -> None:
        assert settings.servers is not None
        self.folder, self.logs = folder.absolute(), logs.absolute()
        self.settings, self.servers = settings, settings.servers
        self._task: dict[str, Any] = {}
        self._jobs: list[str] = []
        self._beats: dict[str, Beat] = {}
        self._failed = 0
        self._states: dict[str, str] = {}
        self._serving: list[tuple[Address, ...]] = []
        self._asked = self._first = 0.0
        self._over = threading.Event()

    def addresses(self, generator: Writer) -> tuple[Address, ...]:
        """Where servers of `generator` answer now; waits for the first.

        Raises:
            StageFailed: Slurm refuses the jobs, or their servers do not start.
            UserError: there is no Slurm here.
        """
        if not isinstance(generator, LaunchedGenerator):
            return ()
        if self._task.get("served") != served(generator):
            self._begin(generator)
        over = self._over
        while not over.is_set():
            if time.monotonic() - self._asked > ASK_SECONDS:
                self._serving, self._asked = self._ready(), time.monotonic()
            ready = self._serving
            if ready and (len(ready) == self.servers.nodes
                          or time.monotonic() - self._first > GATHER_SECONDS):
                return tuple(address for addresses in ready for address in addresses)
            if not ready and self._first:
                return ()  # all of them are being replaced
            over.wait(BEAT_SECONDS / 4)
        return ()

    def close(self) -> None:
        """End the jobs."""
        self._over.set()
        if self._jobs and shutil.which("scancel"):
            subprocess.run(["scancel", *self._jobs], capture_output=True, check=False)
        self._task, self._jobs, self._beats, self._failed = {}, [], {}, 0
        self._serving, self._asked, self._first = [], 0.0, 0.0
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self, generator: LaunchedGenerator) -> None:
        """Submit jobs, unless those of an earlier process of the run serve the same."""
        if shutil.which("sbatch") is None:
            raise UserError("executor.slurm.servers: there is no `sbatch` on PATH: run this on a machine of the "
                            "cluster")
        if self._jobs:
            self.close()
        self._over = threading.Event()
        earlier = read_private(self.folder / JOBS).get("jobs", [])
        task = read_private(self.folder / TASK)
        if not (earlier and task.get("served") == served(generator) and len(earlier) == self.servers.nodes):
            self._jobs = earlier
            self.close()
            self._over = threading.Event()
            self.folder.mkdir(parents=True)
            task = {"served": served(generator), "key": secrets.token_urlsafe(24),
                    "generator": generator.model_dump(mode="json")}
            write_private(self.folder / TASK, task)
            earlier = []
        self._task = task
        self._live()
        threading.Thread(target=self._keep_alive, args=(self._over,), name="alive", daemon=True).start()
        self._jobs = earlier or [self._submit(node) for node in range(self.servers.nodes)]
        write_private(self.folder / JOBS, {"jobs": self._jobs})

    def _keep_alive(self, over: threading.Event) -> None:
        while not over.wait(BEAT_SECONDS):
            self._live()

    def _live(self) -> None:
        try:
            (self.folder / ALIVE).write_text(str(time.time()))
        except OSError:
            pass  # a full disk, or the folder went with the servers; jobs wait long

    def _ready(self) -> list[tuple[Address, ...]]:
        """The addresses of each job that serves; a job that does not live is replaced."""
        if (states := states_of(self._jobs)) is not None:
            self._states = {job: states.get(job, "GONE") for job in self._jobs}
        ready = []
        for node, job in enumerate(list(self._jobs)):
            lease = read_private(self.folder / f"{job}.json")
            silence = self._beats.setdefault(job, Beat()).silence(lease)
            if self._states.get(job, "PENDING") in {*OVER, "GONE"} or "error" in lease or (
                    lease and silence > SILENT_SECONDS):
                self._replace(node, job, lease)
            elif lease.get("addresses"):
                ready.append(unpacked(lease["addresses"]))
        if ready:
            self._failed = 0
            self._first = self._first or time.monotonic()
        return ready

    def _replace(self, node: int, job: str, lease: dict[str, Any]) -> None:
        self._failed += not lease.get("addresses")
        if self._failed >= REPLACED or "error" in lease:
            raise StageFailed(lease.get("error") or f"the server job {job} is {self._states.get(job, 'silent')}; its "
                              f"log is {self._log(node)}")
        if self._over.is_set():
            return
        subprocess.run(["scancel", job], capture_output=True, check=False)
        (self.folder / f"{job}.json").unlink(missing_ok=True)
        self._jobs[node] = self._submit(node)
        write_private(self.folder / JOBS, {"jobs": self._jobs})

    def _log(self, node: int) -> Path:
        return self.logs / f"node-{node}" / "job.log"

    def _submit(self, node: int) -> str:
        """The id of a job that serves."""
        ours, log = self.servers, self._log(node)
        log.parent.mkdir(parents=True, exist_ok=True)
        options = {"job-name": f"stepforge-server-{node}", "partition": ours.partition or self.settings.partition,
                   "time": ours.time or self.settings.time, "nodes": "1", "ntasks": "1", "output": str(log),
                   "open-mode": "append", "cpus-per-task": str(ours.cpus), "mem": f"{ours.memory_gb}G",
                   **({"gres": f"gpu:{ours.gpus}"} if ours.gpus else {}),
                   **({"qos": self.settings.qos} if self.settings.qos else {}), **self.settings.sbatch, **ours.sbatch}
        setup = self.settings.setup or f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
        run = shlex.join(["-m", "stepforge.pipelines.inference.server_job", str(self.folder), str(log.parent)])
        done = subprocess.run(
            ["sbatch", "--parsable", "--no-requeue", *(f"--{name}={value}" for name, value in options.items())],
            input=f"#!/bin/bash\n{setup}\nexec python {run}\n", capture_output=True, text=True, check=False)
        if done.returncode:
            raise StageFailed(f"sbatch refused the job of a server: {done.stderr.strip()[:300]}. Options: {options}")
        return done.stdout.strip().split(";")[0]
