"""A vLLM that does not start, or ends later: a program in its place prints what vLLM prints, and ends as it does."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from datatrove.pipeline.inference.run_inference import InferenceConfig
from datatrove.pipeline.inference.types import ServerError
from helpers.launched import make_program
from helpers.openai_server import Behaviour, serving
from helpers.runs import SMALL, execute, rows

from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference.demand import ANSWER, WANTED, offered, packed, write_private
from stepforge.pipelines.inference.launched import LaunchedServer
from stepforge.pipelines.inference.server_commands import PYTHONS
from stepforge.pipelines.inference.server_process import Address
from stepforge.pipelines.inference.servers import RESTARTS, Servers
from stepforge.pipelines.options.generators import VllmGenerator
from stepforge.pipelines.run_folder import table_path


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Takes what goes wrong; returns the file that counts starts."""
    program, count = make_program(tmp_path / "python"), tmp_path / "starts"
    for variable in PYTHONS.values():
        monkeypatch.setenv(variable, str(program))
    monkeypatch.setenv("COUNT", str(count))

    def choose(what: str) -> Path:
        monkeypatch.setenv("WHAT", what)
        return count
    return choose


def vllm(**options) -> VllmGenerator:
    return VllmGenerator(engine="vllm", name="v", model="tiny", start_timeout_s=120, **options)


def test_a_port_that_is_taken_is_tried_elsewhere(fake, tmp_path):
    count = fake("port")
    with Servers(tmp_path / "logs") as servers:
        assert len(servers.addresses(vllm())) == 1
    assert count.read_text() == "xxx"


@pytest.mark.parametrize(("what", "starts", "says"), [
    ("ports", 3, "address already in use"), ("memory", 1, "set `max_model_len` or `gpu_memory` lower")])
def test_a_server_that_does_not_start_says_why_and_what_helps(fake, tmp_path, what, starts, says):
    count = fake(what)
    with Servers(tmp_path / "logs") as servers, pytest.raises(StageFailed, match=says):
        servers.addresses(vllm())
    assert len(count.read_text()) == starts


def test_an_engine_that_dies_later_ends_the_stage_with_its_last_error(fake, tmp_path):
    count = fake("dies")
    recipe = SMALL | {"generators": [{"name": "v", "engine": "vllm", "model": "tiny", "samples": 2}],
                      "judge": None, "annotate": None}
    with pytest.raises(StageFailed, match="EngineDeadError: EngineCore encountered an issue"):
        execute(recipe, tmp_path / "run")
    assert json.loads((tmp_path / "run/state.json").read_text()).keys() <= {"problems", "synthesize", "decontaminate"}
    assert os.path.exists(tmp_path / "run/logs/servers") and len(count.read_text()) == 1 + RESTARTS


def asking(engine: str, **more) -> dict:
    return SMALL | {"generators": [{"name": "v", "engine": engine, "model": "tiny", "samples": 6}],
                    "judge": None, "annotate": None, "executor": {"tasks": 2, "workers": 2}} | more


def test_what_a_living_server_refuses_to_everybody_ends_the_rank_and_another_server_is_not_waited_for(tmp_path):
    """The server asks for a key that this rank does not have; the run still offers it, so no other will come."""
    async def ask(url: str) -> None:
        write_private(tmp_path / ANSWER, {"addresses": packed([Address(url, tmp_path / "log")])})
        config = InferenceConfig("vllm", model_name_or_path="tiny")
        server = LaunchedServer(vllm(), config, 0, tmp_path, tmp_path)
        await server._connect(None)
        try:
            await asyncio.wait_for(server._answer({"prompt": "1", "seed": 0, "max_tokens": 1}), 30)
        finally:
            await server.server_cleanup()

    with serving(Behaviour(key="another")) as there, pytest.raises(ServerError, match="answers 401"):
        asyncio.run(ask(there.url))


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_server_that_dies_is_replaced_and_no_row_differs(fake, tmp_path, engine):
    count = fake("works")
    execute(asking(engine), tmp_path / "whole", last="generate")
    made = rows(tmp_path / "whole", "solutions")
    assert count.read_text() == "x" and len(made) == 72
    fake("dies once")
    count.unlink()
    execute(asking(engine), tmp_path / "run", last="generate")
    assert count.read_text() == "xx" and rows(tmp_path / "run", "solutions") == made


def test_sglang_is_asked_in_its_own_words(fake, monkeypatch, tmp_path):
    """One completion at a time, -1 for all tokens, no ids of tokens; rollouts continue from texts."""
    fake("works")
    monkeypatch.setenv("BODIES", str(tmp_path / "bodies"))
    recipe = asking("sglang", annotate=SMALL["annotate"] | {"policy": "v"}, executor={"tasks": 1, "workers": 1})
    execute(recipe, tmp_path / "run", last="annotate")
    bodies = [json.loads(line) for line in (tmp_path / "bodies").read_text().splitlines()]
    assert {(body["n"], body["top_k"], body["model"], "return_token_ids" in body) for body in bodies} == {
        (1, -1, "model", False)}
    solutions, rollouts = rows(tmp_path / "run", "solutions"), rows(tmp_path / "run", "rollouts")
    assert {body["seed"] for body in bodies} >= {row["seed"] for row in solutions}
    assert {row["completion_ids"] for row in solutions} == {None} and rollouts
    assert not any(row["token_exact"] for row in rollouts if row["origin"] == "prefix")


@pytest.mark.parametrize("tasks", [1, 2])
def test_no_server_starts_for_rows_that_are_all_in_the_journal(fake, tmp_path, tasks):
    count = fake("works")
    recipe = SMALL | {"generators": [{"name": "v", "engine": "vllm", "model": "tiny", "samples": 2}],
                      "judge": None, "annotate": None, "executor": {"tasks": tasks, "workers": tasks}}
    execute(recipe, tmp_path / "run", last="generate")
    made = rows(tmp_path / "run", "solutions")
    assert count.read_text() == "x" and made
    table_path(tmp_path / "run", "solutions").unlink()
    execute(recipe, tmp_path / "run", last="generate")
    assert count.read_text() == "x" and rows(tmp_path / "run", "solutions") == made
    recipe["generators"][0]["samples"] = 3
    execute(recipe, tmp_path / "run", last="generate")
    assert count.read_text() == "xx" and len(rows(tmp_path / "run", "solutions")) == len(made) * 3 // 2


def test_a_start_that_nobody_waits_for_any_more_is_ended(fake, tmp_path):
    """The run fails, or is interrupted, while a server starts: the block ends at once, and the server with it."""
    count = fake("sleeps")
    with pytest.raises(KeyboardInterrupt), Servers(tmp_path / "logs") as servers:
        with offered(servers, vllm(), tmp_path / "servers") as folder:
            (folder / WANTED).touch()
            while not count.exists():
                time.sleep(0.05)
            raise KeyboardInterrupt
    assert not servers._running and not (tmp_path / "servers" / ANSWER).exists() or "error" in json.loads(
        (tmp_path / "servers" / ANSWER).read_text())
