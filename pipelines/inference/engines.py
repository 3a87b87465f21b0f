"""The engines behind one interface: a datatrove `InferenceServer` that answers OpenAI-style completion payloads.

In: a generator of the recipe. Out: its server, its id (the hash of everything that decides what it writes), and the
payload of one completion. `recorded` generators have solutions already and need no server.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.servers import InferenceServer

from stepforge.builders.errors import UserError
from stepforge.builders.tables import content_id
from stepforge.pipelines.inference.endpoint import EndpointServer, read_key
from stepforge.pipelines.inference.prompts import stop_strings, template_text
from stepforge.pipelines.options.generators import (
    EmbeddedGenerator,
    EndpointGenerator,
    Generator,
    RecordedGenerator,
    Sampler,
    Sampling,
    Writer,
)

SHIPPED = Path(__file__).parent / "tiny"


def make_server(generator: Writer, config: InferenceConfig, rank: int) -> InferenceServer:
    """The server that answers for `generator`; datatrove's runner starts and stops it."""
    if isinstance(generator, EmbeddedGenerator):
        from stepforge.pipelines.inference.embedded import EmbeddedServer  # imports torch

        return EmbeddedServer(config, rank)
    return EndpointServer(generator, config, rank)


def check_ready(generator: Writer) -> None:
    """Raises UserError for what would stop every rank: a key that is not there."""
    if isinstance(generator, EndpointGenerator):
        read_key(generator)


def sampling_of(generator: Sampler) -> dict[str, Any]:
    """The sampling settings alone, as the payload names them."""
    settings = {name: getattr(generator, name) for name in Sampling.model_fields}
    stop = stop_strings(generator.prompt) if generator.stop is None else generator.stop
    return settings | {"stop": list(stop)}


def payload_of(generator: Sampler, prompt: str | list[int], seed: int) -> dict[str, Any]:
    """An OpenAI-style /v1/completions payload with every parameter spelt out; a prompt may be its token ids."""
    return {"prompt": prompt, "seed": seed, "n": 1, **sampling_of(generator)}


def generator_id(generator: Generator) -> str:
    """Hash of model, revision, prompt template and sampling settings; names and numbers of samples do not enter."""
    template = template_text(generator.prompt, generator.model)
    if isinstance(generator, RecordedGenerator):
        return content_id("recorded", generator.model, generator.paths, generator.hub, generator.revision,
                          generator.hub_split, generator.solution, generator.solution_key, template)
    if isinstance(generator, EndpointGenerator):
        return content_id("endpoint", generator.model, generator.revision, generator.api, generator.extra, template,
                          sampling_of(generator))
    return content_id(generator.engine, model_revision(generator.model), template, sampling_of(generator))


def model_path(model: str) -> str:
    """The folder of a model, where it is the shipped one."""
    return str(SHIPPED) if model == "tiny" else model


def revision_of(generator: Writer) -> str | None:
    """What identifies the model's weights, as far as we can know."""
    return generator.revision if isinstance(generator, EndpointGenerator) else model_revision(generator.model)


@lru_cache(maxsize=32)
def model_revision(model: str) -> str:
    """What identifies a model's weights: the hash of its folder's files.

    Raises:
        UserError: there is no such folder.
    """
    folder = Path(model_path(model))
    if not (folder / "config.json").is_file():
        raise UserError(f"model {model!r}: the embedded engine takes `tiny` or a folder with a Llama-style model "
                        f"(config.json, *.safetensors, tokenizer.json); {folder} is none")
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in (".safetensors", ".json", ".bin", ".model"):
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
