"""The topic of transitions on Kafka: transactions by aiokafka's producer, one transactional id a process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced

from consumers.failpoints import reach
from consumers.log.kafka.connection import Opened, broker_errors, stop
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import NOT_COMPACTED, Topic, prepare_topic
from consumers.log.port import Offset
from consumers.relay.headers import encode
from consumers.relay.kafka_reading import Reading
from consumers.relay.port import Fenced, Outgoing, Published
from rules.errors import Unavailable

TRANSITIONS_TOPIC = "segment.transitions"
TRANSACTION_MS = 10_000  # then the brokers end a transaction whose owner says nothing more
PUBLISH_S = 10.0  # no transaction lives longer anyway
OPEN_S = 10.0
_BATCH_BYTES = 512 * 1024  # well below a broker's default `message.max.bytes`
_MESSAGE_BYTES = 8 * 1024 * 1024  # of a topic made here: a transition with a very long `why` still goes through
_RETRY_MS = 50
_MISMATCH = (
    "It must have as many as the log, for a transition is published to its customer's partition: name another topic"
    " (SEGMENTD_TRANSITIONS_TOPIC), or delete this one if nobody reads it, and make it with:"
)


class KafkaOutlet:
    """An `Outlet`. `name`: the transactional id, of this process only.

    `partitions`: of the log; the first `open` makes the topic with as many, or checks it (None: `prepare` does).
    """

    def __init__(
        self, settings: KafkaSettings, name: str, topic: str = TRANSITIONS_TOPIC, partitions: int | None = None
    ) -> None:
        self._settings, self._name, self._topic = settings, name, topic
        self._to_prepare = partitions
        self._doing = f"publishing to {topic}"
        self._producer = Opened(settings, self._doing, lambda: self._make(name))
        self._usable = False  # since `open`, and until something goes wrong
        self._reading = Reading(settings, topic)

    def _make(self, name: str) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._settings.connection("relay"),
            transactional_id=name,
            transaction_timeout_ms=TRANSACTION_MS,
            acks="all",
            max_batch_size=_BATCH_BYTES,
            retry_backoff_ms=_RETRY_MS,
        )

    @property
    def name(self) -> str:
        return self._name

    async def prepare(self, partitions: int) -> None:
        """Make the topic with as many partitions as the log has, or check it. Raises TopicWrong, Unavailable."""
        config = {"cleanup.policy": "delete", "max.message.bytes": str(_MESSAGE_BYTES)}
        await prepare_topic(self._settings, Topic(self._topic, partitions, config, [NOT_COMPACTED], _MISMATCH))

    async def open(self) -> None:
        self._usable = False
        if self._to_prepare is not None:
            await self.prepare(self._to_prepare)
            self._to_prepare = None
        self._producer.drop()
        with _fencing():
            await self._producer.get(OPEN_S)
        self._usable = True

    async def publish(self, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        if not self._usable:
            raise Unavailable(f"{self._doing}: not open")
        self._usable = False  # also when this is cancelled half way
        producer = await self._producer.get(OPEN_S)
        with _fencing(), broker_errors(self._settings, self._doing):
            async with asyncio.timeout(PUBLISH_S):
                await producer.begin_transaction()
                producer._txn_manager.wait_for_transaction_end().add_done_callback(_looked_at)
                await self._produce(producer, batches)
                reach("relay.produced")
                await producer.commit_transaction()
        self._usable = True

    async def _produce(self, producer: AIOKafkaProducer, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        """All of it, acknowledged. (A commit would go through even if a batch had failed: so each is looked at.)"""
        waiting = {partition: _packed(producer, outgoing) for partition, outgoing in batches.items()}
        sent: list[asyncio.Future[Any]] = []
        while waiting:  # the first batch of every partition goes in one request, then the second, ...
            for partition, packed in waiting.items():
                sent.append(await producer.send_batch(packed.pop(0), self._topic, partition=partition))
            waiting = {partition: packed for partition, packed in waiting.items() if packed}
        await asyncio.wait(sent)
        if errors := [error for each in sent if (error := each.exception()) is not None]:
            raise errors[0]

    async def fence(self, name: str) -> None:
        producer = self._make(name)
        try:
            with broker_errors(self._settings, f"ending the transaction of {name}"):
                await asyncio.wait_for(producer.start(), OPEN_S)
        finally:
            await stop(producer)

    async def tail(self, partition: int) -> Published | None:
        return await self._reading.tail(partition)

    async def published(self, partition: int, after_commit: int) -> dict[str, Published]:
        return await self._reading.published(partition, after_commit)

    async def value(self, partition: int, offset: Offset) -> bytes:
        return await self._reading.value(partition, offset)

    async def close(self) -> None:
        self._usable = False
        await self._producer.close()
        await self._reading.close()


def _packed(producer: AIOKafkaProducer, outgoing: Sequence[Outgoing]) -> list[Any]:
    """Record batches of bounded size, in order."""
    packed = [producer.create_batch()]
    for each in outgoing:
        headers = encode(each)
        if packed[-1].append(timestamp=None, key=each.key, value=each.value, headers=headers) is None:
            packed.append(producer.create_batch())
            packed[-1].append(timestamp=None, key=each.key, value=each.value, headers=headers)
    return packed


def _looked_at(ended: asyncio.Future[None]) -> None:
    """A transaction that fails before its commit is asked for is told by its batches: not by asyncio, as forgotten."""
    if not ended.cancelled():
        ended.exception()


@contextlib.contextmanager
def _fencing() -> Iterator[None]:
    """What a broker answers to an outdated epoch, wherever in the client it comes up, is Fenced."""
    try:
        yield
    except Unavailable as error:
        cause = error.__cause__
        seen = [cause, cause.__cause__ if cause is not None else None]
        if any(isinstance(each, (ProducerFenced, InvalidProducerEpoch)) for each in seen):
            raise Fenced("another process has fenced this one's transactional id") from error
        raise
