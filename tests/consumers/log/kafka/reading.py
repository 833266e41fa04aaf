"""What several tests of the log do: read on and on, drop records as retention does."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from consumers.log.kafka.connection import admin
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Offset, Record


async def read_all(log: KafkaLog, positions: Mapping[int, Offset], count: int, records_max: int = 100) -> list[Record]:
    """Reads on from each record read, until there are `count`."""
    at, records = dict(positions), list[Record]()
    deadline = time.monotonic() + 10
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records"
        found = await log.read(at, records_max, 1000)
        records += found
        at |= {record.partition: record.offset for record in found}
    return records


def payloads(records: list[Record], partition: int) -> list[bytes]:
    return [record.payload for record in records if record.partition == partition]


async def delete_before(settings: KafkaSettings, partition: int, offset: Offset) -> None:
    """What retention does."""
    async with admin(settings, "test") as client:
        await client.delete_records({TopicPartition(settings.events_topic, partition): RecordsToDelete(offset)})
