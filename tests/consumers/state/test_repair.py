"""Positions outside the log: told, moved only when that is accepted, and only where they still stand as looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from consumers.evaluator import Evaluator
from consumers.log.port import START, Appended, NewRecord, Offset
from consumers.log.redis_streams import RedisLog
from consumers.state.commit import Meta
from consumers.state.keys import PartitionKeys
from consumers.state.repair import GAPS_MAX, Gap, Outside, accept_gap, find_outside, position_after, read_gaps
from consumers.state.store import Store
from rules.events import Event
from rules.records import encode_event
from tests.consumers.evaluator.worlds import at_home, members, payload
from tests.consumers.evaluator.worlds import define as definition

META = PartitionKeys(0).meta
DEADLINE_S = 20.0


async def append(log: RedisLog, count: int) -> list[Appended]:
    """One by one: so trimming by number takes what is asked."""
    return [(await log.append([NewRecord(0, b"%d" % n)]))[0] for n in range(count)]


async def stands(store: Store, position: Offset, **more: int | str) -> None:
    fields = {"position": position, "epoch": 4, "owner": "somebody", "trouble": "a gap", "clock": 1_000, **more}
    await store.call("HSET", META, *(part for pair in fields.items() for part in pair))


async def meta(store: Store) -> Meta:
    return Meta.parse(await store.call("HGETALL", META))


async def test_what_was_trimmed_before_it_was_read_is_found_and_accepted(store: Store, log: RedisLog) -> None:
    places = await append(log, 10)
    await stands(store, places[2].offset)
    assert await find_outside(store, log) == []
    await store.call("XTRIM", PartitionKeys(0).log, "MAXLEN", 4)
    (found,) = await find_outside(store, log)
    assert found == Outside(0, places[2].offset, 1_000, places[6], places[9].offset)
    assert not found.beyond
    assert found.missing == places[6].offset - 1 - places[2].offset
    assert await accept_gap(store, found) == ""
    assert await find_outside(store, log) == []
    after = await meta(store)
    assert [r.offset for r in await log.read({0: after.position}, 10, 0)] == [place.offset for place in places[6:]]
    assert (after.epoch, after.owner, after.trouble) == (5, "", "")
    (gap,) = await read_gaps(store, 0)
    assert (gap.position, gap.to) == (places[2].offset, places[6].offset - 1)
    seconds, _ = await store.call("TIME")
    assert abs(gap.at_ms / 1000 - int(seconds)) < 60


async def test_what_has_not_been_read_at_all_is_no_gap(store: Store, log: RedisLog) -> None:
    await append(log, 5)
    await store.call("XTRIM", PartitionKeys(0).log, "MAXLEN", 2)
    assert await find_outside(store, log) == []


async def test_a_log_of_which_nothing_is_left_goes_on_at_its_end(store: Store, log: RedisLog) -> None:
    places = await append(log, 5)
    await store.call("XTRIM", PartitionKeys(0).log, "MAXLEN", 0)
    await stands(store, places[4].offset)
    assert await find_outside(store, log) == []
    await stands(store, places[1].offset)
    (found,) = await find_outside(store, log)
    assert await accept_gap(store, found) == ""
    assert (await meta(store)).position == places[4].offset


@pytest.mark.parametrize("from_start", [False, True])
async def test_beyond_the_end_it_goes_on_with_what_comes_or_from_the_oldest(
    store: Store, log: RedisLog, from_start: bool
) -> None:
    places = await append(log, 3)
    beyond = places[2].offset + 1_000_000
    await stands(store, beyond, shown_position=beyond)
    (found,) = await find_outside(store, log)
    assert found.beyond
    assert found.missing == 0
    assert await accept_gap(store, found, from_start=from_start) == ""
    after = await meta(store)
    expected = places[0].offset - 1 if from_start else places[2].offset
    assert (after.position, after.shown_position) == (expected, expected)
    assert len(await log.read({0: after.position}, 10, 0)) == (3 if from_start else 0)


async def test_a_log_made_anew_and_empty_is_read_from_its_start(store: Store, log: RedisLog) -> None:
    await stands(store, 77)
    (found,) = await find_outside(store, log)
    assert found == Outside(0, 77, 1_000, None, START)
    assert position_after(found) == position_after(found, from_start=True) == START
    assert await accept_gap(store, found) == ""
    assert [(gap.position, gap.to) for gap in await read_gaps(store, 0)] == [(77, START)]


async def test_a_position_that_has_moved_meanwhile_is_left_alone(store: Store, log: RedisLog) -> None:
    places = await append(log, 3)
    await stands(store, places[2].offset + 5)
    (found,) = await find_outside(store, log)
    await stands(store, places[1].offset)
    before = await store.call("HGETALL", META)
    assert await accept_gap(store, found) == f"position {places[1].offset} is its last, not {places[2].offset + 5}"
    assert await store.call("HGETALL", META) == before


async def test_the_newest_gaps_are_remembered(store: Store) -> None:
    for nth in range(GAPS_MAX + 3):
        await stands(store, 100 + nth)
        assert await accept_gap(store, Outside(0, 100 + nth, 0, None, START)) == ""
    gaps = await read_gaps(store, 0)
    assert [gap.position for gap in gaps] == [103 + nth for nth in range(GAPS_MAX)]
    assert gaps == sorted(gaps, key=lambda gap: gap.at_ms)
    assert isinstance(gaps[0], Gap)


@pytest.mark.parametrize(
    ("lost_to", "lost_position", "expected"),
    [(0, 500, 500), (9, 500, 120), (9, 80, 80), (9, 2**62, 120)],
    ids=["no roll-back", "beyond the end", "still there", "greater than a float holds"],
)
async def test_what_was_lost_by_a_roll_back_and_is_gone_from_the_log_is_not_waited_for(
    store: Store, lost_to: int, lost_position: Offset, expected: Offset
) -> None:
    await stands(store, 50, lost_to=lost_to, lost_position=lost_position)
    assert await accept_gap(store, Outside(0, 50, 0, Appended(0, 100, 0), 120)) == ""
    after = await meta(store)
    assert (after.position, after.lost_position) == (99, expected)


async def test_offsets_are_compared_exactly(store: Store) -> None:
    last = 2**62
    await stands(store, last + 2, shown_position=last + 1)
    assert await accept_gap(store, Outside(0, last + 2, 0, Appended(0, 5, 0), last)) == ""
    after = await meta(store)
    assert (after.position, after.shown_position) == (last, last)


async def test_a_running_evaluator_stops_at_a_gap_and_goes_on_once_it_is_accepted(store: Store, log: RedisLog) -> None:
    customer = at_home(0)
    now = int(time.time() * 1000)
    views = [Event("page_view", customer, now - n, f"e{n}", {}) for n in range(4)]
    await log.append([NewRecord(p, payload(definition("active"))) for p in range(2)])
    (first,) = await log.append([NewRecord(0, encode_event(views[0]))])
    await stands(store, first.offset - 100_000_000)
    evaluator = Evaluator(store, log)
    running = asyncio.create_task(evaluator.run())
    try:
        await until("it stops", lambda: "is outside the log" in evaluator.reason)
        assert not evaluator.ready
        (found,) = await find_outside(store, log)
        assert await accept_gap(store, found) == ""
        await until("it goes on", lambda: evaluator.ready)
        await log.append([NewRecord(0, encode_event(view)) for view in views[1:]])
        places = await log.append([NewRecord(0, payload(None))])

        async def has_read(offset: Offset) -> bool:
            return (await meta(store)).position >= offset

        await until("it has read all", lambda: has_read(places[0].offset))
        assert set(await members(store, "active")) == {customer}
    finally:
        await evaluator.stop()
        await running


async def until(what: str, holds: Callable[[], Awaitable[bool] | bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        held = holds()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)
