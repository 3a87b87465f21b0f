"""What a server answered, read: text, thought, why it ended, tokens, log-probabilities.

In: the body of an HTTP answer of an OpenAI-style server, from `/v1/completions` or `/v1/chat/completions`. Out: its
choices in one shape, and numbers that can be relied on. Servers differ in what they call things, and some of what they
say is no number or no text at all: what cannot be read is null, and what was paid for is never thrown away for it.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from stepforge.builders.turns import without_end
from stepforge.pipelines.inference.errors import RequestFailed

ENDED = {word: reason for reason, words in {
    "stop": "stop eos eos_token end_turn stop_sequence stop_token complete completed endoftext end_of_text",
    "length": "length max_tokens max_length max_output_tokens model_length max_new_tokens token_limit incomplete "
              "truncated context_length context_length_exceeded model_context_window_exceeded pause_turn timeout",
    "filtered": "content_filter content_filtered safety recitation blocklist prohibited_content refusal sensitive "
                "guardrail_intervened spii",
    "tool_calls": "tool_calls tool_call tool_use function_call",
    "aborted": "abort aborted cancelled canceled error failed unexpected_model_behavior insufficient_system_resource",
}.items() for word in words.split()}
THOUGHTS = ("reasoning_content", "reasoning", "thinking")  # what servers call the field
THOUGHT_PARTS = (*THOUGHTS, "thought", "reasoning_text", "summary_text")  # and a part of a content
TEXT_PARTS = ("text", "output_text")
MOST = 2**53  # of tokens: a larger count is none


class Unreadable(ValueError):
    """The body is no answer of such a server."""


def parse(body: bytes) -> Any:
    """The JSON value of a body; bytes that are no UTF-8 become U+FFFD, and `read` refuses an answer with such bytes.

    Raises:
        Unreadable: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        start = body[:200].decode("utf-8", "replace").lstrip().lower()
        if start.startswith("<"):
            raise Unreadable("it answers with HTML: this is no OpenAI-compatible API; does the URL end in /v1?"
                             ) from None
        if start.startswith(("data:", "event:", ":")):
            raise Unreadable("it streams its answer, which nobody asked for; try `extra: {stream: false}`") from None
        raise Unreadable(f"its answer is no JSON: {str(error)[:80]}" if body else "its answer is empty") from None


def read(answer: Any, body: bytes = b"") -> dict[str, Any]:
    """The answer with every choice as {text, thought, finish_reason, logprob_sum, logprob_mean, token_ids, ...}.

    finish_reason is stop, length, unknown, filtered or tool_calls; with the last two the text is of no use.
    `body`: the bytes in which it came.

    Raises:
        Unreadable: it is no answer of such a server.
        RequestFailed: it is one without a text or not in UTF-8, or the server gave up while it wrote it. It may have
            been paid for.
    """
    if not isinstance(answer, dict) or "choices" not in answer:
        raise Unreadable("its answer holds no `choices`: this is no OpenAI-compatible API; does the URL end in /v1?")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise RequestFailed(f"its answer is not UTF-8, as JSON must be: byte 0x{body[error.start]:02x} at "
                            f"{error.start}") from None
    choices = answer["choices"]
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise RequestFailed("the server answered without a choice that can be read")
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    readable = [_choice(choice) for choice in choices]
    if any(choice["finish_reason"] == "aborted" for choice in readable):
        raise RequestFailed("the server gave up while it wrote the answer")
    return {**answer, "choices": readable, "usage": usage}


def _choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    chat, reason = "message" in choice, ended(choice.get("finish_reason"))
    message = choice["message"] if chat else choice
    if message is None and reason not in ("stop", "unknown"):
        message = {}  # of an answer that was filtered, or cut before its text
    if not isinstance(message, dict) or not (chat or "text" in choice):
        raise RequestFailed("the server answered with a choice without a text")
    content = message.get("content" if chat else "text")
    if not isinstance(content, str | list | None):
        raise RequestFailed(f"the server answered with a text that is {type(content).__name__}")
    text, thought = _parts(content)
    thought = next((part for name in THOUGHTS if (part := "".join(_parts(message.get(name))))), thought)
    if not text and message.get("refusal"):
        reason = "filtered"
    if message.get("tool_calls") or message.get("function_call"):  # some servers say that it stopped
        reason = "tool_calls"
    if reason in ("stop", "length", "unknown"):
        _require_parts(content, bool(text or thought))
    if reason in ("stop", "unknown") and not thought and not _states(content):
        raise RequestFailed("the server answered without a text, and does not say that it was cut")
    total, mean = _logprobs(choice.get("logprobs"))
    text, written = without_end(text), text
    ids = choice.get("token_ids") if text == written else None
    whole = isinstance(ids, list) and all(type(token) is int and 0 <= token < 2**31 for token in ids)
    return {**choice, "text": text, "thought": thought or None, "finish_reason": reason,
            "logprob_sum": total, "logprob_mean": mean, "token_ids": ids if whole else None}


def ended(reason: Any) -> str:
    """A finish reason in our words; unknown where a server says nothing, or what nobody can read."""
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    if not isinstance(reason, str):
        return "unknown"
    return ENDED.get(reason.lower().removeprefix("finishreason.").removeprefix("finish_reason_"), "unknown")


def _parts(content: Any) -> tuple[str, str]:
    """Text and thought of a content: a text, a list of parts, or nothing."""
    if isinstance(content, str):
        return _storable(content), ""
    text = thought = ""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            text += _storable(part)
        elif isinstance(part, dict):
            said = "".join(_parts(part.get("text")))
            thinks = part.get("type") in THOUGHT_PARTS or part.get("thought") is True
            text += "" if thinks else said
            thought += "".join(_parts(part.get("thinking"))) + (said if thinks else "")
    return text, thought


def _states(content: Any) -> bool:
    """Whether a content holds a text, be it an empty one."""
    if isinstance(content, list):
        return any(_states(part.get("text") if isinstance(part, dict) else part) for part in content)
    return isinstance(content, str)


def _require_parts(content: Any, told: bool) -> None:
    """Raises RequestFailed for a content whose text stands where nobody reads it; an image beside a text is no text.

    `told`: some part of it is a text or a thought.
    """
    parts = content if isinstance(content, list) else []
    unread = [part for part in parts if not isinstance(part, str) and not (isinstance(part, dict) and "text" in part)]
    texts = [part for part in unread if not isinstance(part, dict) or part.get("type", "text") in TEXT_PARTS]
    if texts or unread and not told:
        keys = sorted(map(str, part)) if isinstance(part := (texts or unread)[0], dict) else type(part).__name__
        raise RequestFailed(f"the server answered with a part that cannot be read: {keys} where `text` is expected")


def _storable(text: str) -> str:
    """The text; a lone surrogate, which UTF-8 cannot hold, becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _logprobs(logprobs: Any) -> tuple[float | None, float | None]:
    """Sum and mean of the log-probabilities of a choice; null where one of them is missing or no number."""
    if not isinstance(logprobs, dict):
        return None, None
    values = logprobs.get("token_logprobs")
    if values is None and isinstance(logprobs.get("content"), list):
        values = [token.get("logprob") if isinstance(token, dict) else None for token in logprobs["content"]]
    if not isinstance(values, list) or not values:
        return None, None
    if not all(type(value) in (int, float) for value in values):
        return None, None
    total = float(sum(values))
    return total, total / len(values)


def count_of(value: Any, *names: str) -> int | None:
    """A number of tokens by its path in `usage`; null where a server does not say it, or says no such number."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if type(value) is int and 0 <= value < MOST else None
