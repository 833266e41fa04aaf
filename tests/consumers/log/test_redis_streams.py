"""What everybody may rely on of the log."""

from __future__ import annotations

import asyncio
import time

import pytest

from consumers.log.port import START, NewRecord, PositionOutside
from consumers.log.redis_streams import RedisLog, Retention
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store


async def test_records_come_back_in_order_with_their_timestamps(log: RedisLog) -> None:
    places = await log.append([NewRecord(0, b"a"), NewRecord(1, b"b"), NewRecord(0, b"\x00\xff")])
    records = await log.read({0: START, 1: START}, 100, 0)
    assert [(r.partition, r.payload) for r in records] == [(0, b"a"), (0, b"\x00\xff"), (1, b"b")]
    assert {(r.partition, r.offset, r.timestamp_ms) for r in records} == set(places)
    assert places[0].offset < places[2].offset
    assert abs(places[0].timestamp_ms - time.time() * 1000) < 60_000


async def test_reading_goes_on_after_the_position_given(log: RedisLog) -> None:
    places = await log.append([NewRecord(0, b"%d" % n) for n in range(5)])
    records = await log.read({0: places[1].offset}, 2, 0)
    assert [r.payload for r in records] == [b"2", b"3"]
    assert await log.read({0: places[4].offset}, 2, 0) == []


async def test_more_than_fits_one_call_keeps_its_order(log: RedisLog) -> None:
    places = await log.append([NewRecord(0, b"%d" % n) for n in range(12_000)])
    assert len({place.offset for place in places}) == 12_000
    assert places == sorted(places)
    records = await log.read({0: START}, 20_000, 0)
    assert [int(r.payload) for r in records] == list(range(12_000))


async def test_offsets_grow_where_the_clock_was_set_back(store: Store, log: RedisLog) -> None:
    ahead_ms = int(time.time() * 1000) + 3_600_000
    await store.call("XADD", PartitionKeys(0).log, f"{ahead_ms}-600000", "d", b"from a clock ahead")
    first, second = await log.append([NewRecord(0, b"a"), NewRecord(0, b"b")])
    assert first.timestamp_ms == second.timestamp_ms == ahead_ms + 1
    assert [r.payload for r in await log.read({0: START}, 9, 0)] == [b"from a clock ahead", b"a", b"b"]


async def test_a_waiting_reader_is_woken(log: RedisLog) -> None:
    reading = asyncio.create_task(log.read({0: START, 1: START}, 10, 5_000))
    await asyncio.sleep(0.05)
    await log.append_own([NewRecord(1, b"tick")])
    assert [r.payload for r in await reading] == [b"tick"]


async def test_lags_and_bounds_tell_the_ends(log: RedisLog) -> None:
    assert await log.bounds() == [(None, START), (None, START)]
    places = await log.append([NewRecord(0, b"%d" % n) for n in range(700)])
    first, last = (await log.bounds())[0]
    assert (first, last) == (places[0], places[-1].offset)
    lags = await log.lags({0: START, 1: START})
    assert lags[0] == (places[-1].offset, 700, places[-1].timestamp_ms)
    assert lags[1] == (START, 0, 0)
    assert (await log.lags({0: places[-3].offset}))[0].records == 2


async def test_trimming_never_passes_the_slowest_reader(store: Store) -> None:
    log = RedisLog(store, 2, Retention(records_max=100))
    places = await log.append([NewRecord(0, b"x" * 200) for _ in range(3_000)])
    assert await log.trim({0: START}) == 0
    assert await log.trim({1: places[-1].offset}) == 0
    position = places[999].offset
    assert await log.trim({0: position}) > 0
    first, _ = (await log.bounds())[0]
    assert first is not None
    assert first.offset <= position + 1
    rest = await log.read({0: position}, 5_000, 0)
    assert len(rest) == 2_000


async def test_trimming_keeps_what_retention_keeps(store: Store) -> None:
    log = RedisLog(store, 1, Retention(records_max=1_000))
    places = await log.append([NewRecord(0, b"x" * 200) for _ in range(3_000)])
    await log.trim({0: places[-1].offset})
    kept = await log.read({0: START}, 5_000, 0)
    assert 1_000 <= len(kept) < 1_200  # whole nodes go


async def test_old_records_are_trimmed_by_the_logs_own_time(store: Store) -> None:
    log = RedisLog(store, 1, Retention(ms=1_000, records_max=10_000))
    stream = PartitionKeys(0).log
    for n in range(300):
        await store.call("XADD", stream, f"{1_000 + n}-0", "d", b"old" * 100)
    await store.call("XADD", stream, "100000-0", "d", b"new")
    await log.trim({0: (100_000 << 20)})
    kept = await log.read({0: START}, 5_000, 0)
    assert len(kept) < 100
    assert kept[-1].payload == b"new"


async def test_the_number_of_partitions_cannot_change(store: Store, log: RedisLog) -> None:
    await log.prepare()
    with pytest.raises(ValueError, match="2 partitions, not 3"):
        await RedisLog(store, 3).prepare()


async def test_a_server_that_keeps_nothing_on_disk_is_refused(store: Store, log: RedisLog) -> None:
    await store.call("CONFIG", "SET", "appendonly", "no")
    try:
        with pytest.raises(ValueError, match="appendonly yes"):
            await log.prepare()
    finally:
        await store.call("CONFIG", "SET", "appendonly", "yes")


@pytest.mark.parametrize("trim_to", [6, 10])
async def test_what_was_dropped_before_it_was_read_is_never_skipped_in_silence(
    store: Store, log: RedisLog, trim_to: int
) -> None:
    places = [(await log.append([NewRecord(0, b"%d" % n)]))[0] for n in range(10)]
    stream = PartitionKeys(0).log
    await store.call("XTRIM", stream, "MAXLEN", 10 - trim_to)
    with pytest.raises(PositionOutside) as told:
        await RedisLog(store, 2).read({0: places[4].offset}, 100, 0)
    assert (told.value.partition, told.value.position) == (0, places[4].offset)
    first = places[6].offset if trim_to < 10 else places[9].offset + 1
    assert (told.value.first, told.value.end) == (first, places[9].offset if trim_to < 10 else START)
    assert len(await log.read({0: START}, 100, 0)) == 10 - trim_to
    assert await log.read({0: places[9].offset}, 100, 0) == []


async def test_a_position_beyond_the_end_is_told(log: RedisLog) -> None:
    (place,) = await log.append([NewRecord(0, b"a")])
    with pytest.raises(PositionOutside, match=f"the log keeps {place.offset} to {place.offset}"):
        await log.read({0: place.offset + 1, 1: START}, 100, 0)


async def test_the_record_of_a_reader_that_is_far_behind_outlives_trimming(store: Store) -> None:
    log = RedisLog(store, 1, Retention(records_max=10))
    places = await log.append([NewRecord(0, b"x" * 2_000) for _ in range(1_000)])
    for place in places[100:130]:
        await log.trim({0: place.offset})
        assert len(await RedisLog(store, 1).read({0: place.offset}, 5_000, 0)) == 999 - places.index(place)
