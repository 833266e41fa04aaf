"""Appends to the log's topic: acknowledged by all replicas in sync, gathered, never hanging."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata

from consumers.log.kafka.connection import Opened, broker_errors, unavailable
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Appended, NewRecord
from rules.errors import Unavailable

APPEND_S = 1.8  # then the sender is told that it could not be had, within 2 s
BATCH_BYTES = 256 * 1024  # below the least `max.message.bytes` that a topic may have
_GATHERED_RECORDS_MAX = 5_000  # of one partition in one go, unless one append brings more
_GIVE_UP_S = 20.0  # a producer that gets nothing through for so long is replaced
_NOWHERE = Appended(-1, -1, 0)


class _Waiting:
    """One append until it is answered: `places` fills up, one a record."""

    __slots__ = ("answer", "missing", "places", "records")

    def __init__(self, records: Sequence[NewRecord]) -> None:
        self.records = records
        self.places: list[Appended] = [_NOWHERE] * len(records)
        self.missing = len(records)
        self.answer: asyncio.Future[list[Appended]] = asyncio.get_running_loop().create_future()
        self.answer.add_done_callback(_looked_at)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Producing:
    """Appends that wait at the same time go out together, one batch a partition; a partition without a leader holds up
    only who writes to it.

    Idempotent, so that the client's own repetitions neither double nor reorder. An append that was given up may still
    be written when the brokers come back, for what was handed to the client cannot be taken back.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._doing = f"writing to {settings.events_topic}"
        self._producer = Opened(settings, self._doing, self._make)
        self._lanes: dict[int, _Lane] = {}
        self._closed = False

    def _make(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._settings.connection("log"), acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
        )

    async def open(self) -> None:
        """Connect, so that the first append need not. Raises Unavailable."""
        await self._producer.get(APPEND_S)

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        """Each record's place, in the order given, when all are acknowledged.

        Raises Unavailable, when nothing was acknowledged for APPEND_S; ValueError when a record is too large for the
        topic.
        """
        if not records:
            return []
        if self._closed:
            raise self._unavailable("closed")
        waiting = _Waiting(records)
        indexes: dict[int, list[int]] = {}
        for index, record in enumerate(records):
            indexes.setdefault(record.partition, []).append(index)
        for partition, mine in indexes.items():
            lane = self._lanes.get(partition)
            if lane is None:
                lane = self._lanes[partition] = _Lane(partition, self._settings, self._producer)
            lane.put(waiting, mine)
        return await self._answered(waiting)

    async def _answered(self, waiting: _Waiting) -> list[Appended]:
        """The answer, as long as something goes through: a large append may take longer than one that gets nowhere."""
        try:
            missing = -1
            while waiting.missing != missing and not waiting.answer.done():
                missing = waiting.missing
                await asyncio.wait({waiting.answer}, timeout=APPEND_S)
            if not waiting.answer.done():
                raise self._unavailable("no answer in time")
            return waiting.answer.result()
        finally:
            waiting.answer.cancel()  # nobody waits any more

    async def close(self) -> None:
        """Whoever still waits is told that it could not be had."""
        self._closed = True
        for lane in self._lanes.values():
            await lane.close(self._unavailable("closed"))
        await self._producer.close()

    def _unavailable(self, why: str) -> Unavailable:
        return unavailable(self._settings, self._doing, why)


class _Lane:
    """What goes to one partition: a task while anything waits."""

    def __init__(self, partition: int, settings: KafkaSettings, producer: Opened[AIOKafkaProducer]) -> None:
        self._partition, self._settings, self._opened = partition, settings, producer
        self._topic = settings.events_topic
        self._doing = f"writing to {self._topic}, partition {partition}"
        self._queue: deque[tuple[_Waiting, list[int]]] = deque()
        self._sending: asyncio.Task[None] | None = None

    def put(self, waiting: _Waiting, indexes: list[int]) -> None:
        self._queue.append((waiting, indexes))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())

    async def close(self, why: Unavailable) -> None:
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            await asyncio.wait({self._sending})
        for waiting, _ in self._queue:
            waiting.fail(why)
        self._queue.clear()

    async def _send_all(self) -> None:
        while taken := self._take():
            try:
                with broker_errors(self._settings, self._doing):
                    await self._send(taken)
            except asyncio.CancelledError:
                _fail(taken, unavailable(self._settings, self._doing, "closed"))
                raise
            except Exception as error:
                _fail(taken, error)

    def _take(self) -> list[tuple[_Waiting, int]]:
        """The records that go out together: those of all who still wait, up to a bound."""
        taken: list[tuple[_Waiting, int]] = []
        while self._queue and len(taken) < _GATHERED_RECORDS_MAX:
            waiting, indexes = self._queue.popleft()
            if not waiting.answer.done():
                taken += [(waiting, index) for index in indexes]
        return taken

    async def _send(self, taken: Sequence[tuple[_Waiting, int]]) -> None:
        producer = await self._opened.get(APPEND_S)
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                if self._partition not in await producer.partitions_for(self._topic):
                    raise unavailable(self._settings, self._doing, "the topic has no such partition")
                now_ms = time.time_ns() // 1_000_000
                sent = deque[tuple[asyncio.Future[RecordMetadata], list[tuple[_Waiting, int]]]]()
                for builder, mine in _batches(producer, taken, now_ms):
                    # What follows waits inside until what precedes has gone to the broker.
                    future = await producer.send_batch(builder, self._topic, partition=self._partition)
                    future.add_done_callback(_looked_at)
                    sent.append((future, mine))
                    while sent and sent[0][0].done():
                        self._told(*sent.popleft(), now_ms)
                while sent:
                    await asyncio.wait({sent[0][0]})  # awaited itself, it would be cancelled with us: nobody looks then
                    self._told(*sent.popleft(), now_ms)
        except MessageSizeTooLargeError as error:
            self._opened.drop(producer)
            raise ValueError("a record is too large for the topic (max.message.bytes)") from error
        except BaseException:
            self._opened.drop(producer)  # after a batch that failed, its idempotence has a gap
            raise

    def _told(self, answer: asyncio.Future[RecordMetadata], mine: Sequence[tuple[_Waiting, int]], now_ms: int) -> None:
        """Note where a batch's records are; answer the appends that are whole with it."""
        told = answer.result()
        if told.offset < 0:
            raise unavailable(self._settings, self._doing, "written, but the broker no longer knows where")
        stamp = now_ms if told.timestamp == -1 else told.timestamp  # -1: the topic takes the records' own
        for offset, (waiting, index) in enumerate(mine, told.offset):
            waiting.places[index] = Appended(self._partition, offset, stamp)
            waiting.missing -= 1
            if not waiting.missing and not waiting.answer.done():
                waiting.answer.set_result(waiting.places)


def _batches(
    producer: AIOKafkaProducer, taken: Sequence[tuple[_Waiting, int]], now_ms: int
) -> list[tuple[Any, list[tuple[_Waiting, int]]]]:
    """The records as batches of at most BATCH_BYTES (a larger record alone), each with whose they are."""
    batches: list[tuple[Any, list[tuple[_Waiting, int]]]] = [(producer.create_batch(), [])]
    builder, mine = batches[0]
    for waiting, index in taken:
        _, payload, key = waiting.records[index]
        key_bytes = key.encode() if key else None
        if builder.append(timestamp=now_ms, key=key_bytes, value=payload) is None:
            batches.append((producer.create_batch(), []))
            builder, mine = batches[-1]
            builder.append(timestamp=now_ms, key=key_bytes, value=payload)
        mine.append((waiting, index))
    for each, _ in batches:
        each.close()
    return batches


def _fail(taken: Sequence[tuple[_Waiting, int]], error: Exception) -> None:
    for waiting, _ in taken:
        waiting.fail(error)


def _looked_at(future: asyncio.Future[Any]) -> None:
    """Who gave up does not hear of it any more: nothing to warn about."""
    if not future.cancelled():
        future.exception()
