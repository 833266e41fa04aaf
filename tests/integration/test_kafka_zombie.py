"""An evaluator that sleeps for longer than its session, and goes on as if nothing had happened: it changes nothing."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.integration.kafka_worlds import PARTITIONS, Evaluator, World, kafka_world, until

ALL = frozenset(range(PARTITIONS))


async def share(one: Evaluator, other: Evaluator) -> None:
    async def shared() -> bool:
        mine, others = await one.owned(), await other.owned()
        return bool(mine and others) and mine | others == ALL and not mine & others

    await until("both own partitions", shared)


async def sleep_and_wake(world: World, sleeper: Evaluator, other: Evaluator) -> None:
    """Suspended in the middle of its work; the other has all partitions before it wakes."""
    await share(sleeper, other)

    async def has_all() -> bool:
        return await other.owned() == ALL

    sleeper.heard()
    said = len(await world.read(world.transitions))
    sleeper.send(signal.SIGSTOP)
    try:
        await until("the other has taken all partitions over", has_all)
        await world.read(world.transitions, said + 100)
    finally:
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
async def test_evaluators_that_fall_asleep_in_turn_change_nothing(tmp_path: Path, kafka: str) -> None:
    await zombies(tmp_path, kafka, times=6)
