"""Sources, a log and dead letters in memory, for tests of the loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consumers.intake.port import Place, Polled, SourceRecord
from consumers.log.dead_letters import DeadLetter
from consumers.log.port import Appended, Bounds, Lag, NewRecord, Offset, Record
from rules.errors import Unavailable

NOW_MS = 1_800_000_000_000  # 2027-01-15
HOUR_MS = 3_600_000


def native(customer: str = "ana", **changed: Any) -> bytes:
    """An event in native form; a field that is None is left out."""
    raw = {"id": "1", "type": "purchase", "customer_id": customer, "ts": "2027-01-15T00:00:00Z", "properties": {}}
    return json.dumps({key: value for key, value in {**raw, **changed}.items() if value is not None}).encode()


class MemoryClock:
    """A wall clock that stands, and a steady one that is moved by hand."""

    def __init__(self) -> None:
        self.steady_s = 0.0

    def now_ms(self) -> int:
        return NOW_MS

    def monotonic(self) -> float:
        return self.steady_s


@dataclass
class Topic:
    """One partition of a source: what it holds, how much of it may be read by now, and what is committed."""

    records: list[SourceRecord] = field(default_factory=list)
    there: int | None = None  # None: all
    committed: int = 0
    known: bool = True  # whether its end is


class MemoryReader:
    """A `SourceReader` over topics in memory, which hands out `chunk` records of a partition at a time."""

    def __init__(self, chunk: int = 3) -> None:
        self.topics: dict[Place, Topic] = {}
        self.positions: dict[Place, int] = {}
        self.assigned: dict[Place, int] = {}
        self.missed: dict[Place, int] = {}
        self.chunk = chunk
        self.away = 0  # so many polls fail
        self.commits_away = 0
        self.closed = False

    def add(self, topic: str, partition: int, *records: tuple[int, bytes | None], key: bytes | None = None) -> Topic:
        """(timestamp, value) each, after what the partition holds."""
        place = Place(topic, partition)
        found = self.topics.setdefault(place, Topic())
        for timestamp_ms, value in records:
            found.records.append(SourceRecord(topic, partition, len(found.records), timestamp_ms, key, value))
        self.assigned.setdefault(place, 1)
        return found

    def rebalance(self, places: Collection[Place]) -> None:
        """These are ours now, all of them anew: they are read from what is committed."""
        number = max(self.assigned.values(), default=0) + 1
        self.assigned = dict.fromkeys(places, number)
        self.positions = {}

    async def poll(self, wanted: Collection[Place], wait_ms: int) -> Polled:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unavailable("the sources are away", 0.001)
        records: dict[Place, Sequence[SourceRecord]] = {}
        for place in wanted:
            if place in self.assigned:
                at = self.positions.get(place, self.topics[place].committed)
                chunk = self._held(place)[at : at + self.chunk]
                self.positions[place] = at + len(chunk)
                records[place] = chunk
        missed, self.missed = self.missed, {}
        return Polled(dict(self.assigned), records, self._behind(), missed)

    def _held(self, place: Place) -> list[SourceRecord]:
        return self.topics[place].records[: self.topics[place].there]

    def _behind(self) -> dict[Place, int]:
        return {
            place: len(topic.records) - self.positions.get(place, topic.committed)
            for place, topic in self.topics.items()
            if place in self.assigned and topic.known
        }

    async def commit(self, offsets: Mapping[Place, Offset]) -> None:
        if self.commits_away:
            self.commits_away -= 1
            raise Unavailable("the coordinator is away", 0.001)
        for place, offset in offsets.items():
            if place in self.assigned:
                self.topics[place].committed = offset

    async def close(self) -> None:
        self.closed = True


class MemoryLog:
    """A `Log` that only takes. `away`: so many appends fail, of which every second had been done all the same."""

    stamps = True

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.written: list[NewRecord] = []
        self.away = 0
        self.batches: list[int] = []

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            if self.away % 2:
                self.written += records
            raise Unavailable("the log is away", 0.001)
        self.written += records
        self.batches.append(len(records))
        return [Appended(record.partition, 0, NOW_MS) for record in records]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(record.payload) for record in self.written]

    async def close(self) -> None: ...

    async def append_own(self, records: Sequence[NewRecord]) -> list[Appended]:
        raise NotImplementedError

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        raise NotImplementedError

    async def reread(self, partition: int, position: Offset, records_max: int) -> list[Record]:
        raise NotImplementedError

    async def bounds(self) -> list[Bounds]:
        raise NotImplementedError

    async def lags(self, positions: Mapping[int, Offset], records_max: int = 0) -> dict[int, Lag]:
        raise NotImplementedError

    async def trim(self, behind: Mapping[int, Offset]) -> int:
        raise NotImplementedError


class MemoryLetters:
    """A `DeadLetterSink` that keeps them."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.away = 0

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unavailable("the dead letters are away", 0.001)
        self.letters += letters


class CountingMetrics:
    """`IntakeMetrics` as sums and last values."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.lags: dict[str, tuple[int, float]] = {}
        self.dead = 0

    def records(self, source: str, outcome: str, count: int) -> None:
        self.counts[source, outcome] = self.counts.get((source, outcome), 0) + count

    def lag(self, source: str, records: int, seconds: float) -> None:
        self.lags[source] = (records, seconds)

    def dead_letters(self, count: int) -> None:
        self.dead += count


async def until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Polls; fails after so long."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not done():
        assert asyncio.get_running_loop().time() < deadline, "it did not come to that in time"
        await asyncio.sleep(0.001)
