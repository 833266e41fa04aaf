"""The floor: what any evaluator that keeps state must do. Fetch, decode, load and store blobs; no rules, no output."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from benchmarks.kafka.inside import cpu_s, serve
from benchmarks.kafka.loading import PARTITIONS
from consumers.state.store import Store

_BLOB = b"x" * 256
_WAIT_MS = 1_000


class Asked(msgspec.Struct):
    """`gather`: events a batch, as many as the evaluator commits at once."""

    bootstrap: str
    topic: str
    store_url: str
    gather: int


async def run(asked: Asked) -> None:
    async def go(_: dict[str, Any]) -> dict[str, Any]:
        return await _pass(asked)

    await serve({"go": go})


async def _pass(asked: Asked) -> dict[str, Any]:
    """The whole topic once; the CPU from the first fetch to the last answer."""
    partitions = [TopicPartition(asked.topic, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=asked.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=1024 * 1024,
    )
    store = Store.connect(asked.store_url)
    await store.call("PING")
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        expected = sum((await consumer.end_offsets(partitions)).values())
        began, read = cpu_s(), 0
        while read < expected:
            values: list[bytes] = []
            for records in (await consumer.getmany(timeout_ms=_WAIT_MS, max_records=asked.gather)).values():
                values += [record.value for record in records]
            if values:
                await _batch(store, values)
                read += len(values)
        return {"cpu_s": cpu_s() - began, "events": read}
    finally:
        await consumer.stop()
        await store.close()


async def _batch(store: Store, values: list[bytes]) -> None:
    customers = {orjson.loads(value)["customer_id"] for value in values}
    keys = [f"floor:{customer}" for customer in customers]
    await store.call("MGET", *keys)
    pairs: list[str | bytes] = [_BLOB] * (2 * len(keys))
    pairs[0::2] = keys
    await store.call("MSET", *pairs)
