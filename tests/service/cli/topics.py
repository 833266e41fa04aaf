"""What a topic of a real broker holds."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


async def held(kafka: str, topic: str) -> list[ConsumerRecord[bytes | None, bytes | None]]:
    """All records, partition by partition; none where there is no such topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        known = {each["topic"]: each["partitions"] for each in await admin.describe_topics()}
        numbers = sorted(each["partition"] for each in known.get(topic, ()))
    finally:
        await admin.close()
    if not numbers:
        return []
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    found: list[ConsumerRecord[bytes | None, bytes | None]] = []
    try:
        for at in [TopicPartition(topic, number) for number in numbers]:
            consumer.assign([at])
            end = (await consumer.end_offsets([at]))[at]
            consumer.seek(at, (await consumer.beginning_offsets([at]))[at])
            async with asyncio.timeout(30):
                while await consumer.position(at) < end:
                    for records in (await consumer.getmany(at, timeout_ms=200)).values():
                        found += records
    finally:
        await consumer.stop()
    return found
