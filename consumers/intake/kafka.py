"""The sources on Kafka: one group member for each consumer group that the sources name."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.intake.kafka_member import Member
from consumers.intake.kafka_share import MemberSettings
from consumers.intake.port import Place, Polled
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Offset

_NOTHING = Polled({}, {}, {})


class KafkaReader:
    """The port `SourceReader`. `topics`: consumer group -> its sources' topics, of which those are read that exist."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topics: Mapping[str, Sequence[str]],
        settings: MemberSettings | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._settings = settings or MemberSettings()
        self._members = [Member(kafka, group, names, self._settings, clock) for group, names in sorted(topics.items())]
        self._clock = clock
        self._began_s: float | None = None  # until every member has had partitions, or had its time for it

    async def poll(self, wanted: Collection[Place], wait_ms: int) -> Polled:
        for member in self._members:
            await member.prepare()
        if not await self._all_joined(wait_ms):
            return _NOTHING
        found = await self._look(wanted, 0)
        if found.records or not wait_ms:
            return found
        later = await self._look(wanted, wait_ms)
        return later._replace(missed={**found.missed, **later.missed})

    async def _all_joined(self, wait_ms: int) -> bool:
        """At the start a group that is there first would otherwise bring its records before another's older ones."""
        if self._began_s == -1.0:
            return True
        if self._began_s is None:
            self._began_s = self._clock.monotonic()
        waiting = [member for member in self._members if not member.settled]
        if waiting and self._clock.monotonic() - self._began_s < self._settings.join_s:
            await asyncio.gather(*(member.settle(wait_ms) for member in waiting))
            return False
        self._began_s = -1.0
        return True

    async def _look(self, wanted: Collection[Place], wait_ms: int) -> Polled:
        each = await asyncio.gather(*(member.look(wanted, wait_ms) for member in self._members))
        return Polled(
            assigned={place: number for one in each for place, number in one.assigned.items()},
            records={place: records for one in each for place, records in one.records.items()},
            behind={place: count for one in each for place, count in one.behind.items()},
            missed={place: count for one in each for place, count in one.missed.items()},
        )

    async def commit(self, offsets: Mapping[Place, Offset]) -> None:
        for member in self._members:
            await member.commit(offsets)

    async def close(self) -> None:
        await asyncio.gather(*(member.close() for member in self._members))
