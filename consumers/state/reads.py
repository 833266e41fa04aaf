"""What the API asks of the state. Reads own nothing and lock nothing; each call is one or two round trips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from consumers.log.port import Log, Offset
from consumers.state.feed import Feed
from consumers.state.store import Store
from rules.plan import Plan
from rules.profile import Profile


class Member(msgspec.Struct, frozen=True, gc=False):
    customer_id: str
    since: int  # ms: time of the transition that let them in


class MembersPage(msgspec.Struct, frozen=True):
    """Members newest first (ties: greater customer first). `cursor`: for the next page, None at the end.

    `position`: the feed from here on tells every change after the *first* page was read; all pages carry the same.
    """

    members: list[Member]
    cursor: str | None
    position: str


class Activation(msgspec.Struct, frozen=True):
    """How far a segment's version has come over all partitions.

    `active` is true when every partition has read that version (or a newer one) and judged every customer by it.
    `collecting`: some partition still re-reads the log for features nobody asked before.
    `history_from` (ms, None: everything ever received): events before it could not be counted any more.
    """

    active: bool
    collecting: bool
    judged: int
    total: int
    history_from: int | None


class PartitionStatus(msgspec.Struct, frozen=True):
    partition: int
    owner: str  # "" : nobody yet
    epoch: int
    commit: int
    position: Offset
    log_end: Offset
    lag_records: int  # records after `position`, 0 when caught up
    clock: int  # ms, 0 before the first record
    clock_lag_ms: int  # behind the newest record of the log
    customers: int
    timers: int  # customers with something pending
    timers_due: int  # of these, due by the clock already
    next_due: int | None  # ms
    edition: int
    judged: int  # customers settled by the newest edition, of `customers`
    dead_letters: int


class DeadLetter(msgspec.Struct, frozen=True):
    id: str
    partition: int
    offset: Offset
    timestamp_ms: int
    reason: str
    raw: bytes


class DeadLettersPage(msgspec.Struct, frozen=True):
    """Newest first."""

    letters: list[DeadLetter]
    cursor: str | None


class CursorInvalid(Exception):
    """Not a cursor that this call gave. The caller's mistake."""


class Reads:
    """`feed` is the process's one `Feed`; `log` is asked only for its ends."""

    def __init__(self, store: Store, log: Log, feed: Feed) -> None:
        raise NotImplementedError

    async def profile(self, customer_id: str) -> Profile | None:
        """A fresh copy of the customer's profile; None for one never seen."""
        raise NotImplementedError

    async def profiles(self, customer_ids: Sequence[str]) -> list[Profile | None]:
        """The same for many, in the order asked, by one MGET a partition."""
        raise NotImplementedError

    async def clock(self, customer_id: str) -> int:
        """The clock (ms) of the customer's partition: the instant their profile speaks of; 0 before any record."""
        raise NotImplementedError

    async def plan(self, customer_id: str) -> Plan:
        """The newest plan of the customer's partition, for `rules.explain` (compiled once per change)."""
        raise NotImplementedError

    async def members(self, segment: str, limit: int = 100, cursor: str | None = None) -> MembersPage:
        """Raises CursorInvalid. An unknown segment has no members."""
        raise NotImplementedError

    async def sizes(self, segments: Iterable[str]) -> dict[str, int]:
        """Present members of each."""
        raise NotImplementedError

    async def activations(self, versions: Mapping[str, int]) -> dict[str, Activation]:
        """For each segment -> version (as in the registry): how far the partitions are with it."""
        raise NotImplementedError

    async def status(self) -> list[PartitionStatus]:
        raise NotImplementedError

    async def applied(self, offsets: Mapping[int, Offset]) -> bool:
        """Whether the evaluators have durably applied everything up to these offsets (partition -> offset)."""
        raise NotImplementedError

    async def wait_applied(self, offsets: Mapping[int, Offset], wait_ms: int) -> bool:
        """Wait for that at most `wait_ms` (`Prefer: wait`); false when time ran out."""
        raise NotImplementedError

    async def dead_letters(self, limit: int = 100, cursor: str | None = None) -> DeadLettersPage:
        raise NotImplementedError
