"""Topics that others own, as the intake sees them: records of partitions that come and go, and offsets to commit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from consumers.log.port import Offset


class Place(NamedTuple):
    """A partition of a source's topic."""

    topic: str
    partition: int


class SourceRecord(NamedTuple):
    """One record as it came. `timestamp_ms` is what its topic says (its producer's clock, or the broker's)."""

    topic: str
    partition: int
    offset: Offset
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    traceparent: str = ""  # of the record's header


class Polled(NamedTuple):
    """What one look at the sources gave.

    `assigned`: the partitions that are this process's now, each with the number of its assignment: where that is
    another than before, the partition is read again from its committed offset, and what is held of it is void.
    `behind`: how many records a partition has after those handed over; a partition is missing where that is not
    known (yet, or any more). `missed`: records that retention dropped unread, told once.
    """

    assigned: Mapping[Place, int]
    records: Mapping[Place, Sequence[SourceRecord]]
    behind: Mapping[Place, int]
    missed: Mapping[Place, int] = {}


class SourceReader(Protocol):
    """A member of the groups that share the sources' partitions. Every call may raise `rules.errors.Unavailable`.

    From the return of `poll` to its next call the intake has records in hand: a partition is not given to another
    member meanwhile (within bounds; past these another may read the same records, which count once).
    """

    async def poll(self, wanted: Collection[Place], wait_ms: int) -> Polled:
        """More of the `wanted` partitions (and, as it likes, of those newly assigned); waits up to `wait_ms` when there
        is nothing."""
        ...

    async def commit(self, offsets: Mapping[Place, Offset]) -> None:
        """Note the next offset to read of each; a partition that is no longer this process's is left out."""
        ...

    async def close(self) -> None: ...
