"""The feed: every partition's transitions in order, up to what is durable, from any position, without a gap."""

from __future__ import annotations

import msgspec

from consumers.state.store import Store


class FeedItem(msgspec.Struct, frozen=True, gc=False):
    """One transition. `data` is its CloudEvent as JSON bytes; `number` counts its partition's without gaps, from 1.

    `position` is where the feed goes on after it (an SSE id): opaque, over all partitions.
    """

    position: str
    partition: int
    number: int
    data: bytes


class FeedPage(msgspec.Struct, frozen=True):
    """Items in order (per partition the log's), and the position after all that was looked at."""

    items: list[FeedItem]
    position: str


class PositionInvalid(Exception):
    """Not a position of this feed. The reader's mistake: `str(error)` says so."""


class PositionLost(Exception):
    """What follows the position has been trimmed: the reader must start anew (from `Feed.now()` and the members)."""


class Feed:
    """Reads the outboxes. One per process: all waiting readers share one subscription."""

    def __init__(self, store: Store, partitions: int) -> None:
        raise NotImplementedError

    async def oldest(self) -> str:
        """The position before the oldest transition that is kept."""
        raise NotImplementedError

    async def now(self) -> str:
        """The position after the newest transition shown."""
        raise NotImplementedError

    async def read(self, position: str, limit: int = 1000) -> FeedPage:
        """What comes after `position`. Raises PositionInvalid, PositionLost, Unavailable."""
        raise NotImplementedError

    async def wait(self, position: str, limit: int = 1000, wait_ms: int = 15_000) -> FeedPage:
        """The same, waiting up to `wait_ms` when there is nothing (then `items` is empty)."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
