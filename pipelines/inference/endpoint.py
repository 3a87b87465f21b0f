"""The endpoint engine: any OpenAI-compatible server that somebody else runs.

In: our payloads. Out: its answers. Parameters that would change nothing are left out, since hosted servers refuse
names that they do not know; the recipe says what else a server is not sent (`omit`), what it calls otherwise
(`rename`), and what it has beyond the common names (`extra`). A server that can only chat writes whole solutions; it
cannot go on from a step, and the recipe refuses to ask it to. Some servers give back the prompt before the completion:
where an answer begins with its prompt, the server is asked once whether it does so always.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.servers import InferenceServer

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.client import Client
from stepforge.pipelines.inference.errors import RequestFailed
from stepforge.pipelines.options.generators import EndpointGenerator, HostedModel

PATHS = {"completions": "/completions", "chat": "/chat/completions"}
NEUTRAL = {"top_p": 1.0, "top_k": 0, "stop": [], "n": 1}  # values that change nothing and need not be said
ECHO_TEST = "\n17 lamps, 4 rivers, 93 stones, 56 letters:"  # nobody would begin an answer with this
LIMITS = ("max_tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens")  # what servers call the field
MARK = 16  # characters that a server may put before an echoed prompt, such as a mark for its beginning


class EndpointServer(InferenceServer):
    """datatrove's server interface over a client; there is no process to start."""

    def __init__(self, generator: EndpointGenerator, config: InferenceConfig, rank: int) -> None:
        super().__init__(config, rank)
        self.generator = generator
        self.key = read_key(generator)
        self.client: Client | None = None
        self._echoes: asyncio.Task[bool] | None = None

    async def start_server(self) -> None:
        endpoint = self.generator
        self.client = Client(endpoint.url, PATHS[endpoint.api], self.key, endpoint.timeout_s, endpoint.concurrency,
                             answer_mib=endpoint.answer_mib, names=names_of(endpoint))

    async def is_ready(self) -> bool:
        return self.client is not None

    async def monitor_health(self) -> None:
        await asyncio.Event().wait()  # the client finds out by itself

    async def server_cleanup(self) -> None:
        await super().server_cleanup()
        if self._echoes is not None:
            self._echoes.cancel()
        if self.client is not None:
            await self.client.close()
            self.client = None

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        assert self.client is not None
        answer = await self.client.ask(body_of(self.generator, payload))
        prompt = payload["prompt"]
        if self.generator.api == "completions" and isinstance(prompt, str) and any(
                behind(prompt, choice["text"]) is not None for choice in answer["choices"]):
            if self._echoes is None:
                self._echoes = asyncio.create_task(self._ask_for_echo(payload))
            if await asyncio.shield(self._echoes):
                for choice in answer["choices"]:
                    choice["text"] = behind(prompt, choice["text"]) or ""
                    choice["logprob_sum"] = choice["logprob_mean"] = None  # they are of the prompt, too
        return answer

    async def _ask_for_echo(self, payload: dict[str, Any]) -> bool:
        assert self.client is not None
        asked = payload | {"prompt": ECHO_TEST, "max_tokens": 1, "stop": []}
        answer = await self.client.ask(body_of(self.generator, asked))
        return behind(ECHO_TEST, answer["choices"][0]["text"]) is not None


class BatchServer(InferenceServer):
    """Answers nobody: what the journal does not hold waits for its batch (batch.py)."""

    async def start_server(self) -> None:
        """There is nothing to start."""

    async def is_ready(self) -> bool:
        return True

    async def monitor_health(self) -> None:
        await asyncio.Event().wait()

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        raise RequestFailed("it waits for its batch: `stepforge batch export RUN FILE`, then `stepforge batch import`")


def behind(prompt: str, text: str) -> str | None:
    """What stands behind an echo of the prompt; null where `text` does not begin with one."""
    at = text.find(prompt, 0, len(prompt) + MARK)
    return None if at < 0 else text[at + len(prompt):]


def names_of(generator: HostedModel) -> dict[str, str | None]:
    """What the server calls fields of a body, where it does so otherwise; null for those that it never gets."""
    names: dict[str, str | None] = {str(field): name for field, name in generator.rename.items()}
    return names | dict.fromkeys(generator.omit)


def body_of(generator: HostedModel, payload: dict[str, Any]) -> dict[str, Any]:
    """What is sent for a payload."""
    body = {"model": generator.model} | {k: v for k, v in payload.items() if v != NEUTRAL.get(k, ...)}
    if generator.api == "chat":
        body["messages"] = [{"role": "user", "content": body.pop("prompt")}]
    if generator.logprobs:
        body["logprobs"] = True if generator.api == "chat" else 1
    for field, name in names_of(generator).items():
        if field in body:
            value = body.pop(field)
            body |= {} if name is None else {name: value}
    return body | generator.extra


def longest(body: Mapping[str, Any]) -> int | None:
    """Most tokens of a completion that a body asks for; null where it does not say so by a usual name."""
    return max((body[name] for name in LIMITS if type(body.get(name)) is int), default=None)


def read_key(generator: EndpointGenerator) -> str | None:
    """The API key, from the environment.

    Raises:
        UserError: the recipe names a variable that is not set.
    """
    if generator.key_variable is None:
        return None
    key = os.environ.get(generator.key_variable, "").strip()
    if not key:
        raise UserError(f"generator {generator.name!r}: the environment variable {generator.key_variable} is not set; "
                        f"it must hold the API key of {generator.url}")
    return key
