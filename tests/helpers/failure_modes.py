"""The ways in which servers fail, by name: what the server does, what becomes of it, how many requests that takes.

In: nothing. Out: modes of single requests (`COMPLETIONS`, `CHATS`), beside which the others go on, and servers that
are of no use at all (`ENDS`). tests/pipelines/inference/test_failure_modes.py runs them over real HTTP.
"""

import gzip
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from helpers.failing_server import GOOD, Reply, Script, chat, completion
from stepforge.pipelines.inference.client import ATTEMPTS as FULL

KEY = "sk-plan_ted/K3y-that.nobody-sees+0123456789"
ESCAPED = KEY.replace("-", "\\u002d").replace("/", "\\/")
TOKENS = (9, 12)


class Recorded(NamedTuple):
    """A row of `solutions`: what is not named is as in a good answer."""

    solution: str = GOOD
    finish: str = "stop"
    complete: bool | None = True
    tokens: tuple[int | None, int | None] = TOKENS
    logprobs: tuple[float | None, float | None] = (None, None)


class Dropped(NamedTuple):
    """A row of `drops`, with words of its detail, and whether the next run asks again."""

    reason: str
    words: str
    again: bool = False


class Mode(NamedTuple):
    """What the server does, what becomes of it, and how many requests that takes."""

    script: Script
    becomes: Recorded | Dropped
    asked: int = 1


def always(reply: Reply | None) -> Script:
    return lambda number, body: reply


def once(reply: Reply | None, good: Reply | None = None) -> Script:
    """The reply to the first request, a good one to all others."""
    return lambda number, body: reply if number == 1 else good or completion()


def failed(words: str) -> Dropped:
    return Dropped("error", words, again=True)


def error(status: int, message: str) -> Reply:
    return Reply(status, {"error": {"message": message}})


def raw(text: str, *parts: bytes) -> Reply:
    """A completion whose JSON text is `text`, escapes and all."""
    return Reply(body=b'{"choices": [{"text": "' + text.encode() + b"".join(parts) + b'", "finish_reason": "stop"}],'
                      b' "usage": {"prompt_tokens": 9, "completion_tokens": 12}}')


def packed(how: str, data: bytes) -> Reply:
    return Reply(body=data, headers={"Content-Encoding": how})


def used(usage: Any, *tokens: int | None) -> Mode:
    return Mode(always(completion(usage=usage)), Recorded(tokens=tokens or (None, None)))


def ended(reason: Any, finish: str, complete: bool | None) -> Mode:
    return Mode(always(completion(finish=reason)), Recorded(finish=finish, complete=complete))


BODY = completion().data()
REASONS = {
    "reason eos": ended("eos", "stop", True), "reason eos_token": ended("eos_token", "stop", True),
    "reason end_turn": ended("end_turn", "stop", True), "reason stop_sequence": ended("stop_sequence", "stop", True),
    "reason in capitals": ended("STOP", "stop", True), "reason max_tokens": ended("max_tokens", "length", False),
    "reason of an enumeration": ended("FinishReason.MAX_TOKENS", "length", False),
    "reason model_length": ended("model_length", "length", False), "reason null": ended(None, "unknown", None),
    "reason unheard of": ended("because", "unknown", None), "reason a number": ended(3, "unknown", None),
    "reason an object": ended({"type": "stop", "matched": 2}, "stop", True),
    "reason an object of length": ended({"type": "length", "length": 9}, "length", False),
    "reason an empty object": ended({}, "unknown", None), "reason a list": ended(["stop"], "unknown", None),
    "reason missing": Mode(always(Reply(body={"choices": [{"text": GOOD}]})),
                           Recorded(finish="unknown", complete=None, tokens=(None, None))),
    "reason content_filter": Mode(always(completion(finish="content_filter")), Dropped("filtered", "filtered")),
    "reason SAFETY": Mode(always(completion(None, "SAFETY")), Dropped("filtered", "filtered")),
    "reason tool_calls": Mode(always(completion("", "tool_calls")), Dropped("tool_calls", "tool_calls")),
    "reason abort": Mode(always(completion("half", "abort")), failed("gave up")),
}
TEXTS = {
    "text with a lone surrogate": Mode(always(raw(r"x \ud83d y")), Recorded("x \ufffd y")),
    "text with a surrogate pair": Mode(always(raw(r"\ud83d\ude00")), Recorded("\U0001f600")),
    "text in broken UTF-8": Mode(always(raw("a", b"\xff", b"b")), failed("not UTF-8, as JSON must be: byte 0xff")),
    "text in Latin-1": Mode(always(raw("caf", b"\xe9")), failed("not UTF-8.* byte 0xe9 at 26")),
    "text with U+FFFD of the model": Mode(always(raw("a\ufffdb")), Recorded("a\ufffdb")),
    "text with NUL": Mode(always(raw(r"a\u0000b")), Recorded("a\0b")),
    "text empty": Mode(always(completion("")), Recorded("")),
    "text null, cut": Mode(always(completion(None, "length")), Recorded("", "length", False)),
    "text null": Mode(always(completion(None)), failed("without a text")),
    "text null, ended somehow": Mode(always(completion(None, None)), failed("without a text")),
    "text a number": Mode(always(completion(42)), failed("text that is int")),
    "text missing": Mode(always(Reply(body={"choices": [{"finish_reason": "stop"}]})), failed("without a text")),
    "text of 40 MB": Mode(always(completion("x" * 40_000_000)), failed("larger than 1 MiB; `answer_mib`")),
    "byte order mark": Mode(always(Reply(body=b"\xef\xbb\xbf" + BODY)), Recorded()),
}
NUMBERS = {
    "usage missing": Mode(always(Reply(body={"choices": [{"text": GOOD, "finish_reason": "stop"}]})),
                          Recorded(tokens=(None, None))),
    "usage a text": used("lots"), "usage a list": used([1]),
    "usage counts as text": used({"prompt_tokens": "9", "completion_tokens": "12"}),
    "usage negative": used({"prompt_tokens": -1, "completion_tokens": -12}),
    "usage beyond 64 bits": used({"prompt_tokens": 2**70, "completion_tokens": 12}, None, 12),
    "usage beyond max_tokens": used({"prompt_tokens": 9, "completion_tokens": 999_999}, 9, None),
    "usage beyond max_tokens with a long text": Mode(
        always(completion("ab " * 400, usage={"prompt_tokens": 9, "completion_tokens": 800})),
        Recorded("ab " * 400, tokens=(9, 800))),
    "usage beyond max_tokens with a hidden thought": used({
        "prompt_tokens": 9, "completion_tokens": 900, "completion_tokens_details": {"reasoning_tokens": 888}}, 9, 900),
    "usage of zeros": used({"prompt_tokens": 0, "completion_tokens": 0}),
    "usage a fraction": used({"prompt_tokens": 9.5, "completion_tokens": True}),
    "logprobs": Mode(always(completion(logprobs={"token_logprobs": [-0.5, -1.5]})), Recorded(logprobs=(-2.0, -1.0))),
    "logprobs with null": Mode(always(completion(logprobs={"token_logprobs": [None, -1.5]})), Recorded()),
    "logprobs infinite": Mode(always(completion(logprobs={"token_logprobs": [float("-inf")]})), Recorded()),
    "logprobs a text": Mode(always(completion(logprobs="none")), Recorded()),
    "token ids that are none": Mode(always(completion(token_ids=["a", -1])), Recorded()),
}
SHAPES = {
    "choices empty": Mode(always(Reply(body={"choices": []})), failed("without a choice")),
    "choices null": Mode(always(Reply(body={"choices": None})), failed("without a choice")),
    "choices of null": Mode(always(Reply(body={"choices": [None]})), failed("without a choice")),
    "choices more than asked": Mode(always(Reply(body={"choices": [
        {"text": GOOD, "finish_reason": "stop"}, {"text": "other", "finish_reason": "stop"}]})),
        Recorded(tokens=(None, None))),
    "choices more than asked, counted together": Mode(always(Reply(body={"choices": [
        {"text": text, "finish_reason": "stop"} for text in (GOOD, "other", "another")],
        "usage": {"prompt_tokens": 9, "completion_tokens": 36}})), Recorded(tokens=(9, None))),
    "JSON without choices": Mode(once(Reply(body={"object": "list"})), Recorded(), 2),
    "JSON a list": Mode(once(Reply(body=[{"generated_text": "x"}])), Recorded(), 2),
    "JSON nested deeply": Mode(once(Reply(body="[" * 200_000)), Recorded(), 2),
    "JSON cut off": Mode(once(Reply(body=BODY[:40])), Recorded(), 2),
    "garbage": Mode(once(Reply(body=b"\x00\x01\xfe")), Recorded(), 2),
    "a page of a proxy": Mode(once(Reply(body="<html>hello</html>")), Recorded(), 2),
    "a stream": Mode(once(Reply(body="data: {}\n\n")), Recorded(), 2),
    "empty": Mode(once(Reply()), Recorded(), 2), "status 204": Mode(once(Reply(204)), Recorded(), 2),
    "status 202": Mode(always(Reply(202, BODY)), Recorded()),
    "packed": Mode(always(packed("gzip", gzip.compress(BODY))), Recorded()),
    "packed by zlib": Mode(always(packed("deflate", zlib.compress(BODY))), Recorded()),
    "packed, cut off": Mode(once(packed("gzip", gzip.compress(BODY)[:-4])), Recorded(), 2),
    "packed as nobody asked": Mode(once(packed("br", b"???")), Recorded(), 2),
    "packed badly": Mode(once(packed("gzip", b"???")), Recorded(), 2),
    "packed bomb": Mode(always(packed("gzip", gzip.compress(bytes(50_000_000)))), failed("larger than 1 MiB")),
}
CONNECTIONS = {
    "hangs up": Mode(once(None), Recorded(), 2),
    "hangs up always": Mode(always(None), failed(f"{FULL} attempts"), FULL),
    "half an answer": Mode(once(Reply(body=BODY, keep=30)), Recorded(), 2),
    "half an answer always": Mode(always(Reply(body=BODY, keep=30)), failed(f"{FULL} attempts"), FULL),
    "header too long": Mode(once(Reply(body=BODY, headers={"X-Long": "x" * 20_000})), Recorded(), 2),
    "status 500": Mode(once(error(500, "oh")), Recorded(), 2),
    "status 500 always": Mode(always(error(500, "out of memory")), failed("answers 500.*out of memory"), FULL),
    "status 502": Mode(once(Reply(502, "<html>")), Recorded(), 2), "status 504": Mode(once(Reply(504)), Recorded(), 2),
    "status 408": Mode(once(error(408, "slow")), Recorded(), 2),
    "status 529": Mode(once(error(529, "")), Recorded(), 2),
    "status 429": Mode(once(Reply(429, headers={"Retry-After": "0.01"})), Recorded(), 2),
    "status 429 without Retry-After": Mode(once(Reply(429)), Recorded(), 2),
    "status 503 with a strange Retry-After": Mode(once(Reply(503, headers={"Retry-After": "soon"})), Recorded(), 2),
    "error of 429 with status 200": Mode(once(Reply(body={"error": {"code": 429, "message": "wait"}})), Recorded(), 2),
    "error with status 200": Mode(once(Reply(body={"error": "try again"})), Recorded(), 2),
}
TOO_LONG = {
    "OpenAI": (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
    "TGI": (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4090 and 256"),
    "TGI, inputs": (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"),
    "llama.cpp": (400, "the request exceeds the available context size, try increasing it"),
    "Anthropic": (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "SGLang": (400, "Input length (5000 tokens) exceeds the maximum allowed length (4095 tokens)"),
    "Groq": (400, "Please reduce the length of the messages or completion."), "a proxy": (413, "Too Large"),
}
REFUSALS = {
    **{f"too long, as {who} says it": Mode(always(error(*said)), Dropped("prompt_too_long", "TooLong", again=True))
       for who, said in TOO_LONG.items()},
    "max_tokens beyond a limit": Mode(always(error(400, "invalid input: max_tokens 9000 exceeds the limit of 4096")),
                                      failed("Refused.*max_tokens 9000")),
    "refused": Mode(always(error(400, "token 99 does not exist")), failed("token 99")),
    "filter before the model": Mode(always(error(400, "The response was filtered by the content management policy")),
                                    Dropped("filtered", "content management")),
    "filter by moderation": Mode(always(error(403, "flagged by moderation")), Dropped("filtered", "flagged")),
    "forbidden for one": Mode(always(Reply(403, "<html>WAF</html>")), failed("403")),
    "not found for one": Mode(always(error(404, "no")), failed("404")),
    "moved for one": Mode(always(Reply(302, headers={"Location": "/else"})), failed("points to /else")),
}
KEYS = {
    "key in the reason": Mode(always(completion(finish=KEY)), failed("holds the API key")),
    "key in the completion": Mode(always(completion(f"my key is {KEY}")), failed("holds the API key")),
    "key escaped in the completion": Mode(always(raw(f"my key is {ESCAPED}")), failed("holds the API key")),
    "key where an error is cut": Mode(always(error(400, "x" * 250 + KEY)), failed(r"x\(key\)")),
    "key escaped in an error": Mode(always(Reply(400, '{"message": "' + ESCAPED + '"}')), failed(r"\(key\)")),
    "key as URLs have it": Mode(always(error(400, "?key=" + KEY.replace("/", "%2F").replace("+", "%2b"))),
                                failed(r"key=\(key\)")),
    "key begun in an error": Mode(always(error(400, f"no key {KEY[:20]}")), failed(r"no key \(key\)")),
}
COMPLETIONS = {"good": Mode(always(completion()), Recorded())} | (
    REASONS | TEXTS | NUMBERS | SHAPES | CONNECTIONS | REFUSALS | KEYS)

CUT = ("", "length", False)
CHATS = {
    "thought": Mode(always(chat(reasoning_content="17 and 25")), Recorded(f"<think>17 and 25</think>{GOOD}")),
    "thought by another name": Mode(always(chat(reasoning="hm")), Recorded(f"<think>hm</think>{GOOD}")),
    "thought by both names": Mode(always(chat(reasoning="hm", reasoning_content="hm")),
                                  Recorded(f"<think>hm</think>{GOOD}")),
    "thought cut off": Mode(always(chat(None, "length", reasoning_content="17 and")),
                            Recorded("<think>17 and", "length", False)),
    "thought cut off, content empty": Mode(always(chat("", "length", reasoning="17 and")),
                                           Recorded("<think>17 and", "length", False)),
    "thought and nothing else": Mode(always(chat(None, reasoning_content="42")), Recorded("<think>42</think>")),
    "thought empty": Mode(always(chat(reasoning_content="")), Recorded()),
    "thought between tags": Mode(always(chat("<think>\nhm\n</think>\n\n42")), Recorded("<think>\nhm\n</think>\n\n42")),
    "thought never opened": Mode(always(chat("hm\n</think>\n42")), Recorded("<think>hm\n</think>\n42")),
    "thought in parts": Mode(always(chat([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                                          {"type": "text", "text": "42"}])), Recorded("<think>hm</think>42")),
    "thought in parts of text": Mode(always(chat([{"type": "reasoning", "text": "41?"},
                                                  {"type": "text", "text": "42"}])), Recorded("<think>41?</think>42")),
    "thought in a part that is marked": Mode(always(chat([{"text": "41?", "thought": True}, {"text": "42"}])),
                                             Recorded("<think>41?</think>42")),
    "thought in parts beside the content": Mode(always(chat("42", reasoning=[{"type": "reasoning", "text": "41?"}])),
                                                Recorded("<think>41?</think>42")),
    "thought in a part that hides it": Mode(always(chat([{"type": "redacted_thinking", "data": "x"},
                                                         {"type": "text", "text": "42"}])), Recorded("42")),
    "text of a part elsewhere": Mode(always(chat([{"type": "text", "content": "42"}])),
                                     failed("cannot be read: .*'content'")),
    "text of one part elsewhere": Mode(always(chat([{"text": "4"}, {"type": "text", "content": "2"}])),
                                       failed("cannot be read: .*'content'")),
    "image alone": Mode(always(chat([{"type": "image_url", "image_url": {}}])),
                        failed("cannot be read: .*'image_url'")),
    "image beside a text": Mode(always(chat([{"type": "image_url", "image_url": {}}, "42"])), Recorded("42")),
    "content without parts": Mode(always(chat([])), failed("without a text")),
    "content of parts of null": Mode(always(chat([{"type": "text", "text": None}])), failed("without a text")),
    "content of empty parts": Mode(always(chat([{"type": "text", "text": ""}])), Recorded("")),
    "content missing": Mode(always(Reply(body={"choices": [{"message": {}, "finish_reason": "stop"}]})),
                            failed("without a text")),
    "content in parts": Mode(always(chat([{"type": "text", "text": "4"}, "2"])), Recorded("42")),
    "content null, cut": Mode(always(chat(None, "length")), Recorded(*CUT)),
    "content null": Mode(always(chat(None)), failed("without a text")),
    "content empty": Mode(always(chat("")), Recorded("")),
    "message null, ended": Mode(always(Reply(body={"choices": [{"message": None, "finish_reason": "stop"}]})),
                                failed("without a text")),
    "message null, cut": Mode(always(Reply(body={"choices": [{"message": None, "finish_reason": "length"}]})),
                              Recorded(*CUT, tokens=(None, None))),
    "message null, filtered": Mode(always(Reply(body={"choices": [
        {"message": None, "finish_reason": "content_filter"}]})), Dropped("filtered", "filtered")),
    "message a text": Mode(always(Reply(body={"choices": [{"message": "42", "finish_reason": "stop"}]})),
                           failed("without a text")),
    "refusal": Mode(always(chat(None, refusal="I cannot")), Dropped("filtered", "filtered")),
    "tool called": Mode(always(chat(None, "tool_calls", tool_calls=[{}])), Dropped("tool_calls", "tool_calls")),
    "tool called, as a stop": Mode(always(chat("Let me see.", "stop", tool_calls=[{"id": "1"}])),
                                   Dropped("tool_calls", "tool_calls")),
    "tool not called": Mode(always(chat(tool_calls=[], function_call=None)), Recorded()),
    "logprobs of a chat": Mode(always(chat(logprobs={"content": [{"logprob": -1}, {"logprob": -2}]})),
                               Recorded(logprobs=(-3.0, -1.5))),
}


class End(NamedTuple):
    """A server that is of no use: to whatever it is asked it replies so, and the rank ends with these words."""

    reply: Reply | Callable[[int, dict], Reply]
    words: str
    asked: int | None = None


def refuses(field: str, message: str) -> Script:
    """Refuses bodies that hold a field."""
    return lambda number, body: error(400, message) if field in body else completion()


ENDS = {
    "moved": End(Reply(301, headers={"Location": "https://there/v1"}), "301 and points to https://there/v1.*`url`", 2),
    "moved for now": End(Reply(307, headers={"Location": "https://there/v1"}), "307 and points to https", 2),
    "wrong key": End(error(401, f"no such key {KEY}"), r"401.*no such key \(key\).*key_variable", 2),
    "no money": End(error(402, "no credit"), "402.*credit left", 2),
    "forbidden": End(error(403, "no"), "403.*key_variable", 2),
    "no such model": End(error(404, "no model m"), "404.*no model m.*Check `url` and `model`", 2),
    "no such path": End(Reply(405), "405.*up to and with /v1", 2),
    "a website": End(Reply(body="<!doctype html><html></html>"), "no OpenAI-compatible API; does the URL end", 4),
    "another API": End(Reply(body={"data": []}), "no `choices`.*does the URL end in /v1", 4),
    "streams": End(Reply(body="data: {}"), r"extra: \{stream: false\}", 4),
    "always 500": End(error(500, "broken"), "does not answer any request.*500.*broken"),
    "waits for a day": End(Reply(429, headers={"Retry-After": "86400"}), "asks to wait; run again later", 1),
    "waits for a day with 503": End(Reply(503, headers={"Retry-After": "86400"}), "asks to wait", 1),
    "refuses seed": End(refuses("seed", "property 'seed' is unsupported"), r"`omit: \[seed\]`", 2),
    "forbids seed": End(Reply(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}),
                        r"422.*`omit: \[seed\]`", 2),
    "refuses temperature": End(refuses("temperature", "'temperature' does not support 0.7; only the default is"),
                               r"`omit: \[temperature\]`", 2),
    "calls max_tokens otherwise": End(
        refuses("max_tokens", "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        r"`rename: \{max_tokens: max_completion_tokens\}` or `omit: \[max_tokens\]`", 2),
}
