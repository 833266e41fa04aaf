"""An evaluator that sleeps for longer than its session, and goes on as if nothing had happened: it changes nothing."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.integration.kafka_faults import copied_store, end_server, more_said, roll_files_back, two_evaluators
from tests.integration.kafka_worlds import PARTITIONS, Evaluator, World, kafka_world, until

ALL = frozenset(range(PARTITIONS))


async def share(one: Evaluator, other: Evaluator) -> None:
    async def shared() -> bool:
        mine, others = await one.owned(), await other.owned()
        return bool(mine and others) and mine | others == ALL and not mine & others

    await until("both own partitions", shared)


async def asleep_while_other_owns_all(world: World, sleeper: Evaluator, other: Evaluator) -> None:
    """Suspended in the middle of its work; the other says more than was said."""

    async def has_all() -> bool:
        return await other.owned() == ALL

    sleeper.send(signal.SIGSTOP)
    await until("the other has taken all partitions over", has_all)
    await more_said(world)


async def sleep_and_wake(world: World, sleeper: Evaluator, other: Evaluator) -> None:
    """It tells that it has lost what it had, and joins again."""
    await share(sleeper, other)
    sleeper.heard()
    await asleep_while_other_owns_all(world, sleeper, other)
    sleeper.send(signal.SIGCONT)
    await asyncio.to_thread(sleeper.wait_for, "taken over|another relay's|was fenced|let go|not evaluated")
    await share(sleeper, other)


async def zombies(directory: Path, kafka: str, times: int) -> None:
    async with kafka_world(directory, kafka) as world:
        async with world.load(rate=300):
            one, other = world.evaluator(), world.evaluator()
            await asyncio.gather(one.runs(), other.runs())
            for nth in range(times):
                await sleep_and_wake(world, *((one, other) if nth % 2 == 0 else (other, one)))
        assert await world.check() > 300 * times


async def test_an_evaluator_that_wakes_up_after_its_session_changes_nothing(tmp_path: Path, kafka: str) -> None:
    await zombies(tmp_path, kafka, times=1)


@pytest.mark.long
async def test_an_owner_that_slept_through_a_roll_back_of_the_store_says_nothing_twice(
    tmp_path: Path, kafka: str
) -> None:
    """It wakes up to a store that knows nothing of who took over from it meanwhile."""
    async with kafka_world(tmp_path, kafka) as world:
        async with world.load(rate=300):
            sleeper, other = await two_evaluators(world)
            await share(sleeper, other)
            older = await copied_store(world, "older")
            await asleep_while_other_owns_all(world, sleeper, other)
            await asyncio.to_thread(end_server, world.embedded, "kill")
            await asyncio.to_thread(roll_files_back, world.embedded, older)
            await asyncio.to_thread(world.embedded.start)
            sleeper.send(signal.SIGCONT)
            await more_said(world, 300)
            await share(sleeper, other)
        assert await world.check() > 600
        told = [line for each in (sleeper, other) for line in each.heard() if "the store has lost" in line]
        assert told, "no roll-back was noticed"


@pytest.mark.long
async def test_evaluators_that_fall_asleep_in_turn_change_nothing(tmp_path: Path, kafka: str) -> None:
    await zombies(tmp_path, kafka, times=6)
