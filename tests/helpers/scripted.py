"""An engine that answers from a script, for what no real model can be relied on to do: fail, tie, or be hostile."""

import asyncio
from collections import Counter

from datatrove.pipeline.inference.servers.base import InferenceServer


class ReadyServer(InferenceServer):
    """A server without a process, ready at once."""

    async def start_server(self):
        return None

    async def is_ready(self):
        return True

    async def monitor_health(self):
        await asyncio.Event().wait()


class ScriptedServer(ReadyServer):
    """Answers from memory: a function of the prompt and of how often it was asked."""

    answer = staticmethod(lambda prompt, count: "")
    calls: Counter = Counter()
    seeds: list = []

    async def _make_request(self, payload):
        count = self.calls[payload["prompt"]]
        self.calls[payload["prompt"]] += 1
        self.seeds.append(payload["seed"])
        text = self.answer(payload["prompt"], count)
        return {"choices": [{"text": text, "finish_reason": "stop"}], "usage": {"prompt_tokens": 7,
                                                                                "completion_tokens": 3}}
