"""Calls that end in every way, at random, with waits, batches and crashes: the order of lanes holds throughout."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import msgspec
import pytest

from consumers.delivery.port import Call, Done, Dropped, Failed, Item, Later, Outcome, Refused, Turn
from consumers.delivery.reads import Reads
from consumers.state.store import Store
from tests.consumers.delivery.test_deliveries import by_customer
from tests.consumers.delivery.worlds import PARTITIONS, QUICK, FakeTarget, FakeTargets, FeedWriter, LeapClock, working

CUSTOMERS = [f"c{n}" for n in range(12)]
SETTINGS = msgspec.structs.replace(QUICK, lease_ms=300, in_hand_max=30, page_entries_max=3, down_failures=4)


class Chaotic(FakeTarget):
    """`over` are the items that ended for good, in order; `wrong` what must not be."""

    rng: Random
    clock: LeapClock
    calm = False
    over: list[str]
    wrong: list[str]
    repeats_allowed = False

    def set_up(self, rng: Random, clock: LeapClock) -> None:
        self.rng, self.clock, self.over = rng, clock, []
        self.wrong = []
        self._open: set[str] = set()

    def turn(self, item: Item) -> Turn | None:
        wait_ms = [0, 0, 0, 30_000][sum(item.id.encode()) % 4]
        return Turn(item.customer_id, wait_ms)

    async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        customers = [call.item.customer_id for call in calls]
        if len(set(customers)) < len(customers):
            self.wrong.append("two items of a lane in one call")
        if not self.repeats_allowed and self._open & set(customers):
            self.wrong.append("two calls of a lane at a time")
        if not self.repeats_allowed and {call.item.id for call in calls} & set(self.over):
            self.wrong.append("an item that had ended")
        self._open |= set(customers)
        try:
            if self.rng.random() < 0.5:
                await asyncio.sleep(self.rng.random() * 0.004)
            outcomes = [self._outcome() for _ in calls]
        finally:
            self._open -= set(customers)
        for call, outcome in zip(calls, outcomes, strict=True):
            if not isinstance(outcome, Later | Failed):
                self.over.append(call.item.id)
        return outcomes

    def _outcome(self) -> Outcome:
        if self.calm:
            return Done()
        chance = self.rng.random()
        if chance < 0.35:
            return Failed("no", 500, self.rng.choice([None, None, 2.0]))
        if chance < 0.45:
            return Later(self.clock.now_ms() + self.rng.randrange(60_000), "not now")
        if chance < 0.5:
            return Refused("never")
        return Dropped("not wanted") if chance < 0.6 else Done()


@pytest.mark.parametrize("batch_max", [1, 4])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("crashes", [False, True])
async def test_lanes_keep_their_order_however_calls_end(
    store: Store, feed: FeedWriter, seed: int, batch_max: int, crashes: bool
) -> None:
    rng, clock = Random(seed), LeapClock()
    target = Chaotic("act/vip/x", batch_max=batch_max, concurrency=5)
    target.set_up(rng, clock)
    target.repeats_allowed = crashes
    said: list[str] = []
    for _ in range(4 if crashes else 1):
        async with working(store, FakeTargets(target), clock=clock, settings=SETTINGS) as world:
            await world.until(lambda world=world: len(world.worker.partitions) == PARTITIONS)  # type: ignore[misc]
            for _ in range(5 if crashes else 20):
                said += await feed.say(*rng.sample(CUSTOMERS, rng.randrange(1, 12)), at_ms=clock.now_ms())
                await asyncio.sleep(rng.random() * 0.02)
                clock.leap_ms += rng.choice([0, 0, 6_000, 60_000])
            if crashes:
                await world.crash()
    target.calm = True
    async with working(store, FakeTargets(target), clock=clock, settings=SETTINGS) as world:
        reads = Reads(store, PARTITIONS)

        async def all_over() -> bool:
            clock.leap_ms += 60_000
            (standing,) = await reads.standings([target.id])
            return len(world.worker.partitions) == PARTITIONS and standing.parked == standing.lag == 0

        await world.until_true(all_over)
        await world.rest()
    assert target.wrong == []
    dead = [item.item_id for item in (await reads.dead(target.id, 10_000)).items]
    firsts = list(dict.fromkeys(target.over))
    assert set(firsts) | set(dead) == set(said)
    given_up = set(dead) - set(firsts)
    assert by_customer([each for each in firsts if each not in given_up]) == by_customer(
        [each for each in said if each not in given_up]
    )
    if not crashes:
        (standing,) = await reads.standings([target.id])
        assert standing.done + standing.dropped + standing.given_up == len(said)
