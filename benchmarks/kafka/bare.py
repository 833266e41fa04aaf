"""What the latency is compared with: a bare loop on the same client that consumes, decodes and produces, exactly once.

It gathers as the evaluator does and leaves as much between two transactions as the relay does. Of every `one_in` events
it makes one record of a transition's size. No rules, no state, no outbox.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from benchmarks.kafka.inside import cpu_s, serve
from benchmarks.kafka.loading import PARTITIONS

_WAIT_MS = 1_000
_FILLING = "x" * 400


class Asked(msgspec.Struct):
    """Milliseconds; `group` for the offsets that are part of each transaction."""

    bootstrap: str
    events_topic: str
    out_topic: str
    group: str
    gather_ms: int
    pause_ms: int
    one_in: int


class _Loop:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.records = self.published = self.transactions = 0
        self._running: asyncio.Task[None] | None = None

    async def go(self, _: dict[str, Any]) -> dict[str, Any]:
        asked = self.asked
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=asked.bootstrap, enable_auto_commit=False, isolation_level="read_committed"
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=asked.bootstrap, transactional_id=asked.group, acks="all", max_batch_size=512 * 1024
        )
        await self._consumer.start()
        await self._producer.start()
        self._consumer.assign([TopicPartition(asked.events_topic, number) for number in range(PARTITIONS)])
        await self._consumer.seek_to_end()
        self._running = asyncio.create_task(self._run())
        return {}

    async def _run(self) -> None:
        asked, ended = self.asked, 0.0
        while True:
            found = await self._consumer.getmany(timeout_ms=_WAIT_MS)
            if not found:
                continue
            await asyncio.sleep(asked.gather_ms / 1000)
            for each, records in (await self._consumer.getmany(timeout_ms=0)).items():
                found[each] = [*found.get(each, []), *records]
            outgoing = {each.partition: self._transform(records) for each, records in found.items()}
            pause_s = asked.pause_ms / 1000 - (time.monotonic() - ended)
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            await self._publish(outgoing, {each: records[-1].offset + 1 for each, records in found.items()})
            ended = time.monotonic()

    def _transform(self, records: list[Any]) -> list[tuple[bytes, bytes]]:
        outgoing = []
        for record in records:
            event = orjson.loads(record.value)
            self.records += 1
            if self.records % self.asked.one_in == 0:
                data = {"event_id": event["id"], "cause": "event", "filling": _FILLING}
                outgoing.append((record.key, orjson.dumps({"time": event["ts"], "data": data})))
        return outgoing

    async def _publish(self, outgoing: dict[int, list[tuple[bytes, bytes]]], offsets: dict[Any, int]) -> None:
        producer, asked = self._producer, self.asked
        await producer.begin_transaction()
        for partition, records in outgoing.items():
            if records:
                batch = producer.create_batch()
                for key, value in records:
                    batch.append(key=key, value=value, timestamp=None)
                await producer.send_batch(batch, asked.out_topic, partition=partition)
                self.published += len(records)
        commits = {each: OffsetAndMetadata(offset, "") for each, offset in offsets.items()}
        await producer.send_offsets_to_transaction(commits, asked.group)
        await producer.commit_transaction()
        self.transactions += 1

    async def alive(self, _: dict[str, Any]) -> dict[str, Any]:
        """Raises what ended it."""
        if self._running is not None and self._running.done():
            self._running.result()
        return {}

    async def mark(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "cpu_s": cpu_s(),
            "records": self.records,
            "published": self.published,
            "transactions": self.transactions,
        }

    async def stop(self, _: dict[str, Any]) -> dict[str, Any]:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
            await self._producer.stop()
            await self._consumer.stop()
        return {}


async def run(asked: Asked) -> None:
    loop = _Loop(asked)
    await serve({"go": loop.go, "alive": loop.alive, "mark": loop.mark, "stop": loop.stop})
