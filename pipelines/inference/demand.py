"""Servers on demand: what a journal holds needs none, so none starts before a request that it does not hold.

In: what starts the run's servers, and a folder that the process of the run shares with its ranks. A rank that needs a
server leaves the file `wanted` there and waits. A thread of the run's process sees it, starts the servers and writes
where they answer, or why they do not. `OnDemand` is the same for a server that a rank starts for itself.
"""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson
from datatrove.pipeline.inference.servers import InferenceServer
from datatrove.pipeline.inference.types import ServerError

from stepforge.builders.files import replacing
from stepforge.pipelines.inference.vllm_process import Address
from stepforge.pipelines.options.generators import Writer

WANTED, ANSWER = "wanted", "answer.json"
LOOK_SECONDS = 0.2


class Starts(Protocol):
    """Servers of a run: `addresses` starts those of a generator, `close` ends what runs or is about to."""

    def addresses(self, generator: Writer) -> tuple[Address, ...]: ...
    def close(self) -> None: ...


@contextmanager
def offered(servers: Starts, generator: Writer, folder: Path) -> Iterator[Path]:
    """Inside the block, ranks that ask in `folder` are told where the servers of `generator` answer.

    Raises:
        StageFailed: ranks asked, and the servers did not start.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier process, whose servers ended with it
    folder.mkdir(parents=True)
    over, failures = threading.Event(), list[BaseException]()

    def attend() -> None:
        while not (folder / WANTED).exists():
            if over.wait(LOOK_SECONDS):
                return
        try:
            addresses = servers.addresses(generator)
            _answer(folder, {"addresses": [[address.url, str(address.log)] for address in addresses]})
        except BaseException as error:
            failures.append(error)
            _answer(folder, {"error": str(error)})

    attendant = threading.Thread(target=attend, name="servers on demand", daemon=True)
    attendant.start()
    try:
        yield folder
    except BaseException as error:
        over.set()
        while attendant.is_alive():  # a start that nobody waits for any more
            servers.close()
            attendant.join(LOOK_SECONDS)
        if failures and isinstance(error, Exception):
            raise failures[0] from error
        raise
    over.set()
    attendant.join()


def _answer(folder: Path, answer: dict[str, Any]) -> None:
    with replacing(folder / ANSWER) as temporary:
        temporary.write_bytes(orjson.dumps(answer))


async def addresses_in(folder: Path) -> tuple[Address, ...]:
    """In a rank: ask in `folder` for servers, and wait until it says where they answer.

    Raises:
        ServerError: they do not start.
    """
    (folder / WANTED).touch()
    while not (folder / ANSWER).exists():
        await asyncio.sleep(LOOK_SECONDS)
    answer = orjson.loads((folder / ANSWER).read_bytes())
    if "error" in answer:
        raise ServerError(answer["error"])
    return tuple(Address(url, Path(log)) for url, log in answer["addresses"])


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
