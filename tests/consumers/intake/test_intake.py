"""The loop over its ports: what goes on, what is set aside, what is waited for, and what a crash repeats."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from consumers import failpoints
from consumers.intake.intake import Intake
from consumers.intake.port import Place
from consumers.intake.settings import IntakeSettings
from consumers.intake.sources import Source, default_sources
from consumers.log.dead_letters import Origin
from consumers.log.partition import partition_of
from consumers.log.port import NewRecord
from rules.errors import Unavailable
from tests.consumers.intake.worlds import (
    HOUR_MS,
    NOW_MS,
    CountingMetrics,
    MemoryClock,
    MemoryLetters,
    MemoryLog,
    MemoryReader,
    Topic,
    native,
    until,
)

BUYS, VIEWS = "events.purchase", "events.page_view"


class World:
    """An intake and all it stands between."""

    def __init__(self, **settings: int | float) -> None:
        self.reader, self.log, self.letters = MemoryReader(), MemoryLog(), MemoryLetters()
        self.metrics, self.clock = CountingMetrics(), MemoryClock()
        self.settings = IntakeSettings(**{"retry_s": 0.001, "lag_s": 0.0, "poll_ms": 1, **settings})  # type: ignore[arg-type]
        self.sources: list[Source] = list(default_sources())
        self.intake = self.started_anew()

    def started_anew(self) -> Intake:
        self.intake = Intake(
            self.sources,
            self.reader,
            self.log,
            self.letters,
            clock=self.clock,
            settings=self.settings,
            metrics=self.metrics,
        )
        return self.intake

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Intake]:
        task = asyncio.create_task(self.intake.run())
        try:
            yield self.intake
        finally:
            await self.intake.stop()
            await task

    async def until(self, done: Callable[[], bool]) -> None:
        """Runs until it has come to that."""
        async with self.running():
            await until(done)

    def all_committed(self) -> bool:
        return all(topic.committed == len(topic.records) for topic in self.reader.topics.values())


@pytest.fixture
def world() -> World:
    return World()


async def test_an_event_goes_on_to_its_customers_partition_in_native_form(world: World) -> None:
    world.reader.add(BUYS, 0, (NOW_MS, native("ana", properties={"amount": 5.0})))
    await world.until(world.all_committed)
    [record] = world.log.written
    assert (record.partition, record.key) == (partition_of("ana", 4), "ana")
    assert json.loads(record.payload) == json.loads(native("ana", properties={"amount": 5.0}))
    assert world.metrics.counts == {(BUYS, "accepted"): 1}


async def test_the_oldest_record_goes_first_after_a_restart_and_nothing_is_overtaken_by_an_hour(world: World) -> None:
    """Three hours lie there of both topics; one is read in small pieces, and the other all at once."""
    begin, minute = NOW_MS - 3 * HOUR_MS, HOUR_MS // 60
    for partition in range(3):
        buys = [(begin + n * 7 * minute + partition, native(id=f"b{n}-{partition}")) for n in range(25)]
        world.reader.add(BUYS, partition, *buys)
    views = [(begin + n * minute, native(type="page_view", id=f"v{n}")) for n in range(180)]
    world.reader.add(VIEWS, 0, *views)
    await world.until(world.all_committed)
    stamps = {json.loads(r.value or b"")["id"]: r.timestamp_ms for t in world.reader.topics.values() for r in t.records}
    order = [stamps[event["id"]] for event in world.log.events]
    assert len(order) == 25 * 3 + 180
    assert order == sorted(order)


async def test_a_bad_record_is_set_aside_with_reason_and_origin_and_the_stream_goes_on(world: World) -> None:
    world.reader.add(BUYS, 0, (NOW_MS, native(id="1")), (NOW_MS + 1, b"\x1f\x8b\x08"), (NOW_MS + 2, native(id="2")))
    world.reader.topics[Place(BUYS, 0)].records[1] = world.reader.topics[Place(BUYS, 0)].records[1]._replace(key=b"k")
    await world.until(world.all_committed)
    assert [event["id"] for event in world.log.events] == ["1", "2"]
    [letter] = world.letters.letters
    assert (letter.source, letter.origin) == (BUYS, Origin(BUYS, 0, 1, NOW_MS + 1))
    assert (letter.raw, letter.key) == (b"\x1f\x8b\x08", b"k")
    assert letter.reason == "is not UTF-8 (byte 1)"
    assert world.metrics.counts == {(BUYS, "accepted"): 2, (BUYS, "rejected"): 1}
    assert world.metrics.dead == 1


async def test_the_log_away_is_waited_for_and_nothing_is_lost(world: World) -> None:
    world.log.away = 7
    world.reader.add(BUYS, 0, *((NOW_MS + n, native(id=str(n))) for n in range(10)))
    reasons: set[str] = set()

    def done() -> bool:
        reasons.add(world.intake.reason)
        assert world.intake.ready == (world.intake.reason == "reading")
        return world.all_committed()

    await world.until(done)
    assert "the log is away" in reasons
    assert {event["id"] for event in world.log.events} == {str(n) for n in range(10)}
    assert (world.intake.ready, world.intake.reason, world.reader.closed) == (False, "stopped", True)


@pytest.mark.parametrize("part", ["sources", "letters", "coordinator"])
async def test_whatever_else_is_away_is_waited_for(world: World, part: str) -> None:
    world.reader.add(BUYS, 0, (NOW_MS, native(id="1")), (NOW_MS, b"{"), (NOW_MS, native(id="2")))
    world.reader.away = 3 if part == "sources" else 0
    world.letters.away = 3 if part == "letters" else 0
    world.reader.commits_away = 3 if part == "coordinator" else 0
    await world.until(world.all_committed)
    assert [event["id"] for event in world.log.events] == ["1", "2"]
    assert [letter.origin.offset for letter in world.letters.letters] == [1]


async def test_offsets_that_could_not_be_committed_are_committed_later_without_new_records(world: World) -> None:
    world.reader.commits_away = 2
    world.reader.add(BUYS, 0, (NOW_MS, native()))
    await world.until(world.all_committed)
    assert len(world.log.written) == 1


async def test_a_stop_while_the_log_is_away_commits_nothing(world: World) -> None:
    world.log.away = 1_000_000
    world.reader.add(BUYS, 0, (NOW_MS, native()))
    async with world.running():
        await until(lambda: world.intake.reason == "the log is away")
    assert world.reader.topics[Place(BUYS, 0)].committed == 0


STEPS = ["intake.1.after", "intake.3.after", "intake.4.after", "intake.5.after", "intake.6.after"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_loses_nothing_and_repeats_only_whole_records(world: World, step: str) -> None:
    class Crash(Exception):
        pass

    def crash(place: str) -> None:
        if place == step and world.log.batches:
            raise Crash

    world.reader.chunk = 2
    bodies = [b"[]" if n % 3 == 2 else native(id=str(n)) for n in range(9)]
    world.reader.add(BUYS, 0, *((NOW_MS + n, body) for n, body in enumerate(bodies)))
    failpoints.set_hook(crash)
    try:
        with pytest.raises(Crash):
            await asyncio.wait_for(world.intake.run(), 10)
    finally:
        failpoints.set_hook(None)
    world.reader.rebalance(list(world.reader.assigned))
    world.started_anew()
    await world.until(world.all_committed)
    ids = [event["id"] for event in world.log.events]
    assert sorted(set(ids)) == ["0", "1", "3", "4", "6", "7"]
    assert len(ids) <= 6 + 2  # of the one batch that was in hand
    assert {letter.origin.offset for letter in world.letters.letters} == {2, 5, 8}


async def test_a_partition_that_is_taken_away_is_dropped_after_the_batch_in_hand(world: World) -> None:
    """The other member reads on from what is committed; what was held here of the partition is not written."""
    world.reader.chunk = 100
    world.settings = IntakeSettings(batch_records_max=2, lag_s=0.0, poll_ms=1)
    world.started_anew()
    world.reader.add(BUYS, 0, *((NOW_MS + n, native(id=f"kept{n}")) for n in range(10)))
    gone = world.reader.add(BUYS, 1, *((NOW_MS + n, native(id=f"gone{n}")) for n in range(10)))
    append = world.log.append

    async def rebalance_meanwhile(records: list[object]) -> object:
        if gone.committed >= 2:
            world.reader.rebalance([Place(BUYS, 0)])
            world.log.append = append  # type: ignore[method-assign]
        return await append(records)  # type: ignore[arg-type]

    world.log.append = rebalance_meanwhile  # type: ignore[method-assign, assignment]
    await world.until(lambda: world.reader.topics[Place(BUYS, 0)].committed == 10)
    ids = [event["id"] for event in world.log.events]
    assert {f"kept{n}" for n in range(10)} <= set(ids)
    assert 2 <= gone.committed < 10
    assert {each for each in ids if each.startswith("gone")} <= {f"gone{n}" for n in range(gone.committed + 2)}


async def test_a_source_that_brings_nothing_does_not_hold_the_others_up_for_ever(world: World) -> None:
    world.reader.add(BUYS, 0, (NOW_MS, native()))
    silent: Topic = world.reader.add(VIEWS, 0, (NOW_MS - HOUR_MS, native(type="page_view", id="late")))
    silent.there = 0
    async with world.running():
        await asyncio.sleep(0.05)
        assert world.log.written == []
        world.clock.steady_s = 20.0
        await until(lambda: len(world.log.written) == 1)
        silent.there = None
        await until(world.all_committed)


async def test_records_that_retention_dropped_unread_are_counted(world: World) -> None:
    world.reader.add(BUYS, 0, (NOW_MS, native()))
    world.reader.missed = {Place(BUYS, 0): 41}
    await world.until(world.all_committed)
    assert world.metrics.counts == {(BUYS, "missed"): 41, (BUYS, "accepted"): 1}


async def test_lag_is_told_for_each_source_and_ends_at_nothing(world: World) -> None:
    world.reader.add(BUYS, 0, (NOW_MS - HOUR_MS, native()))
    world.reader.add(BUYS, 1, (NOW_MS - 2 * HOUR_MS, native(id="2")), (NOW_MS, native(id="3")))
    blocking = world.reader.add(VIEWS, 0, (NOW_MS, native(type="page_view")))
    blocking.there = 0
    async with world.running():
        await until(lambda: BUYS in world.metrics.lags)
        assert world.metrics.lags[BUYS] == (3, 7200.0)
        assert world.metrics.lags[VIEWS] == (1, 0.0)
        blocking.there = None
        await until(lambda: set(world.metrics.lags.values()) == {(0, 0.0)})
    assert set(world.metrics.lags) == {source.topic for source in default_sources()}


async def test_lag_is_told_while_the_log_is_away_with_the_batch_in_hand(world: World) -> None:
    world.log.away = 1_000_000
    world.reader.add(BUYS, 0, *((NOW_MS - HOUR_MS + n, native(id=str(n))) for n in range(5)))
    async with world.running():
        await until(lambda: world.metrics.lags.get(BUYS) == (5, 3600.0))


async def test_a_log_too_slow_for_a_whole_batch_gets_smaller_pieces_and_each_record_once(world: World) -> None:
    append = world.log.append

    async def slow(records: list[NewRecord]) -> object:
        if len(records) > 60:
            raise Unavailable("the log did not answer in time", 0.001)
        return await append(records)

    world.reader.chunk = 1_000
    world.log.append = slow  # type: ignore[method-assign, assignment]
    world.reader.add(BUYS, 0, *((NOW_MS + n, native(id=str(n))) for n in range(400)))
    await world.until(world.all_committed)
    assert [event["id"] for event in world.log.events] == [str(n) for n in range(400)]
    assert world.log.batches == [50] * 8


async def test_lag_that_is_not_known_is_not_told(world: World) -> None:
    topic = world.reader.add(BUYS, 0, (NOW_MS, native()))
    topic.known, topic.there = False, 0
    async with world.running():
        await until(lambda: VIEWS in world.metrics.lags)
        assert BUYS not in world.metrics.lags


async def test_letters_larger_than_a_put_takes_go_in_several() -> None:
    world = World(letters_bytes_max=1_000)
    world.reader.chunk = 100
    puts: list[int] = []
    put = world.letters.put

    async def counted(letters: list[object]) -> None:
        puts.append(len(letters))
        await put(letters)  # type: ignore[arg-type]

    world.letters.put = counted  # type: ignore[method-assign, assignment]
    world.reader.add(BUYS, 0, *((NOW_MS, b"x" * 600) for _ in range(5)))
    await world.until(world.all_committed)
    assert puts == [2, 2, 1]


async def test_a_mistake_of_the_program_ends_the_loop_and_closes_the_reader(world: World) -> None:
    async def broken(*_: object) -> Awaitable[object]:
        raise ZeroDivisionError

    world.log.append = broken  # type: ignore[method-assign, assignment]
    world.reader.add(BUYS, 0, (NOW_MS, native()))
    with suppress(TimeoutError), pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(world.intake.run(), 5)
    assert world.reader.closed
