"""The endpoint engine: any OpenAI-compatible server that somebody else runs.

In: our payloads. Out: its answers. Parameters that would change nothing are left out, since hosted servers refuse
names that they do not know; what a server has beyond the common ones is written under `extra` in the recipe. A server
that can only chat writes whole solutions; it cannot go on from a step, and the recipe refuses to ask it to.
"""

import asyncio
import os
from typing import Any

from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.servers import InferenceServer

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.client import Client
from stepforge.pipelines.options.generators import EndpointGenerator

PATHS = {"completions": "/completions", "chat": "/chat/completions"}
NEUTRAL = {"top_p": 1.0, "top_k": 0, "stop": [], "n": 1}  # values that change nothing and need not be said


class EndpointServer(InferenceServer):
    """datatrove's server interface over a client; there is no process to start."""

    def __init__(self, generator: EndpointGenerator, config: InferenceConfig, rank: int) -> None:
        super().__init__(config, rank)
        self.generator = generator
        self.key = read_key(generator)
        self.client: Client | None = None

    async def start_server(self) -> None:
        endpoint = self.generator
        self.client = Client(endpoint.url, PATHS[endpoint.api], self.key, endpoint.timeout_s, endpoint.concurrency)

    async def is_ready(self) -> bool:
        return self.client is not None

    async def monitor_health(self) -> None:
        await asyncio.Event().wait()  # the client finds out by itself

    async def server_cleanup(self) -> None:
        await super().server_cleanup()
        if self.client is not None:
            await self.client.close()
            self.client = None

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        assert self.client is not None
        return await self.client.ask(body_of(self.generator, payload))


def body_of(generator: EndpointGenerator, payload: dict[str, Any]) -> dict[str, Any]:
    """What is sent for a payload."""
    body = {"model": generator.model} | {k: v for k, v in payload.items() if v != NEUTRAL.get(k, ...)}
    if generator.api == "chat":
        body["messages"] = [{"role": "user", "content": body.pop("prompt")}]
    return body | generator.extra


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
