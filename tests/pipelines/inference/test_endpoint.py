"""The endpoint engine against a real server over HTTP, which fails on purpose where a test tells it to."""

import asyncio

import httpx
import pytest
from datatrove.pipeline.inference.types import ServerError
from helpers.openai_server import FAULTS, Behaviour, serving
from helpers.runs import SMALL, execute, rows

from stepforge.builders.errors import UserError
from stepforge.builders.retry import retry_after
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference import client as client_module
from stepforge.pipelines.inference.client import Client
from stepforge.pipelines.inference.embedded import shared_sampler
from stepforge.pipelines.inference.endpoint import body_of
from stepforge.pipelines.inference.errors import PromptTooLong, Refused, RequestFailed
from stepforge.pipelines.options.generators import EndpointGenerator
from stepforge.pipelines.recipe import Recipe

PROMPT = "Ada has 3 apples. She buys 4 more. How many apples does she have?\n"


def payload(seed, prompt=PROMPT):
    return {"prompt": prompt, "seed": seed, "max_tokens": 12, "temperature": 0.7}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE_SECONDS", 0.05)


def ask(server, payloads, **options):
    """Answers or exceptions, in order, and the client that asked."""
    async def all_of_them():
        client = Client(server.url, **options)
        answers = await asyncio.gather(*(client.ask(p) for p in payloads), return_exceptions=True)
        await client.close()
        return answers, client

    return asyncio.run(all_of_them())


def texts(answers):
    return [answer["choices"][0]["text"] for answer in answers]


@pytest.fixture(scope="module")
def expected():
    """What the same payloads give without a server between."""
    futures = [shared_sampler(model="tiny").submit(payload(seed)) for seed in range(16)]
    return texts([future.result() for future in futures])


def test_answers_are_those_of_the_model(expected):
    with serving() as server:
        answers, _ = ask(server, map(payload, range(16)))
    assert texts(answers) == expected and len(set(expected)) > 3
    assert answers[0]["usage"]["prompt_tokens"] > 10


def test_connections_are_kept(expected):
    with serving() as server:
        ask(server, map(payload, range(16)), most=4)
        assert len(server.seen) == 16 and server.connections <= 4


@pytest.mark.parametrize("kind", FAULTS)
def test_no_answer_is_lost_to_a_fault(kind, expected):
    """At 30% a request fails eight times in a row with odds of 1 in 15,000."""
    with serving(Behaviour(faults={kind: 0.3}, seed=1)) as server:
        answers, _ = ask(server, map(payload, range(16)))
        assert server.done[kind] > 0
    assert texts(answers) == expected


def test_late_answer_is_asked_for_again(expected):
    with serving(Behaviour(faults={"slow": 1.0}, at_most=1, slow_s=600)) as server:
        answers, _ = ask(server, map(payload, range(2)), timeout_s=10)
        assert server.done["slow"] == 1
    assert texts(answers) == expected[:2]


def test_retry_after_is_honoured(expected):
    """The first request is told to wait for 0.4 s: neither it nor another one comes before that."""
    with serving(Behaviour(faults={"429": 1.0}, at_most=1, retry_after="0.4")) as server:
        answers, _ = ask(server, map(payload, range(4)), first=1)
        assert server.arrivals[1] - server.arrivals[0] >= 0.4
    assert texts(answers) == expected[:4]


@pytest.mark.parametrize("headers, seconds", [
    ({"retry-after": "3"}, 3), ({"retry-after": "1.5"}, 1.5), ({"retry-after": "-2"}, 0),
    ({"retry-after": "soon"}, None), ({}, None),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10),
    ({"retry-after": "Wed, 21 Oct 2020 07:28:10 GMT"}, 0),
])
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(headers, seconds):
    assert retry_after(httpx.Headers(headers)) == seconds


def test_concurrency_falls_to_what_the_server_takes(expected):
    with serving(Behaviour(most=3, retry_after="0.01")) as server:
        answers, client = ask(server, map(payload, range(16)), most=16, first=16)
        assert server.done["most"] > 0 and client.limit.window <= 12
    assert texts(answers) == expected


def test_refused_request_is_an_outcome_and_others_are_answered(expected):
    with serving() as server:
        answers, _ = ask(server, [payload(0), payload(1, "long " * 400), payload(2, [10**6])])
    assert texts(answers[:1]) == expected[:1]
    assert isinstance(answers[1], PromptTooLong) and type(answers[2]) is Refused
    assert "allowed is a text or a list of token ids" in str(answers[2])


def test_settings_that_the_server_refuses_end_the_rank(tmp_path):
    with serving() as server, pytest.raises(StageFailed, match="refuses every request with these settings.*min_p"):
        execute(recipe(server, extra={"min_p": 0.1}), tmp_path)


def test_request_that_always_fails_is_at_fault_itself(expected):
    with serving(Behaviour(poison="apples")) as server:
        answers, _ = ask(server, [payload(0), payload(1, "2 + 2 =")])
    assert isinstance(answers[0], RequestFailed) and "500" in str(answers[0]) and "text" in answers[1]["choices"][0]


def test_server_that_answers_nobody_ends_the_rank():
    with serving(Behaviour(faults={"500": 1.0})) as server:
        (answer,), _ = ask(server, [payload(0)])
    assert isinstance(answer, ServerError) and "does not answer any request" in str(answer)


def test_server_that_is_not_there_ends_the_rank():
    with serving() as server:
        pass
    (answer,), _ = ask(server, [payload(0)])
    assert isinstance(answer, ServerError) and server.url in str(answer)


def test_neutral_settings_are_not_sent_and_extra_ones_are():
    generator = EndpointGenerator(engine="endpoint", name="e", url="http://x/v1", model="m", extra={"min_p": 0.1})
    sent = body_of(generator, {"prompt": "p", "seed": 1, "n": 1, "temperature": 0, "top_p": 1.0, "top_k": 0,
                               "max_tokens": 5, "stop": []})
    assert sent == {"model": "m", "prompt": "p", "seed": 1, "temperature": 0, "max_tokens": 5, "min_p": 0.1}


def recipe(server, **options):
    generator = {"name": "there", "engine": "endpoint", "model": "tiny", "url": server.url, "samples": 3,
                 "max_tokens": 96, **options}
    return SMALL | {"generators": [generator], "problems": [{"source": "arithmetic", "limit": 4, "steps": [3, 4]}],
                    "budget": None, "judge": None, "annotate": SMALL["annotate"] | {"policy": "there"}}


def test_recipe_runs_on_an_endpoint_and_asks_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("THERE_KEY", "sk-very-secret")
    with serving(Behaviour(key="sk-very-secret", faults={"500": 0.05, "429": 0.05})) as server:
        asked = recipe(server, key_variable="THERE_KEY")
        execute(asked, tmp_path, "annotate")
        solutions, rollouts = rows(tmp_path, "solutions"), rows(tmp_path, "rollouts")
        assert len(solutions) == 12 and rollouts and all(row["finish_reason"] != "error" for row in rollouts)
        assert len(server.seen) == 12 + len(rollouts)
        generator = asked["generators"][0] | {"samples": 5}
        execute(asked | {"generators": [generator], "annotate": None}, tmp_path, "generate")
        assert len(server.seen) == 12 + len(rollouts) + 8
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10 and not any(b"sk-very-secret" in path.read_bytes() for path in files)


def test_wrong_key_stops_the_stage_and_is_not_told(tmp_path, monkeypatch):
    monkeypatch.setenv("THERE_KEY", "sk-wrong")
    with serving(Behaviour(key="sk-right")) as server:
        with pytest.raises(StageFailed, match="401.*key_variable") as failed:
            execute(recipe(server, key_variable="THERE_KEY"), tmp_path)
    assert "sk-wrong" not in str(failed.value)
    assert not any(b"sk-wrong" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_missing_key_is_told_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("THERE_KEY", raising=False)
    with serving() as server:
        with pytest.raises(UserError, match="THERE_KEY is not set"):
            execute(recipe(server, key_variable="THERE_KEY"), tmp_path)
        assert not server.seen


def test_chat_writes_whole_solutions(tmp_path):
    with serving(Behaviour(chat_only=True)) as server:
        execute(recipe(server, api="chat") | {"annotate": None}, tmp_path, "generate")
        assert len(server.seen) == 12 and "messages" in server.seen[0]
    assert all(row["solution"] for row in rows(tmp_path, "solutions"))


def test_chat_cannot_continue_steps():
    with serving() as server, pytest.raises(ValueError, match="cannot continue a solution from a step"):
        Recipe.model_validate(recipe(server, api="chat"))
