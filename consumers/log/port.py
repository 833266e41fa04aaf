"""The log as the rest of the service sees it: append, read from an offset, trim behind every reader.

Kafka and Redis Streams both fit: an offset is an integer that grows within its partition and says nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from rules.errors import SegmentdError

Offset = int
"""A record's place in its partition: comparable within it, opaque otherwise (below 2^63)."""

START: Offset = -1
"""Before every record: reading from here begins with the oldest that is kept."""


class NewRecord(NamedTuple):
    """A record to append. `key`: the customer's id, for publishers' tools to see; "" for the service's own records."""

    partition: int
    payload: bytes
    key: str = ""


class Record(NamedTuple):
    """One record read. `timestamp_ms` is what the log stamped on it: the only clock there is.

    `traceparent`: of the record's own header, where the log has such; "" for none.
    """

    partition: int
    offset: Offset
    timestamp_ms: int
    payload: bytes
    traceparent: str = ""


class PositionOutside(SegmentdError):
    """What follows a position is not in the log (retention, a truncated or recreated topic): never skipped silently.

    `first`: the oldest offset kept; `end`: the offset of the newest record (START: none).
    """

    def __init__(self, partition: int, position: Offset, first: Offset, end: Offset) -> None:
        self.partition, self.position, self.first, self.end = partition, position, first, end
        where = f"the log keeps {first} to {end}" if end != START else "the log is empty"
        super().__init__(f"partition {partition}: position {position} is outside the log ({where})")


class Appended(NamedTuple):
    """Where the log put a record, and the time it stamped on it."""

    partition: int
    offset: Offset
    timestamp_ms: int


class Bounds(NamedTuple):
    """The oldest and the newest record that a partition keeps; None where it holds none.

    `last` stays what it was when everything has been trimmed, so a lag of 0 can still be told.
    """

    first: Appended | None
    last: Offset

    def miss(self, position: Offset) -> bool:
        """Whether what follows a position is gone (trimmed before it was read), or was never there.

        >>> bounds = Bounds(Appended(0, 42, 0), 50)
        >>> [bounds.miss(position) for position in (START, 40, 41, 50, 51)]
        [False, True, False, False, True]
        >>> [Bounds(None, 50).miss(position) for position in (START, 49, 50, 51)]
        [False, True, False, True]
        """
        if position == START:
            return False
        if self.first is None:
            return position != self.last
        return not self.first.offset <= position + 1 <= self.last + 1


class Lag(NamedTuple):
    """How far a reader at some position is behind. `records` counts up to LAG_RECORDS_MAX (that many: at least)."""

    end: Offset  # of the newest record, START when there was never one
    records: int
    newest_ms: int  # timestamp of the newest record, 0 when there was never one


LAG_RECORDS_MAX = 10_000


class Log(Protocol):
    """One log of a fixed number of partitions. Every call may raise `rules.errors.Unavailable`."""

    @property
    def partitions(self) -> int: ...

    @property
    def stamps(self) -> bool:
        """Whether the log stamps each record when it is written; false for a recorded one, which has no ticks."""
        ...

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        """Write records, in order within a partition; answers in the order given.

        Returns only when all are durable (one wait for the whole batch). Raises Unavailable when that could not be
        had: some may have been written all the same, so the sender repeats (event ids make that harmless).
        """
        ...

    async def append_own(self, records: Sequence[NewRecord]) -> list[Appended]:
        """The same for the service's own ticks: ordered before what follows from them, but not waited for."""
        ...

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        """What comes after `positions` (partition -> offset last read), per partition in log order.

        At most `records_max` a partition; waits up to `wait_ms` (0: not at all) when there is nothing. Raises
        PositionOutside for the first partition whose position is not in the log. One caller at a time.
        """
        ...

    async def reread(self, partition: int, position: Offset, records_max: int) -> list[Record]:
        """The same of one partition and without waiting, for who reads old records beside `read`."""
        ...

    async def bounds(self) -> list[Bounds]:
        """The ends of every partition."""
        ...

    async def lags(self, positions: Mapping[int, Offset], records_max: int = LAG_RECORDS_MAX) -> dict[int, Lag]:
        """How far behind the end each position is; what is behind is counted up to `records_max`."""
        ...

    async def trim(self, behind: Mapping[int, Offset]) -> int:
        """Drop what retention no longer keeps, but never a record after `behind` (the slowest reader's position).

        A partition that is not named is left alone. Returns how many records went (an estimate will do).
        """
        ...

    async def close(self) -> None:
        """Let go of connections that are its own; no call afterwards."""
        ...
