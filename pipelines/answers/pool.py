"""Killable workers for checks that may run away: arguments go in, a result comes out before a deadline.

Every worker is a plain child process spoken to over pipes, so the pool works from any thread and inside daemonic
processes. The deadline counts CPU seconds of the worker and of every process that it starts, so that a busy machine
changes no verdict; wall time is a generous backstop for a check that sleeps. Both are kept from outside: a worker that
overruns is killed with its whole process group and replaced, which no signal, exception handler or C code inside the
worker can prevent. Workers start when the first check arrives.
"""

import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from stepforge.builders.errors import UserError
from stepforge.pipelines.answers import outcome
from stepforge.pipelines.options.base import LEAST_MEMORY_MB, LEAST_TIMEOUT_S

START_SECONDS = 300.0      # of wall time to import SymPy on a busy machine; not part of any deadline
BACKSTOP = 20.0            # wall seconds for each CPU second of a deadline: what 1/20 of a core can still do in time
LEAST_BACKSTOP = 10.0      # wall seconds, however short the deadline is
TICKS = os.sysconf("SC_CLK_TCK")
Result = TypeVar("Result")


class WorkerError(UserError):
    """A worker could not be started, or cannot do its task."""


class CheckFailed(Exception):
    """A check gave no result; `reason` is one of `outcome.UNDECIDED_REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Worker:
    """One child process. Not safe for two threads at once; the pool hands it to one at a time.

    task: what the worker does (worker.py). `version` is the task's own, where it has one.
    """

    def __init__(self, task: str, timeout_s: float, memory_mb: int) -> None:
        module = "stepforge.pipelines.answers.worker"
        command = [sys.executable, "-P", "-m", module, task, str(timeout_s), str(memory_mb)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0, process_group=0)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.requests, self.replies = self.process.stdin, self.process.stdout
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.replies, selectors.EVENT_READ)
        self.count, self.cpu_seconds = 0, 0.0
        try:
            self.version, complaint = self._reply(START_SECONDS, START_SECONDS)
        except OSError as error:
            self.kill()
            raise WorkerError(f"the worker for {task} did not start ({_in_words(error, self.process.returncode)}); "
                              f"run `{' '.join(command)}` to see why") from error
        if complaint:
            self.kill()
            raise WorkerError(complaint)

    def ask(self, arguments: list[Any], timeout_s: float) -> Any:
        """Raises TimeoutError past the deadline, OSError when the process has died; then the worker is of no use."""
        self.count += 1
        self.requests.write(json.dumps([self.count, *arguments]).encode("ascii") + b"\n")
        return self._reply(timeout_s, max(LEAST_BACKSTOP, BACKSTOP * timeout_s))

    def _reply(self, cpu_seconds: float, wall_seconds: float) -> Any:
        """The result in the next line of the worker, which carries the CPU seconds it has used so far."""
        backstop, pause, line = time.monotonic() + wall_seconds, cpu_seconds, b""
        while not line.endswith(b"\n"):
            if self.selector.select(max(0.0, min(pause, backstop - time.monotonic()))):
                chunk = os.read(self.replies.fileno(), 65536)
                if not chunk:
                    raise OSError("the worker closed its output")
                line += chunk
                continue
            pause = cpu_seconds - (used_cpu(self.process.pid) - self.cpu_seconds)
            if pause <= 0 or time.monotonic() >= backstop:
                raise TimeoutError
        number, self.cpu_seconds, result = json.loads(line)
        if number != self.count:
            raise OSError("reply to another request")
        return result

    def kill(self) -> None:
        """End it with all that it started; its exit code stays what it was where it had ended by itself."""
        if self.process.returncode is None:        # not yet waited for, so that no other process has taken its number
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close()

    def close(self) -> None:
        self.selector.close()
        self.requests.close()
        self.replies.close()


def used_cpu(group: int) -> float:
    """CPU seconds of the processes of a group, with those that they waited for (man proc_pid_stat, fields 5, 14-17).

    0 where there is no /proc: there the kernel's limit inside the worker and the backstop keep the deadline.
    """
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b") ")[2].split()
        except OSError:            # ended meanwhile
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def _in_words(error: OSError, code: int) -> str:
    late = isinstance(error, TimeoutError)
    return f"not ready after {START_SECONDS:.0f} s" if late else f"it ended with code {code}"


class Pool:
    """Up to `workers` processes, started one by one as they are needed. Use it from any thread.

    task: what the workers do (worker.py). timeout_s: CPU seconds for one check. memory_mb: of one worker, in MiB.
    """

    def __init__(self, task: str, workers: int, timeout_s: float, memory_mb: int) -> None:
        for name, value, least in (("workers", workers, 1), ("timeout_s", timeout_s, LEAST_TIMEOUT_S),
                                   ("memory_mb", memory_mb, LEAST_MEMORY_MB)):
            if not value >= least:
                raise ValueError(f"{name} is {value}; it must be at least {least}")
        self.task, self.places, self.timeout_s, self.memory_mb = task, workers, timeout_s, memory_mb
        self._start_afresh()
        _pools.add(self)

    def _start_afresh(self) -> None:
        self.idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()     # None: a place without a process yet
        for _ in range(self.places):
            self.idle.put(None)
        self.threads: ThreadPoolExecutor | None = None
        self.closed = False
        self._lock = threading.Lock()

    def version(self) -> str:
        """The version of the task, as a worker says it."""
        with self._borrowed() as worker:
            return str(worker.version)

    def ask(self, *arguments: Any) -> Any:
        """The worker's result for JSON-serialisable arguments.

        Raises:
            CheckFailed: the deadline passed or the worker died.
            WorkerError: no worker can be started.
        """
        with self._borrowed() as worker:
            try:
                return worker.ask(list(arguments), self.timeout_s)
            except TimeoutError as error:
                raise CheckFailed(outcome.TIMEOUT) from error
            except OSError as error:
                worker.kill()
                overran = worker.process.returncode == -signal.SIGXCPU
                raise CheckFailed(outcome.TIMEOUT if overran else outcome.WORKER_DIED) from error

    @contextmanager
    def _borrowed(self) -> Iterator[Worker]:
        """A worker of this pool, started where its place is empty; one that the block fails with is killed."""
        idle = self.idle
        worker, unharmed = idle.get(), False
        try:
            if worker is None or worker.process.poll() is not None:
                worker = Worker(self.task, self.timeout_s, self.memory_mb)
            yield worker
            unharmed = True
        finally:
            if worker is not None and not unharmed:
                worker.kill()
            idle.put(worker if unharmed else None)

    def submit(self, call: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Run `call`, which asks this pool, in one of as many threads as there are workers."""
        with self._lock:
            if self.closed:
                raise ValueError("this Verifier is closed; make a new one, or verify inside its `with` block")
            if self.threads is None:
                self.threads = ThreadPoolExecutor(self.places, thread_name_prefix="verify")
            return self.threads.submit(call, *arguments)

    def close(self) -> None:
        """End every process once its present check is over; a second call does nothing."""
        with self._lock:
            already, self.closed = self.closed, True
        if already:
            return
        if self.threads is not None:
            self.threads.shutdown(wait=True, cancel_futures=True)
        for _ in range(self.places):
            worker = self.idle.get()
            if worker is not None:
                worker.kill()

    def forget(self) -> None:
        """In a forked child: let go of the parent's workers without touching them, and start anew when asked."""
        inherited = self.idle
        self._start_afresh()
        for worker in inherited.queue:
            if worker is not None:
                worker.close()


_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _after_fork() -> None:
    """A forked child has its parent's pipes but none of its threads: every pool starts anew there."""
    for pool in list(_pools):
        pool.forget()


os.register_at_fork(after_in_child=_after_fork)
