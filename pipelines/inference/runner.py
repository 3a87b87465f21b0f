"""datatrove's InferenceRunner, made to lose nothing: one document is one problem, one request one completion.

In: documents and a rollout function that asks for completions with `Request`s. Out: the tables that the function
returns, written by a `TableOutput`. What differs from the base class, and why:

- Every answer goes into our journal under the request's own key. The base class keys its cache by document and payload
  *before* defaults are merged, so after a crash K identical requests come back as one answer K times.
- All choices of an answer and their token ids are kept; the base class keeps the first choice's text.
- A failed request is an error record, not an exception: the base class aborts the rank, and with it all others.
- A document that cannot be written stops the rank; the base class logs a warning and loses it.
"""

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.inference.servers import InferenceServer
from datatrove.pipeline.inference.types import ServerError

from stepforge.pipelines.inference.answer import count_of
from stepforge.pipelines.inference.demand import OnDemand
from stepforge.pipelines.inference.endpoint import PATHS, body_of, longest
from stepforge.pipelines.inference.engines import check_ready, make_server
from stepforge.pipelines.inference.errors import PromptTooLong, Refused, RequestFailed
from stepforge.pipelines.inference.journal import Journals
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.options.generators import BatchGenerator, HostedModel, Writer

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
WITH_TEXT = ("stop", "length", "unknown")
IN_FLIGHT = 4096  # requests waiting or under way; how many a server is asked at a time is for its client to say


@dataclass(frozen=True)
class Request:
    """One completion to make: its key in the journal and the payload of an OpenAI-style /v1/completions call."""

    key: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Completion:
    """What came back: a text that ended by stop, by length, or in a way that nobody knows (`unknown`).

    Any other finish_reason says why there is none, and `error` says it in words: `filtered`, `tool_calls` and
    `prompt_too_long` are for good; `error` is asked again by the next run. Null: the server did not say.
    """

    text: str
    finish_reason: str
    completion_tokens: int | None
    prompt_tokens: int | None
    cached_prompt_tokens: int | None
    token_ids: list[int] | None = None
    error: str | None = None
    thought: str | None = None
    logprob_sum: float | None = None
    logprob_mean: float | None = None

    @property
    def complete(self) -> bool | None:
        """Whether the model ended the text itself; null where nobody knows."""
        return {"stop": True, "length": False}.get(self.finish_reason)

    def up_to(self, stops: Iterable[str]) -> "Completion":
        """The text before the first stop string, which some servers send along, or do not heed."""
        places = [place for stop in stops if stop and (place := self.text.find(stop)) >= 0]
        if not places:
            return self
        return replace(self, text=self.text[:min(places)], finish_reason="stop", token_ids=None, logprob_sum=None,
                       logprob_mean=None)

    @property
    def dropped(self) -> str | None:
        """Why there is no text, as a reason for a drop; null where there is one."""
        return None if self.finish_reason in WITH_TEXT else self.finish_reason


def total(counts: Iterable[int | None]) -> int | None:
    """The sum of numbers of tokens; null where one of them is not known."""
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)


Generate = Callable[[Request], Awaitable[list[Completion]]]
Rollout = Callable[..., Awaitable[dict[str, list[dict[str, Any]]]]]


class Runner(InferenceRunner):
    """Runs `rollout(document, generate, **context)` for every document; it returns rows by table."""

    name = "stepforge inference"

    def __init__(self, rollout: Rollout, generator: Writer, journal: Path, output: TableOutput,
                 context: Callable[[], AbstractContextManager[dict]] | None = None, shared: Path | None = None,
                 logs: Path = Path("logs"), in_flight: int = IN_FLIGHT, documents: int = 64) -> None:
        config = InferenceConfig(server_type="custom", model_name_or_path=generator.model, use_chat=False,
                                 max_concurrent_generations=in_flight, max_concurrent_documents=documents,
                                 server_ready_delay_sec=0.05)
        super().__init__(rollout, config, output, shared_context=context)
        check_ready(generator)
        self.generator = generator
        self.shared = shared
        self.logs = logs
        self.journal_folder = journal
        self.journals: Journals | None = None

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> None:
        self.journals = Journals(self.journal_folder, rank, world_size, self.output_writer.buckets)
        try:
            with self.output_writer as output:
                output.open(rank, world_size)
                with _rare_collections():
                    super().run(data, rank, world_size)
        finally:
            self.journals.close()

    def _init_server(self, rank: int) -> OnDemand:
        return OnDemand(lambda: make_server(self.generator, self.config, rank, self.shared, self.logs))

    async def metrics_reporter(self, interval: int = 600) -> None:
        """Does nothing: the output reports progress, and the tables count tokens."""

    async def _cached_request(self, payload: Request, semaphore: asyncio.Semaphore, server: InferenceServer,
                              doc_id: str, **_: Any) -> list[Completion]:
        assert self.journals is not None
        journal = self.journals.of(doc_id)
        if (record := journal.get(payload.key)) is not None:
            self.output_writer.count(from_journal=1)
            return [Completion(**choice).up_to(payload.payload.get("stop", ())) for choice in record["choices"]]
        completions = await self._send_request(server, payload.payload, semaphore)
        failed = any(completion.finish_reason == "error" for completion in completions)
        self.output_writer.count(requests=1, failed=failed, tokens=sum(c.completion_tokens or 0 for c in completions))
        if failed and isinstance(self.generator, BatchGenerator):
            body = body_of(self.generator, payload.payload)
            journal.wait(payload.key, doc_id, {"url": f"/v1{PATHS[self.generator.api]}", "body": body})
        if not failed and completions[0].finish_reason != PromptTooLong.reason:  # which cost nothing
            journal.append(payload.key, doc_id, {"choices": completions})
        return [completion.up_to(payload.payload.get("stop", ())) for completion in completions]

    async def _send_request(self, server: InferenceServer, payload: dict, semaphore: asyncio.Semaphore
                            ) -> list[Completion]:
        """Ask the server; try again when it cannot be reached, give an error record for all else.

        Raises:
            ServerError: the server cannot be started or is gone for good.
        """
        most = longest(body_of(self.generator, payload) if isinstance(self.generator, HostedModel) else payload)
        async with semaphore:
            for attempt in range(ATTEMPTS):
                try:
                    return completions_of(await server.make_request(dict(payload)), payload.get("n", 1), most)
                except ServerError:
                    raise
                except (OSError, TimeoutError) as error:
                    failure = error
                    await asyncio.sleep(FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.5))
                except Exception as error:
                    return [_failed(error)]
            return [_failed(failure)]

    async def _save_document(self, document: Document, output_writer_context: TableOutput, rank: int,
                             chunk_index: int, count_processed_stat: bool = True) -> None:
        self.stat_update("documents_processed", value=1, unit="document")
        bucket = output_writer_context.write(document, rank)
        if bucket is not None and self.journals is not None:
            self.journals.finish(bucket)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage in cycles after 50,000 new objects: the usual 700 took 30% of the CPU time of a rank."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def completions_of(response: dict, asked: int | None = None, most: int | None = None) -> list[Completion]:
    """The choices of an OpenAI-style answer, `asked` at most. The prompt's tokens are counted with the first.

    Of choices that nobody asked for, the tokens are counted together with the others': then each number is null. So
    is a 0 beside a text, and one of a prompt. So is a number above `most` tokens a choice, unless the text is long
    enough for it, with a byte a token (a server need not heed the limit), or the server counts a hidden thought.
    """
    usage, choices = response.get("usage"), response["choices"]
    prompt = count_of(usage, "prompt_tokens") or None
    cached = count_of(usage, "prompt_tokens_details", "cached_tokens")
    if cached is None:
        cached = count_of(usage, "prompt_cache_hit_tokens")
    counts = [len(c["token_ids"]) if c.get("token_ids") is not None else None for c in choices]
    if len(choices) == 1 or None in counts:  # usage counts the end-of-text token too, but for all choices together
        written = count_of(usage, "completion_tokens")
        size = sum(len((choice["text"] + (choice.get("thought") or "")).encode()) for choice in choices)
        seen = (written or 0) - (count_of(usage, "completion_tokens_details", "reasoning_tokens") or 0)
        if len(choices) > (asked or len(choices)) or (size and not written) or (
                most and seen > len(choices) * most and seen > size + len(choices)):
            written = None
        counts = [written] + [None if written is None else 0] * (len(choices) - 1)
    return [
        _completion(choice, count, prompt if first else prompt and 0, cached if first else cached and 0)
        for first, choice, count in zip([True] + [False] * len(choices), choices[:asked], counts, strict=False)
    ]


def _completion(choice: dict, count: int | None, prompt: int | None, cached: int | None) -> Completion:
    reason = choice["finish_reason"]
    if reason not in WITH_TEXT:
        return Completion("", reason, count, prompt, cached, error=f"the server ended its answer because of {reason}")
    return Completion(choice["text"], reason, count, prompt, cached, choice.get("token_ids"), None,
                      choice.get("thought"), choice.get("logprob_sum"), choice.get("logprob_mean"))


def _failed(error: Exception) -> Completion:
    reason = error.reason if isinstance(error, Refused | RequestFailed) else "error"
    return Completion("", reason, None, None, None, error=f"{type(error).__name__}: {str(error)[:400]}")
