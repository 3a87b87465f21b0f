"""The engines behind one interface: a datatrove `InferenceServer` that answers OpenAI-style completion payloads.

In: a generator of the recipe. Out: its server, its id (the hash of everything that decides what it writes), and the
payload of one completion. `recorded` generators have solutions already and need no server.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.servers import InferenceServer

from stepforge.builders.errors import UserError
from stepforge.builders.tables import content_id, derive_seed
from stepforge.pipelines.inference.embedded import EmbeddedServer
from stepforge.pipelines.inference.endpoint import BatchServer, EndpointServer, read_key
from stepforge.pipelines.inference.launched import LaunchedServer
from stepforge.pipelines.inference.models import folder_revision, model_revision
from stepforge.pipelines.inference.prompts import stop_strings, template_text
from stepforge.pipelines.inference.server_commands import python
from stepforge.pipelines.options.generators import (
    BatchGenerator,
    EmbeddedGenerator,
    EndpointGenerator,
    Generator,
    HostedModel,
    LaunchedGenerator,
    RecordedGenerator,
    Sampler,
    Sampling,
    VllmGenerator,
    Writer,
)


def make_server(generator: Writer, config: InferenceConfig, rank: int, shared: Path | None, logs: Path
                ) -> InferenceServer:
    """The server that answers for `generator`; datatrove's runner starts and stops it.

    Args:
        shared: folder in which a rank asks for servers of the run (demand.py); without it, a rank whose engine needs
            one starts its own.
        logs: folder for the log of such a server.
    """
    if isinstance(generator, EmbeddedGenerator):
        return EmbeddedServer(config, rank)
    if isinstance(generator, LaunchedGenerator):
        return LaunchedServer(generator, config, rank, shared, logs)
    if isinstance(generator, BatchGenerator):
        return BatchServer(config, rank)
    return EndpointServer(generator, config, rank)


def check_ready(generator: Writer) -> None:
    """Raises UserError for what would stop every rank: a key or a program that is not there."""
    if isinstance(generator, EmbeddedGenerator) and not find_spec("torch"):
        raise UserError("the embedded engine needs torch and transformers: pip install 'stepforge[embedded]'")
    if isinstance(generator, EndpointGenerator):
        read_key(generator)
    if isinstance(generator, LaunchedGenerator):
        python(generator)


def sampling_of(generator: Sampler) -> dict[str, Any]:
    """The sampling settings alone, as the payload names them."""
    settings = {name: getattr(generator, name) for name in Sampling.model_fields}
    stop = stop_strings(generator.prompt) if generator.stop is None else generator.stop
    return settings | {"stop": list(stop)}


def payload_of(generator: Sampler, prompt: str | list[int], seed: int) -> dict[str, Any]:
    """An OpenAI-style /v1/completions payload with every parameter spelt out; a prompt may be its token ids."""
    return {"prompt": prompt, "seed": seed, "n": 1, **sampling_of(generator)}


def seed_of(generator: Writer, index: int, *parts: object) -> int:
    """The seed of completion `index` of what `parts` name.

    Under vLLM the seeds of one prompt follow one another from a hashed first one, as those of the choices of one
    request do (launched.py); under other engines each is a hash of its own.
    """
    return derive_seed(*parts) + index if isinstance(generator, VllmGenerator) else derive_seed(*parts, index)


def generator_id(generator: Generator) -> str:
    """Hash of model, revision, prompt template and sampling settings; names and numbers of samples do not enter."""
    template = template_text(generator.prompt, generator.model)
    if isinstance(generator, RecordedGenerator):
        unset = {"step_mark"} if generator.step_mark is None else set()  # an option that came later changes no id
        place = generator.model_dump(mode="json", exclude={"name", "prompt", "samples", *unset})
        names = {"paths": [_carried(path) for path in generator.paths], "hub": _carried(generator.hub or "") or None}
        return content_id("recorded", place | names, template)
    if isinstance(generator, HostedModel):
        omitted = [sorted(generator.omit)] if generator.omit else []
        return content_id("endpoint", generator.model, generator.revision, generator.api, generator.extra, template,
                          sampling_of(generator), *omitted)
    if isinstance(generator, LaunchedGenerator):
        adapter = folder_revision(generator.adapter) if generator.adapter else None
        return content_id(generator.engine, model_revision(generator.model, generator.revision), adapter,
                          generator.dtype, generator.max_model_len, generator.arguments, template,
                          sampling_of(generator))
    return content_id(generator.engine, folder_revision(generator.model), template, sampling_of(generator))


def _carried(place: str) -> str:
    """What of a path is the same on every machine: a relative path or a URL whole, of any other its last name."""
    return PurePath(place).name if place.startswith(("/", "~")) else place


def check_apart(generators: Sequence[Generator]) -> None:
    """Raises UserError where two generators would write the same: the second one's rows would be copies."""
    names: dict[str, str] = {}
    for generator in generators:
        other = names.setdefault(generator_id(generator), generator.name)
        if other != generator.name:
            raise UserError(
                f"generators: {other!r} and {generator.name!r} are the same: model, prompt and sampling do not "
                "differ, so the second would write copies of the first. Where two servers hold different weights "
                "under one name, give each its `revision`; where two recorded files have one name, give each its "
                "`model`, or read both as one generator; otherwise remove one of the two")


def revision_of(generator: Writer) -> str | None:
    """What identifies the model's weights, as far as we can know."""
    if isinstance(generator, HostedModel):
        return generator.revision
    return model_revision(generator.model, generator.revision if isinstance(generator, LaunchedGenerator) else None)
