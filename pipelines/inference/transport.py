"""HTTP as our client needs it: many requests at a time at little cost, bodies of bounded size, errors without secrets.

In: a JSON body. Out: status, headers and the decoded body. aiohttp is taken because a request costs it the same CPU
time whether 8 or 256 are under way; the pool of httpx looks at all its connections for every request (2 ms of CPU a
request at 64, 12.6 ms at 256).
"""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson

from stepforge.pipelines.inference.secret import Secret

CONNECT_SECONDS = 30.0
KEPT_SECONDS = 60.0  # how long a connection without work is kept
MIB = 2**20


class Lost(Exception):
    """No whole answer came; asking again may help."""


class Late(Lost):
    """No answer came in time."""


class TooLarge(Exception):
    """The decoded body is larger than it may be."""


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """A pool of connections to one server. Use it in one event loop and close it there.

    Args:
        key: the API key; with one, the proxies of the environment are used, since the server is elsewhere.
        near: whether it is not, so that no proxy is used.
        most_bytes: largest decoded body that is read.
    """

    def __init__(self, url: str, key: Secret, timeout_s: float, connections: int, most_bytes: int = 16 * MIB,
                 near: bool = False) -> None:
        self._key, self._most = key, most_bytes
        place = urlsplit(url)
        self._proxy = None
        if key and not near and not proxy_bypass(place.hostname or ""):
            self._proxy = getproxies().get(place.scheme)
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_SECONDS, timeout_s))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEPT_SECONDS), timeout=timeout,
            auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "Accept-Encoding": "gzip", **key.headers()},
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, url: str, body: dict[str, Any]) -> Reply:
        """What the server answers, whatever its status; a redirection is not followed.

        Raises:
            Lost, Late: there is no answer, or half of one.
            TooLarge: the body is larger than it may be.
        """
        try:
            async with self._session.post(url, data=orjson.dumps(body), allow_redirects=False,
                                          proxy=self._proxy) as response:
                return Reply(response.status, response.headers, await self._read(response))
        except TimeoutError:
            raise Late("no answer in time") from None
        except (aiohttp.ClientError, OSError, zlib.error, ValueError) as error:  # their words may hold our headers
            raise Lost(self._key.redacted(f"{type(error).__name__}: {error}")) from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        packed = response.headers.get("Content-Encoding", "identity").lower()
        if packed not in ("identity", "gzip", "x-gzip", "deflate"):
            raise ValueError(f"an answer packed as {packed[:20]!r}, which nobody asked for")
        unpack = None if packed == "identity" else zlib.decompressobj(wbits=47)  # gzip or zlib, as its header says
        parts, size = [], 0
        while part := await response.content.readany():
            part = unpack.decompress(part, self._most - size + 1) if unpack else part
            size += len(part)
            if size > self._most:
                response.close()
                raise TooLarge
            parts.append(part)
        if unpack and not unpack.eof:
            raise ValueError("half of a packed answer")
        return b"".join(parts)
