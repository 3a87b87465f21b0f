"""A small real server that speaks OpenAI's protocol over the embedded sampler, and fails on purpose where told to.

    with serving(Behaviour(faults={"500": 0.1, "half": 0.05})) as server:
        ... ask server.url, look at server.seen ...

    python tests/helpers/openai_server.py '{"faults": {"429": 0.2}}'      # prints its URL, serves until it is killed

Faults are drawn before a request is looked at, with their probabilities, from a generator with `seed`.
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stepforge.pipelines.inference.embedded import shared_sampler
from stepforge.pipelines.inference.errors import PromptTooLong

FAULTS = ("500", "429", "garbage", "half", "nothing", "slow")


@dataclass(frozen=True)
class Behaviour:
    """How the server behaves. `most` is how many requests it answers at a time before it says 429."""

    faults: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    at_most: int | None = None  # faults, then all goes well
    key: str | None = None
    chat_only: bool = False
    most: int | None = None
    retry_after: str | None = "0.05"
    slow_s: float = 0.5
    poison: str | None = None  # a request whose prompt holds this is answered by 500, always
    script: Callable[[str, int], str] | None = None  # what it says to a prompt with a seed, in the place of the model


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, behaviour: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = behaviour
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.seen: list[dict] = []        # bodies that were answered
        self.done: Counter[str] = Counter()  # faults by kind, and `most`
        self.arrivals: list[float] = []   # when requests came, by the monotonic clock
        self.connections = 0
        self.under_way = self.peak = 0
        self.lock = threading.Lock()
        self._draw = random.Random(behaviour.seed)

    def fault(self) -> str | None:
        """What goes wrong with the next request."""
        if self.behaviour.at_most is not None and sum(self.done[kind] for kind in FAULTS) >= self.behaviour.at_most:
            return None
        at = self._draw.random()
        for kind, share in self.behaviour.faults.items():
            if at < share:
                self.done[kind] += 1
                return kind
            at -= share
        return None

    def handle_error(self, request, client_address) -> None:
        """Nothing: clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def log_message(self, *_) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.send(200, {"object": "list", "data": [{"id": "tiny", "object": "model"}]})

    def do_POST(self) -> None:
        behaviour, server = self.server.behaviour, self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.arrivals.append(time.monotonic())
            fault = server.fault()
            server.under_way += 1
            server.peak = max(server.peak, server.under_way)
            crowded = behaviour.most is not None and server.under_way > behaviour.most
            server.done["most"] += crowded
        try:
            if crowded:
                self.error(429, "too many requests")
            elif behaviour.key and self.headers["Authorization"] != f"Bearer {behaviour.key}":
                self.error(401, f"Incorrect API key provided: {self.headers['Authorization']}")
            elif behaviour.poison and behaviour.poison in str(body):
                self.error(500, "poison")
            elif fault in ("500", "429"):
                self.error(int(fault), "told to fail")
            elif fault == "nothing":
                self.close_connection = True
            elif fault == "garbage":
                self.send(200, "<html>a proxy says hello</html>")
            else:
                if fault == "slow":
                    time.sleep(behaviour.slow_s)
                self.answer(body, cut=fault == "half")
        finally:
            with server.lock:
                server.under_way -= 1

    def answer(self, body: dict, cut: bool) -> None:
        chat = self.path == "/v1/chat/completions"
        if not chat and (self.path != "/v1/completions" or self.server.behaviour.chat_only):
            self.error(404, f"no such path: {self.path}")
            return
        payload = {key: value for key, value in body.items() if key not in ("model", "messages", "return_token_ids")}
        if chat:
            payload["prompt"] = body["messages"][-1]["content"]
        try:
            completion = self.scripted(payload) if self.server.behaviour.script else shared_sampler(
                model="tiny").submit(payload).result()
        except PromptTooLong as error:
            self.error(400, f"This model's maximum context length is 256 tokens: {error}")
            return
        except ValueError as error:
            self.error(400, str(error))
            return
        if chat:
            choices = [{"index": c["index"], "finish_reason": c["finish_reason"],
                        "message": {"role": "assistant", "content": c["text"]}} for c in completion["choices"]]
        else:
            ids = bool(body.get("return_token_ids"))
            choices = [c if ids else {k: v for k, v in c.items() if k != "token_ids"} for c in completion["choices"]]
        if not cut:
            with self.server.lock:
                self.server.seen.append(body)
        self.send(200, completion | {"choices": choices}, cut)

    def scripted(self, payload: dict) -> dict:
        """The script's answer to one prompt, which counts three tokens whatever it says."""
        text = self.server.behaviour.script(payload["prompt"], payload["seed"])
        return {"choices": [{"index": 0, "text": text, "finish_reason": "stop", "token_ids": [1, 2, 3]}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 3}}

    def error(self, status: int, message: str) -> None:
        self.send(status, {"error": {"message": message, "code": status}})

    def send(self, status: int, what: dict | str, cut: bool = False) -> None:
        data = (what if isinstance(what, str) else json.dumps(what)).encode()
        self.send_response(status)
        if status == 429 and self.server.behaviour.retry_after is not None:
            self.send_header("Retry-After", self.server.behaviour.retry_after)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection |= cut


@contextmanager
def serving(behaviour: Behaviour | None = None) -> Iterator[Server]:
    """The server, in a thread of this process, for as long as the block runs."""
    server = Server(behaviour or Behaviour())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with serving(Behaviour(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))) as alone:
        sys.stdout.write(alone.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()
