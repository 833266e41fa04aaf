"""The log as one Redis stream a partition; the milliseconds of a stream id are the log's timestamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from consumers.log.port import Appended, Bounds, Offset, Record
from consumers.state.store import Store


class Retention(msgspec.Struct, frozen=True):
    """What the log keeps (on the embedded default it lies in memory as well as on disk)."""

    ms: int = 30 * 86_400_000
    records_max: int = 1_000_000  # a partition


class RedisLog:
    """`partitions` is fixed when the log is first used; another number later is refused (`prepare`)."""

    def __init__(self, store: Store, partitions: int, retention: Retention | None = None) -> None:
        self.partitions = partitions

    async def prepare(self) -> None:
        """Record the number of partitions, or raise ValueError where the store was made with another."""
        raise NotImplementedError

    async def append(self, records: Sequence[tuple[int, bytes]]) -> list[Appended]:
        raise NotImplementedError

    async def append_own(self, records: Sequence[tuple[int, bytes]]) -> list[Appended]:
        raise NotImplementedError

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        raise NotImplementedError

    async def bounds(self) -> list[Bounds]:
        raise NotImplementedError

    async def trim(self, behind: Mapping[int, Offset]) -> int:
        raise NotImplementedError
