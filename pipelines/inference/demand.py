"""Servers on demand: a server starts only when a request comes whose answer is not in the journal.

In: what starts the run's servers, and a folder that the process of the run shares with its ranks. A rank that needs a
server leaves the file `wanted` there and waits. A thread of the run's process sees it, starts the servers and writes
where they answer, or why they do not. It goes on looking, and writes again when a server was replaced. `OnDemand` is
the same for a server that a rank starts for itself.
"""

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from datatrove.pipeline.inference.servers import InferenceServer
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.files import replacing
from stepforge.pipelines.inference.server_process import Address
from stepforge.pipelines.options.generators import Writer

WANTED, ANSWER = "wanted", "answer.json"
LOOK_SECONDS = 0.2
WAIT_SECONDS = 60.0  # for the last look at servers, which may ask a slow cluster, before they are ended


class Starts(Protocol):
    """Servers of a run: `addresses` starts those of a generator that do not run, and says where those that run answer;
    `close` ends what runs or is about to."""

    def addresses(self, generator: Writer) -> tuple[Address, ...]: ...
    def close(self) -> None: ...


@contextmanager
def offered(servers: Starts, generator: Writer, folder: Path) -> Iterator[Path]:
    """Inside the block, ranks that ask in `folder` are told where the servers of `generator` answer.

    Raises:
        StageFailed: ranks asked, and the servers did not start.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier process
    folder.mkdir(parents=True)
    over, failures = threading.Event(), list[BaseException]()

    def attend() -> None:
        last: tuple[Address, ...] = ()
        while not over.wait(LOOK_SECONDS):
            if not (folder / WANTED).exists():
                continue
            try:
                addresses = servers.addresses(generator)
            except BaseException as error:
                failures.append(error)
                write_private(folder / ANSWER, {"error": str(error)})
                return
            if addresses != last:
                write_private(folder / ANSWER, {"addresses": packed(addresses)})
                last = addresses

    attendant = threading.Thread(target=attend, name="servers on demand", daemon=True)
    attendant.start()
    wait = LOOK_SECONDS
    try:
        yield folder
        wait = WAIT_SECONDS
    except Exception as error:
        if failures:
            raise failures[0] from error
        raise
    finally:
        over.set()
        attendant.join(wait)
        while attendant.is_alive():  # a start that nobody waits for any more
            servers.close()
            attendant.join(LOOK_SECONDS)


def write_private(path: Path, value: dict[str, Any]) -> None:
    """A file of JSON that only this user reads, replaced as a whole."""
    with replacing(path) as temporary:
        temporary.touch(0o600)
        temporary.write_bytes(orjson.dumps(value))


def read_private(path: Path) -> dict[str, Any]:
    """What such a file holds; nothing where there is none."""
    try:
        value: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return value


def packed(addresses: Sequence[Address]) -> list[list[Any]]:
    """Addresses as JSON holds them."""
    return [[*address._replace(log=str(address.log))] for address in addresses]  # type: ignore[arg-type]


def unpacked(value: list[list[Any]]) -> tuple[Address, ...]:
    """Addresses from JSON."""
    return tuple(Address(url, Path(log), *rest) for url, log, *rest in value)


async def addresses_in(folder: Path, rank: int, gone: Address | None = None) -> Address:
    """In a rank: ask in `folder` for servers, and wait until there is one other than `gone`; best one of this machine.

    Raises:
        ServerError: they do not start.
    """
    while True:
        if not (folder / WANTED).exists():  # the run may have begun anew since this rank asked
            folder.mkdir(parents=True, exist_ok=True)
            (folder / WANTED).touch()
        answer = read_private(folder / ANSWER)
        if "error" in answer:
            raise ServerError(answer["error"])
        others = [address for address in unpacked(answer.get("addresses", [])) if address != gone]
        here = [address for address in others if urlsplit(address.url).hostname == socket.gethostname()]
        if able := here or others:
            return able[rank % len(able)]
        await asyncio.sleep(LOOK_SECONDS)


def is_replaced(folder: Path, address: Address) -> bool:
    """In a rank: whether the run says that its servers are others."""
    others = read_private(folder / ANSWER).get("addresses")
    return others is not None and address not in unpacked(others)


class OnDemand:
    """What datatrove's runner needs of a server; the server itself starts with the first request."""

    def __init__(self, make: Callable[[], InferenceServer]) -> None:
        self._make = make
        self._server: InferenceServer | None = None

    async def __aenter__(self) -> "OnDemand":
        return self

    async def __aexit__(self, *error: Any) -> None:
        if self._server is not None:
            await self._server.__aexit__(*error)

    async def make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The answer of the server, as soon as it is there."""
        if self._server is None:
            self._server = self._make()
            await self._server.__aenter__()
        answer: dict[str, Any] = await self._server.make_request(payload)
        return answer
