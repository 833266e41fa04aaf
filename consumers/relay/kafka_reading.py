"""Reading the topic of transitions back: where it ends, and what it holds beyond a commit. Read-committed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from consumers.log.kafka.connection import Opened, broker_errors, stop, unavailable
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Offset
from consumers.relay.headers import decode
from consumers.relay.port import Place, Published, digest_of
from rules.errors import Unavailable

READ_S = 10.0  # without any progress
SETTLE_S = 3.0  # for a transaction that was just ended to have its markers in the partition
_POLL_S = 0.02
_FETCH_WAIT_MS = 100
_RECORDS_A_READ = 500
_TAIL_OFFSETS = 64  # looked at first; then four times as many
_WALK_OFFSETS, _WALK_OFFSETS_MAX = 1_000, 100_000


class _Named(msgspec.Struct):
    id: str


_NAMED = msgspec.json.Decoder(_Named)


class Reading:
    """One consumer for what is committed, one to see whether a transaction is open; opened when first needed."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._doing = f"reading {topic}"
        self._committed = Opened(settings, self._doing, self._make)
        self._written = Opened(settings, self._doing, lambda: self._make("read_uncommitted"))
        self._one = asyncio.Lock()  # a consumer reads at one place

    def _make(self, isolation: str = "read_committed") -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._settings.connection("relay"),
            isolation_level=isolation,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )

    async def tail(self, partition: int) -> Published | None:
        """The newest committed record. Unavailable while a transaction is open at the end."""
        at = TopicPartition(self._topic, partition)
        async with self._one:
            consumer = await self._committed.get(READ_S)
            with broker_errors(self._settings, self._doing):
                begin, stop_at = await self._settled_bounds(consumer, at)
                offsets = _TAIL_OFFSETS
                while begin < stop_at:  # control markers and aborted records may follow the newest one
                    start = max(begin, stop_at - offsets)
                    newest = None
                    async with contextlib.aclosing(self._scan(consumer, at, start, stop_at)) as found:
                        async for records in found:
                            for record in records:
                                newest = record if _place(record) is not None else newest
                    if newest is not None:
                        return Published(newest.offset, digest_of(newest.value), decode(newest.headers))
                    stop_at, offsets = start, offsets * 4
        return None

    async def _settled_bounds(self, consumer: AIOKafkaConsumer, at: TopicPartition) -> tuple[Offset, Offset]:
        """The first offset kept, and the one after the newest record, once nobody's transaction is open there."""
        written = await self._written.get(READ_S)
        until = asyncio.get_running_loop().time() + SETTLE_S
        while True:
            stable = (await consumer.end_offsets([at]))[at]
            if stable >= (await written.end_offsets([at]))[at]:
                return (await consumer.beginning_offsets([at]))[at], stable
            if asyncio.get_running_loop().time() > until:
                raise Unavailable(
                    f"a transaction of somebody not known to us is open in partition {at.partition} of {at.topic}:"
                    " waiting for the brokers to end it"
                )
            await asyncio.sleep(_POLL_S)

    async def published(self, partition: int, after_commit: int) -> dict[str, Published]:
        """See `Outlet.published`. Walks back from the end, in growing steps, until a commit is old enough."""
        at = TopicPartition(self._topic, partition)
        consumer = self._make()  # of its own: this may take minutes
        found: dict[str, Published] = {}
        try:
            with broker_errors(self._settings, self._doing):
                await asyncio.wait_for(consumer.start(), READ_S)
                begin, stop_at = await self._settled_bounds(consumer, at)
                offsets = _WALK_OFFSETS
                while begin < stop_at:
                    start = max(begin, stop_at - offsets)
                    if await self._collect(consumer, at, start, stop_at, after_commit, found):
                        break
                    stop_at, offsets = start, min(2 * offsets, _WALK_OFFSETS_MAX)
        finally:
            await stop(consumer)
        return found

    async def _collect(
        self,
        consumer: AIOKafkaConsumer,
        at: TopicPartition,
        start: Offset,
        stop_at: Offset,
        after_commit: int,
        found: dict[str, Published],
    ) -> bool:
        """Add a stretch to `found`; whether it holds a commit that is old enough to end there."""
        ended = False
        async for records in self._scan(consumer, at, start, stop_at):
            for record in records:
                place = _place(record)
                if place is None:
                    continue
                if place.commit <= after_commit:
                    ended = True
                else:
                    found[_NAMED.decode(record.value).id] = Published(record.offset, digest_of(record.value), place)
            await asyncio.sleep(0)
        return ended

    async def value(self, partition: int, offset: Offset) -> bytes:
        at = TopicPartition(self._topic, partition)
        async with self._one:
            consumer = await self._committed.get(READ_S)
            with broker_errors(self._settings, self._doing):
                async with contextlib.aclosing(self._scan(consumer, at, offset, offset + 1)) as found:
                    async for records in found:  # closed before the next scan takes the consumer
                        return bytes(records[0].value)
        raise unavailable(self._settings, self._doing, f"offset {offset} of partition {partition} is not kept any more")

    async def _scan(
        self, consumer: AIOKafkaConsumer, at: TopicPartition, start: Offset, stop_at: Offset
    ) -> AsyncGenerator[Sequence[Any], None]:
        """Committed records from `start` to before `stop_at`, which must be below the last stable offset."""
        consumer.assign([at])
        consumer.seek(at, start)
        time = asyncio.get_running_loop().time
        try:
            position, until = start, time() + READ_S
            while position < stop_at:
                try:
                    got = await consumer.getmany(at, timeout_ms=_FETCH_WAIT_MS, max_records=_RECORDS_A_READ)
                except OffsetOutOfRangeError as error:
                    raise unavailable(self._settings, self._doing, "retention moved on meanwhile") from error
                if records := [record for record in got.get(at, []) if record.offset < stop_at]:
                    yield records
                if (now_at := await consumer.position(at)) > position:
                    position, until = now_at, time() + READ_S
                elif time() > until:
                    raise unavailable(self._settings, self._doing, TimeoutError())
        finally:
            consumer.unsubscribe()

    async def close(self) -> None:
        await self._committed.close()
        await self._written.close()


def _place(record: Any) -> Place | None:
    """None for a record that no relay wrote: it is nobody's business here."""
    try:
        return decode(record.headers)
    except ValueError:
        return None
