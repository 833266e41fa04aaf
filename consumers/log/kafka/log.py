"""`KafkaLog`: the log's port on a Kafka topic. An offset is Kafka's own; a position is the offset last read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.log.kafka.connection import broker_errors
from consumers.log.kafka.producing import Producing
from consumers.log.kafka.reading import Reading
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import TopicWrong, events_topic, prepare_topic
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
from rules.errors import Unavailable

_FETCH_WAIT_MS = 250  # how long a partition newly read may wait for an answer about the others
_SIDE_WAIT_MS = 20
_REREAD_S = 2.0
_LOOK_S = 1.8
_MARKERS_MAX = 4  # so few offsets behind may be markers of transactions only: looked at before it is called a lag


class KafkaLog:
    """`prepare()` first, then anything; `close()` in the end. Clients connect when they are first needed, and again
    after a failure, so a broker that is away is Unavailable and no more."""

    def __init__(self, settings: KafkaSettings, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self._clock = clock
        self._partitions = settings.partitions or 0
        self._producing = Producing(settings)
        self._side = Reading(settings, clock, _SIDE_WAIT_MS)
        self._reading = Reading(settings, clock, _FETCH_WAIT_MS, asking=self._side)
        self._rereading = asyncio.Lock()
        self._prepared = False
        self._preparing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Make the topic, or check it, and connect. Raises TopicWrong (a ValueError; with what mends it), Unavailable.

        After Unavailable the first read or append does it.
        """
        self._partitions = await prepare_topic(self.settings, events_topic(self.settings))
        self._reading.partitions = self._side.partitions = self._partitions
        self._prepared = True
        await self._producing.open()

    async def _look(self) -> None:
        """Nothing is written to a topic, nor read from it, that has not been looked at. At most _LOOK_S."""
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.create_task(self.prepare())
            self._preparing.add_done_callback(_heard)
        with broker_errors(self.settings, f"looking at the topic {self.settings.events_topic}"):
            async with asyncio.timeout(_LOOK_S):
                await asyncio.shield(self._preparing)

    async def close(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait({self._preparing})
        await asyncio.gather(self._reading.close(), self._side.close(), self._producing.close())

    @property
    def partitions(self) -> int:
        """Raises Unavailable while neither the settings nor a look at the topic have told."""
        if not self._partitions:
            raise Unavailable("the log's topic has not been looked at yet")
        return self._partitions

    @property
    def stamps(self) -> bool:
        return self.settings.log_time == "append"

    # -- writing ------------------------------------------------------------------------------------------------------

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        """As the port says; Unavailable at the latest after 2 s, and then all or some may be written later still."""
        if not self._prepared:
            try:
                await self._look()
            except TopicWrong as error:
                raise Unavailable(str(error)) from error  # until somebody has mended it
        return await self._producing.append(records)

    async def append_own(self, records: Sequence[NewRecord]) -> list[Appended]:
        return await self.append(records)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        """As the port says. Raises TopicWrong when the topic is not, or no longer, as it must be."""
        if not self._prepared:
            await self._look()
        return await self._reading.read(positions, records_max, wait_ms)

    async def reread(self, partition: int, position: Offset, records_max: int) -> list[Record]:
        async with self._rereading:
            try:
                return await self._reread(partition, position, records_max)
            finally:
                self._side.rest()

    async def _reread(self, partition: int, position: Offset, records_max: int) -> list[Record]:
        """Until something comes, or the end as of now is reached with nothing but what readers do not see."""
        ends = (await self._side.ends([partition]))[partition]
        ends.check(partition, position)
        with broker_errors(self.settings, f"reading {self.settings.events_topic} again"):
            async with asyncio.timeout(_REREAD_S):
                while self._side.next_offset(partition, position) < ends.end:
                    if records := await self._side.read({partition: position}, records_max, _SIDE_WAIT_MS):
                        return records
        return []

    async def bounds(self) -> list[Bounds]:
        """`last` is the offset before the end, which may be a transaction's marker."""
        ends = await self._side.ends(range(self.partitions))
        bounds = []
        for partition, (first, end) in ends.items():
            oldest = await self.reread(partition, START, 1) if end > first else []
            place = Appended(partition, oldest[0].offset, oldest[0].timestamp_ms) if oldest else None
            bounds.append(Bounds(place, end - 1))
        return bounds

    async def lags(self, positions: Mapping[int, Offset], records_max: int = LAG_RECORDS_MAX) -> dict[int, Lag]:
        """By offsets, so `records` also counts what readers do not see (markers, aborted transactions).

        `newest_ms` is now while a reader is behind, for only reading would tell; 0 when it is not, or when records
        carry their own time.
        """
        ends = await self._side.ends(positions)
        now_ms = self._clock.now_ms() if self.stamps else 0
        lags = {}
        for partition, position in positions.items():
            first, end = ends[partition]
            behind = max(0, end - max(first, self._reading.next_offset(partition, position)))
            if 0 < behind <= _MARKERS_MAX and not await self._anything(partition, position):
                behind = 0
            lags[partition] = Lag(end - 1, min(behind, records_max), now_ms if behind else 0)
        return lags

    async def _anything(self, partition: int, position: Offset) -> bool:
        try:
            return bool(await self.reread(partition, position, 1))
        except PositionOutside:
            return True

    async def trim(self, behind: Mapping[int, Offset]) -> int:
        """Nothing: the brokers keep what the topic's own retention says."""
        return 0


def _heard(task: asyncio.Task[None]) -> None:
    """Who asked may have gone by then."""
    if not task.cancelled():
        task.exception()
