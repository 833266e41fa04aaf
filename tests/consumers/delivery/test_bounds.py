"""What is bounded, and that whatever goes beyond a bound is counted and told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from consumers.delivery.pace import Pace
from consumers.delivery.port import Call, Done, Failed, Later, Outcome, Refused
from consumers.delivery.reads import Reads
from consumers.state.commit import trim_out, trim_triggers
from consumers.state.cursors import CursorInvalid
from consumers.state.store import Store
from tests.consumers.delivery.test_deliveries import by_customer
from tests.consumers.delivery.worlds import (
    BEGIN_MS,
    PARTITIONS,
    QUICK,
    FakeTarget,
    FakeTargets,
    FeedWriter,
    HandClock,
    LeapClock,
    working,
)

CUSTOMERS = [f"c{n}" for n in range(10)]


async def test_what_left_the_feed_before_it_was_read_is_counted_and_told(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget()
    targets = FakeTargets(target)
    async with working(store, targets) as world:
        await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 10)
    for _ in range(3):
        await feed.say(*CUSTOMERS)
    for keys, numbered in zip(feed.keys, feed.numbered, strict=True):
        await trim_out(store, keys, numbered - 4)
    async with working(store, targets) as world:
        await world.until(lambda: len(target.done) == 20)
        await world.rest()
    (standing,) = await Reads(store, PARTITIONS).standings(["sub/a"])
    assert (standing.done, standing.lost, standing.lag) == (20, 20, 0)
    told = (await Reads(store, PARTITIONS).log("sub/a", 10, outcomes=["lost"])).entries
    assert sum(entry.count for entry in told) == 20
    assert "10 transitions had left the feed" in told[0].detail


async def test_events_that_left_the_feed_are_counted_for_actions(store: Store, feed: FeedWriter) -> None:
    def trigger(n: int) -> bytes:
        said = {"id": f"vip:c0:event:e:{n}", "segment": "vip", "type": "e", "customer_id": "c0", "event_id": str(n)}
        return msgspec.json.encode({**said, "ts": BEGIN_MS, "sequence": 1, "event": {}})

    action, hook = FakeTarget("act/vip/a"), FakeTarget("sub/a", wants=lambda item: item.kind != "event")
    targets = FakeTargets(action, hook)
    async with working(store, targets) as world:
        await feed.commit(0, triggers=[trigger(1), trigger(2)])
        await world.until(lambda: len(action.done) == 2)
    for n in range(3, 9):
        await feed.commit(0, triggers=[trigger(n)])
    await trim_triggers(store, feed.keys[0], 7, 1)
    async with working(store, targets) as world:
        await world.until(lambda: len(action.done) >= 4)
        await world.rest()
    kept = [int(item.rpartition(":")[2]) for item in action.done]
    standings = await Reads(store, PARTITIONS).standings(["act/vip/a", "sub/a"])
    assert (standings[0].lost, standings[1].lost) == (8 - len(kept), 0)
    assert standings[0].lost > 0
    assert kept[-2:] == [7, 8]


async def test_the_feed_is_read_no_further_while_too_much_is_parked(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    settings = msgspec.structs.replace(QUICK, parked_max=20, in_hand_max=10)
    target = FakeTarget(wait_ms=3_600_000)
    async with working(store, FakeTargets(target), clock=clock, settings=settings) as world:
        said: list[str] = []
        for _ in range(20):
            said += await feed.say(*CUSTOMERS)
        await world.rest()
        (standing,) = await Reads(store, PARTITIONS).standings(["sub/a"])
        assert standing.parked <= PARTITIONS * (20 + 100), "a write's time more, at most"
        assert standing.lag > 0
        clock.ms += 3_600_000
        await world.until(lambda: len(target.done) == 200)
        assert by_customer(target.done) == by_customer(said)


async def test_the_oldest_dead_letters_go_and_are_counted(store: Store, feed: FeedWriter) -> None:
    settings = msgspec.structs.replace(QUICK, dead_letters_max=3, log_entries_max=5)
    clock = LeapClock()
    target = FakeTarget(answer=lambda call: Refused("no"))
    async with working(store, FakeTargets(target), settings=settings, clock=clock) as world:
        for n in range(8):
            clock.leap_ms += 1_000
            await feed.say("c1")
            await world.until(lambda n=n: len(target.calls) == n + 1)  # type: ignore[misc]
    reads = Reads(store, PARTITIONS)
    (standing,) = await reads.standings(["sub/a"])
    assert (standing.given_up, standing.dead, standing.dead_dropped) == (8, 3, 5)
    assert [item.item_id for item in (await reads.dead("sub/a", 10)).items] == [f"vip:c1:{n}" for n in (8, 7, 6)]


async def test_done_keys_are_remembered_for_thirty_days(store: Store, feed: FeedWriter) -> None:
    clock = LeapClock()
    target = FakeTarget("act/vip/mail", remembers_done=True)
    targets = FakeTargets(target)

    async def again() -> None:
        for keys in feed.keys:  # as if a store had forgotten how far it was
            await store.call("HSET", keys.delivery_cursors, target.id, "0.0.0")

    async with working(store, targets, clock=clock) as world:
        said = await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 10)
    await again()
    reads = Reads(store, PARTITIONS)
    async with working(store, targets, clock=clock) as world:

        async def known() -> bool:
            entries = (await reads.log(target.id, 100, outcomes=["known"])).entries
            return {entry.item_id for entry in entries} == set(said)

        await world.until_true(known)
    assert len(target.calls) == 10
    await again()
    clock.leap_ms += QUICK.done_keys_ms + 1_000
    async with working(store, targets, clock=clock) as world:
        await feed.say(*CUSTOMERS)  # a write of new keys takes the old ones away
        await world.until(lambda: len(target.calls) >= 20)
        await world.rest()
    sizes = [await store.call("ZCARD", keys.delivery("k", target.id)) for keys in feed.keys]
    assert sum(sizes) <= 20
    for keys in feed.keys:
        scores = (await store.call("ZRANGE", keys.delivery("k", target.id), 0, -1, "WITHSCORES"))[1::2]
        assert all(int(float(score)) > BEGIN_MS + QUICK.done_keys_ms for score in scores)


async def test_a_key_is_not_called_twice_before_it_is_written(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget("act/vip/mail", remembers_done=True, concurrency=1, ordered=False)
    target.key = lambda item: item.customer_id  # type: ignore[method-assign]
    slow = msgspec.structs.replace(QUICK, flush_ms=300)
    async with working(store, FakeTargets(target), settings=slow) as world:
        for _ in range(5):
            await feed.say("c1", "c2")
        reads = Reads(store, PARTITIONS)

        async def through() -> bool:
            return len((await reads.log(target.id, 100)).entries) == 10

        await world.until_true(through)
    assert sorted(call.item.customer_id for call in target.calls) == ["c1", "c2"]


async def test_items_of_one_lane_are_never_in_one_batch(store: Store, feed: FeedWriter) -> None:
    together: list[list[str]] = []

    class Batching(FakeTarget):
        async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
            together.append([call.item.customer_id for call in calls])
            self.done += [call.item.id for call in calls]
            await asyncio.sleep(0)
            return [Done() for _ in calls]

    target = Batching("act/vip/ads", batch_max=7, concurrency=3)
    said: list[str] = []
    async with working(store, FakeTargets(target)) as world:
        for _ in range(10):
            said += await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 100)
    assert all(len(set(customers)) == len(customers) <= 7 for customers in together)
    assert max(map(len, together)) > 1
    assert by_customer(target.done) == by_customer(said)


async def test_a_batch_may_end_differently_for_each_item(store: Store, feed: FeedWriter) -> None:
    clock = LeapClock()

    def answer(call: Call) -> Outcome:
        if call.item.customer_id == "c1":
            return Refused("no")
        if call.item.customer_id == "c2" and call.attempt == 1:
            return Failed("not now")
        return Done()

    target = FakeTarget("act/vip/ads", answer=answer, batch_max=10)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say(*CUSTOMERS[:4])
        await world.until(lambda: len(target.calls) == 4)
        await world.rest()
        clock.leap_ms += 6_000
        await world.until(lambda: len(target.done) == 3)
    (standing,) = await Reads(store, PARTITIONS).standings([target.id])
    assert (standing.done, standing.given_up, standing.failed) == (3, 1, 1)


async def test_a_wrong_number_of_outcomes_is_a_failure_of_all(store: Store, feed: FeedWriter) -> None:
    class Short(FakeTarget):
        async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
            self.calls += calls
            return []

    target = Short()
    async with working(store, FakeTargets(target), clock=HandClock()) as world:
        await feed.say("c1")
        await world.until(lambda: len(target.calls) == 1)
    (entry,) = (await Reads(store, PARTITIONS).log("sub/a", 10)).entries
    assert (entry.outcome, entry.detail) == ("failed", "0 outcomes for 1 items")


async def test_a_target_that_cannot_say_what_it_wants_has_dead_letters(store: Store, feed: FeedWriter) -> None:
    def wants(item: object) -> bool:
        raise ValueError

    target = FakeTarget(wants=wants)
    other = FakeTarget("sub/b")
    async with working(store, FakeTargets(target, other)) as world:
        await feed.say("c1", "c2")
        await world.until(lambda: len(other.done) == 2)
        await world.rest()
    page = await Reads(store, PARTITIONS).dead("sub/a", 10)
    assert [item.error for item in page.items] == ["not understood: ValueError"] * 2


def test_a_pace_lets_so_many_begin_a_second() -> None:
    pace, now_s, begun = Pace(0.0), 0.0, 0
    while now_s < 10.0:
        wait_s = pace.wait_s(50.0, now_s)
        if wait_s == 0:
            pace.begin()
            begun += 1
        now_s += wait_s or 0.001
    assert 495 <= begun <= 510
    assert pace.wait_s(None, now_s) == 0
    assert pace.wait_s(0.0, now_s) == float("inf")


async def test_lists_page_over_all_partitions(store: Store, feed: FeedWriter) -> None:
    clock = LeapClock()
    ending: list[Outcome] = [Refused("no")]
    target = FakeTarget(answer=lambda call: ending[0])
    reads = Reads(store, PARTITIONS)
    async with working(store, FakeTargets(target), clock=clock) as world:
        for _ in range(3):
            await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.calls) == 30)
        ending[0] = Later(BEGIN_MS + 10**9, "quiet hours")
        await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.calls) == 40)
    for limit in (1, 7, 100):
        dead, cursor, stamps = [], None, []
        while True:
            page = await reads.dead("sub/a", limit, cursor)
            dead += [item.item_id for item in page.items]
            stamps += [item.last_ms for item in page.items]
            cursor = page.cursor
            if cursor is None:
                break
        assert sorted(dead) == sorted(f"vip:{customer}:{n}" for customer in CUSTOMERS for n in (1, 2, 3))
        assert stamps == sorted(stamps, reverse=True)
        logged, cursor = [], None
        while True:
            entries = await reads.log("sub/a", limit, cursor, outcomes=["later"])
            logged += [entry.item_id for entry in entries.entries]
            cursor = entries.cursor
            if cursor is None:
                break
        assert sorted(logged) == sorted(f"vip:{customer}:4" for customer in CUSTOMERS)
    page = await reads.dead("sub/a", 1)
    for wrong in ("x", "", page.cursor):
        with pytest.raises(CursorInvalid):
            await reads.failing("sub/a", 1, wrong)
    assert [entry.outcome for entry in await reads.item_log("sub/a", "vip:c1:1")] == ["refused"]
    (standing, none) = await reads.standings(["sub/a", "sub/none"])
    assert (standing.waiting, standing.dead, standing.next_ms) == (10, 30, BEGIN_MS + 10**9)
    assert (none.parked, none.lag, none.done) == (0, 0, 0)


async def test_failing_items_are_listed_by_their_next_attempt(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    target = FakeTarget(answer=lambda call: Failed("no", 503))
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say(*CUSTOMERS[:2])
        await world.until(lambda: len(target.calls) == 2)
        await world.rest()
    reads = Reads(store, PARTITIONS)
    one = await reads.failing("sub/a", 1)
    two = await reads.failing("sub/a", 1, one.cursor)
    found = one.items + two.items
    assert sorted(item.item_id for item in found) == ["vip:c0:1", "vip:c1:1"]
    assert [item.attempts for item in found] == [1, 1]
    assert all(BEGIN_MS + 5_000 <= item.next_ms <= BEGIN_MS + 5_500 for item in found)
    assert found[0].next_ms <= found[1].next_ms
    assert {item.status for item in found} == {503}


async def test_of_many_that_wait_only_those_that_are_due_are_in_memory(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    settings = msgspec.structs.replace(QUICK, in_hand_max=40)
    target = FakeTarget(wait_ms=3_600_000, ordered=False, concurrency=5)
    most = 0
    async with working(store, FakeTargets(target), clock=clock, settings=settings) as world:
        for n in range(30):
            await feed.say(*[f"m{m}" for m in range(100)], at_ms=BEGIN_MS + n * 1_000)
        reads = Reads(store, PARTITIONS)

        async def parked() -> bool:
            return (await reads.standings(["sub/a"]))[0].waiting == 3_000

        await world.until_true(parked)
        (runner,) = world.worker._roster.runners.values()
        assert sum(branch.works for branch in runner.branches.values()) == 0

        def done(count: int) -> bool:
            nonlocal most
            most = max(most, sum(branch.works for branch in runner.branches.values()))
            return len(target.done) == count

        clock.ms = BEGIN_MS + 3_600_000 + 9_000
        await world.until(lambda: done(1_000))
        await world.rest()
        assert len(target.done) == 1_000
        clock.ms = BEGIN_MS + 3_600_000 + 29_000
        await world.until(lambda: done(3_000))
    assert 0 < most <= 40


async def test_a_mistake_in_one_target_leaves_the_others_alone(store: Store, feed: FeedWriter) -> None:
    clock = LeapClock()
    broken = [True]

    class Wrong(FakeTarget):
        @property
        def batch_max(self) -> int:
            if broken:
                raise RuntimeError("a mistake")
            return 1

        @batch_max.setter
        def batch_max(self, value: int) -> None: ...

    wrong, well = Wrong("sub/wrong"), FakeTarget("sub/well")
    async with working(store, FakeTargets(wrong, well), clock=clock) as world:
        said = await feed.say(*CUSTOMERS)
        await world.until(lambda: len(well.done) == 10)
        await world.until(lambda: "sub/wrong" not in world.worker._roster.runners)
        said += await feed.say(*CUSTOMERS)
        await world.until(lambda: len(well.done) == 20)
        broken.clear()
        clock.leap_ms += 6_000
        await world.until(lambda: len(wrong.done) == 20)
    assert by_customer(wrong.done) == by_customer(said)
