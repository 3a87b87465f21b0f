"""The client of an OpenAI-compatible server: it retries transient failures and pays for no answer twice.

In: the body of a completion. Out: the parsed answer (answer.py). Transient failures are retried: no connection, a
time-out, a truncated answer, invalid JSON, 5xx, and 429 or 503, whose `Retry-After` is honoured. Permanent failures
are of two kinds. A request that the server refuses, or that fails while others succeed, is an outcome of that request
(errors.py). A server that answers no request at all is a `ServerError`: it ends the rank, and a later run resumes it.
Any well-formed answer proves that a server is alive. The API key is in the header of requests and nowhere else
(secret.py); an answer that holds it is refused.
"""

import asyncio
import random
import re
from typing import Any

from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.retry import retry_after
from stepforge.pipelines.inference.answer import Unreadable, parse, read
from stepforge.pipelines.inference.errors import Filtered, PromptTooLong, Refused, RequestFailed
from stepforge.pipelines.inference.limit import Limit
from stepforge.pipelines.inference.secret import Secret
from stepforge.pipelines.inference.transport import MIB, Late, Lost, Reply, TooLarge, Transport

ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0
PATIENCE_SECONDS = 900.0  # how long a server may say 429 or 503 to everything before the rank gives up
BUSY = (429, 503, 529)
AGAIN = (408, 409, 425)
TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|max_model_len|maximum.{0,20}sequence length"
    r"|\b(prompt|inputs?|messages?)\b(?:(?!max_).){0,60}(too (long|large)|exceed)"
    r"|reduce the length of the (prompt|messages|input)"
    r"|inputs`?.{0,30}(tokens|max_new_tokens).{0,30}must be <=|inputs`? must have less than \d+ tokens", re.I | re.S)
FILTER = re.compile(r"content[ _-]?(filter|policy|management|moderation)|moderation|responsible ?ai"
                    r"|safety (system|filter)|flagged|usage polic|prohibited", re.I)


class Busy(Exception):
    """The server is there and has too much to do; `seconds` is what it asks us to wait, if it says."""

    def __init__(self, refusal: str, seconds: float | None) -> None:
        super().__init__(refusal)
        self.seconds = seconds


class Forbidden(Exception):
    """The server wants another key, model or path: for every request, or for this one alone."""


class Client:
    """Asks one server. Use it in one event loop and close it there.

    Args:
        url: the server's base, up to and with `/v1`.
        path: `/completions` or `/chat/completions`.
        most: requests at a time; `first` to begin with, the rest is found by trying (limit.py).
        names: what the server calls fields of a body, where it does so otherwise; null for those that it never gets.
        near: whether no proxy lies between, even where the server asks for a key.
    """

    def __init__(self, url: str, path: str = "/completions", key: str | None = None, timeout_s: float = 600,
                 most: int = 64, first: int = 8, answer_mib: int = 16, names: dict[str, str | None] | None = None,
                 near: bool = False) -> None:
        self.url, self.path = url.rstrip("/"), path
        self.limit = Limit(most, first)
        self.gone: str | None = None  # set by who watches the server's process: nothing is asked from then on
        self.answer_mib = answer_mib
        self._names = names or {}
        self._key = Secret(key)
        self._answers = 0
        self._heard = 0.0  # when the last answer came
        self._probing = asyncio.Lock()
        self._transport = Transport(url, self._key, timeout_s, most, answer_mib * MIB, near)

    async def close(self) -> None:
        await self._transport.close()

    async def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to `body`, in the shape of `/v1/completions` whichever path was asked.

        Raises:
            Refused, PromptTooLong, Filtered, RequestFailed: outcomes of this request.
            ServerError: the server is gone, or wants another key, model or path.
        """
        loop, attempt, busy_since, answers = asyncio.get_running_loop(), 0, 0.0, self._answers
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
            except (PromptTooLong, Filtered):
                raise
            except (Refused, Forbidden) as refused:
                raise await self._at_fault(body, refused, self._answers if isinstance(refused, Forbidden) else 0
                                           ) from None
            except (Lost, Unreadable) as error:
                if isinstance(error, Late):
                    self.limit.too_much(cuts)
                failed = RequestFailed(f"{ATTEMPTS} attempts failed, the last with this: {error}")
                attempt += 1
                if attempt == ATTEMPTS:
                    raise await self._at_fault(body, failed, answers) from None
                if isinstance(error, Unreadable) and not self._answers:  # perhaps it is no such server at all
                    if isinstance(server_error := await self._at_fault(body, failed, 0), ServerError):
                        raise server_error from None
                await asyncio.sleep(_pause(attempt - 1))

    async def _attempt(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.gone:
            raise ServerError(self.gone)
        try:
            reply = await self._transport.post(self.url + self.path, body)
        except TooLarge:
            raise RequestFailed(f"its answer is larger than {self.answer_mib} MiB; `answer_mib` of the generator says "
                                "how large one may be") from None
        if not 200 <= reply.status < 300:
            raise self._refusal(reply.status, reply)
        value = parse(reply.body)
        if isinstance(value, dict) and value.get("error") and not value.get("choices"):
            code = value["error"].get("code") if isinstance(value["error"], dict) else None
            raise self._refusal(code if isinstance(code, int) and 400 <= code < 600 else 500, reply)
        well_formed = isinstance(value, dict) and "choices" in value
        self._answers += well_formed
        self._heard = asyncio.get_running_loop().time()
        if self._key.within(reply.body):
            raise RequestFailed("its answer holds the API key; it is not recorded")
        answer = read(value, reply.body)
        self.limit.answered()
        return answer

    def _refusal(self, status: int, reply: Reply) -> Exception:
        """What a status other than success means."""
        text = reply.body.decode("utf-8", "replace")
        said = self._key.redacted(text)
        refusal = f"answers {status}: {said}"
        if status in BUSY:
            return Busy(refusal, retry_after(reply.headers))
        if 300 <= status < 400:
            to = self._key.redacted(reply.headers.get("Location", "nowhere"))
            return Forbidden(f"{self.url}{self.path} answers {status} and points to {to}; write in `url` where the "
                             "server is, up to and with /v1")
        if status in (400, 403, 422, 451) and FILTER.search(said):
            return Filtered(f"a content filter refuses it: it {refusal}")
        if status in (401, 402, 403):
            return Forbidden(f"{self.url} {refusal}. Does the variable that `key_variable` names hold the key of an "
                             "account that may use this model, with credit left?")
        if status in (404, 405, 410):
            return Forbidden(f"{self.url}{self.path} {refusal}. Check `url` and `model`; `url` goes up to "
                             "and with /v1")
        if 400 <= status < 500 and status not in AGAIN:
            return PromptTooLong(refusal) if TOO_LONG.search(said) or status == 413 else Refused(refusal)
        return Lost(refusal)

    async def _at_fault(self, body: dict[str, Any], error: Exception, since: int) -> Exception:
        """`error`, if the request is at fault for it: others are answered. Else a ServerError.

        since: the server is alive if it has given more answers than so many, now or to a request for a single token.
        """
        small = {**body, **({"n": 1} if "n" in body else {})}
        small |= {"prompt": "1"} if "prompt" in body else {"messages": [{"role": "user", "content": "1"}]}
        if (length := self._names.get("max_tokens", "max_tokens")) is not None:
            small[length] = 1
        outcome = error if isinstance(error, Refused | RequestFailed) else RequestFailed(str(error))
        async with self._probing:  # one asks for all who wonder
            for _ in range(3):
                if self._answers > since:
                    return outcome
                try:
                    await self._attempt(small)
                except (Filtered, PromptTooLong, RequestFailed, Busy):
                    return outcome
                except Refused as refused:
                    return ServerError(f"{self.url} refuses every request with these settings: it {refused}"
                                       f"{self._advice(str(refused), body)}")
                except Forbidden as forbidden:
                    return ServerError(str(forbidden))
                except Unreadable as unreadable:
                    error = unreadable
                except Lost:
                    pass
                await asyncio.sleep(_pause(0))
        return ServerError(f"{self.url} does not answer any request: {error}")

    def _advice(self, said: str, body: dict[str, Any]) -> str:
        """Which option of the generator leaves out or renames the field that a refusal names."""
        ours = {theirs: name for name, theirs in self._names.items() if theirs}
        named = [field for field in body if field not in ("model", "prompt", "messages")
                 and re.search(rf"(?<!\w){re.escape(field)}(?!\w)", said)]
        if not named:
            return ""
        name = ours.get(named[0], named[0])
        other = re.search(r"\buse\W{1,3}(\w+)\W{1,3}instead", said, re.I)
        renamed = f"`rename: {{{name}: {other[1]}}}` or " if other else ""
        return f". Give the generator {renamed}`omit: [{name}]`"


def _pause(attempt: int) -> float:
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt) * random.uniform(0.5, 1.5)
