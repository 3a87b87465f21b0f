"""Killable workers for the symbolic tier: a (gold, answer) pair goes in, a `Match` comes out before a hard deadline.

Every worker is a plain child process spoken to over pipes, so the pool works from any thread and inside daemonic
processes. The deadline is kept from outside: a worker that overruns it is killed and replaced, which no signal,
exception handler or C code inside the worker can prevent. Workers start when the first pair arrives.
"""

import json
import os
import queue
import selectors
import subprocess
import sys
import time

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.equivalence import Match

START_SECONDS = 120.0      # importing SymPy on a loaded machine; not part of any deadline


class WorkerError(RuntimeError):
    """A symbolic worker could not be started."""


class Worker:
    """One child process. Not safe for two threads at once; the pool hands it to one at a time."""

    def __init__(self, memory_mb: int, timeout_s: float) -> None:
        module = "stepforge.pipelines.answers.worker"
        command = [sys.executable, "-P", "-m", module, str(memory_mb), str(timeout_s)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.requests, self.replies = self.process.stdin, self.process.stdout
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.replies, selectors.EVENT_READ)
        self.count = 0
        try:
            self._line(START_SECONDS)
        except OSError as error:
            self.kill()
            raise WorkerError(f"the symbolic worker did not start; run `{' '.join(command)}` to see why") from error

    def ask(self, gold: str, answer: str, seconds: float) -> Match:
        """Raises TimeoutError past the deadline, OSError when the process has died; then the worker is of no use."""
        self.count += 1
        self.requests.write(json.dumps([self.count, gold, answer]).encode("ascii") + b"\n")
        number, equal, method, reason = json.loads(self._line(seconds))
        if number != self.count:
            raise OSError("reply to another request")
        return Match(equal, method, reason)

    def _line(self, seconds: float) -> bytes:
        deadline, received = time.monotonic() + seconds, b""
        while not received.endswith(b"\n"):
            if not self.selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            chunk = os.read(self.replies.fileno(), 65536)
            if not chunk:
                raise OSError("the worker closed its output")
            received += chunk
        return received.rstrip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        self.selector.close()
        self.requests.close()
        self.replies.close()


class Pool:
    """Up to `workers` processes, started one by one as they are needed. `check` may be called from any thread."""

    def __init__(self, workers: int, timeout_s: float, memory_mb: int) -> None:
        self.timeout_s, self.memory_mb = timeout_s, memory_mb
        self.idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()     # None: a place without a process yet
        self.places = workers
        for _ in range(workers):
            self.idle.put(None)

    def check(self, gold: str, answer: str) -> Match:
        """Compare with the symbolic tier; past the deadline, or when the worker dies, the match is undecided.

        Raises WorkerError when no worker can be started.
        """
        idle = self.idle
        worker, unharmed = idle.get(), False
        try:
            if worker is None or worker.process.poll() is not None:
                worker = Worker(self.memory_mb, self.timeout_s)
            match = worker.ask(gold, answer, self.timeout_s)
            unharmed = True
        except TimeoutError:
            match = Match(None, "symbolic", outcome.TIMEOUT)
        except OSError:
            match = Match(None, "symbolic", outcome.WORKER_DIED)
        finally:
            if worker is not None and not unharmed:
                worker.kill()
            idle.put(worker if unharmed else None)
        return match

    def close(self) -> None:
        """End every process once its present check is over."""
        for _ in range(self.places):
            worker = self.idle.get()
            if worker is not None:
                worker.kill()

    def forget(self) -> None:
        """In a forked child: let go of the parent's workers without touching them, and start anew when asked."""
        inherited, self.idle = self.idle, queue.LifoQueue()
        for worker in inherited.queue:
            if worker is not None:
                worker.close()
        for _ in range(self.places):
            self.idle.put(None)
