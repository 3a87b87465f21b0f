"""Sampling outside a pipeline: prompts in, texts out, in this process; for evaluation and for looking at a model."""

import asyncio
from typing import Any, NamedTuple

from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.errors import UserError
from stepforge.builders.tables import derive_seed
from stepforge.pipelines.inference.embedded import EmbeddedServer
from stepforge.pipelines.inference.errors import PromptTooLong

IN_FLIGHT = 256


class Sampled(NamedTuple):
    """A completion, and whether the model ended it itself (else the length limit did); none for too long a prompt."""

    text: str
    complete: bool
    too_long: bool = False


def sample(model: str, prompts: list[str], *, samples: int = 1, temperature: float = 0.7, top_p: float = 1.0,
           max_tokens: int = 256, stop: list[str] | None = None, seed: int = 0, skip_too_long: bool = False
           ) -> list[list[Sampled]]:
    """`samples` completions of every prompt, as [prompt][sample]; sample j of prompt i has a seed of its own.

    Args:
        model: "tiny", or a folder with a Llama-style model.
        temperature: 0 is greedy.
        max_tokens: longest completion in tokens; a cut one is returned as it is.

    Raises:
        PromptTooLong: a prompt leaves no room for a completion, and such are not skipped.
        UserError: the model cannot be used, or the process that runs it ended.
    """
    settings = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "stop": stop or []}
    payloads = [{"prompt": prompt, "seed": derive_seed(seed, "evaluate", prompt, index), **settings}
                for prompt in prompts for index in range(samples)]
    try:
        answers = asyncio.run(_answer(model, payloads, skip_too_long))
    except ServerError as error:
        raise UserError(str(error)) from error
    return [answers[i * samples:(i + 1) * samples] for i in range(len(prompts))]


async def _answer(model: str, payloads: list[dict[str, Any]], skip_too_long: bool) -> list[Sampled]:
    config = InferenceConfig(server_type="custom", model_name_or_path=model, use_chat=False)
    limit = asyncio.Semaphore(IN_FLIGHT)
    async with EmbeddedServer(config, 0) as server:
        async def one(payload: dict[str, Any]) -> Sampled:
            async with limit:
                try:
                    (choice,) = (await server.make_request(payload))["choices"]
                except PromptTooLong:
                    if not skip_too_long:
                        raise
                    return Sampled("", False, too_long=True)
                return Sampled(choice["text"], choice["finish_reason"] == "stop")

        return list(await asyncio.gather(*map(one, payloads)))
