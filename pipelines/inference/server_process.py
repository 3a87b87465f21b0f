"""Runs a server as a child process: assigns GPUs, waits until it answers, and stops it.

In: a generator of the recipe. Out: the address of a server on this machine. The server runs under a launcher
(launcher.py), which stops it when this process ends. Its output goes to a log in the run's folder; if it does not
start, the error quotes the log's last lines.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import httpx

from stepforge.builders.errors import UserError
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference.models import model_path
from stepforge.pipelines.inference.secret import Secret
from stepforge.pipelines.inference.server_commands import KEY, command, gpus
from stepforge.pipelines.options.generators import LaunchedGenerator

LAUNCHER = Path(__file__).parent / "launcher.py"
LOOK_SECONDS = 0.5
TAIL_LINES = 15
PORTS = 3  # that are tried
TAKEN = re.compile(r"address already in use", re.IGNORECASE)
MEMORY = re.compile(r"out of memory|OutOfMemoryError|No available memory for the cache blocks|less than desired GPU "
                    r"memory utilization|larger than the maximum number of tokens that can be stored in KV cache")
ERROR = re.compile(r"\b[A-Z]\w*(Error|Exception): ")


class Address(NamedTuple):
    """Where a server answers, where it logs, and the key that it asks for."""

    url: str
    log: Path
    key: str | None = None


class ServerProcess:
    """One server; `start` returns when it answers.

    Args:
        key: what the server asks for; one with a key also answers other machines.
    """

    def __init__(self, generator: LaunchedGenerator, log: Path, replica: int = 0, key: str | None = None) -> None:
        self.generator = generator
        self.log = log
        self.replica = replica
        self.key = key
        self.started = 0.0  # when, by the monotonic clock
        self._launcher: subprocess.Popen[bytes] | None = None

    def start(self) -> Address:
        """Where it answers. A port that another program took in the meantime is tried elsewhere.

        Raises:
            StageFailed: the server ends before it answers, or does not answer in time.
        """
        for attempt in range(PORTS):
            written = self.log.stat().st_size if self.log.exists() else 0
            try:
                return self._start(_free_port())
            except StageFailed:
                if attempt == PORTS - 1 or not TAKEN.search(_since(self.log, written)):
                    raise
        raise AssertionError  # the loop returns or raises

    def _start(self, port: int) -> Address:
        environment = {"VLLM_NO_USAGE_STATS": "1"} | os.environ | _pinned(self.generator, self.replica)
        if Path(model_path(self.generator.model)).is_dir():
            environment["HF_HUB_OFFLINE"] = "1"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        host = "127.0.0.1"
        if self.key is not None:
            environment[KEY], host = self.key, "0.0.0.0"
        self.started = time.monotonic()
        line = command(self.generator, port, host, self._key_file())
        with self.log.open("ab") as log:
            self._launcher = subprocess.Popen(
                [sys.executable, str(LAUNCHER), str(os.getpid()), *line], env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )
        address = Address(f"http://127.0.0.1:{port}/v1", self.log, self.key)
        try:
            self._wait(address)
        except BaseException:
            self.stop()
            raise
        return address

    def _key_file(self) -> Path | None:
        """The key in a file that only this user reads: a command line is for all to see."""
        if self.key is None:
            return None
        path = self.log.with_suffix(".yaml")
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"api-key: {self.key}\n")
        return path

    def ended(self) -> bool:
        """Whether it does not run, by whatever cause."""
        return self._launcher is None or self._launcher.poll() is not None

    def stop(self) -> None:
        """End the server and all that belongs to it."""
        if self.key is not None:
            self.log.with_suffix(".yaml").unlink(missing_ok=True)
        if self._launcher is None:
            return
        self._launcher.terminate()
        try:
            self._launcher.wait(30)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._launcher.pid, signal.SIGKILL)  # what is left if the launcher itself was killed
        except ProcessLookupError:
            pass
        self._launcher.wait()
        self._launcher = None

    def _wait(self, address: Address) -> None:
        launcher = self._launcher  # another thread may stop the server meanwhile
        assert launcher is not None
        deadline = time.monotonic() + self.generator.start_timeout_s
        while time.monotonic() < deadline:
            if launcher.poll() is not None:
                raise StageFailed(f"generator {self.generator.name!r}: the {engine(self.generator)} server did not "
                                  f"start. {_advice(self.log)}{tail(self.log)}")
            try:
                if httpx.get(f"{address.url}/models", timeout=5, trust_env=False,
                             headers=Secret(address.key).headers()).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(LOOK_SECONDS)
        raise StageFailed(f"generator {self.generator.name!r}: the {engine(self.generator)} server did not answer "
                          f"within {self.generator.start_timeout_s:g} s (start_timeout_s). {tail(self.log)}")


def engine(generator: LaunchedGenerator) -> str:
    """How people call the engine."""
    return {"vllm": "vLLM", "sglang": "SGLang"}[generator.engine]


def _since(log: Path, start: int) -> str:
    """What was logged behind a byte, of its end at most 64 kB."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - 65536))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _advice(log: Path) -> str:
    """What helps, for failures whose words everybody meets."""
    if MEMORY.search(_since(log, 0)):
        return ("The GPU has too little memory: set `max_model_len` or `gpu_memory` lower, `tensor_parallel` higher, "
                "or end what else runs on it. ")
    return ""


def tail(log: Path) -> str:
    """The last error in a log and its last lines, to be quoted in an error message."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"Its log {log} cannot be read: {error.strerror}"
    return last_words(text, str(log))


def last_words(text: str, of: str) -> str:
    """The last error in what a process wrote, and its last lines."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = next((line[-200:] + "\n" for line in reversed(lines) if ERROR.search(line)), "")
    return f"{last}Last lines of {of}:\n" + "\n".join(line[:300] for line in lines[-TAIL_LINES:])


def _pinned(generator: LaunchedGenerator, replica: int) -> dict[str, str]:
    """The environment that gives a replica its own GPUs; nothing where there is one replica or no GPU to be seen.

    Under Ray, the GPUs are those of a cluster, which assigns them.
    """
    each = generator.tensor_parallel * generator.pipeline_parallel * generator.data_parallel
    seen = gpus()
    if generator.replicas == 1 or not seen or generator.backend == "ray":
        return {}
    if len(seen) < each * generator.replicas:
        raise UserError(f"generator {generator.name!r}: {generator.replicas} replicas of {each} GPUs each are more "
                        f"than the {len(seen)} that can be seen; lower replicas, tensor_parallel, pipeline_parallel "
                        "or data_parallel")
    return {"CUDA_VISIBLE_DEVICES": ",".join(seen[replica * each:(replica + 1) * each])}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
