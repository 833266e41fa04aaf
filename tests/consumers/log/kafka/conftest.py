"""A topic of its own for each test on the session's broker, the log on it, and another publisher beside."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings

PARTITIONS = 2


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return KafkaSettings(kafka, events_topic=f"events-{uuid.uuid4()}", partitions=PARTITIONS)


@pytest.fixture
async def log(settings: KafkaSettings) -> AsyncIterator[KafkaLog]:
    log = KafkaLog(settings)
    await log.prepare()
    yield log
    await log.close()


@pytest.fixture
async def publisher(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """Somebody else who writes to the topic."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    yield producer
    await producer.stop()
