"""Live traffic: sends events at a steady rate, and sees when what they change may be read by read-committed readers.

The latency of a transition that an event caused is from handing the event to the producer to having the transition.
Of one that the clock caused it is from the instant at which it was due.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from benchmarks.kafka.inside import serve
from benchmarks.kafka.loading import PARTITIONS
from benchmarks.workload import live_events, payload
from consumers.log.partition import partition_of
from rules.times import parse_instant

_TURN_S = 0.005
_STRAGGLERS_S = 2.0  # after the last event, for what it changes
_NEWCOMER_EVERY = 10


class Asked(msgspec.Struct):
    """`kind` shop: the workload's events. newcomers: one in ten is somebody's first purchase."""

    bootstrap: str
    events_topic: str
    out_topic: str
    prefix: str
    customers: int = 1
    kind: Literal["shop", "newcomers"] = "shop"


class _Traffic:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._events = live_events(asked.customers, asked.prefix) if asked.kind == "shop" else _newcomers(asked.prefix)
        self._chance = random.Random(3)
        self._sent_at: dict[str, float] = {}
        self._by_event: list[float] = []
        self._by_clock: list[float] = []
        self._observing: asyncio.Task[None] | None = None

    async def ready(self, _: dict[str, Any]) -> dict[str, Any]:
        asked = self.asked
        self._producer = AIOKafkaProducer(bootstrap_servers=asked.bootstrap, acks="all", max_batch_size=256 * 1024)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=asked.bootstrap, enable_auto_commit=False, isolation_level="read_committed"
        )
        await self._producer.start()
        await self._consumer.start()
        partitions = [TopicPartition(asked.out_topic, number) for number in range(PARTITIONS)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end()
        for partition in partitions:
            await self._consumer.position(partition)  # it stands there before anything is sent
        self._observing = asyncio.create_task(self._observe())
        return {}

    async def go(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Send for `seconds` at `rate` events a second; latencies in ms of what came of it."""
        self._sent_at, self._by_event, self._by_clock = {}, [], []
        sent, elapsed = await self._send(float(asked["seconds"]), int(asked["rate"]))
        await asyncio.sleep(_STRAGGLERS_S)
        if self._observing is not None and self._observing.done():
            self._observing.result()
        return {"rate": sent / elapsed, "sent": sent, "event": _told(self._by_event), "clock": _told(self._by_clock)}

    async def _send(self, seconds: float, rate: int) -> tuple[int, float]:
        began, sent, acks = time.perf_counter(), 0, []
        while (elapsed := time.perf_counter() - began) < seconds:
            count = int(elapsed * rate) - sent
            now, now_ms = time.perf_counter(), time.time_ns() // 1_000_000
            for _ in range(count):
                customer, event_id, event_type = next(self._events)
                value = payload(self._chance, event_id, event_type, customer, now_ms)
                self._sent_at[event_id] = now
                ack = await self._producer.send(
                    self.asked.events_topic, value, customer.encode(), partition_of(customer, PARTITIONS)
                )
            sent += count
            if count:
                acks.append(ack)
            await asyncio.sleep(_TURN_S)
        await self._producer.flush()
        for ack in acks:
            await ack
        return sent, time.perf_counter() - began

    async def _observe(self) -> None:
        while True:
            found = await self._consumer.getmany(timeout_ms=1_000)
            now, now_ms = time.perf_counter(), time.time() * 1000
            for records in found.values():
                for record in records:
                    self._note(orjson.loads(record.value), now, now_ms)

    def _note(self, transition: dict[str, Any], now: float, now_ms: float) -> None:
        data = transition["data"]
        if data["cause"] == "event":
            if (sent_at := self._sent_at.get(data["event_id"])) is not None:
                self._by_event.append((now - sent_at) * 1000)
        elif (due_ms := parse_instant(transition["time"])) is not None:
            self._by_clock.append(now_ms - due_ms)

    async def stop(self, _: dict[str, Any]) -> dict[str, Any]:
        if self._observing is not None:
            self._observing.cancel()
            await asyncio.wait({self._observing})
        await self._consumer.stop()
        await self._producer.stop()
        return {}


def _newcomers(prefix: str) -> Iterator[tuple[str, str, str]]:
    number = 0
    while True:
        first = number % _NEWCOMER_EVERY == 0
        customer = f"{prefix}-new-{number}" if first else f"{prefix}-known-{number % 5_000}"
        yield customer, f"{prefix}-{number}", "purchase" if first else "cart"
        number += 1


def _told(latencies: list[float]) -> dict[str, float]:
    """Percentiles in ms, and of how many."""
    ascending = sorted(latencies)
    if not ascending:
        return {"n": 0, "p50": 0.0, "p99": 0.0, "most": 0.0}
    at = {f"p{share}": ascending[min(len(ascending) - 1, len(ascending) * share // 100)] for share in (50, 99)}
    return {"n": len(ascending), **at, "most": ascending[-1]}


async def run(asked: Asked) -> None:
    traffic = _Traffic(asked)
    await serve({"ready": traffic.ready, "go": traffic.go, "stop": traffic.stop})
