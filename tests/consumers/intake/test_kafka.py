"""The intake on a real broker: topics of any shape, several intakes, offsets, a broker that goes and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter

from consumers.intake.sources import Source
from consumers.intake.sources_file import read_sources
from consumers.log.partition import partition_of
from rules.times import format_instant
from tests.consumers.intake.topics import Group, Sent, committed, delete_topic, make_topic, send, unique
from tests.consumers.intake.worlds import CountingMetrics, MemoryLetters, MemoryLog, native, until
from tests.kafka import Broker

HOUR_MS = 3_600_000
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def event(number: int, at_ms: int | None = None, **changed: str) -> bytes:
    ts = format_instant(now_ms() if at_ms is None else at_ms)
    return native(f"c{number % 50}", id=f"e{number}", ts=ts, **changed)


def ids(log: MemoryLog) -> list[str]:
    return [each["id"] for each in log.events]


async def test_topics_of_any_partition_count_and_key_go_to_the_customers_partitions(kafka: str) -> None:
    orders, views = unique("orders"), unique("views")
    await make_topic(kafka, orders, 3)
    await make_topic(kafka, views, 1)
    order = {"order": {"number": 7, "buyer": 13748}, "at": now_ms(), "total": 204.5}
    await send(kafka, orders, [Sent(json.dumps(order).encode(), b"any", headers=(("traceparent", TRACE.encode()),))])
    await send(kafka, views, [Sent(event(n, type="page_view"), str(n % 3).encode()) for n in range(500)])
    sources = read_sources(f"""
defaults: false
sources:
  - {{topic: {views}, group: {views}}}
  - topic: {orders}
    group: {orders}
    type: purchase
    ts_unit: ms
    map: {{customer_id: order.buyer, id: order.number, ts: at, properties.amount: total}}
""")
    log = MemoryLog(16)
    async with Group(kafka, sources, log, MemoryLetters()).running():
        await until(lambda: len(log.written) == 501, 30)
    assert {record.partition == partition_of(record.key, 16) for record in log.written} == {True}
    [purchase] = [each for each in log.events if each["type"] == "purchase"]
    assert purchase == {
        "id": "7",
        "type": "purchase",
        "customer_id": "13748",
        "ts": format_instant(order["at"]),  # type: ignore[arg-type]
        "properties": {"amount": 204.5},
        "traceparent": TRACE,
    }
    assert len(set(ids(log))) == 501


async def test_after_a_restart_the_oldest_goes_first_over_all_topics(kafka: str) -> None:
    """Four hours of purchases on three partitions, and of page views, far more of them, on one."""
    buys, views, group = unique("buys"), unique("views"), unique("group")
    await make_topic(kafka, buys, 3, message_timestamp_type="CreateTime")
    await make_topic(kafka, views, 1, message_timestamp_type="CreateTime")
    begin = now_ms() - 4 * HOUR_MS
    few = [(n, begin + n * 60_000) for n in range(240)]
    many = [(1_000 + n, begin + n * 1_440) for n in range(10_000)]
    await send(kafka, buys, [Sent(event(n, at), timestamp_ms=at, partition=n % 3) for n, at in few])
    await send(kafka, views, [Sent(event(n, at, type="page_view"), timestamp_ms=at) for n, at in many])
    stamps = {f"e{n}": at for n, at in (*few, *many)}
    log = MemoryLog(4)
    sources = [Source(buys, group=group), Source(views, group=group)]
    async with Group(kafka, sources, log, MemoryLetters()).running():
        await until(lambda: len(log.written) == len(stamps), 30)
    order = [stamps[each] for each in ids(log)]
    assert order == sorted(order)


async def test_what_was_written_is_committed_and_not_read_again(kafka: str) -> None:
    topic, group = unique("topic"), unique("group")
    await make_topic(kafka, topic, 2)
    await send(kafka, topic, [Sent(event(n), partition=n % 2) for n in range(10)])
    log = MemoryLog()
    intakes = Group(kafka, [Source(topic, group=group)], log, MemoryLetters())
    async with intakes.running():
        await until(lambda: len(log.written) == 10, 30)
    assert await committed(kafka, group, topic, 2) == [5, 5]
    await send(kafka, topic, [Sent(event(n), partition=0) for n in range(10, 12)])
    async with intakes.running():
        await until(lambda: len(log.written) == 12, 30)
    assert sorted(ids(log)) == sorted(f"e{n}" for n in range(12))


async def test_topics_are_read_when_they_appear_and_let_go_when_they_are_gone(kafka: str) -> None:
    first, later, group = unique("first"), unique("later"), unique("group")
    log = MemoryLog()
    intakes = Group(kafka, [Source(first, group=group), Source(later, group=group)], log, MemoryLetters())
    async with intakes.running() as intake:
        await until(lambda: intake.ready, 30)  # with nothing to read
        await make_topic(kafka, first)
        await send(kafka, first, [Sent(event(1))])
        await until(lambda: ids(log) == ["e1"], 30)
        await make_topic(kafka, later)
        await send(kafka, later, [Sent(event(2))])
        await until(lambda: ids(log) == ["e1", "e2"], 30)
        await delete_topic(kafka, first)
        await send(kafka, later, [Sent(event(3))])
        await until(lambda: "e3" in ids(log), 30)
        assert intake.ready


async def test_two_intakes_share_a_source_and_when_one_dies_the_other_reads_all_of_it(kafka: str) -> None:
    topic, group = unique("topic"), unique("group")
    await make_topic(kafka, topic, 6)
    logs = [MemoryLog(), MemoryLog()]
    sources = [Source(topic, group=group)]
    groups = [Group(kafka, sources, log, MemoryLetters()) for log in logs]
    intakes = [each.intake() for each in groups]
    tasks = [asyncio.create_task(intake.run()) for intake in intakes]
    sent, enough = 0, asyncio.Event()

    async def feed() -> None:
        nonlocal sent
        while not enough.is_set():
            await send(kafka, topic, [Sent(event(n), partition=n % 6) for n in range(sent, sent + 60)])
            sent += 60
            await asyncio.sleep(0.05)

    feeding = asyncio.create_task(feed())
    try:
        await until(lambda: all(log.written for log in logs), 30)
        tasks[1].cancel()  # in the middle of whatever it does
        await intakes[1].stop()  # should a client have swallowed that
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[1]
        seen = set(ids(logs[0]))
        await until(lambda: len({int(each[1:]) % 6 for each in set(ids(logs[0])) - seen}) == 6, 30)
    finally:
        enough.set()
        await feeding
    try:
        await until(lambda: set(ids(logs[0])) | set(ids(logs[1])) >= {f"e{n}" for n in range(sent)}, 30)
    finally:
        await intakes[0].stop()
        await tasks[0]
    both = Counter([*ids(logs[0]), *ids(logs[1])])
    assert sum(both.values()) - len(both) <= 5_000  # what was in hand when it died may be there twice


async def test_a_log_that_is_away_for_longer_than_the_session_loses_nothing(kafka: str) -> None:
    topic, group = unique("topic"), unique("group")
    await make_topic(kafka, topic, 2)
    await send(kafka, topic, [Sent(event(n), str(n).encode()) for n in range(100)])
    log = MemoryLog()
    log.away = 1_000_000
    async with Group(kafka, [Source(topic, group=group)], log, MemoryLetters()).running() as intake:
        await until(lambda: intake.reason == "the log is away", 30)
        before = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - before > 8, 30)
        assert await committed(kafka, group, topic, 2) == [0, 0]
        log.written.clear()
        log.away = 0
        await until(lambda: set(ids(log)) == {f"e{n}" for n in range(100)}, 30)
        await until(lambda: intake.ready, 30)


async def test_lag_is_told_in_records_and_seconds(kafka: str) -> None:
    topic, group = unique("topic"), unique("group")
    await make_topic(kafka, topic, 2, message_timestamp_type="CreateTime")
    old = now_ms() - HOUR_MS
    await send(kafka, topic, [Sent(event(n, old), str(n).encode(), old) for n in range(300)])
    metrics, log = CountingMetrics(), MemoryLog()
    log.away = 1_000_000
    settings = None
    async with Group(kafka, [Source(topic, group=group)], log, MemoryLetters(), settings).running(metrics) as intake:
        await until(lambda: intake.reason == "the log is away", 30)
        log.away = 0
        await until(lambda: metrics.counts.get((topic, "accepted"), 0) >= 300, 30)
        await until(lambda: metrics.lags.get(topic) == (0, 0.0), 30)


# -- a broker of its own ----------------------------------------------------------------------------------------------


async def test_a_broker_that_goes_and_comes_back_is_waited_for_and_nothing_is_lost(broker: Broker) -> None:
    topic, group = unique("topic"), unique("group")
    await make_topic(broker.address, topic, 3)
    await send(broker.address, topic, [Sent(event(n), str(n).encode()) for n in range(50)])
    log = MemoryLog()
    async with Group(broker.address, [Source(topic, group=group)], log, MemoryLetters()).running() as intake:
        await until(lambda: len(log.written) == 50, 60)
        await asyncio.to_thread(broker.kill)
        await until(lambda: not intake.ready and "Kafka" in intake.reason, 60)
        await asyncio.to_thread(broker.start)
        await send(broker.address, topic, [Sent(event(n), str(n).encode()) for n in range(50, 100)])
        await until(lambda: set(ids(log)) == {f"e{n}" for n in range(100)}, 60)
        await until(lambda: intake.ready, 60)
