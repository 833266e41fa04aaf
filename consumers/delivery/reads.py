"""What the API shows of deliveries, over all partitions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from consumers.delivery.port import Kind
from consumers.delivery.records import LogEntry, LogOutcome
from consumers.state.store import Store

__all__ = ["ItemPage", "LogEntry", "LogOutcome", "LogPage", "PendingItem", "Reads", "Standing"]


class PendingItem(msgspec.Struct, frozen=True):
    """An item that is not done. `next_ms`: of the next attempt (0: given up, or behind another of its customer)."""

    item_id: str
    kind: Kind
    customer_id: str
    segment: str
    partition: int
    time_ms: int
    attempts: int
    first_ms: int
    last_ms: int
    next_ms: int
    error: str
    status: int
    job: str = ""


class Standing(msgspec.Struct, frozen=True):
    """Where a target is. Counts are since it began; `lag`: transitions of the feed that it has not looked at yet.

    `waiting`: parked until their time; `failing`: to be tried again; `behind`: parked behind such of their customer.
    `dead`: given up, kept; `dead_dropped`: given up, and let go of since. `lost`: left the feed before they were read.
    `oldest_ms`: of the oldest item that is waiting to be tried again or of the feed's position, 0 for none.
    """

    target: str
    lag: int
    parked: int
    waiting: int
    failing: int
    dead: int
    done: int
    failed: int
    dropped: int
    given_up: int
    lost: int
    dead_dropped: int
    last_done_ms: int
    last_failed_ms: int
    next_ms: int
    oldest_ms: int


class LogPage(msgspec.Struct, frozen=True):
    entries: list[LogEntry]
    cursor: str | None


class ItemPage(msgspec.Struct, frozen=True):
    items: list[PendingItem]
    cursor: str | None


class Reads:
    """All calls may raise Unavailable; paged ones CursorInvalid (`consumers.state.cursors`)."""

    def __init__(self, store: Store, partitions: int) -> None:
        self._store, self._partitions = store, partitions

    async def standings(self, targets: Sequence[str]) -> list[Standing]:
        """Of these targets, in this order."""
        raise NotImplementedError

    async def log(
        self, target: str, limit: int, cursor: str | None = None, outcomes: Collection[LogOutcome] = ()
    ) -> LogPage:
        """Newest first; only these outcomes, if any are named."""
        raise NotImplementedError

    async def item_log(self, target: str, item_id: str) -> list[LogEntry]:
        """What the log still has of one item, newest first."""
        raise NotImplementedError

    async def dead(self, target: str, limit: int, cursor: str | None = None) -> ItemPage:
        """Given up, newest first."""
        raise NotImplementedError

    async def failing(self, target: str, limit: int, cursor: str | None = None) -> ItemPage:
        """To be tried again, the next first."""
        raise NotImplementedError
