"""A Hub that sends its clients to another host: no token follows, and nonsense is answered in one sentence."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.cli import stepforge

TOKEN = "hf_secret_of_the_tests"


class Server(ThreadingHTTPServer):
    """Remembers the Authorization of every request; with `to`, answers each by pointing there."""

    daemon_threads = True
    to: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[str | None] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:  # noqa: N802
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(self.headers.get("Authorization"))
        self.send_response(307 if self.server.to else 200)
        if self.server.to:
            self.send_header("Location", self.server.to + self.path)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    hub, other = Server(), Server()
    hub.to = f"http://localhost:{other.server_port}"
    yield hub, other
    for server in (hub, other):
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("command", [
    ["versions", "hub:org/data"], ["check", "hub:org/data@v1.0.0"],
    pytest.param(["train", "sft", "--dataset", "org/data", "--revision", "v1.0.0", "--model_name_or_path", "tiny"],
                 marks=pytest.mark.slow)])
def test_no_token_follows_and_what_comes_back_is_one_sentence(servers: tuple[Server, Server], tmp_path: Path,
                                                              command: list[str]) -> None:
    hub, other = servers
    done = stepforge(*command, cwd=tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{hub.server_port}", HF_TOKEN=TOKEN,
                     HF_HOME=str(tmp_path / "home"), HF_HUB_DISABLE_XET="1", HF_HUB_OFFLINE="0")
    assert any(TOKEN in (said or "") for said in hub.seen) and not any(other.seen)
    assert done.returncode == 2 and "Traceback" not in done.stderr and TOKEN not in done.stderr, done.stderr
