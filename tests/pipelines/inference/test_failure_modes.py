"""What servers do, mode by mode: what is recorded of it, how often it is asked, what the user is told.

Every mode is one problem of one run over real HTTP, so each shows that the others go on beside it. The run is then
repeated: what was answered for good is not asked again, what failed is.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
import pytest
from datatrove.data import Document
from datatrove.pipeline.inference.types import ServerError
from helpers.failing_server import GOOD, Reply, Script, Server, chat, completion, scripted

from stepforge.builders.tables import content_id
from stepforge.pipelines.inference import client as client_module
from stepforge.pipelines.inference.output import TableOutput
from stepforge.pipelines.inference.runner import Runner
from stepforge.pipelines.options.generators import EndpointGenerator
from stepforge.pipelines.stages.generate import sample_problem

KEY = "sk-plan_ted/K3y-that.nobody-sees+0123456789"
ESCAPED = KEY.replace("-", "\\u002d").replace("/", "\\/")
FULL = client_module.ATTEMPTS
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
    "text in broken UTF-8": Mode(always(raw("a", b"\xff", b"b")), Recorded("a\ufffdb")),
    "text with NUL": Mode(always(raw(r"a\u0000b")), Recorded("a\0b")),
    "text empty": Mode(always(completion("")), Recorded("")),
    "text null": Mode(always(completion(None, "length")), Recorded("", "length", False)),
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
    "content in parts": Mode(always(chat([{"type": "text", "text": "4"}, "2"])), Recorded("42")),
    "content null, cut": Mode(always(chat(None, "length")), Recorded(*CUT)),
    "content null": Mode(always(chat(None)), Recorded("")),
    "message null": Mode(always(Reply(body={"choices": [{"message": None, "finish_reason": "content_filter"}]})),
                         Dropped("filtered", "filtered")),
    "message a text": Mode(always(Reply(body={"choices": [{"message": "42", "finish_reason": "stop"}]})),
                           failed("without a text")),
    "refusal": Mode(always(chat(None, refusal="I cannot")), Dropped("filtered", "filtered")),
    "tool called": Mode(always(chat(None, "tool_calls", tool_calls=[{}])), Dropped("tool_calls", "tool_calls")),
    "logprobs of a chat": Mode(always(chat(logprobs={"content": [{"logprob": -1}, {"logprob": -2}]})),
                               Recorded(logprobs=(-3.0, -1.5))),
}


class Outcome(NamedTuple):
    """What two runs made of every mode, and how often they asked."""

    solutions: list[dict[str, dict]]
    drops: list[dict[str, dict]]
    asked: list[dict[str, int]]
    files: bytes


@pytest.fixture(scope="module", autouse=True)
def short_pauses():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "FIRST_PAUSE_SECONDS", 0.001)
        patch.setattr(client_module, "LONGEST_PAUSE_SECONDS", 0.01)
        patch.setenv("PLANTED_KEY", KEY)
        yield


def endpoint(server: Server, **options: Any) -> EndpointGenerator:
    return EndpointGenerator(engine="endpoint", name="there", url=server.url, model="m", samples=1, answer_mib=1,
                             key_variable="PLANTED_KEY", concurrency=16, **options)


def sample(folder, generator: EndpointGenerator, names: list[str]) -> tuple[dict[str, dict], dict[str, dict]]:
    """One solution of a problem that names each mode; rows of `solutions` and of `drops` by mode."""
    async def rollout(document, generate):
        return await sample_problem(document, generate, generator=generator, seed=0, first=0)

    ids = {content_id(name): name for name in names}
    documents = [Document(text="", id=id_, metadata={"problem": f"Mode <{name}> 17 + 25?", "position": number})
                 for number, (id_, name) in enumerate(ids.items())]
    output = TableOutput(folder / "work", ("solutions", "drops"))
    Runner(rollout, generator, folder / "journal", output).run(iter(documents), 0, 1)
    tables = [[orjson.loads(line) for line in (folder / f"work/out/{table}/00000.jsonl").read_bytes().splitlines()]
              for table in ("solutions", "drops")]
    return ({ids[row["problem_id"]]: row for row in tables[0]},
            {ids[row["row_id"].split(":")[1]]: row for row in tables[1]})


def twice(folder, modes: dict[str, Mode], **options: Any) -> Outcome:
    found = Outcome([], [], [], b"")
    with scripted({name: mode.script for name, mode in modes.items()}) as server:
        for _ in range(2):
            server.asked.clear()
            solutions, drops = sample(folder, endpoint(server, **options), list(modes))
            found.solutions.append(solutions)
            found.drops.append(drops)
            found.asked.append(dict(server.asked))
    return found._replace(files=b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file()))


@pytest.fixture(scope="module")
def completions(tmp_path_factory) -> Outcome:
    return twice(tmp_path_factory.mktemp("completions"), COMPLETIONS)


@pytest.fixture(scope="module")
def chats(tmp_path_factory) -> Outcome:
    return twice(tmp_path_factory.mktemp("chats"), CHATS, api="chat")


@pytest.mark.parametrize("name", COMPLETIONS)
def test_mode_of_completions(name, completions):
    compare(name, COMPLETIONS[name], completions)


@pytest.mark.parametrize("name", CHATS)
def test_mode_of_chat(name, chats):
    compare(name, CHATS[name], chats)


def compare(name: str, mode: Mode, found: Outcome) -> None:
    """One row or one drop in each run, as the mode says, for as many requests as it says."""
    expected = mode.becomes
    for solutions, drops in zip(found.solutions, found.drops, strict=True):
        if isinstance(expected, Recorded):
            row = solutions[name]
            assert name not in drops
            assert Recorded(row["solution"], row["finish_reason"], row["complete"],
                            (row["prompt_tokens"], row["completion_tokens"]),
                            (row["logprob_sum"], row["logprob_mean"])) == expected
            assert row["completion_ids"] is None
        else:
            assert name not in solutions
            assert drops[name]["reason"] == expected.reason
            assert_told(expected.words, drops[name]["detail"])
    assert found.asked[0][name] == mode.asked
    again = isinstance(expected, Dropped) and expected.again
    assert (found.asked[1].get(name, 0) > 0) == again


def assert_told(words: str, told: str) -> None:
    assert re.search(words, told, re.S), told


def test_there_are_modes_enough_and_none_is_lost(completions, chats):
    for modes, found in ((COMPLETIONS, completions), (CHATS, chats)):
        for solutions, drops in zip(found.solutions, found.drops, strict=True):
            assert solutions.keys() | drops.keys() == modes.keys() and not solutions.keys() & drops.keys()
    assert len(COMPLETIONS) + len(CHATS) + len(ENDS) >= 60


def test_key_is_in_no_file_whole_or_begun(completions):
    assert len(completions.files) > 10_000
    for spelling in (KEY, ESCAPED, json.dumps(ESCAPED), KEY.replace("/", "%2F"), KEY[:8], KEY[10:20], KEY[-10:]):
        assert spelling.encode() not in completions.files, spelling


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
    "always 500": End(error(500, "broken"), "answers nobody.*500.*broken"),
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


@pytest.mark.parametrize("name", ENDS)
def test_server_of_no_use_ends_the_rank(name, tmp_path):
    end = ENDS[name]
    script = end.reply if callable(end.reply) else always(end.reply)
    with scripted({"": script}) as server:
        with pytest.raises(ServerError) as ended:
            sample(tmp_path, endpoint(server), ["one"])
        assert_told(end.words, str(ended.value))
        assert end.asked in (None, server.asked[""])
    assert KEY[:8] not in str(ended.value)


@pytest.mark.parametrize("name, options", [
    ("refuses seed", {"omit": ["seed"]}), ("refuses temperature", {"omit": ["temperature", "top_p"]}),
    ("calls max_tokens otherwise", {"rename": {"max_tokens": "max_completion_tokens", "seed": "random_seed"}}),
])
def test_the_advice_helps(name, options, tmp_path):
    with scripted({"": ENDS[name].reply}) as server:
        solutions, drops = sample(tmp_path, endpoint(server, **options), ["one"])
        assert solutions["one"]["solution"] == GOOD and not drops
        sent = set(server.bodies[0])
    assert not sent & {*options.get("omit", ()), *options.get("rename", {})}
    assert set(options.get("rename", {}).values()) <= sent


def test_server_that_is_alive_but_thinks_is_no_dead_server(tmp_path):
    """Its answer to the probe of one token is cut in the thought, as every answer is; one request fails for good."""
    def script(number, body):
        return error(500, "poison") if "<bad>" in str(body) else chat(None, "length", reasoning_content="hm")

    with scripted({"bad": script, "": script}) as server:
        solutions, drops = sample(tmp_path, endpoint(server, api="chat", rename={"max_tokens": "most"}), ["bad"])
        assert server.bodies[-1]["most"] == 1 and "max_tokens" not in server.bodies[-1]
    assert not solutions and drops["bad"]["reason"] == "error" and "500" in drops["bad"]["detail"]


@pytest.mark.parametrize("echoes, expected", [(True, " 42"), (False, None)])
def test_echoed_prompt_is_cut_where_the_server_echoes_always(echoes, expected, tmp_path):
    """A model that repeats the problem by itself is left alone; which of the two it is, one request finds out."""
    def script(number, body):
        return completion(body["prompt"] + " 42" if echoes or "<" in body["prompt"] else "42",
                          logprobs={"token_logprobs": [-1.0]})

    with scripted({"": script}) as server:
        solutions, _ = sample(tmp_path, endpoint(server), ["one", "two"])
        assert server.asked[""] == 3
    assert solutions["one"]["solution"] == (expected or "Mode <one> 17 + 25?\n 42")
    assert solutions["one"]["logprob_sum"] == (None if echoes else -1.0), "an echo's are those of the prompt, too"


@pytest.mark.parametrize("kept, solution, thought", [
    ("inline", f"<think>hm</think>{GOOD}", None), ("column", GOOD, "hm"), ("drop", GOOD, None)])
def test_thoughts_are_kept_where_the_recipe_says(kept, solution, thought, tmp_path):
    modes = {"told apart": chat("\n\n" + GOOD if kept != "inline" else GOOD, reasoning="hm"),
             "between tags": chat(f"<think>hm</think>{GOOD}"), "cut": chat(None, "length", reasoning="hm")}
    with scripted({name: always(reply) for name, reply in modes.items()}) as server:
        solutions, _ = sample(tmp_path, endpoint(server, api="chat", thoughts=kept), list(modes))
    for name in ("told apart", "between tags"):
        assert (solutions[name]["solution"], solutions[name]["thought"]) == (solution, thought)
    assert (solutions["cut"]["solution"], solutions["cut"]["thought"], solutions["cut"]["complete"]) == (
        "<think>hm" if kept == "inline" else "", thought, False)


def test_thought_that_the_prompt_opens_and_that_was_cut_is_open(tmp_path):
    """The text shows no tag at all, and a box in it is no answer."""
    modes = {"cut": always(completion(r"so \boxed{42}. But", "length", token_ids=[1, 2])),
             "whole": always(completion("hm</think>42", token_ids=[1, 2]))}
    with scripted(modes) as server:
        solutions, _ = sample(tmp_path, endpoint(server, prompt="{{ problem }}<think>\n"), list(modes))
    cut, whole = solutions["cut"], solutions["whole"]
    assert (cut["solution"], cut["completion_ids"]) == (r"<think>so \boxed{42}. But", None)
    assert (whole["solution"], whole["completion_ids"]) == ("hm</think>42", [1, 2])


def test_log_probabilities_are_asked_for_where_the_recipe_wants_them(tmp_path):
    with scripted({}) as server:
        sample(tmp_path / "a", endpoint(server, logprobs=True), ["one"])
        sample(tmp_path / "b", endpoint(server, logprobs=True, api="chat"), ["one"])
        sample(tmp_path / "c", endpoint(server), ["one"])
        assert [body.get("logprobs") for body in server.bodies] == [1, True, None]
