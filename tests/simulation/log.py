"""The log in memory: partitions, stamps of its own clock, appends that arrive late, twice or unheard of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from consumers.log.port import (
    LAG_RECORDS_MAX,
    START,
    Appended,
    Bounds,
    Lag,
    NewRecord,
    Offset,
    PositionOutside,
    Record,
)
from tests.simulation.faults import Network


class SimLog:
    """What Kafka promises, and no more: order within a partition, stamps that may go back when a leader changes."""

    stamps = True

    def __init__(self, partitions: int, network: Network) -> None:
        self.partitions = partitions
        self.records: list[list[Record]] = [[] for _ in range(partitions)]
        self._network = network
        self._ahead_ms = [0] * partitions
        self._bells: list[asyncio.Future[None]] = []

    def change_leader(self, partition: int, ahead_ms: int) -> None:
        """The next records are stamped by a broker whose clock is so far ahead."""
        self._ahead_ms[partition] = ahead_ms

    # -- the port -----------------------------------------------------------------------------------------------------

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        return await self._network.ask("log", lambda: self.write(records))

    async def append_own(self, records: Sequence[NewRecord]) -> list[Appended]:
        return await self._network.ask("log", lambda: self.write(records))

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        asked = dict(positions)
        found = await self._network.ask("log", lambda: self._after(asked, records_max))
        if found or wait_ms <= 0:
            return found
        bell: asyncio.Future[None] = self._network.loop.create_future()
        self._bells.append(bell)
        await asyncio.wait([bell], timeout=wait_ms / 1000)
        return await self._network.ask("log", lambda: self._after(asked, records_max))

    async def reread(self, partition: int, position: Offset, records_max: int) -> list[Record]:
        return await self.read({partition: position}, records_max, 0)

    async def bounds(self) -> list[Bounds]:
        return await self._network.ask("log", lambda: [_bounds(p, each) for p, each in enumerate(self.records)])

    async def lags(self, positions: Mapping[int, Offset], records_max: int = LAG_RECORDS_MAX) -> dict[int, Lag]:
        asked = dict(positions)
        return await self._network.ask("log", lambda: {p: self._lag(p, at, records_max) for p, at in asked.items()})

    async def trim(self, behind: Mapping[int, Offset]) -> int:
        return await self._network.ask("log", lambda: 0)

    async def close(self) -> None: ...

    # -- the server ---------------------------------------------------------------------------------------------------

    def write(self, records: Sequence[NewRecord]) -> list[Appended]:
        """Each with the next offset and the log's own time."""
        places = []
        for new in records:
            column = self.records[new.partition]
            stamp = self._network.loop.now_ms() + self._ahead_ms[new.partition]
            column.append(Record(new.partition, len(column), stamp, new.payload))
            places.append(Appended(new.partition, len(column) - 1, stamp))
        for bell in self._bells:
            if not bell.done():
                bell.set_result(None)
        self._bells.clear()
        return places

    def _after(self, positions: Mapping[int, Offset], records_max: int) -> list[Record]:
        """Cut anywhere: each partition gives as much as it likes."""
        rng = self._network.faults.rng
        for partition, position in positions.items():
            end = len(self.records[partition]) - 1
            if not START <= position <= end:
                raise PositionOutside(partition, position, 0, end)
        found: list[Record] = []
        for partition, position in positions.items():
            fetched = min(records_max, rng.choice((1, 2, 5, 20, 100, 500)))
            found += self.records[partition][position + 1 : position + 1 + fetched]
        return found

    def _lag(self, partition: int, position: Offset, records_max: int) -> Lag:
        column = self.records[partition]
        newest = column[-1].timestamp_ms if column else 0
        return Lag(len(column) - 1, min(records_max, len(column) - 1 - position), newest)


def _bounds(partition: int, column: Sequence[Record]) -> Bounds:
    if not column:
        return Bounds(None, START)
    return Bounds(Appended(partition, column[0].offset, column[0].timestamp_ms), column[-1].offset)
