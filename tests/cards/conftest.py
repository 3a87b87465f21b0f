"""What the tests of cards share: a small release of made-up rows, a hub, and real clients to drive it.

The release is tests/helpers/releases.py, the hub is tests/hub_server.py; clients are processes of their own, since
the Hub's libraries read HF_ENDPOINT when they are imported.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.releases import SMALL, write_small

# Test modules find hub_server beside them, since tests are no packages.
sys.path.insert(0, str(Path(__file__).parents[1]))
from hub_server import TOKEN, Hub, serving  # noqa: E402


@pytest.fixture
def make_release(tmp_path: Path) -> Callable[..., Path]:
    """Writes a release of `problems`; arguments as of `write_small`."""

    def make(name: str = "release", problems: range = range(40), **options: Any) -> Path:
        return write_small(tmp_path / name, problems, **options)

    return make


@pytest.fixture
def make_small(make_release: Callable[..., Path]) -> Callable[..., Path]:
    """`make_release` with three configs."""
    return functools.partial(make_release, only=SMALL)


class Call:
    """A call that a client's child is at."""

    def __init__(self, pid: int, result: Path) -> None:
        self.pid, self.result = pid, result

    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def wait(self) -> dict:
        """{"value": ...} or {"error": class, "message": ...}; empty when the child was killed."""
        while self.alive():
            time.sleep(0.02)
        return json.loads(self.result.read_text()) if self.result.exists() else {}

    def kill(self) -> None:
        """Kill -9, and wait until nothing of it runs."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.wait()

    def log(self) -> str:
        return Path(f"{self.result}.log").read_text(errors="replace")


class Clients:
    """Starts calls of tests/cards/clients.py in processes of their own."""

    def __init__(self, hub: Hub, scratch: Path) -> None:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1",
                       "HF_HOME": str(scratch / "home"), "OMP_NUM_THREADS": "1"}
        environment.pop("HF_HUB_OFFLINE", None)
        self.scratch, self.count = scratch, 0
        self.process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "clients.py")], text=True,
                                        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def start(self, name: str, **arguments: object) -> Call:
        self.count += 1
        result = self.scratch / f"call-{self.count}"
        assert self.process.stdin and self.process.stdout
        arguments = {key: str(value) if isinstance(value, Path) else value for key, value in arguments.items()}
        self.process.stdin.write(json.dumps({"name": name, "arguments": arguments, "result": str(result)}) + "\n")
        self.process.stdin.flush()
        return Call(int(self.process.stdout.readline()), result)

    def publish(self, folder: Path, to: str, version: str | None, **options: object) -> dict:
        return self.start("publish", folder=folder, to=to, version=version, **options).wait()

    def load(self, repo: str, config: str, revision: str, streaming: bool = False) -> dict:
        return self.start("load", repo=repo, config=config, revision=revision, streaming=streaming).wait()


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    with serving() as server:
        yield server


@pytest.fixture
def token() -> str:
    """The token that clients use."""
    return TOKEN


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test begins and ends with a hub in good health that knows no uploads of others."""
    hub = request.getfixturevalue("hub") if "hub" in request.fixturenames else None
    yield
    if hub:
        hub.faults.clear()
        hub.stored.clear()


@pytest.fixture(scope="session")
def clients(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    made = Clients(hub, tmp_path_factory.mktemp("clients"))
    yield made
    assert made.process.stdin
    made.process.stdin.close()
    made.process.wait()
