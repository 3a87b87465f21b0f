"""Batches by an API for files and batches, scripted on this machine: whole runs in rounds, over real HTTP."""

import json
import random
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest
from helpers.failing_server import scripted
from helpers.runs import SMALL, execute, rows

from stepforge.builders.errors import UserError
from stepforge.pipelines.executors import StageFailed
from stepforge.pipelines.inference import batch
from stepforge.pipelines.inference.batch import Imported, export_batch, import_batch
from stepforge.pipelines.inference.embedded import shared_sampler
from stepforge.pipelines.inference.journal import Journal

RECIPE = SMALL | {
    "problems": [{"source": "arithmetic", "limit": 2, "steps": [3, 4]}],
    "generators": [{"name": "there", "engine": "batch", "model": "tiny", "samples": 4, "max_tokens": 64}],
    "judge": None, "annotate": {"policy": "there", "rollouts": 2, "search": "bisect", "negatives_per_problem": 1,
                                "positives_per_problem": 0},
    "release": {"configs": ["solutions", "rollouts"], "splits": {"test": 0}}}


class Provider(BaseHTTPRequestHandler):
    """Takes a file, makes a batch of it, gives back the file of its answers; the tiny model writes them."""

    def log_message(self, *_):
        """Nothing."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/files":
            self.send({"id": self.keep(body)})
        else:
            asked = json.loads(body)
            lines = [json.loads(line) for line in self.server.files[asked["input_file_id"]].splitlines()]
            random.Random(0).shuffle(lines)
            self.send({"status": "completed", "output_file_id": self.keep(b"\n".join(map(self.server.answer, lines)))})

    def do_GET(self):
        self.send(self.server.files[self.path.split("/")[3]])

    def keep(self, body):
        name = f"file-{len(self.server.files)}"
        self.server.files[name] = body
        return name

    def send(self, what):
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def answer(line):
    """What the provider writes for a request."""
    assert (line["method"], line["url"]) == ("POST", "/v1/completions")
    payload = {name: value for name, value in line["body"].items() if name != "model"}
    body = shared_sampler(model="tiny").submit(payload).result()
    return json.dumps({"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}}).encode()


@contextmanager
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.files, server.answer = {}, answer
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def call(server, path, body=None):
    with urlopen(Request(f"http://127.0.0.1:{server.server_address[1]}/v1/{path}", body)) as response:
        return response.read()


def send(server, run, folder):
    """One round: export, upload, batch, download, import."""
    (path,) = export_batch(run, folder / "batch.jsonl")
    uploaded = json.loads(call(server, "files", path.read_bytes()))
    made = json.loads(call(server, "batches", json.dumps({"input_file_id": uploaded["id"]}).encode()))
    (folder / "answers.jsonl").write_bytes(call(server, f"files/{made['output_file_id']}/content"))
    return import_batch(run, folder / "answers.jsonl")


def test_run_in_rounds_is_the_run_of_an_endpoint(tmp_path):
    """Generate, then rollouts round by round; nothing is asked twice, and the rows are those of direct requests."""
    run, rounds = tmp_path / "run", []
    with provider() as server:
        while True:
            try:
                execute(RECIPE, run)
                break
            except StageFailed as waits:
                assert "stepforge batch export" in str(waits) or "annotate" in str(waits)
                rounds.append(send(server, run, tmp_path))
                assert rounds[-1].taken and rounds[-1][1:] == (0, 0, 0) and len(rounds) < 20
    assert rounds[0] == Imported(8, 0, 0, 0) and len(rounds) > 1
    assert sum(done.taken for done in rounds) == 8 + len(rows(run, "rollouts"))
    assert import_batch(run, tmp_path / "answers.jsonl").known == rounds[-1].taken
    with pytest.raises(UserError, match="is waiting for a batch"):
        export_batch(run, tmp_path / "more.jsonl")
    direct = RECIPE["generators"][0] | {"engine": "endpoint", "url": "http://127.0.0.1:9/v1"}
    execute(RECIPE | {"generators": [direct]}, run)  # the same generator: nobody listens there, and nobody is asked


def test_answers_that_are_none_wait_on_and_others_are_outcomes(tmp_path, monkeypatch):
    run = tmp_path / "run"
    with pytest.raises(StageFailed, match="none of 8 solutions came.*waits for its batch"):
        execute(RECIPE, run)
    (path,) = export_batch(run, tmp_path / "batch.jsonl")
    keys = [json.loads(line)["custom_id"] for line in path.read_bytes().splitlines()]
    good = {"choices": [{"text": "4", "finish_reason": "stop"}], "usage": {"completion_tokens": 999_999}}
    lines = [{"custom_id": keys[0], "response": {"status_code": 200, "body": good}},
             {"custom_id": keys[1], "error": {"code": "batch_expired"}},
             {"custom_id": keys[2], "response": {"status_code": 400, "body": {"error": "maximum context length"}}},
             {"custom_id": keys[3], "response": {"status_code": 400, "body": {"error": "content_filter"}}},
             {"custom_id": keys[4], "response": {"status_code": 200, "body": {"choices": []}}},
             {"custom_id": keys[5], "response": None}, {"custom_id": "other", "response": {"body": good}},
             {"custom_id": keys[0], "response": {"status_code": 200, "body": good}}, [], "no line"]
    latin = json.dumps(lines[0] | {"custom_id": keys[6]}).replace('"4"', '"\xe9"')
    (tmp_path / "answers.jsonl").write_bytes(
        "\n".join([*map(json.dumps, lines), latin, "no JSON", ""]).encode("latin-1"))
    assert import_batch(run, tmp_path / "answers.jsonl") == Imported(3, 1, 4, 4)
    (folder,) = (run / "generated").iterdir()
    journal = Journal(folder)
    records = [journal.get(key) for key in keys]
    reasons = [record and record["choices"][0]["finish_reason"] for record in records[:7]]
    assert reasons == ["stop", None, "prompt_too_long", "filtered", None, None, None]
    assert records[0]["choices"][0]["completion_tokens"] is None, "more than max_tokens"
    (path,) = export_batch(run, tmp_path / "again.jsonl")
    assert len(path.read_bytes().splitlines()) == 5
    monkeypatch.setattr(batch, "MOST", 4)
    parts = export_batch(run, tmp_path / "parts.jsonl")
    assert [part.name for part in parts] == ["parts-0000.jsonl", "parts-0001.jsonl"]
    assert b"".join(part.read_bytes() for part in parts) == path.read_bytes()


def test_batch_renames_and_leaves_out_fields(tmp_path):
    generator = RECIPE["generators"][0] | {"api": "chat", "omit": ["seed"], "rename": {"max_tokens": "most"}}
    with pytest.raises(StageFailed), scripted({}):
        execute(RECIPE | {"generators": [generator], "annotate": None, "release": {"configs": ["solutions"]}},
                tmp_path / "run")
    (path,) = export_batch(tmp_path / "run", tmp_path / "batch.jsonl")
    line = json.loads(path.read_bytes().splitlines()[0])
    assert line["url"] == "/v1/chat/completions"
    assert line["body"].keys() == {"model", "messages", "most", "temperature"}
