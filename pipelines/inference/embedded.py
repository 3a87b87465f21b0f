"""The embedded engine: a small model on the CPU of this machine, for where there is neither a GPU nor a server.

The sampler (sampler.py) works in a process of its own, so that it and the run's Python do not wait for one interpreter
lock. In: its payloads. Out: its answers. They go over the process's pipes, a line of JSON each. All servers of this
process that name the same model share one sampler. It ends when its pipe is closed, which the kernel does however this
process ends.

    async with EmbeddedServer(config, rank) as server:
        await server.make_request({"prompt": "Ada has 3 ...\\n", "seed": 7, "max_tokens": 120})
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from itertools import count
from typing import Any

import orjson
from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.servers.base import InferenceServer
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.errors import PromptTooLong
from stepforge.pipelines.inference.server_process import last_words

START_SECONDS = 600.0  # to load a model, perhaps from the Hub, on a machine that is busy too
ERRORS = {kind.__name__: kind for kind in (UserError, PromptTooLong, ValueError)}  # that keep their type on the way


class SamplerProcess:
    """A sampler in a process of its own; `settings` are the arguments of `BatchSampler`.

    Raises UserError for a model that cannot be used, ServerError where the process ends before it is ready.
    """

    def __init__(self, **settings: Any) -> None:
        program = [sys.executable, "-P", "-m", "stepforge.pipelines.inference.sampler"]
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen([*program, orjson.dumps(settings).decode()], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._errors,
                                         env={**os.environ, "TQDM_DISABLE": "1"})
        assert self._process.stdin and self._process.stdout
        self._lines, self._answers = self._process.stdin, self._process.stdout
        self._lock, self._numbers = threading.Lock(), count()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        started = time.monotonic()
        timer = threading.Timer(START_SECONDS, self._process.kill)
        timer.start()
        hello = orjson.loads(self._answers.readline() or b"{}")
        timer.cancel()
        if not hello:
            slow = time.monotonic() - started >= START_SECONDS
            raise self._ended(f"did not start within {START_SECONDS:g} s" if slow else None)
        if "error" in hello:
            raise _error(hello)
        threading.Thread(target=self._read, name="embedded-answers", daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def submit(self, payload: dict[str, Any]) -> "Future[dict[str, Any]]":
        """Sends a payload; the future gives the answer, or what `BatchSampler.submit` raises, or ServerError."""
        number, answer = next(self._numbers), Future[dict[str, Any]]()
        answer.set_running_or_notify_cancel()  # from here on it cannot be cancelled, only ignored
        line = orjson.dumps({"number": number, "payload": payload}) + b"\n"
        with self._lock:
            self._waiting[number] = answer
            try:
                self._lines.write(line)
                self._lines.flush()
            except OSError:
                self._waiting.pop(number).set_exception(self._ended())
        return answer

    def close(self) -> None:
        """End the process; who still waits for an answer gets a ServerError."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        for line in self._answers:
            if not line.endswith(b"\n"):
                break  # the process was killed while it wrote
            message = orjson.loads(line)
            answer = self._waiting.pop(message["number"])
            answer.set_exception(_error(message)) if "error" in message else answer.set_result(message["answer"])
        self._process.wait()
        with self._lock:
            while self._waiting:
                self._waiting.popitem()[1].set_exception(self._ended())

    def _ended(self, how: str | None = None) -> ServerError:
        code = self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace")
        words = last_words(errors, "its errors") if errors.strip() else ""
        return ServerError(f"the process of the embedded engine {how or f'ended with code {code}'}. {words}".strip())


def _error(answer: dict[str, Any]) -> Exception:
    name, message = answer["error"]
    return ERRORS[name](message) if name in ERRORS else RuntimeError(f"{name}: {message}")


_processes: dict[tuple[int, bytes], SamplerProcess] = {}
_starting = threading.Lock()


def shared_sampler(**settings: Any) -> SamplerProcess:
    """This process's sampler with these settings: started once, and again where it has ended."""
    with _starting:
        key = (os.getpid(), orjson.dumps(settings, option=orjson.OPT_SORT_KEYS))
        if key not in _processes or not _processes[key].alive:
            _processes[key] = SamplerProcess(**settings)
        return _processes[key]


class EmbeddedServer(InferenceServer):
    """datatrove's server interface over this process's sampler of a model.

    `config.model_name_or_path` is `tiny`, a folder or a Hub id; `config.model_kwargs` may hold `slots`;
    `config.model_max_context` bounds the context.
    """

    def __init__(self, config: InferenceConfig, rank: int) -> None:
        super().__init__(config, rank)
        self._sampler: SamplerProcess | None = None

    async def start_server(self) -> None:
        """Nothing: `bg_start_server` does it all."""

    async def bg_start_server(self) -> None:
        """Start the sampler, off the event loop; where it does not start, every request gets its error.

        The base class would start it a second time and lose the reason.
        """
        settings = {"model": self.config.model_name_or_path, "context": self.config.model_max_context,
                    **(self.config.model_kwargs or {})}
        try:
            self._sampler = await asyncio.to_thread(shared_sampler, **settings)
        except Exception as error:
            self._server_ready.set_exception(ServerError(str(error)))
            return
        self._server_ready.set_result(True)

    async def monitor_health(self) -> None:
        await asyncio.Event().wait()  # whoever asks is told

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Answers a completions payload (top of sampler.py). Raises what `SamplerProcess.submit` gives."""
        if self._sampler is None:
            raise RuntimeError("embedded engine: not started; use it as `async with EmbeddedServer(config, rank)`")
        return await asyncio.wrap_future(self._sampler.submit(payload))
