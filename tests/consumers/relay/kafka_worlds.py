"""A topic of its own on the real broker, outlets that are closed in the end, and what a consumer sees of the topic."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from consumers.log.kafka.settings import KafkaSettings
from consumers.relay.headers import decode
from consumers.relay.kafka import KafkaOutlet
from consumers.relay.port import Outgoing, Place

PARTITIONS = 2


def outgoing(number: int, *, commit: int | None = None, nth: int = 0, text: str = "") -> Outgoing:
    """Transition `number` of a partition, in a commit of its own unless said otherwise."""
    customer = f"customer-{number}"
    told = {"id": f"vip:{customer}:1", "subject": customer, "data": {"n": number, "text": text}}
    place = Place(number if commit is None else commit, nth, 1000 + number, number)
    return Outgoing(customer.encode(), orjson.dumps(told), place)


class KafkaWorld:
    def __init__(self, bootstrap_servers: str) -> None:
        self.settings = KafkaSettings(bootstrap_servers)
        self.topic = f"transitions-{uuid.uuid4().hex[:12]}"
        self._outlets: list[KafkaOutlet] = []

    def outlet(self, name: str = "") -> KafkaOutlet:
        """Named for this topic, so that no other test's is fenced."""
        outlet = KafkaOutlet(self.settings, self.name(name or uuid.uuid4().hex), self.topic)
        self._outlets.append(outlet)
        return outlet

    def name(self, name: str) -> str:
        return f"{self.topic}-{name}"

    async def opened(self, name: str = "") -> KafkaOutlet:
        outlet = self.outlet(name)
        await outlet.open()
        return outlet

    async def abort(self, partition: int, records: int, transactions: int = 1) -> None:
        """Records that nobody ever sees, each transaction ended by its own producer."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.bootstrap_servers, transactional_id=self.name("aborting")
        )
        await producer.start()
        try:
            for _ in range(transactions):
                await producer.begin_transaction()
                for number in range(records):
                    await producer.send(self.topic, b"aborted %d" % number, partition=partition)
                await producer.flush()
                await producer.abort_transaction()
        finally:
            await producer.stop()

    async def seen(self, partition: int = 0, isolation: str = "read_committed") -> list[Any]:
        """All records of a partition, as a consumer of this isolation sees them."""
        at = TopicPartition(self.topic, partition)
        consumer, written = self._consumer(isolation), self._consumer("read_uncommitted")
        await asyncio.gather(consumer.start(), written.start())
        try:
            end = (await written.end_offsets([at]))[at]
            for _ in range(1_000):  # the markers of a transaction follow the answer to its commit
                if (await consumer.end_offsets([at]))[at] >= end:
                    break
                await asyncio.sleep(0.01)
            else:
                raise TimeoutError("a transaction stays open")
            consumer.assign([at])
            await consumer.seek_to_beginning(at)
            records: list[Any] = []
            while await consumer.position(at) < end:
                records += (await consumer.getmany(at, timeout_ms=200)).get(at, [])
            return records
        finally:
            await asyncio.gather(consumer.stop(), written.stop())

    def _consumer(self, isolation: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers, isolation_level=isolation, enable_auto_commit=False
        )

    async def values(self, partition: int = 0) -> list[bytes]:
        return [record.value for record in await self.seen(partition)]

    async def places(self, partition: int = 0) -> list[Place]:
        return [decode(record.headers) for record in await self.seen(partition)]

    async def close(self) -> None:
        await asyncio.gather(*(outlet.close() for outlet in self._outlets))


@asynccontextmanager
async def kafka_world(bootstrap_servers: str, partitions: int = PARTITIONS) -> AsyncIterator[KafkaWorld]:
    world = KafkaWorld(bootstrap_servers)
    try:
        await world.outlet().prepare(partitions)
        yield world
    finally:
        await world.close()


def values_of(records: Sequence[Outgoing]) -> list[bytes]:
    return [each.value for each in records]
