"""Workers that are killed, that share, and that believe they still have what another one took."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest

from consumers import failpoints
from consumers.delivery.following import Following, Pages
from consumers.delivery.port import Call, Done, Failed, Outcome
from consumers.delivery.reads import Reads
from consumers.state.deliveries import Bounds, Draft, Fenced, Owner, claim, write
from consumers.state.store import Argument, Store
from consumers.state.store_url import read_url
from rules.errors import Unavailable
from tests.consumers.delivery.test_deliveries import by_customer
from tests.consumers.delivery.worlds import (
    PARTITIONS,
    QUICK,
    FakeTarget,
    FakeTargets,
    FeedWriter,
    HandClock,
    LeapClock,
    working,
)

CUSTOMERS = [f"c{n}" for n in range(8)]
SECOND = msgspec.structs.replace(QUICK, lease_ms=1_500, heartbeat_ms=50)
SHORT = msgspec.structs.replace(QUICK, lease_ms=200, heartbeat_ms=50)


def firsts(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))


@pytest.mark.parametrize("seed", range(6))
async def test_a_crash_at_any_moment_loses_nothing_and_keeps_keys(store: Store, feed: FeedWriter, seed: int) -> None:
    rng, clock = Random(seed), LeapClock()
    failing = Random(seed + 100)
    keys: dict[str, set[str]] = {}

    def answer(call: Call) -> Outcome:
        keys.setdefault(call.item.id, set()).add(call.key)
        return Failed("no") if failing.random() < 0.2 else Done()

    target = FakeTarget(answer=answer)
    said: list[str] = []
    for _ in range(12):
        async with working(store, FakeTargets(target), clock=clock, settings=SHORT) as world:
            for _ in range(rng.randrange(1, 4)):
                said += await feed.say(*rng.sample(CUSTOMERS, rng.randrange(1, 8)))
            worker = world.worker
            await world.until(lambda worker=worker: len(worker.partitions) == PARTITIONS)  # type: ignore[misc]
            enough = len(target.calls) + rng.randrange(1, 12)
            for _ in range(rng.randrange(40)):
                if len(target.calls) >= enough:
                    break
                world.worker.nudge()
                await asyncio.sleep(0.002)
            await world.crash()
        clock.leap_ms += rng.choice([0, 1_000, 10_000, 400_000])
    failing = Random()
    failing.random = lambda: 1.0  # type: ignore[method-assign]
    async with working(store, FakeTargets(target), clock=clock, settings=SHORT) as world:
        await world.until(lambda: len(world.worker.partitions) == PARTITIONS)
        for _ in range(200):
            if set(target.done) == set(said):
                break
            clock.leap_ms += 3_600_000
            await world.rest(4)
    assert set(target.done) == set(said)
    assert by_customer(firsts(target.done)) == by_customer(said)
    assert all(len(each) == 1 for each in keys.values())
    assert len(target.calls) < 20 * len(said)


async def test_two_workers_share_and_the_one_left_takes_all_over(store: Store, feed: FeedWriter) -> None:
    one, two = FakeTarget(), FakeTarget()
    said: list[str] = []
    async with working(store, FakeTargets(one), settings=SECOND, partitions=8) as first:
        await first.until(lambda: first.worker.partitions == list(range(8)))
        async with working(store, FakeTargets(two), settings=SECOND, partitions=8) as second:
            await second.until(lambda: len(second.worker.partitions) == 4 and len(first.worker.partitions) == 4)
            assert sorted(first.worker.partitions + second.worker.partitions) == list(range(8))
            said += await feed.say(*CUSTOMERS)
            await second.until(lambda: {*one.done, *two.done} == set(said))
            await second.crash()
            said += await feed.say(*CUSTOMERS)
            await first.until(lambda: {*one.done, *two.done} == set(said))
            await first.until(lambda: first.worker.partitions == list(range(8)))
            assert by_customer(firsts(two.done + one.done)) == by_customer(said)


async def test_a_worker_that_stops_hands_over_at_once_and_nothing_is_called_twice(
    store: Store, feed: FeedWriter
) -> None:
    target = FakeTarget()
    said: list[str] = []
    long_lease = msgspec.structs.replace(QUICK, lease_ms=3_600_000)
    async with working(store, FakeTargets(target), settings=long_lease) as first:
        said += await feed.say(*CUSTOMERS)
        await first.until(lambda: len(target.done) == len(said))
        async with working(store, FakeTargets(target), settings=long_lease) as second:
            await second.until(lambda: len(first.worker.partitions) < PARTITIONS or bool(second.worker.partitions))
            await first.worker.stop()
            said += await feed.say(*CUSTOMERS)
            await second.until(lambda: second.worker.partitions == list(range(PARTITIONS)))
            await second.until(lambda: len(target.done) == len(said))
            await second.rest()
    assert by_customer(target.called) == by_customer(said)


async def test_who_lost_a_partition_can_write_nothing_more(store: Store, feed: FeedWriter) -> None:
    keys = feed.keys[0]
    old = await claim(store, keys, "old", 50, 7)
    await asyncio.sleep(0.1)
    new = await claim(store, keys, "new", 10_000, 5)
    assert new.epoch > old.epoch

    def draft() -> Draft:
        made = Draft(Bounds(10, 10, 10, 1_000))
        made.cursors["sub/a"] = "1.1.0"
        made.park("sub/a", "ana", "r", 5, b"record")
        return made

    with pytest.raises(Fenced):
        await write(store, keys, Owner("old", old.epoch, 50), old.write + 1, draft(), 0, slowest=None)
    assert await store.call("KEYS", "*:sub/a") == []
    assert await store.call("HLEN", keys.delivery_cursors) == 0
    owner = Owner("new", new.epoch, 10_000)
    first = await write(store, keys, owner, new.write + 1, draft(), 0, slowest=None)
    again = await write(store, keys, owner, new.write + 1, draft(), 0, slowest=None)
    assert first == again
    assert await store.call("HLEN", keys.delivery("p", "sub/a")) == 1, "the same write again changes nothing"
    with pytest.raises(Fenced):
        await write(store, keys, owner, new.write + 3, draft(), 0, slowest=None)


async def test_calls_end_with_the_lease_by_the_own_clock(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    stuck = msgspec.structs.replace(QUICK, heartbeat_ms=10**9, flush_ms=3_600_000)
    target = FakeTarget()
    async with working(store, FakeTargets(target), clock=clock, settings=stuck) as world:
        await world.until(lambda: len(world.worker.partitions) == PARTITIONS)
        await feed.say("c1")
        await world.until(lambda: len(target.calls) == 1)
        clock.ms += stuck.lease_ms  # nothing was written since: another worker may have it
        await feed.say("c2", "c3")
        await world.rest()
        assert len(target.calls) == 1
        await world.crash()


async def test_a_zombie_gives_up_what_another_has_taken(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget()
    async with working(store, FakeTargets(target), settings=SHORT) as world:
        await world.until(lambda: len(world.worker.partitions) == PARTITIONS)
        for keys in feed.keys:
            await store.call("HINCRBY", keys.deliveries, "epoch", 3)  # from here on its writes are refused
            seconds, _ = await store.call("TIME")
            await store.call("HSET", keys.deliveries, "owner", "thief", "until", (int(seconds) + 1) * 1000)
        said = await feed.say(*CUSTOMERS)
        await world.until(lambda: world.worker.partitions == [] or set(target.done) == set(said))
        await world.until(lambda: set(target.done) == set(said))  # once the thief's lease is over
    (standing,) = await Reads(store, PARTITIONS).standings(["sub/a"])
    assert standing.lag == 0


@pytest.mark.parametrize("place", ["deliveries.call.before", "deliveries.call.after", "deliveries.write.before"])
async def test_a_crash_at_each_named_place_repeats_with_the_same_key(
    store: Store, feed: FeedWriter, place: str
) -> None:
    target = FakeTarget()
    reached = asyncio.Event()

    def hook(at: str) -> None:
        if at == place and not reached.is_set():
            reached.set()

    failpoints.set_hook(hook)
    try:
        async with working(store, FakeTargets(target), settings=SHORT) as world:
            said = await feed.say(*CUSTOMERS)
            await asyncio.wait_for(reached.wait(), 60)
            await world.crash()
    finally:
        failpoints.set_hook(None)
    async with working(store, FakeTargets(target), settings=SHORT) as world:
        await world.until(lambda: set(target.done) == set(said))
        await world.rest()
    assert by_customer(firsts(target.called)) == by_customer(said)
    assert len({(call.item.id, call.key) for call in target.calls}) == len(said)


async def test_who_waits_for_a_page_of_a_partition_that_is_let_go_goes_on(store: Store, feed: FeedWriter) -> None:
    asked = asyncio.Event()

    class Slow(Store):
        async def call(self, *command: Argument) -> Any:
            asked.set()
            await asyncio.sleep(3_600)

    following = Following(Slow(read_url("redis://127.0.0.1:1")), feed.keys[0], 0, Pages(1_000), 10)
    waiting = asyncio.create_task(following.after(0))
    await asyncio.wait_for(asked.wait(), 20)
    await following.close()
    with pytest.raises(Unavailable, match="let go"):
        await waiting
