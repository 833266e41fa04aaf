"""Who waits for the evaluators to show something: one subscription a process wakes all of them."""

from __future__ import annotations

import asyncio
import contextlib

from redis.exceptions import RedisError

from consumers.state.keys import SHOWN_CHANNEL
from consumers.state.store import Store
from rules.errors import Unavailable

POLL_S = 0.5
"""A hint may get lost (they are not kept for who is away), so a waiter looks this often in any case."""


class Shown:
    """Counts the hints. Use: `seen = shown.count`, look, and if there is nothing: `await shown.after(seen, s)`."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        self._store = store
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def after(self, count: int, seconds_max: float) -> None:
        """Return when there was a hint since `count`, or after `seconds_max` or POLL_S, whichever is sooner."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name="shown")
        if self.count == count:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), min(seconds_max, POLL_S))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _listen(self) -> None:
        while not _cancelled():
            with contextlib.suppress(RedisError, OSError, Unavailable):
                await self._hear()
            await asyncio.sleep(POLL_S)

    async def _hear(self) -> None:
        async with self._store.subscription() as subscription:
            await subscription.subscribe(SHOWN_CHANNEL)
            while not _cancelled():
                if await subscription.get_message(ignore_subscribe_messages=True, timeout=POLL_S) is not None:
                    self._ring()

    def _ring(self) -> None:
        self.count += 1
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()


def _cancelled() -> bool:
    """Whether somebody asked this task to end: the client swallows a cancellation that meets a read's own timeout."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
