"""How fast a connector may call: requests begun a second and open at once, and the pauses that the other side asks for.

Of one process: with N worker processes each has its own pace, and the other side's 429 is what they share.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consumers.clock import Clock

SLACK = 1.05  # requests arrive less evenly than they are sent: the other side's second holds one more, now and then
WAIT_S_MAX = 10.0  # a call waits at most so long for its turn; then it is put off


class NotYet(Exception):
    """The turn is too far off to be waited for: `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.1f} s")
        self.seconds = seconds


class Pace:
    """One for a connector. `per_second` None: no bound."""

    def __init__(self, per_second: float | None, concurrency: int, clock: Clock) -> None:
        self._apart_s = SLACK / per_second if per_second else 0.0
        self._open = asyncio.Semaphore(concurrency)
        self._clock = clock
        self._next = 0.0  # when the next request may begin, by the steady clock
        self._held_until = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for the turn of one request, and is open while it is made. Raises NotYet."""
        self._refuse_if_far()
        async with self._open:
            await self._wait()
            yield

    def hold(self, seconds: float) -> None:
        """No request begins before `seconds` from now: the other side has asked for a pause."""
        self._held_until = max(self._held_until, self._clock.monotonic() + seconds)

    def _refuse_if_far(self) -> None:
        seconds = max(self._held_until, self._next) - self._clock.monotonic()
        if seconds > WAIT_S_MAX:
            raise NotYet(seconds)

    async def _wait(self) -> None:
        self._refuse_if_far()
        now = self._clock.monotonic()
        begin = max(now, self._next, self._held_until)
        self._next = begin + self._apart_s
        while (left := max(begin, self._held_until) - self._clock.monotonic()) > 0:
            if left > WAIT_S_MAX:
                raise NotYet(left)
            await asyncio.sleep(left)
