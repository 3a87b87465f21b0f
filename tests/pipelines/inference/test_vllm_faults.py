"""A vLLM that does not start, or ends later: a program in its place prints what vLLM prints, and ends as it does."""

import json
import os
import stat
import sys
import time
from pathlib import Path

import pytest
from helpers.runs import SMALL, execute, rows

from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference.demand import ANSWER, WANTED, offered
from stepforge.pipelines.inference.servers import Servers
from stepforge.pipelines.inference.vllm_process import PYTHON
from stepforge.pipelines.options.generators import VllmGenerator
from stepforge.pipelines.run_folder import table_path

# Serves /v1/models and /v1/completions; WHAT says how it goes wrong, COUNT is a file with a letter for each start.
PROGRAM = '''#!{python}
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
what, count = os.environ["WHAT"], os.environ["COUNT"]
open(count, "a").write("x")
starts = len(open(count).read())
if what == "port" and starts < 3 or what == "ports":
    sys.exit("OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 1): address already in use")
if what == "sleeps":
    time.sleep(600)
if what == "memory":
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({{"data": [{{"id": "model", "max_model_len": 512}}]}})
    def do_POST(self):
        if what == "dies":
            print("vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue", flush=True)
            os._exit(1)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        choices = [{{"index": index, "text": "The answer is 4.", "finish_reason": "stop", "token_ids": [5, index, 0]}}
                   for index in range(asked["n"])]
        self.answer({{"choices": choices, "usage": {{"prompt_tokens": 9, "completion_tokens": 3}}}})
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Server).serve_forever()
'''


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Takes what goes wrong; returns the file that counts starts."""
    program, count = tmp_path / "python", tmp_path / "starts"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(PYTHON, str(program))
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
    fake("dies")
    recipe = SMALL | {"generators": [{"name": "v", "engine": "vllm", "model": "tiny", "samples": 2}],
                      "judge": None, "annotate": None}
    with pytest.raises(StageFailed, match="EngineDeadError: EngineCore encountered an issue"):
        execute(recipe, tmp_path / "run")
    assert json.loads((tmp_path / "run/state.json").read_text()).keys() <= {"problems", "synthesize", "decontaminate"}
    assert os.path.exists(tmp_path / "run/logs/servers")


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
