"""Enough of an HTTP server for one client: `answer` turns the body of each request into that of its reply."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"


class Answering(asyncio.Protocol):
    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4:end + 4 + length], self.buffer[end + 4 + length:]
            closing = b"connection: close" in head
            reply = self.answer(body)
            self.transport.write(LENGTH % (len(reply), b"Connection: close\r\n" if closing else b"") + reply)
            if closing:
                self.transport.close()


async def listen(answer: Callable[[bytes], bytes], port: int = 0) -> asyncio.Server:
    """A server on this machine; port 0 is one that is free."""
    return await asyncio.get_running_loop().create_server(partial(Answering, answer), "127.0.0.1", port, backlog=4096)
