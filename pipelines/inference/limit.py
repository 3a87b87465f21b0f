"""How many requests may be under way at once: found by trial, as TCP finds the bandwidth of a line.

The window doubles with every round of answers until the server first answers that it is overloaded. Each such answer
halves it; from then on it grows by one per round. Such answers to requests that were sent before the last cut do not
count. When the server asks for a pause, no further request is sent until the pause is over.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Limit:
    """Slots for requests; at most `most`, and `first` to begin with."""

    def __init__(self, most: int, first: int) -> None:
        self.most = most
        self.window = float(min(first, most))
        self.under_way = 0
        self._ceiling_known = False
        self._cuts = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """A slot for as long as the block runs; gives the number of cuts so far, for `too_much`."""
        await self._enter()
        try:
            while (left := self._paused_until - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(left)
            yield self._cuts
        finally:
            self.under_way -= 1
            self._wake()

    def answered(self) -> None:
        """An answer came: room for one more, by and by."""
        self.window = min(self.most, self.window + (1 / self.window if self._ceiling_known else 1))
        self._wake()

    def too_much(self, cuts: int) -> None:
        """The server has too much to do, says a request that was sent after `cuts` cuts."""
        if cuts == self._cuts:
            self._cuts += 1
            self._ceiling_known = True
            self.window = max(1.0, self.window / 2)

    def pause(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    async def _enter(self) -> None:
        if self.under_way < int(self.window) and not self._waiting:
            self.under_way += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given the slot in the same moment
                self.under_way -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self.under_way < int(self.window):
            turn = self._waiting.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)
