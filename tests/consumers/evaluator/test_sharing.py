"""Several evaluators, records on the wrong partition, and clocks that disagree."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from consumers.clock import SystemClock
from consumers.evaluator import Evaluator, NullMetrics, Settings
from consumers.log.partition import partition_of
from consumers.log.port import NewRecord
from consumers.log.redis_streams import RedisLog
from consumers.state.feed import Feed
from consumers.state.reads import Reads
from consumers.state.registry import Registry
from consumers.state.store import Store
from rules.events import Event
from rules.records import encode_event
from tests.consumers.evaluator.worlds import until

SEEN = {"id": "seen", "enter": {"event": "page_view"}}
NAMES = [f"c{n}" for n in range(40)]


class Given:
    """Partitions as a test gives them."""

    exclusive = False

    def __init__(self, *partitions: int) -> None:
        self.wanted = frozenset(partitions)
        self.changed = asyncio.Event()

    def give(self, *partitions: int) -> None:
        self.wanted = frozenset(partitions)
        self.changed.set()

    async def start(self) -> None:
        self.changed.set()

    async def stop(self) -> None: ...


class Counts(NullMetrics):
    def __init__(self) -> None:
        self.moved_records = 0

    def moved(self, records: int) -> None:
        self.moved_records += records


class Slow(SystemClock):
    """A machine whose clock is behind by so many ms."""

    def __init__(self, behind_ms: int) -> None:
        self.behind_ms = behind_ms

    def now_ms(self) -> int:
        return super().now_ms() - self.behind_ms


@contextlib.asynccontextmanager
async def running(*evaluators: Evaluator) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in evaluators]
    try:
        yield
    finally:
        for each in evaluators:
            await each.stop()
        await asyncio.gather(*tasks)


def view(customer: str, name: str = "v") -> Event:
    return Event("page_view", customer, time.time_ns() // 1_000_000, f"{name}-{customer}")


async def define(store: Store, log: RedisLog, document: dict[str, Any]) -> None:
    await Registry(store, log).put(document["id"], document, orjson.dumps(document).decode(), "application/json")


async def send(log: RedisLog, *events: Event) -> dict[int, int]:
    records = [NewRecord(partition_of(e.customer_id, log.partitions), encode_event(e)) for e in events]
    return {place.partition: place.offset for place in await log.append(records)}


async def test_a_partition_moves_to_another_evaluator_and_nothing_is_lost_or_doubled(
    store: Store, log: RedisLog
) -> None:
    shares = Given(0, 1), Given()
    first, second = (Evaluator(store, log, sharing=share) for share in shares)
    feed = Feed(store, log.partitions)
    reads = Reads(store, log, feed)
    await define(store, log, SEEN)
    async with running(first, second):
        assert await reads.wait_applied(await send(log, *map(view, NAMES[:10])), 5_000)
        assert {each.owner for each in await reads.status()} == {first.name}
        shares[1].give(1)  # before the first one knows: it is asked to wait for it
        await asyncio.sleep(0.1)
        shares[0].give(0)
        await until(lambda: first.ready and second.ready)
        owners = [each.owner for each in await reads.status()]
        assert owners == [first.name, second.name]
        assert await reads.wait_applied(await send(log, *map(view, NAMES[10:])), 5_000)
        shares[0].give()
        shares[1].give(0, 1)
        await until(lambda: second.ready)
        assert await reads.wait_applied(await send(log, *(view(name, "w") for name in NAMES)), 5_000)
    items = (await feed.read(await feed.oldest())).items
    assert sorted(orjson.loads(item.data)["subject"] for item in items) == sorted(NAMES)
    await feed.close()


async def test_an_owner_that_does_not_let_go_is_pushed_aside_after_a_moment(store: Store, log: RedisLog) -> None:
    first = Evaluator(store, log, sharing=Given(0, 1))
    second = Evaluator(store, log, Settings(let_go_ms=300, lease_ms=60_000), sharing=Given(1))
    feed = Feed(store, log.partitions)
    reads = Reads(store, log, feed)
    async with running(first):
        assert await reads.wait_applied(await send(log, *map(view, NAMES)), 5_000)
        async with running(second):
            await until(lambda: second.ready)
            assert [each.owner for each in await reads.status()] == [first.name, second.name]
            assert await reads.wait_applied(await send(log, *(view(name, "w") for name in NAMES)), 5_000)
            await until(lambda: "partition 1" in first.reason)  # it found out, and the other partition goes on
    await feed.close()


async def test_a_record_on_the_wrong_partition_is_moved_to_its_customers_and_counted(
    store: Store, log: RedisLog
) -> None:
    counts = Counts()
    feed = Feed(store, log.partitions)
    reads = Reads(store, log, feed)
    await define(store, log, SEEN)
    async with running(Evaluator(store, log, metrics=counts)):
        records = [NewRecord(1 - partition_of(name, 2), encode_event(view(name))) for name in NAMES]
        await log.append(records)
        for _ in range(500):
            if await reads.sizes(["seen"]) == {"seen": len(NAMES)}:
                break
            await asyncio.sleep(0.02)
    assert counts.moved_records == len(NAMES)
    statuses = await reads.status()
    assert [each.customers for each in statuses] == [
        sum(partition_of(name, 2) == partition for name in NAMES) for partition in (0, 1)
    ]
    items = (await feed.read(await feed.oldest())).items
    assert sorted(orjson.loads(item.data)["subject"] for item in items) == sorted(NAMES)
    await feed.close()


async def test_a_record_stamped_seconds_ahead_of_our_clock_waits_for_it(store: Store, log: RedisLog) -> None:
    clock = Slow(6_000)
    feed = Feed(store, log.partitions)
    reads = Reads(store, log, feed)
    async with running(evaluator := Evaluator(store, log, clock=clock)):
        offsets = await send(log, view("ana"))
        assert not await reads.wait_applied(offsets, 300)
        assert evaluator.ready
        assert await reads.wait_applied(offsets, 5_000)
    await feed.close()


async def test_a_record_stamped_minutes_ahead_stops_its_partition_until_a_clock_is_set_right(
    store: Store, log: RedisLog
) -> None:
    clock = Slow(0)
    feed = Feed(store, log.partitions)
    reads = Reads(store, log, feed)
    async with running(evaluator := Evaluator(store, log, clock=clock)):
        assert await reads.wait_applied(await send(log, *map(view, NAMES)), 5_000)
        clock.behind_ms = 3_630_000
        offsets = await send(log, view("ana", "w"))
        await until(lambda: "clock" in evaluator.reason)
        assert not evaluator.ready
        stopped = partition_of("ana", 2)
        await asyncio.sleep(0.1)
        troubles = [each.trouble for each in await reads.status()]
        assert "60 min ahead" in (troubles[stopped] or "")
        assert not troubles[1 - stopped]
        clock.behind_ms = 0
        assert await reads.wait_applied(offsets, 8_000)
        assert evaluator.ready
    await feed.close()


async def test_the_trace_of_an_event_goes_on_with_the_transitions_it_causes(store: Store, log: RedisLog) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    feed = Feed(store, log.partitions)
    reads = Reads(store, log, feed)
    await define(store, log, SEEN)
    async with running(Evaluator(store, log)):
        traced = Event("page_view", "ana", time.time_ns() // 1_000_000, "v", traceparent=trace)
        assert await reads.wait_applied(await send(log, traced, view("bob")), 5_000)
    items = (await feed.read(await feed.oldest())).items
    told = {each["subject"]: each.get("traceparent") for each in map(orjson.loads, (item.data for item in items))}
    assert told == {"ana": trace, "bob": None}
    await feed.close()


class Left(Given):
    """Knows whether it was left."""

    stopped = False

    async def stop(self) -> None:
        self.stopped = True


async def test_an_evaluator_that_ends_by_an_error_leaves_the_group(store: Store) -> None:
    sharing = Left(0)
    evaluator = Evaluator(store, RedisLog(store, 1), sharing=sharing, metrics=Refusing())
    with pytest.raises(ZeroDivisionError):
        await evaluator.run()
    assert sharing.stopped
    assert evaluator.reason == "stopped"


class Refusing(NullMetrics):
    def owned(self, partition: int, mine: bool, stopped: bool) -> None:
        raise ZeroDivisionError
