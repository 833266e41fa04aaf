"""Topics on a real broker: made under names of their own, filled, and read by an intake."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from consumers.intake.intake import Intake
from consumers.intake.kafka import KafkaReader
from consumers.intake.kafka_share import MemberSettings
from consumers.intake.metrics import IntakeMetrics
from consumers.intake.settings import IntakeSettings
from consumers.intake.sources import Source, by_group
from consumers.log.dead_letters import DeadLetterSink
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Log

MEMBER = MemberSettings(topics_s=0.5, session_ms=6_000, heartbeat_ms=300)


class Sent(NamedTuple):
    """A record to send; `partition` None: as its key says."""

    value: bytes | None
    key: bytes | None = None
    timestamp_ms: int | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:12]}"


async def make_topic(kafka: str, name: str, partitions: int = 1, **config: str) -> None:
    """`max_message_bytes="…"` for `max.message.bytes`. Returns when it can be written."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        configs = {key.replace("_", "."): value for key, value in config.items()}
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
        while True:
            for found in await admin.describe_topics():
                leaders = [each["leader"] for each in found["partitions"]]
                if found["topic"] == name and len(leaders) == partitions and min(leaders) >= 0:
                    return
            await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def delete_topic(kafka: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([name])
    await admin.close()


async def send(kafka: str, topic: str, records: Sequence[Sent]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=12_000_000, linger_ms=5)
    await producer.start()
    try:
        sending = [
            await producer.send(topic, r.value, r.key, r.partition, r.timestamp_ms, list(r.headers)) for r in records
        ]
        await asyncio.gather(*sending)
    finally:
        await producer.stop()


async def committed(kafka: str, group: str, topic: str, partitions: int) -> list[int]:
    """The group's committed offset of each partition; 0 where there is none."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        return [await consumer.committed(TopicPartition(topic, number)) or 0 for number in range(partitions)]
    finally:
        await consumer.stop()


class Group:
    """Intakes of one consumer group of this test's own."""

    def __init__(
        self,
        kafka: str,
        sources: Sequence[Source],
        log: Log,
        letters: DeadLetterSink,
        settings: IntakeSettings | None = None,
    ) -> None:
        self.kafka, self.sources, self.log, self.letters = kafka, sources, log, letters
        self.settings = settings or IntakeSettings(retry_s=0.1, lag_s=0.1)

    def intake(self, metrics: IntakeMetrics | None = None) -> Intake:
        reader = KafkaReader(KafkaSettings(self.kafka), by_group(self.sources), MEMBER)
        return Intake(self.sources, reader, self.log, self.letters, settings=self.settings, metrics=metrics)

    @asynccontextmanager
    async def running(self, metrics: IntakeMetrics | None = None) -> AsyncIterator[Intake]:
        intake = self.intake(metrics)
        task = asyncio.create_task(intake.run())
        try:
            yield intake
        finally:
            await intake.stop()
            await task
