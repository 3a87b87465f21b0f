"""The servers of a run: shared by the ranks of a stage, kept for the next stage, replaced when they die.

In: a generator. Out: the addresses of its servers; none if its engine is not launched by the run. They start when a
request first needs them (demand.py), on this machine or as jobs on a cluster (slurm_servers.py). Only one generator's
servers run at a time, since a GPU seldom holds two; generators that differ only in their sampling settings share
servers.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stepforge.builders.errors import StageFailed
from stepforge.pipelines.inference.demand import Starts
from stepforge.pipelines.inference.server_process import Address, ServerProcess, engine, tail
from stepforge.pipelines.inference.slurm_servers import ServerJobs, served
from stepforge.pipelines.options.executor import Executor
from stepforge.pipelines.options.generators import LaunchedGenerator, Writer

SOON_SECONDS = 600.0  # a server that ends earlier did not do well
RESTARTS = 2  # of servers that did not do well, one after another


class Servers:
    """Use it as a context manager: its servers end with the block.

    Args:
        logs: folder for the logs of servers.
        folder: where servers on a cluster say how they are.
        key: what the servers ask for; with it they also answer other machines.
    """

    def __init__(self, logs: Path, folder: Path | None = None, key: str | None = None) -> None:
        self.logs, self.folder, self.key = logs, folder, key
        self._running: list[ServerProcess] = []
        self._addresses: list[Address] = []
        self._served: dict[str, object] | None = None
        self._restarts = 0
        self._cluster: ServerJobs | None = None

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def of(self, executor: Executor) -> Starts | None:
        """The servers that ranks of an executor share; null where each starts its own."""
        if executor.kind == "local":
            return self
        if executor.kind != "slurm" or executor.slurm is None or executor.slurm.servers is None:
            return None
        if self._cluster is None or self._cluster.settings != executor.slurm:
            if self._cluster is not None:
                self._cluster.close()
            assert self.folder is not None
            self._cluster = ServerJobs(self.folder, self.logs, executor.slurm)
        return self._cluster

    def addresses(self, generator: Writer) -> tuple[Address, ...]:
        """Where to ask for `generator`; starts its servers if they do not run, one that died in the place of it.

        Raises:
            StageFailed: one of them does not start, or several died soon.
        """
        if not isinstance(generator, LaunchedGenerator):
            return ()
        if served(generator) != self._served or not self._running:
            self.close()
            self._running = [ServerProcess(generator, self.logs / f"{generator.name}-{replica}.log", replica, self.key)
                             for replica in range(generator.replicas)]
            try:
                with ThreadPoolExecutor(generator.replicas) as pool:
                    self._addresses = list(pool.map(ServerProcess.start, self._running))
            except BaseException:
                self.close()
                raise
            self._served = served(generator)
        for number, process in enumerate(self._running):
            if process.ended():
                self._count(process)
                self._addresses[number] = process.start()
        return tuple(self._addresses)

    def _count(self, process: ServerProcess) -> None:
        self._restarts = self._restarts + 1 if time.monotonic() - process.started < SOON_SECONDS else 1
        process.stop()
        if self._restarts > RESTARTS:
            raise StageFailed(f"generator {process.generator.name!r}: the {engine(process.generator)} server ended "
                              f"{self._restarts} times soon after its start. {tail(process.log)}")

    def close(self) -> None:
        """End what runs."""
        for process in self._running:
            process.stop()
        self._running, self._addresses, self._served, self._restarts = [], [], None, 0
        if self._cluster is not None:
            self._cluster.close()
