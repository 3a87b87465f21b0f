"""The client of an OpenAI-compatible server: one pool of connections, and no answer lost to a server's bad day.

In: the body of a completion. Out: the answer, checked for the parts that we read. Whatever can get better is tried
again: no connection, no answer in time, half an answer, garbage, 5xx, and 429 or 503, whose `Retry-After` is honoured.
What cannot get better is told apart: a request that the server refuses or that fails while others are answered is an
outcome of that request (errors.py); a server that answers nobody is a `ServerError`, which ends the rank, to be run
again later. The API key is in the header of requests and nowhere else.
"""

import asyncio
import random
import re
from typing import Any

import httpx
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.retry import retry_after
from stepforge.pipelines.inference.errors import PromptTooLong, Refused, RequestFailed
from stepforge.pipelines.inference.limit import Limit

ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0
PATIENCE_SECONDS = 900.0  # how long a server may say 429 or 503 to everything before the rank gives up
TOO_LONG = re.compile(r"context.{0,20}(length|window|size)|(prompt|input).{0,40}too (long|large)|max_model_len", re.I)
REASONS = {"eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop", "max_tokens": "length"}  # TGI and others


class Busy(Exception):
    """The server is there and has too much to do; `seconds` is what it asks us to wait, if it says."""

    def __init__(self, told: str, seconds: float | None) -> None:
        super().__init__(told)
        self.seconds = seconds


class Client:
    """Asks one server. Use it in one event loop and close it there.

    Args:
        url: the server's base, up to and with `/v1`.
        path: `/completions` or `/chat/completions`.
        most: requests at a time; `first` to begin with, the rest is found by trying (limit.py).
    """

    def __init__(self, url: str, path: str = "/completions", key: str | None = None, timeout_s: float = 600,
                 most: int = 64, first: int = 8) -> None:
        self.url, self.path = url.rstrip("/"), path
        self.timeout_s = timeout_s
        self.limit = Limit(most, first)
        self.gone: str | None = None  # set by who watches the server's process: nothing is asked from then on
        self._key = key
        self._heard = -1.0  # when the last answer came
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=min(30, timeout_s), pool=None),
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most), trust_env=key is not None,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to `body`, in the shape of `/v1/completions` whichever path was asked.

        Raises:
            Refused, PromptTooLong, RequestFailed: outcomes of this request.
            ServerError: the server is gone, or wants another key, model or path.
        """
        loop, attempt, busy_since = asyncio.get_running_loop(), 0, 0.0
        while True:
            try:
                async with self.limit.slot() as cuts:
                    return await self._attempt(body)
            except Busy as busy:
                self.limit.too_much(cuts)
                busy_since = busy_since or loop.time()
                wait = busy.seconds if busy.seconds is not None else _pause(attempt)
                attempt = min(attempt + 1, ATTEMPTS - 1)
                if loop.time() + wait - max(self._heard, busy_since) > PATIENCE_SECONDS:
                    raise ServerError(f"{self.url} {busy} and asks to wait; run again later") from busy
                self.limit.pause(wait) if busy.seconds is not None else await asyncio.sleep(wait)
            except Refused as refused:
                if self._heard < 0 and not isinstance(refused, PromptTooLong):
                    raise await self._at_fault(body, refused) from refused
                raise
            except (httpx.HTTPError, TimeoutError, ValueError) as error:
                if isinstance(error, TimeoutError | httpx.TimeoutException):
                    self.limit.too_much(cuts)
                if (attempt := attempt + 1) >= ATTEMPTS:
                    raise await self._at_fault(body, RequestFailed(
                        f"{ATTEMPTS} attempts failed, the last with {type(error).__name__}: {str(error)[:300]}"
                    )) from error
                await asyncio.sleep(_pause(attempt - 1))

    async def _attempt(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.gone:
            raise ServerError(self.gone)
        async with asyncio.timeout(self.timeout_s):  # httpx bounds each piece of an answer, not the whole
            response = await self._http.post(self.url + self.path, json=body)
        self._judge(response)
        answer = _read(response.json())
        self._heard = asyncio.get_running_loop().time()
        self.limit.answered()
        return answer

    def _judge(self, response: httpx.Response) -> None:
        """Return for an answer that can be read; raise what a status means."""
        status = response.status_code
        if status < 300:
            return
        said = response.text[:300]
        if self._key:
            said = said.replace(self._key, "(key)")
        told = f"answers {status}: {said}"
        if status in (429, 503):
            raise Busy(told, retry_after(response.headers))
        if status in (400, 413, 422):
            raise PromptTooLong(told) if TOO_LONG.search(said) else Refused(told)
        if status in (401, 403):
            raise ServerError(f"{self.url} {told}. Does the variable that `key_variable` names hold the key?")
        if status in (404, 405):
            raise ServerError(f"{self.url}{self.path} {told}. Check `url` and `model`; `url` goes up to and with /v1")
        raise ValueError(told)

    async def _at_fault(self, body: dict[str, Any], error: Exception) -> Exception:
        """`error`, if the request is at fault for it: one for a single token is answered. Else a ServerError."""
        small = {**body, "max_tokens": 1, "n": 1}
        small |= {"prompt": "1"} if "prompt" in body else {"messages": [{"role": "user", "content": "1"}]}
        for _ in range(3):
            try:
                await self._attempt(small)
                return error
            except Refused as refused:
                return ServerError(f"{self.url} refuses every request with these settings: it {refused}")
            except (httpx.HTTPError, TimeoutError, ValueError, Busy):
                await asyncio.sleep(_pause(0))
        return ServerError(f"{self.url} answers nobody: {error}")


def _read(answer: Any) -> dict[str, Any]:
    """The answer with every choice as text and a finish reason of ours. Raises ValueError for anything else."""
    try:
        choices = [{**choice, "text": _text(choice),
                    "finish_reason": REASONS.get(choice["finish_reason"], choice["finish_reason"])}
                   for choice in answer["choices"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"an answer without {error}") from error
    if not choices:
        raise ValueError("an answer without choices")
    if (reason := choices[0]["finish_reason"]) not in ("stop", "length"):
        raise Refused(f"the server ended the completion because of {reason!r}") if reason else ValueError("no reason")
    return {**answer, "choices": choices}


def _text(choice: dict[str, Any]) -> str:
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    if not isinstance(text, str):
        raise ValueError(f"an answer whose text is {type(text).__name__}")
    return text


def _pause(attempt: int) -> float:
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt) * random.uniform(0.5, 1.5)
