"""A store that does not answer, or answers so late that the answer is lost though what was asked is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from consumers.delivery.jobs import Jobs
from consumers.delivery.port import Call, Done, Failed, Outcome
from consumers.embedded import Embedded
from consumers.state.store import Store
from consumers.state.store_node import Command
from consumers.state.store_url import read_url
from rules.errors import Unavailable
from tests.consumers.delivery.test_deliveries import by_customer
from tests.consumers.delivery.worlds import (
    BEGIN_MS,
    PARTITIONS,
    FakeTarget,
    FakeTargets,
    FeedWriter,
    LeapClock,
    working,
)

CUSTOMERS = [f"c{n}" for n in range(10)]


class Flaky(Store):
    """Now and then an exchange is not carried out, or its answer is lost."""

    rng = Random(1)
    chance = 0.0

    async def _deliver(self, commands: Sequence[Command], durably: bool) -> list[Any]:
        if self.rng.random() < self.chance:
            raise Unavailable("the store is away: a test")
        answers = await super()._deliver(commands, durably)
        if self.rng.random() < self.chance:
            raise Unavailable("the answer was lost: a test")
        return answers


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_or_called_twice_when_answers_are_lost(
    server: Embedded, store: Store, feed: FeedWriter, seed: int
) -> None:
    flaky = Flaky(read_url(server.url))
    flaky.rng, rng, clock = Random(seed), Random(seed + 50), LeapClock()
    calm = asyncio.Event()

    def answer(call: Call) -> Outcome:
        return Failed("no") if not calm.is_set() and rng.random() < 0.3 else Done()

    target = FakeTarget("act/vip/a", answer=answer, remembers_done=seed % 2 == 0)
    said: list[str] = []
    members = {f"m{n:03}": BEGIN_MS + n for n in range(100)}
    await feed.commit(0, members={"vip": members})
    job = await Jobs(store, PARTITIONS).start("run", target.id, segment="vip")
    async with working(flaky, FakeTargets(target), clock=clock) as world:
        await world.until(lambda: len(world.worker.partitions) == PARTITIONS)
        flaky.chance = 0.15
        for _ in range(15):
            said += await feed.say(*rng.sample(CUSTOMERS, 6))
            await asyncio.sleep(0.02)
            clock.leap_ms += rng.choice([0, 6_000, 400_000])
        calm.set()
        expected = {*said, *(f"run:{job.id}:{member}" for member in members)}
        for n in range(4_000):
            if set(target.done) == expected:
                break
            clock.leap_ms += 1_800_000 * (n % 50 == 0)  # each leap ends the leases, until the next write
            world.worker.nudge()
            await asyncio.sleep(0.01)
        flaky.chance = 0.0
    assert set(target.done) == expected
    assert len(target.done) == len(expected), "each once"
    assert by_customer([each for each in target.done if each in said]) == by_customer(said)
    await flaky.close()
