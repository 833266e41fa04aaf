"""The log's port on a real broker: appends, positions, gaps, transactions, lags."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import START, NewRecord, Offset
from tests.consumers.log.kafka.conftest import PARTITIONS
from tests.consumers.log.kafka.reading import delete_before, payloads, read_all

# -- appending --------------------------------------------------------------------------------------------------------


async def test_an_append_tells_each_records_place_and_the_logs_own_time(log: KafkaLog) -> None:
    before_ms = time.time_ns() // 1_000_000
    places = await log.append([NewRecord(0, b"a", "ana"), NewRecord(1, b"b"), NewRecord(0, b"c", "bob")])
    assert [(place.partition, place.offset) for place in places] == [(0, 0), (1, 0), (0, 1)]
    records = await read_all(log, {0: START, 1: START}, 3)
    assert payloads(records, 0) == [b"a", b"c"]
    assert payloads(records, 1) == [b"b"]
    stamps = {(record.partition, record.offset): record.timestamp_ms for record in records}
    assert [stamps[place.partition, place.offset] for place in places] == [place.timestamp_ms for place in places]
    assert all(before_ms - 1 <= stamp <= time.time_ns() // 1_000_000 + 1 for stamp in stamps.values())
    assert await log.append([]) == []


async def test_the_key_is_the_customers_id_and_the_services_own_records_have_none(log: KafkaLog) -> None:
    await log.append([NewRecord(0, b"event", "ana"), NewRecord(0, b"tick")])
    consumer = AIOKafkaConsumer(bootstrap_servers=log.settings.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(log.settings.events_topic, 0)])
    try:
        keys = [(await consumer.getone()).key for _ in range(2)]
    finally:
        await consumer.stop()
    assert keys == [b"ana", None]


async def test_appends_of_many_at_once_are_each_told_their_own_places_in_order(log: KafkaLog) -> None:
    async def one(n: int) -> None:
        mine = [NewRecord(i % PARTITIONS, f"{n}:{i}".encode(), "k" * n) for i in range(7)]
        for entry, place in zip(mine, await log.append(mine), strict=True):
            told[place.partition, place.offset] = entry.payload

    told: dict[tuple[int, Offset], bytes] = {}
    await asyncio.gather(*(one(n) for n in range(100)))
    records = await read_all(log, {0: START, 1: START}, 700)
    assert {(record.partition, record.offset): record.payload for record in records} == told
    for partition in range(PARTITIONS):
        mine = payloads(records, partition)
        for n in range(100):
            own = [int(payload.split(b":")[1]) for payload in mine if payload.startswith(b"%d:" % n)]
            assert own == sorted(own)


async def test_a_large_append_goes_out_in_several_batches_and_stays_in_order(log: KafkaLog) -> None:
    payload = b"x" * 1000
    places = await log.append([NewRecord(0, b"%06d" % n + payload) for n in range(2000)])
    assert [place.offset for place in places] == list(range(2000))
    records = await read_all(log, {0: START}, 2000, 700)
    assert [int(record.payload[:6]) for record in records] == list(range(2000))


async def test_one_record_may_be_larger_than_a_batch_and_one_too_large_is_a_mistake(log: KafkaLog) -> None:
    (place,) = await log.append([NewRecord(0, b"x" * 900_000)])
    (record,) = await read_all(log, {0: START}, 1)
    assert (record.offset, len(record.payload)) == (place.offset, 900_000)
    with pytest.raises(ValueError, match="too large"):
        await log.append([NewRecord(0, b"x" * 3_000_000)])
    (after,) = await log.append([NewRecord(0, b"goes on")])
    assert after.offset == place.offset + 1


async def test_an_append_that_is_cancelled_does_not_disturb_the_next(log: KafkaLog) -> None:
    tasks = [asyncio.create_task(log.append([NewRecord(0, b"cut")])) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    (place,) = await log.append([NewRecord(0, b"next")])
    records = await read_all(log, {0: place.offset - 1}, 1)
    assert records[0].payload == b"next"


# -- reading ----------------------------------------------------------------------------------------------------------


async def test_a_read_gives_at_most_so_many_a_partition_and_goes_on_where_the_caller_says(log: KafkaLog) -> None:
    await log.append([NewRecord(n % 2, b"%d" % n) for n in range(20)])
    records = await read_all(log, {0: START, 1: START}, 20, 3)
    assert [int(each) for each in payloads(records, 0)] == list(range(0, 20, 2))
    assert [int(each) for each in payloads(records, 1)] == list(range(1, 20, 2))
    assert 1 <= len(await log.read({0: START, 1: 7}, 3, 1000)) <= 6
    again = await read_all(log, {0: 4, 1: 7}, 5 + 2)
    assert [record.offset for record in again if record.partition == 0] == [5, 6, 7, 8, 9]
    assert [record.offset for record in again if record.partition == 1] == [8, 9]


async def test_who_has_caught_up_is_given_all_that_is_there_when_it_reads(log: KafkaLog) -> None:
    """... and not first what had come soon after it read before, and was fetched ahead."""
    await log.append([NewRecord(0, b"first", "c")])
    (first,) = await read_all(log, {0: START}, 1)
    for payload in (b"soon", b"later"):
        await log.append([NewRecord(0, payload, "c")])
        await asyncio.sleep(0.1)
    found = await log.read({0: first.offset}, 100, 1000)
    assert payloads(found, 0) == [b"soon", b"later"]
    await log.append([NewRecord(0, b"last", "c")])
    assert payloads(await log.read({0: found[-1].offset}, 100, 0), 0) == [b"last"], "also for who does not wait"


async def test_records_that_the_caller_dropped_are_given_again(log: KafkaLog) -> None:
    await log.append([NewRecord(0, b"%d" % n) for n in range(10)])
    assert [record.offset for record in await read_all(log, {0: START}, 10)] == list(range(10))
    assert [record.offset for record in await read_all(log, {0: 3}, 6)] == [4, 5, 6, 7, 8, 9]


async def test_partitions_come_and_go_between_reads(log: KafkaLog) -> None:
    await log.append([NewRecord(n % 2, b"%d" % n) for n in range(8)])
    first = await read_all(log, {0: START}, 4)
    both = await read_all(log, {0: first[-1].offset, 1: START}, 4)
    assert {record.partition for record in both} == {1}
    await log.append([NewRecord(n % 2, b"%d" % n) for n in range(8, 12)])
    assert [record.payload for record in await read_all(log, {1: 3}, 2)] == [b"9", b"11"]
    assert [record.payload for record in await read_all(log, {0: 3, 1: 5}, 2)] == [b"8", b"10"]


async def test_a_read_with_nothing_to_give_ends_in_time_and_one_that_waits_is_woken(log: KafkaLog) -> None:
    began = time.monotonic()
    assert await log.read({0: START, 1: START}, 10, 300) == []
    assert 0.25 < time.monotonic() - began < 5
    assert await log.read({}, 10, 10) == []
    reading = asyncio.create_task(log.read({0: START, 1: START}, 10, 20_000))
    await asyncio.sleep(0.1)
    await log.append([NewRecord(1, b"wake")])
    assert [record.payload for record in await asyncio.wait_for(reading, 10)] == [b"wake"]


async def test_a_read_that_is_cancelled_loses_nothing(log: KafkaLog) -> None:
    position = START
    for n in range(20):
        reading = asyncio.create_task(log.read({0: position, 1: START}, 10, 20_000))
        await asyncio.sleep(0.003 * (n % 5))
        reading.cancel()
        await asyncio.wait({reading})  # cancelled; or just done, and then the caller drops what it got
        await log.append([NewRecord(0, b"%d" % n)])
        if n % 3 == 0:
            position = (await read_all(log, {0: position, 1: START}, n - position))[-1].offset
    assert [record.payload for record in await read_all(log, {0: 3, 1: START}, 16)] == [b"%d" % n for n in range(4, 20)]


async def test_headers_and_values_of_other_publishers(log: KafkaLog, publisher: AIOKafkaProducer) -> None:
    topic = log.settings.events_topic
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = [("other", b"x"), ("traceparent", trace.encode())]
    await publisher.send_and_wait(topic, b"traced", partition=0, headers=headers)
    await publisher.send_and_wait(topic, None, key=b"ana", partition=0)
    await publisher.send_and_wait(topic, b"odd", partition=0, headers=[("traceparent", b"\xff")])
    records = await read_all(log, {0: START}, 3)
    assert [(record.payload, record.traceparent) for record in records[:2]] == [(b"traced", trace), (b"", "")]
    assert records[2].payload == b"odd"


async def test_a_recorded_log_keeps_the_records_own_time(settings: KafkaSettings, publisher: AIOKafkaProducer) -> None:
    log = KafkaLog(msgspec.structs.replace(settings, log_time="create"))
    await log.prepare()
    await publisher.send_and_wait(settings.events_topic, b"old", partition=0, timestamp_ms=1_000_000_000_000)
    (record,) = await read_all(log, {0: START}, 1)
    assert record.timestamp_ms == 1_000_000_000_000
    (place,) = await log.append([NewRecord(0, b"ours")])
    (ours,) = await read_all(log, {0: 0}, 1)
    assert ours.timestamp_ms == place.timestamp_ms
    assert (await log.lags({0: START}))[0].newest_ms == 0  # not known without reading it
    await log.close()


# -- reading beside, and how far it is --------------------------------------------------------------------------------


async def test_old_records_are_read_again_beside(log: KafkaLog) -> None:
    await log.append([NewRecord(n % 2, b"%d" % n) for n in range(10)])
    records = await read_all(log, {0: START, 1: START}, 10)
    assert len(records) == 10
    both = await asyncio.gather(log.reread(0, START, 2), log.reread(1, 1, 10), log.reread(0, 1, 2))
    assert [[record.payload for record in each] for each in both] == [[b"0", b"2"], [b"5", b"7", b"9"], [b"4", b"6"]]
    assert await log.reread(0, 4, 10) == []
    await log.append([NewRecord(0, b"new")])
    assert [record.payload for record in await log.reread(0, 4, 10)] == [b"new"]
    assert [record.payload for record in await read_all(log, {0: 4, 1: 4}, 1)] == [b"new"]


async def test_bounds_and_lags_tell_the_ends(log: KafkaLog) -> None:
    assert await log.bounds() == [(None, START), (None, START)]
    assert await log.lags({0: START, 1: START}) == {0: (START, 0, 0), 1: (START, 0, 0)}
    places = await log.append([NewRecord(0, b"%d" % n) for n in range(10)])
    assert await log.bounds() == [(places[0], 9), (None, START)]
    now_ms = time.time_ns() // 1_000_000
    lag = (await log.lags({0: 3}))[0]
    assert (lag.end, lag.records) == (9, 6)
    assert lag.newest_ms >= now_ms
    assert (await log.lags({0: 3}, records_max=2))[0].records == 2
    assert (await log.lags({0: 9}))[0] == (9, 0, 0)
    assert (await log.lags({0: 8}))[0].records == 1
    await delete_before(log.settings, 0, 10)
    assert await log.bounds() == [(None, 9), (None, START)]
    assert (await log.lags({0: START}))[0] == (9, 0, 0)
    assert await log.trim({0: 9}) == 0


# -- transactions of publishers ---------------------------------------------------------------------------------------


async def test_only_what_was_committed_is_read_and_markers_are_no_lag(log: KafkaLog) -> None:
    topic = log.settings.events_topic
    producer = AIOKafkaProducer(bootstrap_servers=log.settings.bootstrap_servers, transactional_id=f"tx-{topic}")
    await producer.start()
    try:
        for payload, commits in ((b"one", True), (b"never", False), (b"two", True)):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, payload, partition=0)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
        records = await read_all(log, {0: START, 1: START}, 2)
        assert [(record.offset, record.payload) for record in records] == [(0, b"one"), (4, b"two")]
        assert (await log.lags({0: 4, 1: START}))[0].records == 0  # though offset 5 is a marker
        other = KafkaLog(log.settings)
        assert (await other.lags({0: 4}))[0].records == 0
        assert (await other.lags({0: 0}))[0].records > 0
        await other.close()
        assert await log.reread(0, 4, 5) == []
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open", partition=0)
        await log.append([NewRecord(0, b"after")])
        assert await log.read({0: 4, 1: START}, 10, 400) == []  # nobody overtakes an open transaction
        await producer.commit_transaction()
        records = await read_all(log, {0: 4, 1: START}, 2)
        assert [record.payload for record in records] == [b"open", b"after"]
    finally:
        await producer.stop()
