"""Topics filled as fast as the client can: whole batches, built here, their records with times of their own."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.progress import Advance
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import events_topic, prepare_topic
from consumers.log.partition import partition_of

PARTITIONS = 16
_CHUNK = 20_000
_BATCH_BYTES = 512 * 1024


def log_settings(bootstrap: str, topic: str, *, stamped: bool) -> KafkaSettings:
    """`stamped`: the broker stamps each record (LogAppendTime); else records carry their own time."""
    log_time = "append" if stamped else "create"
    return KafkaSettings(bootstrap, events_topic=topic, partitions=PARTITIONS, log_time=log_time)  # type: ignore[arg-type]


async def make_topic(bootstrap: str, topic: str, *, stamped: bool) -> None:
    settings = log_settings(bootstrap, topic, stamped=stamped)
    await prepare_topic(settings, events_topic(settings))


async def drop_topics(bootstrap: str, topics: Iterable[str]) -> None:
    """For a broker that others use too."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.delete_topics(list(topics))
    finally:
        await client.close()


async def load(bootstrap: str, topic: str, records: Iterable[tuple[str, int, bytes]], advance: Advance) -> int:
    """Put (customer, log timestamp in ms, payload) into the topic, by the customers' partitions. Returns how many."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks=1, max_batch_size=_BATCH_BYTES, max_request_size=_BATCH_BYTES * 2
    )
    await producer.start()
    left, loaded = iter(records), 0
    try:
        while chunk := list(islice(left, _CHUNK)):
            by_partition: dict[int, list[tuple[str, int, bytes]]] = {}
            for record in chunk:
                by_partition.setdefault(partition_of(record[0], PARTITIONS), []).append(record)
            for partition, mine in by_partition.items():
                await _send(producer, topic, partition, mine)
            loaded += len(chunk)
            advance(len(chunk))
        await producer.flush()
    finally:
        await producer.stop()
    return loaded


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, records: list[tuple[str, int, bytes]]) -> None:
    batch = producer.create_batch()
    for customer, ts, payload in records:
        if batch.append(key=customer.encode(), value=payload, timestamp=ts) is None:
            batch.close()
            await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
            batch.append(key=customer.encode(), value=payload, timestamp=ts)
    batch.close()
    await producer.send_batch(batch, topic, partition=partition)
