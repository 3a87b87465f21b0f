"""The servers of a run on this machine: shared by the ranks of a stage, kept for the next stage.

In: a generator. Out: the addresses of its servers; none if its engine is not launched by the run. They start when a
request first needs them (demand.py). Only one generator's servers run at a time, since a GPU seldom holds two;
generators that differ only in their sampling settings share servers.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stepforge.pipelines.inference.vllm_process import Address, VllmProcess
from stepforge.pipelines.options.generators import ServerOptions, VllmGenerator, Writer


class Servers:
    """Use it as a context manager: its servers end with the block."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._running: list[VllmProcess] = []
        self._addresses: tuple[Address, ...] = ()
        self._options: ServerOptions | None = None

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def addresses(self, generator: Writer) -> tuple[Address, ...]:
        """Where to ask for `generator`; starts its servers if they do not run.

        Raises:
            StageFailed: one of them does not start.
        """
        if not isinstance(generator, VllmGenerator):
            return ()
        options = ServerOptions.model_validate(generator.model_dump(include=set(ServerOptions.model_fields)))
        if options != self._options or any(process.ended() for process in self._running):
            self.close()
            self._running = [VllmProcess(generator, self.logs / f"{generator.name}-{replica}.log", replica)
                             for replica in range(generator.replicas)]
            try:
                with ThreadPoolExecutor(generator.replicas) as pool:
                    self._addresses = tuple(pool.map(VllmProcess.start, self._running))
            except BaseException:
                self.close()
                raise
            self._options = options
        return self._addresses

    def close(self) -> None:
        """End what runs."""
        for process in self._running:
            process.stop()
        self._running, self._addresses, self._options = [], (), None
