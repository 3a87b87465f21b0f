"""The sampler of the embedded engine: a small Llama-type model on the CPU, in batches.

In: payloads in the shape of OpenAI's `/v1/completions`. Out: answers in that shape, with the token ids. It is
*batch-invariant*: the text of a request depends only on the model and the payload, bit for bit, whatever else runs
beside it, in whatever order, so that a run which was interrupted and resumed gives the texts of one that was not.
Three things make it so: the arithmetic of `llama.py` has fixed shapes, every token's draw comes from a counter-based
generator keyed by the request's own seed, and a prompt is computed by itself (once for all requests that share it).

    BatchSampler("tiny").submit({"prompt": "Ada has 3 ...\\n", "seed": 7, "max_tokens": 120}).result()
    {"choices": [{"index": 0, "text": "That makes 3 + 4 = 7.\\n...", "finish_reason": "stop", "stop_reason": None,
                  "token_ids": [301, ...]}],
     "usage": {"prompt_tokens": 48, "completion_tokens": 61, "prompt_tokens_details": {"cached_tokens": 48}}}
"""

import hashlib
import os
import queue
import signal
import sys
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import IO, Any

import numpy as np
import orjson
import torch

from stepforge.pipelines.inference.errors import PromptTooLong
from stepforge.pipelines.inference.llama import Llama

SLOTS = 64  # sequences computed together, always all of them
CONTEXT = 1024  # longest prompt + completion, whatever the model allows: every slot holds keys for all of it
CACHED_PROMPTS = 256  # prompts whose keys are kept (200 KB each for the tiny model)


@dataclass(frozen=True)
class Settings:
    """How to sample: a payload but for its prompt, checked. A ValueError names the key, its value, what is allowed."""

    seed: int = 0
    n: int = 1
    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()

    @classmethod
    def of(cls, payload: dict[str, Any]) -> "Settings":
        given = {key: value for key, value in payload.items() if key not in ("prompt", "model") and value is not None}
        if unknown := given.keys() - cls.__dataclass_fields__.keys():
            allowed = ", ".join(["prompt", "model", *cls.__dataclass_fields__])
            raise ValueError(f"embedded engine: payload has {sorted(unknown)}; allowed keys are {allowed}")
        stop = given.pop("stop", ())
        settings = cls(**given, stop=(stop,) if isinstance(stop, str) else tuple(stop))
        for key in ("seed", "n", "max_tokens", "top_k"):
            if type(getattr(settings, key)) is not int:
                raise ValueError(f"embedded engine: {key} is {getattr(settings, key)!r}; allowed is a whole number")
        for key, holds, allowed in (
            ("n", settings.n >= 1, "1 or more"),
            ("max_tokens", settings.max_tokens >= 1, "1 or more"),
            ("temperature", settings.temperature >= 0, "0 (greedy) or more"),
            ("top_p", 0 < settings.top_p <= 1, "above 0, up to 1"),
            ("top_k", settings.top_k >= -1, "1 or more; 0 or -1 for all tokens"),
            ("stop", all(settings.stop), "strings that are not empty"),
        ):
            if not holds:
                raise ValueError(f"embedded engine: {key} is {getattr(settings, key)!r}; allowed is {allowed}")
        return settings


@dataclass(eq=False)
class Payload:
    """One payload under way; `choices` fills up as its sequences end."""

    prompt: list[int]
    settings: Settings
    answer: "Future[dict[str, Any]]"
    choices: dict[int, dict[str, Any]] = field(default_factory=dict)
    cached_tokens: int | None = None
    completion_tokens: int = 0


@dataclass(eq=False)
class Sequence:
    """One choice of a request: its tokens so far and the uniform draws, one a token, that its seed alone decides."""

    request: Payload
    index: int
    draws: np.ndarray
    ids: list[int] = field(default_factory=list)


class BatchSampler:
    """Continuous batching over a fixed number of slots, in one background thread that `submit` feeds.

    A sequence that ends leaves its slot to the next in the queue, first come first served.
    """

    def __init__(self, model: str = "tiny", slots: int = SLOTS, context: int = CONTEXT) -> None:
        self.llama = Llama(model, min(context, CONTEXT))
        self._cache = self.llama.new_cache(slots)
        self._slots: list[Sequence | None] = [None] * slots
        self._queue: queue.SimpleQueue[Sequence] = queue.SimpleQueue()
        self._tokens = lru_cache(CACHED_PROMPTS)(lambda text: self.llama.tokenizer(text).input_ids)
        self._prompts: OrderedDict[tuple[int, ...], tuple[torch.Tensor, ...]] = OrderedDict()
        threading.Thread(target=self._run, name="embedded-sampler", daemon=True).start()

    def submit(self, payload: dict[str, Any]) -> "Future[dict[str, Any]]":
        """Queues a payload; the future gives the answer. Raises ValueError for a payload that is not allowed and
        PromptTooLong for a prompt that fills the context; a completion that would outgrow it ends by `length`."""
        settings = Settings.of(payload)
        prompt = payload.get("prompt")
        ids = self._tokens(prompt) if isinstance(prompt, str) else prompt
        if not isinstance(ids, list) or not self._known(ids):
            raise ValueError(
                f"embedded engine: prompt is {str(prompt)[:80]!r}; allowed is a text or a list of token ids below "
                f"{self.llama.vocab_size}, not empty"
            )
        room = self.llama.context - len(ids)
        if room < 1:
            raise PromptTooLong(f"prompt of {len(ids)} tokens leaves no room in the context of {self.llama.context}")
        request = Payload(ids, settings, Future())
        request.answer.set_running_or_notify_cancel()  # from here on it cannot be cancelled, only ignored
        for index in range(settings.n):
            bits = np.random.Philox(key=_choice_seed(settings.seed, index))
            draws = np.random.Generator(bits).random(min(settings.max_tokens, room))
            self._queue.put(Sequence(request, index, draws))
        return request.answer

    def _known(self, ids: list[Any]) -> bool:
        return set(map(type, ids)) == {int} and min(ids) >= 0 and max(ids) < self.llama.vocab_size

    @torch.inference_mode()
    def _run(self) -> None:
        torch.set_num_threads(1)  # this thread's: sums split over threads could depend on their number
        while True:
            try:
                self._admit()
                self._step()
            except Exception as error:  # whatever it was, the waiting requests must hear of it
                for slot, sequence in enumerate(self._slots):
                    if sequence and not sequence.request.answer.done():
                        sequence.request.answer.set_exception(error)
                    self._slots[slot] = None

    def _admit(self) -> None:
        """Fills free slots from the queue and draws each newcomer's first token; waits where nothing is under way."""
        for slot, held in enumerate(self._slots):
            while held is None and not (any(self._slots) and self._queue.empty()):
                sequence = self._queue.get()
                if sequence.request.answer.done():  # another choice of it has failed
                    continue
                self._slots[slot] = held = sequence
                logits, keys, values = self._prefill(sequence.request)
                for cache, part in zip(self._cache, (keys, values), strict=True):
                    cache[:, slot, :, : part.shape[2]] = part
                token = self._sample(logits[None], [sequence])[0]
                held = self._slots[slot] if self._extend(slot, token) else None

    def _prefill(self, request: Payload) -> tuple[torch.Tensor, ...]:
        """Logits, keys and values of a prompt, from the cache of prompts where it was seen of late."""
        key = tuple(request.prompt)
        hit = self._prompts.pop(key, None)
        self._prompts[key] = prefilled = hit or self.llama.prefill(request.prompt)
        if len(self._prompts) > CACHED_PROMPTS:
            self._prompts.popitem(last=False)
        if request.cached_tokens is None:
            request.cached_tokens = len(request.prompt) if hit else 0
        return prefilled

    def _step(self) -> None:
        """One more token for every slot; free slots are computed too, so that the shapes stay the same."""
        last = torch.tensor([s.ids[-1] if s else 0 for s in self._slots])
        positions = torch.tensor([len(s.request.prompt) + len(s.ids) - 1 if s else 0 for s in self._slots])
        tokens = self._sample(self.llama.decode(last, positions, self._cache), self._slots)
        for slot, sequence in enumerate(self._slots):
            if sequence:
                self._extend(slot, tokens[slot])

    def _sample(self, logits: torch.Tensor, rows: list[Sequence | None]) -> list[int]:
        """The next token of each row of logits (rows, vocab_size): the likeliest, or where the row's draw falls."""
        settings = [row.request.settings if row else Settings() for row in rows]
        warmth = torch.tensor([s.temperature or 1.0 for s in settings])
        weights = torch.softmax(logits / warmth[:, None], -1).numpy()
        cut = [row for row, s in enumerate(settings) if s.top_p < 1 or s.top_k > 0]
        if cut:
            top_p, top_k = (np.array([getattr(settings[row], name) for row in cut]) for name in ("top_p", "top_k"))
            weights[cut] = _filtered(weights[cut], top_p, top_k)
        heights = np.cumsum(weights, axis=1, dtype=np.float64)
        draws = np.array([row.draws[len(row.ids)] if row else 0.0 for row in rows])
        tokens = (heights <= (draws * heights[:, -1])[:, None]).sum(1).clip(max=logits.shape[1] - 1)
        greedy = logits.argmax(-1).tolist()
        return [greedy[i] if s.temperature == 0 else int(tokens[i]) for i, s in enumerate(settings)]

    def _extend(self, slot: int, token: int) -> bool:
        """Adds a token to a slot's sequence; frees the slot and returns False if that ends it."""
        sequence = self._slots[slot]
        assert sequence
        sequence.ids.append(token)
        choice = self._ended(sequence)
        if choice is None:
            return True
        self._slots[slot] = None
        request = sequence.request
        request.choices[sequence.index] = {"index": sequence.index} | choice
        request.completion_tokens += len(sequence.ids)
        if len(request.choices) == request.settings.n and not request.answer.done():
            request.answer.set_result(_answer(request))
        return False

    def _ended(self, sequence: Sequence) -> dict[str, Any] | None:
        """The choice of a sequence that its last token ended; None if it goes on."""

        def choice(text: str, reason: str, stopped_by: str | None, kept: list[int]) -> dict[str, Any]:
            return {"text": text, "finish_reason": reason, "stop_reason": stopped_by, "token_ids": kept}

        ids, stops = sequence.ids, sequence.request.settings.stop
        if ids[-1] in self.llama.eos_ids:
            return choice(self._text(sequence, ids[:-1]), "stop", None, ids[:-1])
        text = self._text(sequence, ids) if stops or len(ids) == len(sequence.draws) else ""
        cut, stop = min(((text.find(stop), stop) for stop in stops if stop in text), default=(0, None))
        if stop:
            kept = len(ids)
            while kept and len(self._text(sequence, ids[:kept])) > cut:
                kept -= 1
            return choice(text[:cut], "stop", stop, ids[:kept])
        return choice(text, "length", None, ids) if len(ids) == len(sequence.draws) else None

    def _text(self, sequence: Sequence, ids: list[int]) -> str:
        """The text of `ids` where they stand, behind the prompt (some tokenizers drop a leading space elsewhere)."""
        prompt = sequence.request.prompt[-8:]
        decode = self.llama.tokenizer.decode
        return decode(prompt + ids, skip_special_tokens=True)[len(decode(prompt, skip_special_tokens=True)) :]


def _filtered(weights: np.ndarray, top_p: np.ndarray, top_k: np.ndarray) -> np.ndarray:
    """Zero but for each row's `top_k` likeliest and, of these, the fewest that hold `top_p` of their mass.

    Weights are (rows, vocab_size), top_p and top_k (rows,), a top_k below 1 meaning all; ties at the edge stay in.
    """
    falling = -np.sort(-weights, axis=1)
    falling[np.arange(weights.shape[1]) >= np.where(top_k < 1, weights.shape[1], top_k)[:, None]] = 0
    mass = np.cumsum(falling, axis=1, dtype=np.float64)
    edge = (mass < top_p[:, None] * mass[:, -1:]).sum(1)
    return np.where(weights >= np.take_along_axis(falling, edge[:, None], 1), weights, 0)


def _choice_seed(seed: int, index: int) -> int:
    """Choice 0 has the request's own seed, choice j a hash of (seed, j): asking for more adds, and changes none."""
    if index:
        seed = int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:16])
    return seed % 2**128


def _answer(request: Payload) -> dict[str, Any]:
    return {
        "choices": [request.choices[index] for index in range(request.settings.n)],
        "usage": {
            "prompt_tokens": len(request.prompt),
            "completion_tokens": request.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": request.cached_tokens or 0},
        },
    }


def serve(settings: dict[str, Any], lines: IO[bytes], answers: IO[bytes]) -> None:
    """A sampler's process (embedded.py): one line for the model, then one for every payload that is done, until the
    lines end."""
    lock = threading.Lock()

    def tell(**fields: Any) -> None:
        with lock:
            answers.write(orjson.dumps(fields) + b"\n")
            answers.flush()

    def tell_of(number: int | None, error: BaseException) -> None:
        tell(number=number, error=[type(error).__name__, str(error)])

    def finish(number: int, answer: "Future[dict[str, Any]]") -> None:
        error = answer.exception()
        tell_of(number, error) if error else tell(number=number, answer=answer.result())

    try:
        sampler = BatchSampler(**settings)
    except Exception as error:
        tell_of(None, error)
        return
    tell(ready=True)
    for line in lines:
        asked = orjson.loads(line)
        try:
            sampler.submit(asked["payload"]).add_done_callback(partial(finish, asked["number"]))
        except Exception as error:
            tell_of(asked["number"], error)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the run's; the pipe tells what it made of it
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes elsewhere
    serve(orjson.loads(sys.argv[1]), sys.stdin.buffer, stdout)
    os._exit(0)  # the sampler's thread never ends
