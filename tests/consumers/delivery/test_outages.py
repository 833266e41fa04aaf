"""A receiver that is away, hangs, or fails: it gets everything afterwards, in order, and nobody else notices."""

from __future__ import annotations

import asyncio

from consumers.delivery.port import Call, Done, Failed, Gone, Outcome
from consumers.delivery.reads import Reads, Standing
from consumers.delivery.runner import Runner
from consumers.state.keys import DELIVERY_UP
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
    World,
    working,
)

HOUR_MS = 3_600_000
CUSTOMERS = [f"c{n}" for n in range(10)]


async def standing_of(store: Store, target: str = "sub/a", partitions: int = PARTITIONS) -> Standing:
    return (await Reads(store, partitions).standings([target]))[0]


async def pass_time(world: World, clock: HandClock, until_ms: int, step_ms: int) -> None:
    """Move the clock in steps, each with time for what is then due."""
    while clock.ms < until_ms:
        clock.ms = min(until_ms, clock.ms + step_ms)
        await world.rest(4)


async def test_a_receiver_down_for_three_days_gets_everything_afterwards_in_order(
    store: Store, feed: FeedWriter
) -> None:
    clock = HandClock()
    up_at_ms = BEGIN_MS + 72 * HOUR_MS
    target = FakeTarget(answer=lambda call: Done() if clock.ms >= up_at_ms else Failed("refused", 0))
    said: list[str] = []
    async with working(store, FakeTargets(target), clock=clock) as world:
        for _ in range(72):
            said += await feed.say(*CUSTOMERS, at_ms=clock.ms)
            await pass_time(world, clock, clock.ms + HOUR_MS, HOUR_MS)
        standing = await standing_of(store)
        assert standing.parked <= 2 * target.concurrency, "the feed holds the rest"
        assert standing.lag >= len(said) - 3 * target.concurrency
        assert target.done == []
        tries = len(target.calls)
        await pass_time(world, clock, up_at_ms + 30 * HOUR_MS, HOUR_MS)
        await world.until(lambda: len(target.done) >= len(said))
    assert tries < 20 * 10
    assert sorted(target.done) == sorted(said)
    assert by_customer(target.done) == by_customer(said)
    standing = await standing_of(store)
    assert (standing.parked, standing.dead, standing.lost, standing.lag) == (0, 0, 0, 0)


async def test_the_first_success_makes_all_that_failed_due_at_once(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    down = [True]
    target = FakeTarget(answer=lambda call: Failed("away") if down else Done())
    async with working(store, FakeTargets(target), clock=clock) as world:
        said = await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.calls) >= 3)
        await world.rest()
        await pass_time(world, clock, clock.ms + 4 * HOUR_MS, 60_000 * 10)
        assert (await standing_of(store)).next_ms > clock.ms + 60_000, "hours to go by the schedule"
        down.clear()
        at_ms = clock.ms = (await standing_of(store)).next_ms
        await world.until(lambda: len(target.done) == len(said))
        assert clock.ms == at_ms
    assert sorted(target.done) == sorted(said)


async def test_who_is_woken_too_early_loses_no_attempt(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    poison, down = {"c1"}, [True]

    def answer(call: Call) -> Outcome:
        return Failed("no") if down or call.item.customer_id in poison else Done()

    target = FakeTarget(answer=answer, concurrency=1)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say(*CUSTOMERS[:4])
        await world.until(lambda: len(target.calls) >= 3)
        await world.rest()
        down.clear()
        for _ in range(12):  # outages that end, each with what is parked made due
            down.append(True)
            await feed.say("c2", "c3", "c4", "c5")
            await world.rest(4)
            down.clear()
            clock.ms += 20_000
            await world.rest(4)
        assert (await standing_of(store)).given_up == 0
        assert "vip:c1:1" not in target.done
        poison.clear()
        clock.ms += 3 * HOUR_MS
        await world.until(lambda: "vip:c1:1" in target.done)


async def test_hanging_targets_delay_no_other(store: Store, feed: FeedWriter) -> None:
    never = asyncio.Event()

    async def hang(call: Call) -> Outcome:
        await never.wait()
        return Done()

    hanging = [FakeTarget(f"sub/h{n}", answer=hang) for n in range(10)]
    well = [FakeTarget(f"sub/w{n}") for n in range(190)]
    async with working(store, FakeTargets(*hanging, *well)) as world:
        said: list[str] = []
        for n in range(1, 11):
            said += await feed.say(*CUSTOMERS)
            await world.until(lambda n=n: all(len(target.done) == 10 * n for target in well))  # type: ignore[misc]
        assert all(len(target.calls) == target.concurrency for target in hanging)
        never.set()
        await world.until(lambda: all(len(target.done) == len(said) for target in hanging))
    assert all(by_customer(target.called) == by_customer(said) for target in [*hanging, *well])


async def test_targets_at_the_tail_share_what_is_read(store: Store, feed: FeedWriter) -> None:
    targets = [FakeTarget(f"sub/{n}") for n in range(100)]
    async with working(store, FakeTargets(*targets)) as world:
        for n in range(20):
            await feed.say(*CUSTOMERS)
            await world.until(
                lambda n=n: all(len(target.done) == 10 * (n + 1) for target in targets)  # type: ignore[misc]
            )
        reads = sum(holding.following.reads for holding in world.worker._holdings.values())
    assert reads <= 20 * PARTITIONS * 4, "not once for each of 100"


async def test_retry_after_holds_up_the_target_and_is_bounded(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    asked = [1_800.0, 1e9]
    target = FakeTarget(
        answer=lambda call: Failed("slowly", 429, retry_after_s=asked.pop(0)) if asked else Done(), concurrency=1
    )
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say("c1", "c3")
        await world.until(lambda: len(target.calls) == 1)
        await pass_time(world, clock, BEGIN_MS + 1_799_000, 100_000)
        assert len(target.calls) == 1
        clock.ms = BEGIN_MS + 1_800_000
        await world.until(lambda: len(target.calls) == 2)
        asked_at_ms = clock.ms
        await world.rest()
        clock.ms = asked_at_ms + QUICK.pause_ms_max
        await world.until(lambda: len(target.done) >= 1)
        clock.ms = asked_at_ms + QUICK.retry_after_ms_max
        await world.until(lambda: len(target.done) == 2)


async def test_a_target_that_was_gone_and_is_resumed_is_called_at_once_from_where_it_was(
    store: Store, feed: FeedWriter
) -> None:
    clock = HandClock()
    gone = [True]
    target = FakeTarget(answer=lambda call: Gone("no more") if gone else Done(), concurrency=1)
    targets = FakeTargets(target)
    async with working(store, targets, clock=clock) as world:
        said = await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.calls) == 1)
        assert [ending for _, ending in targets.endings] == [Gone("no more")]
        target.active = False
        targets.changed.set()
        said += await feed.say(*CUSTOMERS)
        await world.rest()
        assert len(target.calls) == 1
        gone.clear()
        target.active = True
        targets.changed.set()
        await world.until(lambda: len(target.done) == len(said))
    assert by_customer(target.done) == by_customer(said)


async def test_nothing_of_a_target_that_is_removed_stays_in_the_store(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    one, two = FakeTarget("sub/one", answer=lambda call: Failed("no")), FakeTarget("sub/two", remembers_done=True)
    targets = FakeTargets(one, two)
    async with working(store, targets, clock=clock) as world:
        await feed.say(*CUSTOMERS)
        await world.until(lambda: len(two.done) == 10 and len(one.calls) >= 3)
        await world.rest()
        targets.set(two)
        await world.rest()
        assert await store.call("KEYS", "*:sub/one")
        clock.ms += QUICK.remove_ms + 1

        async def removed() -> bool:
            return not await store.call("KEYS", "*sub/one*")

        await world.rest()
        await world.until_true(removed)
        for keys in feed.keys:
            assert not any(b"sub/one" in field for field in await store.call("HKEYS", keys.delivery_cursors))
            assert not any(b"sub/one" in field for field in await store.call("HKEYS", keys.delivered))
        assert await store.call("KEYS", "*:sub/two")


async def test_a_target_that_comes_back_in_time_goes_on_where_it_was(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget()
    targets = FakeTargets(target)
    async with working(store, targets) as world:
        said = await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 10)
        targets.set()
        await world.until(lambda: not world.worker._roster.runners)
        said += await feed.say(*CUSTOMERS)
        targets.set(target)
        await world.until(lambda: len(target.done) == 20)
        await world.rest()
    assert sorted(target.called) == sorted(said)


async def test_workers_tell_each_other_that_a_target_is_up(store: Store, feed: FeedWriter) -> None:
    clock = LeapClock()
    down = [True]
    target = FakeTarget(answer=lambda call: Failed("away") if down else Done())
    async with working(store, FakeTargets(target), clock=clock) as world:
        said = await feed.say(*CUSTOMERS)
        (runner,) = await _runners(world)
        await world.until(lambda: runner.down_since_ms > 0)
        await world.rest()
        while (await standing_of(store)).next_ms < clock.now_ms() + HOUR_MS:
            clock.leap_ms += HOUR_MS
            await world.rest()
        down.clear()
        calls = len(target.calls)
        await world.rest()
        assert len(target.calls) == calls, "the next attempt is hours away"
        await store.call("HSET", DELIVERY_UP, target.id, clock.now_ms())  # as another worker does
        await world.until(lambda: len(target.done) == len(said))
        down.append(True)
        await feed.say(*CUSTOMERS)
        await world.until(lambda: runner.down_since_ms > 0)
        down.clear()
        told_ms = clock.now_ms()
        clock.leap_ms += 20_000

        async def told() -> bool:
            return int(await store.call("HGET", DELIVERY_UP, target.id)) > told_ms

        await world.until_true(told)


async def _runners(world: World) -> list[Runner]:
    await world.until(lambda: bool(world.worker._roster.runners))
    return list(world.worker._roster.runners.values())
