"""Dead letters on a topic of Kafka: put with all replicas' acknowledgement, read newest or oldest first, taken back.

A letter's value and key are the bytes as they came; the headers `reason`, `origin` (`topic:partition:offset@timestamp`)
and `source` say what happened. A letter that was taken back in is followed, in its own partition, by a mark: a record
without a value whose header `taken-back` names the letter's offset. So reading backwards meets the mark first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from consumers.log.dead_letters import DeadLetter, Origin, parse_origin
from consumers.log.kafka.connection import Opened, admin, broker_errors
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import NOT_COMPACTED, WHOLE_RECORDS, Topic, prepare_topic
from consumers.log.port import Offset
from rules.limits import DAY_MS, EVENT_BYTES_MAX

TOPIC = "segmentd.dead-letters"
KEPT_MS = 90 * DAY_MS
"""In a topic that is made here: long enough for somebody to come back from holiday and mend the source."""

RAW_BYTES_MAX = 16 * 1024 * 1024
"""Of one letter's value; what is larger is cut, and says so. Topics take a sixteenth of it by default."""

_KEY_BYTES_MAX = 16 * 1024  # what is longer is cut: no key that anybody looks for
_OVERHEAD_BYTES = 64 * 1024  # key, headers, the record itself
_OPEN_S = 10.0
_SEND_S = 30.0
_CHUNK = 100  # letters read at a time, for any may be large
_READ_S = 20.0  # for a broker to give a chunk
_MARK = "taken-back"


def letters_topic(name: str = TOPIC) -> Topic:
    """How the topic is to be; with how many partitions does not matter."""
    size = str(RAW_BYTES_MAX + _OVERHEAD_BYTES)
    config = {"cleanup.policy": "delete", "max.message.bytes": size, "retention.ms": str(KEPT_MS)}
    return Topic(name, None, config, (NOT_COMPACTED, WHOLE_RECORDS))


class KafkaDeadLetters:
    """`DeadLetterSink` and `DeadLetterBox`. The topic is made at first use, if it is missing."""

    def __init__(self, settings: KafkaSettings, topic: str = TOPIC) -> None:
        self._settings, self.topic = settings, topic
        self._prepared = False
        self._producer = Opened(settings, "writing dead letters", self._make_producer)

    def _make_producer(self) -> AIOKafkaProducer:
        # Not idempotent: a letter twice does no harm, and one refused for its size must not hold up those after it.
        arguments = self._settings.connection("dead-letters")
        return AIOKafkaProducer(acks="all", max_request_size=RAW_BYTES_MAX + _OVERHEAD_BYTES, **arguments)

    async def prepare(self) -> None:
        """Make or check the topic. Raises TopicWrong, Unavailable."""
        if not self._prepared:
            await prepare_topic(self._settings, letters_topic(self.topic))
            self._prepared = True

    async def close(self) -> None:
        await self._producer.close()

    # -- writing ----------------------------------------------------------------------------------------------------

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        await self.prepare()
        await self._send_all([(letter.raw, _key(letter), _headers(letter), None) for letter in letters])

    async def taken_back(self, letters: Sequence[DeadLetter]) -> None:
        await self.prepare()
        marks = []
        for letter in letters:
            partition, _, offset = letter.id.partition(":")
            marks.append((None, _key(letter), [(_MARK, offset.encode())], int(partition)))
        await self._send_all(marks)

    async def _send_all(self, records: Sequence[tuple[bytes | None, bytes | None, Any, int | None]]) -> None:
        producer = await self._producer.get(_OPEN_S)
        try:
            with broker_errors(self._settings, "writing dead letters"):
                async with asyncio.timeout(_SEND_S):
                    await asyncio.gather(*(self._send(producer, *record) for record in records))
        except BaseException:
            self._producer.drop()  # or what was not acknowledged is sent later all the same
            raise

    async def _send(
        self, producer: AIOKafkaProducer, raw: bytes | None, key: bytes | None, headers: Any, partition: int | None
    ) -> None:
        if raw is not None and len(raw) > RAW_BYTES_MAX:
            raw, headers = _cut(raw, headers, RAW_BYTES_MAX)
        try:
            await producer.send_and_wait(self.topic, raw, key, partition, headers=headers)
        except MessageSizeTooLargeError:  # the topic takes less than one made here
            if raw is None or len(raw) <= EVENT_BYTES_MAX:
                raise
            raw, headers = _cut(raw, headers, EVENT_BYTES_MAX)
            await producer.send_and_wait(self.topic, raw, key, partition, headers=headers)

    # -- reading ----------------------------------------------------------------------------------------------------

    async def newest_first(self) -> AsyncIterator[DeadLetter]:
        async with _Reading(self._settings, self.topic) as reading:
            places = await reading.bounds()
            marked: dict[int, set[Offset]] = {at.partition: set() for at in places}
            ends = {at: end for at, (_, end) in places.items()}
            waiting: dict[TopicPartition, list[DeadLetter]] = {at: [] for at in places}  # the newest is the last
            while True:
                for at, (begin, _) in places.items():
                    while not waiting[at] and ends[at] > begin:
                        start = max(begin, ends[at] - _CHUNK)
                        chunk = await reading.between(at, start, ends[at])
                        ends[at] = start
                        marked[at.partition] |= {offset for each in chunk if (offset := _marks(each)) is not None}
                        waiting[at] = [each for each in map(_letter, chunk) if each is not None]
                        waiting[at] = [each for each in waiting[at] if _offset(each) not in marked[at.partition]]
                newest = max((at for at in places if waiting[at]), key=lambda at: _order(waiting[at][-1]), default=None)
                if newest is None:
                    return
                yield waiting[newest].pop()

    async def oldest_first(self) -> AsyncIterator[DeadLetter]:
        """Partition by partition: which letters are marked is told behind them, so each is read twice."""
        async with _Reading(self._settings, self.topic) as reading:
            for at, (begin, end) in (await reading.bounds()).items():
                marked: set[Offset] = set()
                for start in range(begin, end, _CHUNK):
                    chunk = await reading.between(at, start, min(end, start + _CHUNK))
                    marked |= {offset for each in chunk if (offset := _marks(each)) is not None}
                for start in range(begin, end, _CHUNK):
                    for each in map(_letter, await reading.between(at, start, min(end, start + _CHUNK))):
                        if each is not None and _offset(each) not in marked:
                            yield each


class _Reading:
    """A consumer outside all groups, for as long as something is read."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._opened = Opened(settings, "reading dead letters", self._make)
        self._consumer: AIOKafkaConsumer

    def _make(self) -> AIOKafkaConsumer:
        arguments = self._settings.connection("dead-letters")
        return AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **arguments)

    async def __aenter__(self) -> _Reading:
        self._consumer = await self._opened.get(_OPEN_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.close()

    async def bounds(self) -> Mapping[TopicPartition, tuple[Offset, Offset]]:
        """For each partition that holds anything the oldest offset, and the one after the newest."""
        with broker_errors(self._settings, "reading dead letters"):
            async with asyncio.timeout(_READ_S):
                places = [TopicPartition(self._topic, number) for number in await self._partitions()]
                if not places:
                    return {}
                begins = await self._consumer.beginning_offsets(places)
                ends = await self._consumer.end_offsets(places)
        return {at: (begins[at], ends[at]) for at in places if begins[at] < ends[at]}

    async def _partitions(self) -> list[int]:
        """All topics are asked for: asking for one by name makes it, where brokers are allowed to do that."""
        async with admin(self._settings, "reading dead letters") as client:
            found = {each["topic"]: each["partitions"] for each in await client.describe_topics()}
        return sorted(each["partition"] for each in found.get(self._topic, ()))

    async def between(
        self, at: TopicPartition, start: Offset, end: Offset
    ) -> list[ConsumerRecord[bytes | None, bytes | None]]:
        """The records from offset `start` to before `end`."""
        consumer = self._consumer
        found: list[ConsumerRecord[bytes | None, bytes | None]] = []
        with broker_errors(self._settings, "reading dead letters"):
            async with asyncio.timeout(_READ_S):
                consumer.assign([at])
                consumer.seek(at, start)
                while await consumer.position(at) < end:
                    for records in (await consumer.getmany(at, timeout_ms=500)).values():
                        found += [record for record in records if start <= record.offset < end]
        return found


# -- what a letter is on the wire ------------------------------------------------------------------------------------


def _key(letter: DeadLetter) -> bytes | None:
    return None if letter.key is None else letter.key[:_KEY_BYTES_MAX]


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    found = [("reason", letter.reason), ("origin", str(letter.origin)), ("source", letter.source)]
    if letter.traceparent:
        found.append(("traceparent", letter.traceparent))
    return [(name, text.encode(errors="replace")) for name, text in found]


def _cut(raw: bytes, headers: list[tuple[str, bytes]], size: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    told = dict(headers).get("cut-bytes", str(len(raw)).encode())
    return raw[:size], [*(each for each in headers if each[0] != "cut-bytes"), ("cut-bytes", told)]


def _letter(record: ConsumerRecord[bytes | None, bytes | None]) -> DeadLetter | None:
    """None for a mark. What others put on the topic is told as it is, with no reason."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
    if _MARK in headers:
        return None
    own = Origin(record.topic, record.partition, record.offset, record.timestamp or 0)
    origin = parse_origin(headers.get("origin", "")) or own
    return DeadLetter(
        source=headers.get("source", origin.topic),
        origin=origin,
        reason=headers.get("reason", ""),
        raw=record.value,
        key=record.key,
        traceparent=headers.get("traceparent", ""),
        id=f"{record.partition}:{record.offset}",
        cut_bytes=int(headers.get("cut-bytes", "0")),
        put_ms=record.timestamp or 0,
    )


def _marks(record: ConsumerRecord[bytes | None, bytes | None]) -> Offset | None:
    for name, value in record.headers:
        if name == _MARK and value.isdigit():
            return int(value)
    return None


def _offset(letter: DeadLetter) -> Offset:
    return int(letter.id.partition(":")[2])


def _order(letter: DeadLetter) -> tuple[int, str]:
    return letter.put_ms, letter.id
