"""The engines whose servers a run starts, vLLM and SGLang: the client that asks them.

In: our payloads, each for one completion. Out: its answer. Payloads that differ by their seeds alone (the samples of a
problem, the rollouts of a step) and come in the same moment are sent as one request with `n` choices where the engine
is vLLM: it gives choice j the seed `seed + j`, so the choices are those of n single requests, and a resumed run asks
for what is missing and nothing else. SGLang is asked for one completion at a time. Prompts are sent as they are, to
`/v1/completions`; what they have in common is computed once.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.servers import InferenceServer
from datatrove.pipeline.inference.types import ServerError

from stepforge.pipelines.inference.client import Client
from stepforge.pipelines.inference.demand import addresses_in, is_replaced
from stepforge.pipelines.inference.secret import Secret
from stepforge.pipelines.inference.server_commands import ADAPTER, NAME
from stepforge.pipelines.inference.server_process import Address, ServerProcess, engine, tail
from stepforge.pipelines.options.generators import LaunchedGenerator, VllmGenerator

LOOK_SECONDS = 2.0
MOST_CHOICES = 64  # of one request


class LaunchedServer(InferenceServer):
    """datatrove's server interface over a server of the run's, or over one that this rank starts for itself.

    A server of the run's that dies is replaced by the run's process; what was asked of it is asked again.
    """

    def __init__(self, generator: LaunchedGenerator, config: InferenceConfig, rank: int, shared: Path | None,
                 logs: Path) -> None:
        super().__init__(config, rank)
        self.generator = generator
        self.shared = shared
        self.own = ServerProcess(generator, logs / f"{generator.name}-rank-{rank:05d}.log", rank % generator.replicas)
        self.client: Client | None = None
        self._past: list[Client] = []  # of servers that are gone; requests may still wait for them
        self._address: Address | None = None
        self._longest = generator.max_tokens
        self._together: dict[bytes, list[tuple[dict[str, Any], asyncio.Future[dict]]]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._connecting = asyncio.Lock()

    async def start_server(self) -> None:
        """Nothing: `bg_start_server` does it all."""

    async def bg_start_server(self) -> None:
        """Open the client as soon as there is a server, and watch the server from then on."""
        try:
            await self._connect(None)
        except Exception as error:
            self._server_ready.set_exception(ServerError(str(error)))
            return
        self._server_ready.set_result(True)
        await self._watch()

    async def _connect(self, gone: Client | None) -> None:
        """Open a client of a server other than that of `gone`, unless somebody has opened one since.

        Raises:
            ServerError: there is none.
        """
        async with self._connecting:
            if self.client is not gone:
                return
            deadline = time.monotonic() + self.generator.start_timeout_s
            while True:
                if self.shared is None:
                    address = await asyncio.to_thread(self.own.start)
                else:
                    address = await addresses_in(self.shared, self._rank, self._address)
                try:
                    model = await _first_model(address)
                    break
                except (httpx.HTTPError, ValueError, LookupError):  # it died, which the run has not seen yet
                    if self.shared is None or time.monotonic() > deadline:
                        raise
                await asyncio.sleep(LOOK_SECONDS)
            longest = model.get("max_model_len") or self.generator.max_tokens + 1
            self._longest = min(self.generator.max_tokens, longest - 1)  # a server refuses more
            self._address = address
            self.client = Client(address.url, key=address.key, timeout_s=self.generator.timeout_s, near=True,
                                 most=self.generator.concurrency, first=self.generator.concurrency)
            if gone is not None:
                self._past.append(gone)

    async def monitor_health(self) -> None:
        await asyncio.Event().wait()  # `_watch` does it

    async def server_cleanup(self) -> None:
        await super().server_cleanup()
        for client in filter(None, [*self._past, self.client]):
            await client.close()
        self.client = None
        await asyncio.to_thread(self.own.stop)

    async def _watch(self) -> None:
        """Tell the client when nobody listens any more, so that it need not find out by trying."""
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                client, address = self.client, self._address
                if client is None or address is None or client.gone:
                    continue
                if self.shared is not None and is_replaced(self.shared, address):
                    client.gone = f"the {engine(self.generator)} server was replaced"
                    continue
                try:
                    await http.get(f"{address.url}/models", timeout=60, headers=Secret(address.key).headers())
                except httpx.ConnectError:
                    client.gone = f"the {engine(self.generator)} server is gone. {tail(address.log)}"
                except httpx.HTTPError:
                    continue  # busy

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The answer to one payload, which may travel with others."""
        answer: asyncio.Future[dict] = asyncio.get_running_loop().create_future()
        if not self._together:
            asyncio.get_running_loop().call_soon(self._send)  # runs after whoever else is about to ask
        alike = orjson.dumps({**payload, "seed": None}, option=orjson.OPT_SORT_KEYS)
        self._together.setdefault(alike, []).append((payload, answer))
        return await answer

    def _send(self) -> None:
        for group in self._together.values():
            for run in consecutive(group):
                task = asyncio.create_task(self._ask(*zip(*run, strict=True)))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
        self._together = {}

    async def _ask(self, payloads: Sequence[dict[str, Any]], answers: Sequence["asyncio.Future[dict]"]) -> None:
        """One request for payloads with consecutive seeds; gives each its answer, or all the same error."""
        try:
            parts = split(await self._answer(body_of(self.generator, payloads, self._longest)), len(payloads))
        except BaseException as error:
            for answer in answers:
                if not answer.done():
                    answer.set_exception(error) if isinstance(error, Exception) else answer.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for answer, part in zip(answers, parts, strict=True):
            if not answer.done():
                answer.set_result(part)

    async def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the server says, or the one that takes its place: the run's process gives up on those that die soon."""
        while True:
            client = self.client
            assert client is not None
            try:
                return await client.ask(body)
            except ServerError:
                if self.shared is None or not client.gone:
                    raise
            await self._connect(client)


async def _first_model(address: Address) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False, headers=Secret(address.key).headers()) as http:
        model: dict[str, Any] = (await http.get(f"{address.url}/models", timeout=60)).json()["data"][0]
    return model


def body_of(generator: LaunchedGenerator, payloads: Sequence[dict[str, Any]], longest: int) -> dict[str, Any]:
    """The body of one request for payloads with consecutive seeds, in the words of the engine."""
    body = payloads[0] | {"model": NAME, "n": len(payloads), "max_tokens": min(payloads[0]["max_tokens"], longest)}
    if generator.logprobs:
        body["logprobs"] = 0  # of the sampled tokens alone
    if isinstance(generator, VllmGenerator):
        return body | {"return_token_ids": True} | ({"model": ADAPTER} if generator.adapter else {})
    return body | {"top_k": body["top_k"] or -1} | ({"lora_path": ADAPTER} if generator.adapter else {})


def consecutive(group: Sequence[tuple[dict[str, Any], Any]]) -> list[list[tuple[dict[str, Any], Any]]]:
    """A group cut into runs whose seeds follow one another, none longer than MOST_CHOICES."""
    runs: list[list[tuple[dict[str, Any], Any]]] = []
    for item in sorted(group, key=lambda item: item[0]["seed"]):
        if runs and len(runs[-1]) < MOST_CHOICES and item[0]["seed"] == runs[-1][-1][0]["seed"] + 1:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def split(answer: dict[str, Any], choices: int) -> list[dict[str, Any]]:
    """An answer of its own for every choice.

    The prompt was computed once, so for all choices but the first it counts as cached.

    Raises:
        ValueError: the answer holds another number of choices.
    """
    if len(answer["choices"]) != choices:
        raise ValueError(f"asked for {choices} choices, got {len(answer['choices'])}")
    if choices == 1 and answer["choices"][0].get("token_ids") is None:
        return [answer]
    usage = answer["usage"]
    prompt = usage["prompt_tokens"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return [
        {"choices": [{**choice, "token_ids": _own_tokens(choice)}],
         "usage": {"prompt_tokens": prompt, "completion_tokens": len(choice["token_ids"]),
                   "prompt_tokens_details": {"cached_tokens": prompt if number else cached}}}
        for number, choice in enumerate(sorted(answer["choices"], key=lambda choice: choice["index"]))
    ]


def _own_tokens(choice: dict[str, Any]) -> list[int] | None:
    """The tokens of the text alone: without the one that ended it; unknown where a stop string cut through them."""
    if choice["finish_reason"] != "stop":
        return choice["token_ids"]
    return None if isinstance(choice.get("stop_reason"), str) else choice["token_ids"][:-1]
