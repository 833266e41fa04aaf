"""What is not in the log, and what others do to the topic, is told and never skipped."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from consumers.log.kafka.connection import admin
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import TopicWrong
from consumers.log.port import START, NewRecord, PositionOutside
from tests.consumers.log.kafka.conftest import PARTITIONS
from tests.consumers.log.kafka.reading import delete_before, read_all


async def delete_topic(settings: KafkaSettings) -> None:
    async with admin(settings, "test") as client:
        await client.delete_topics([settings.events_topic])
        for _ in range(100):
            if settings.events_topic not in await client.list_topics():
                return
            await asyncio.sleep(0.05)
    raise AssertionError("the topic is still there")


# -- outside the log --------------------------------------------------------------------------------------------------


async def test_what_retention_dropped_is_told_and_not_skipped(log: KafkaLog) -> None:
    await log.append([NewRecord(0, b"%d" % n) for n in range(10)])
    await delete_before(log.settings, 0, 6)
    with pytest.raises(PositionOutside) as gap:
        await log.read({0: 4, 1: START}, 10, 100)
    assert (gap.value.partition, gap.value.position, gap.value.first, gap.value.end) == (0, 4, 6, 9)
    with pytest.raises(PositionOutside):
        await log.reread(0, 4, 10)
    assert [record.offset for record in await read_all(log, {0: 5, 1: START}, 4)] == [6, 7, 8, 9]
    assert [record.offset for record in await read_all(log, {0: START, 1: START}, 4)] == [6, 7, 8, 9]


async def test_what_retention_drops_in_front_of_a_reader_is_told(log: KafkaLog) -> None:
    """Not at a seek: the reader stands there already, with nothing in its buffers."""
    await log.append([NewRecord(0, b"x" * 200_000) for n in range(12)])
    (record,) = await log.read({0: START}, 1, 5000)
    await delete_before(log.settings, 0, 12)
    with pytest.raises(PositionOutside) as gap:
        await read_all(log, {0: record.offset}, 12, 1)  # what was fetched before is still given
    assert gap.value.position < 11
    assert (gap.value.first, gap.value.end) == (12, START)


async def test_a_position_after_the_end_is_told(log: KafkaLog) -> None:
    await log.append([NewRecord(0, b"%d" % n) for n in range(3)])
    assert await log.read({0: 2}, 10, 50) == []
    with pytest.raises(PositionOutside) as gap:
        await log.read({0: 3}, 10, 50)
    assert (gap.value.first, gap.value.end) == (0, 2)
    with pytest.raises(PositionOutside):
        await log.read({1: 0}, 10, 50)
    with pytest.raises(PositionOutside):
        await log.reread(1, 0, 10)


async def test_a_topic_that_was_made_anew_is_told(log: KafkaLog) -> None:
    await log.append([NewRecord(0, b"%d" % n) for n in range(5)])
    assert len(await read_all(log, {0: START}, 5)) == 5
    await delete_topic(log.settings)
    await log.prepare()
    with pytest.raises(PositionOutside) as gap:
        await read_all(log, {0: 4}, 1)
    assert (gap.value.position, gap.value.end) == (4, START)
    (place,) = await log.append([NewRecord(0, b"new")])
    assert place.offset == 0
    assert [record.payload for record in await read_all(log, {0: START}, 1)] == [b"new"]


# -- what must not go unnoticed ---------------------------------------------------------------------------------------


async def test_partitions_that_somebody_adds_are_told(log: KafkaLog) -> None:
    await log.append([NewRecord(0, b"before")])
    assert len(await read_all(log, {0: START}, 1)) == 1
    async with admin(log.settings, "test") as client:
        await client.create_partitions({log.settings.events_topic: NewPartitions(PARTITIONS + 1)})
    with pytest.raises(TopicWrong, match="has 3 partitions, not 2"):
        await read_with_fresh_metadata(log)


async def read_with_fresh_metadata(log: KafkaLog) -> None:
    consumer = await log._reading._opened.get(1.0)
    for _ in range(100):
        await consumer._client.force_metadata_update()  # once a minute by itself
        await log.read({0: 0}, 10, 50)


async def test_a_topic_that_no_longer_stamps_is_told_at_the_first_such_record(log: KafkaLog) -> None:
    await log.append([NewRecord(0, b"stamped")])
    assert len(await read_all(log, {0: START}, 1)) == 1
    other = ConfigResource(
        ConfigResourceType.TOPIC, log.settings.events_topic, {"message.timestamp.type": "CreateTime"}
    )
    async with admin(log.settings, "test") as client:
        await client.alter_configs([other])
    await until_own_time(log)
    with pytest.raises(TopicWrong, match=r"--add-config message\.timestamp\.type=LogAppendTime"):
        await read_all(log, {0: 0}, 1000)


async def until_own_time(log: KafkaLog) -> None:
    """Writes until the broker has taken the change over."""
    producer = AIOKafkaProducer(bootstrap_servers=log.settings.bootstrap_servers)
    await producer.start()
    try:
        for _ in range(100):
            told = await producer.send_and_wait(log.settings.events_topic, b"own time", partition=0, timestamp_ms=1000)
            if told.timestamp == 1000:
                return
            await asyncio.sleep(0.05)
    finally:
        await producer.stop()
    raise AssertionError("the topic still stamps")
