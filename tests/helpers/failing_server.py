"""A server that answers each prompt as a script says, badly as a rule: real HTTP, one mode for each prompt.

    with scripted({"late": lambda n, body: Reply(500)}) as server: ... ask server.url for a prompt with "<late>" in it

A prompt that names no mode (the client's probe of a single token among them) is answered well. `asked` counts what
came for each mode, so that tests see what would have been paid.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = "17 + 25 = 42\nThe answer is 42"


@dataclass(frozen=True)
class Reply:
    """What goes over the wire; of the body only `keep` bytes, if that is said, before the connection closes."""

    status: int = 200
    body: bytes | str | dict | list = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: int | None = None

    def data(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Script = Callable[[int, dict], Reply | None]  # which request of the mode it is, from 1, and its body; null hangs up


def completion(text: Any = GOOD, finish: Any = "stop", usage: Any = None, **more: Any) -> Reply:
    """A good answer of /v1/completions but for what is said otherwise."""
    usage = {"prompt_tokens": 9, "completion_tokens": 12} if usage is None else usage
    return Reply(body={"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}], "usage": usage})


def chat(content: Any = GOOD, finish: Any = "stop", logprobs: Any = None, **message: Any) -> Reply:
    """The same of /v1/chat/completions."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    return Reply(body={"choices": [choice | ({"logprobs": logprobs} if logprobs else {})],
                       "usage": {"prompt_tokens": 9, "completion_tokens": 12}})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, modes: Mapping[str, Script]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.modes = dict(modes)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict] = []
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        mode = next((name for name in self.server.modes if f"<{name}>" in prompt), "")
        with self.server.lock:
            self.server.asked[mode] += 1
            self.server.bodies.append(body)
            number = self.server.asked[mode]
        plain = chat if self.path.endswith("/chat/completions") else completion
        reply = self.server.modes[mode](number, body) if mode or "" in self.server.modes else plain()
        if reply is None:
            self.close_connection = True
            return
        data = reply.data()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)),
                            **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: reply.keep])
        self.close_connection |= reply.keep is not None


@contextmanager
def scripted(modes: Mapping[str, Script]) -> Iterator[Server]:
    """The server, in threads of this process, for as long as the block runs. A mode "" scripts all other prompts."""
    server = Server(modes)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
