"""A store whose state was discarded and filled from the log anew: what was delivered before is not delivered again."""

from __future__ import annotations

import pytest

from consumers.delivery.reads import Reads
from consumers.state.store import Store
from rules.transitions import render
from tests.consumers.delivery.test_deliveries import by_customer
from tests.consumers.delivery.worlds import PARTITIONS, FakeTarget, FakeTargets, FeedWriter, working

CUSTOMERS = [f"c{n}" for n in range(40) if sum(f"c{n}".encode()) % PARTITIONS == 0][:10]  # of the first partition


async def discard(store: Store, feed: FeedWriter) -> FeedWriter:
    """As `segmentd rebuild --discard` leaves it where transitions are published: commits are numbered from 0 again."""
    keys = feed.keys[0]
    await store.call("DEL", keys.out, keys.meta)
    await store.call("HSET", keys.meta, "epoch", 0, "commit", 0, "shown", 0, "rebuild", 1)
    again = FeedWriter(store)
    await again.own()
    return again


async def refill(feed: FeedWriter, rounds: int) -> None:
    """The same transitions, in fewer commits."""
    changes = [feed.change(customer) for _ in range(rounds) for customer in CUSTOMERS]
    await feed.commit(0, [render(change) for change in changes])


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("later", [1, 30])
async def test_after_a_rebuild_a_target_goes_on_by_number(
    store: Store, feed: FeedWriter, running: bool, later: int
) -> None:
    target = FakeTarget()
    targets = FakeTargets(target)
    async with working(store, targets) as world:
        for _ in range(10):
            await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 100)
        await world.rest()
        again = feed
        if running:
            again = await discard(store, feed)
            await world.rest()
            await refill(again, 10)
            await world.rest()
    if not running:
        again = await discard(store, feed)
        await refill(again, 10)
    await store.call("HDEL", again.keys[0].meta, "rebuild")
    fresh: list[str] = []
    for _ in range(later):
        fresh += await again.say(*CUSTOMERS)
    async with working(store, targets) as world:
        await world.until(lambda: set(target.done[100:]) >= set(fresh))
        await world.rest()
    assert by_customer(target.done[100:]) == by_customer(fresh)
    (standing,) = await Reads(store, PARTITIONS).standings([target.id])
    assert (standing.lost, standing.lag) == (0, 0)


async def test_a_feed_that_has_become_shorter_is_told_and_goes_on(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget()
    async with working(store, FakeTargets(target)) as world:
        for _ in range(10):
            await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 100)
        await world.rest()
        again = await discard(store, feed)
        await world.rest()
        await refill(again, 3)
        await world.rest()
        await store.call("HDEL", again.keys[0].meta, "rebuild")
        reads = Reads(store, PARTITIONS)

        async def told() -> bool:
            return bool((await reads.log(target.id, 10, outcomes=["lost"])).entries)

        await world.until_true(told)
        fresh = await again.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 110)
    assert by_customer(target.done[100:]) == by_customer(fresh)
    (entry,) = (await reads.log(target.id, 10, outcomes=["lost"])).entries
    assert "fewer transitions than 100" in entry.detail
