"""A storm: very many customers expire at one instant while events keep coming. Do the live ones wait for it?

The latency of a live event is from its append until a reader of the feed may see all that it changed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import msgspec
import orjson

from benchmarks.evaluator import KEYS, define
from benchmarks.progress import Advance, track
from benchmarks.server import PARTITIONS, Server
from consumers.evaluator import Evaluator, NullMetrics
from consumers.log.partition import partition_of
from consumers.log.port import NewRecord
from consumers.state.commit import OutboxEntry
from consumers.state.keys import SHOWN_CHANNEL
from rules.plan import Definition
from rules.times import format_instant

EVENTS_A_SECOND = 500
_TURN_S = 0.02
_NORMAL_S = 15.0
_STORM_S = 20.0
_DOCUMENTS = [
    {"id": "fading", "enter": {"event": "page_view", "within": "1h"}},
    {"id": "buyers", "enter": {"event": "purchase", "count": {"gte": 3}}},
]
_HOUR_MS = 3_600_000
_ENTRY = msgspec.msgpack.Decoder(OutboxEntry)


@dataclass(frozen=True)
class Storm:
    """Latencies in ms. `early` and `lost` are exits that came before their time, or not at all; `wrong` in time."""

    customers: int
    normal_p50_ms: float
    normal_p99_ms: float
    storm_p50_ms: float
    storm_p99_ms: float
    storm_live: int
    drained_s: float
    early: int
    lost: int
    wrong: int


class _Counting(NullMetrics):
    def __init__(self, advance: Advance) -> None:
        self.read = 0
        self._advance = advance

    def batch(self, records: int) -> None:
        self.read += records
        self._advance(records)


class _Live:
    """Appends events at a steady rate and notes when each was shown."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: list[deque[tuple[int, float]]] = [deque() for _ in range(PARTITIONS)]
        self._sent = 0
        self.latencies_ms: list[float] = []

    async def run(self, seconds: float) -> list[float]:
        """The latencies (ms) of the events of so many seconds, ascending."""
        self.latencies_ms = []
        listening = asyncio.create_task(self._listen())
        began, sent = time.perf_counter(), 0
        appends: set[asyncio.Task[None]] = set()
        while (elapsed := time.perf_counter() - began) < seconds:
            count = int(elapsed * EVENTS_A_SECOND) - sent
            sent += count
            if count:
                appends.add(append := asyncio.create_task(self._append(count)))
                append.add_done_callback(appends.discard)
            await asyncio.sleep(_TURN_S)
        while appends or any(self._waiting):  # noqa: ASYNC110
            await asyncio.sleep(_TURN_S)
        listening.cancel()
        return sorted(self.latencies_ms)

    async def _append(self, count: int) -> None:
        records = []
        for _ in range(count):
            self._sent += 1
            customer = f"live-{self._sent % 5_000}"
            payload = _event(f"live-{self._sent}", "purchase", customer, time.time_ns() // 1_000_000)
            records.append(NewRecord(partition_of(customer, PARTITIONS), payload, customer))
        began = time.perf_counter()
        for place in await self._server.log.append(records):
            self._waiting[place.partition].append((place.offset, began))

    async def _listen(self) -> None:
        async with self._server.store.subscription() as subscription:
            await subscription.subscribe(SHOWN_CHANNEL)
            while True:
                hint = await subscription.get_message(ignore_subscribe_messages=True, timeout=0.05)
                for partition in [int(hint["data"])] if hint else range(PARTITIONS):
                    if self._waiting[partition]:
                        await self._look(partition)

    async def _look(self, partition: int) -> None:
        shown = int(await self._server.store.call("HGET", KEYS[partition].meta, "shown_position") or -1)
        now, waiting = time.perf_counter(), self._waiting[partition]
        while waiting and waiting[0][0] <= shown:
            self.latencies_ms.append((now - waiting.popleft()[1]) * 1000)


async def storm(server: Server, customers: int) -> Storm:
    """On a server of its own, whose log is empty."""
    await define(server.store, [Definition(str(each["id"]), document=each) for each in _DOCUMENTS], KEYS)
    lead_ms = 20_000 + int(_NORMAL_S * 1000) + customers // 4  # time to read them all and to measure the normal
    due = time.time_ns() // 1_000_000 + lead_ms
    with track("storm: reading the customers", customers) as advance:
        await server.load(_customers(customers, due - _HOUR_MS), lambda count: None)
        counting = _Counting(advance)
        evaluator = Evaluator(server.store, server.log, metrics=counting)
        running = asyncio.create_task(evaluator.run())
        while counting.read < customers:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    live = _Live(server)
    with track("storm: the normal", int(_NORMAL_S * EVENTS_A_SECOND)):
        normal = await live.run(_NORMAL_S)
    before_s = due / 1000 - time.time()
    assert before_s > 0, "the machine is too slow: the instant came before the normal was measured"
    await asyncio.sleep(max(0.0, before_s - 1.0))
    with track("storm: the storm", int(_STORM_S * EVENTS_A_SECOND)):
        during = await live.run(_STORM_S)
    exits, drained_ms, early = await _exits(server, due, customers)
    await evaluator.stop()
    await running
    lost, wrong = customers - len(exits), sum(instant != due for instant in exits.values())
    return Storm(
        customers,
        normal_p50_ms=_percentile(normal, 0.5),
        normal_p99_ms=_percentile(normal, 0.99),
        storm_p50_ms=_percentile(during, 0.5),
        storm_p99_ms=_percentile(during, 0.99),
        storm_live=len(during),
        drained_s=(drained_ms - due) / 1000,
        early=early,
        lost=lost,
        wrong=wrong,
    )


def _event(event_id: str, event_type: str, customer: str, ts: int) -> bytes:
    return orjson.dumps({"id": event_id, "type": event_type, "customer_id": customer, "ts": format_instant(ts)})


def _customers(customers: int, ts: int) -> Iterator[tuple[str, int, bytes]]:
    for number in range(customers):
        customer = f"customer-{number:07d}"
        yield customer, ts, _event(f"view-{number}", "page_view", customer, ts)


async def _exits(server: Server, due: int, expected: int) -> tuple[dict[str, int], int, int]:
    """Who left and when by the feed, the last commit's clock, and how many left before the log's clock had passed."""
    deadline = time.monotonic() + 60
    while True:
        exits: dict[str, int] = {}
        early, last = 0, 0
        async for entry in _entries(server):
            for data in entry.transitions:
                change = orjson.loads(data)
                if change["type"] == "segment.exited" and change["data"]["segment"] == "fading":
                    assert change["subject"] not in exits, "somebody left twice"
                    exits[change["subject"]] = due if change["time"] == format_instant(due) else 0
                    early += entry.clock <= due
                    last = max(last, entry.clock)
        if len(exits) >= expected or time.monotonic() > deadline:
            return exits, last, early
        await asyncio.sleep(1)


async def _entries(server: Server) -> AsyncIterator[OutboxEntry]:
    for keys in KEYS:
        for _, fields in await server.store.call("XRANGE", keys.out, "-", "+"):
            yield _ENTRY.decode(fields[1])


def _percentile(ascending: list[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]
