"""An evaluator killed at each named step: whoever takes over says what is left to say, once."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.integration.kafka_worlds import PARTITIONS, World, kafka_world, until

ROOT = Path(__file__).resolve().parents[2]
STEPS = (
    "1.after:20",
    "2.after:10",
    "3.after:10",
    "3b.moved",
    "3b.dead",
    "4.before:10",
    "4.after:10",
    "5.after:12",
    "6.after",
    "T1.after:2",
    "T2.fenced",
    "T2.after:2",
    "T3.after:2",
    "T4.after:2",
    "relay.opened",
    "relay.begin:3",
    "relay.produced:3",
    "relay.committed:3",
    "released",
)
FEW = ("4.after:10", "relay.produced:3", "T2.fenced", "relay.committed:3")


def test_every_named_step_is_in_the_list() -> None:
    named = {
        place
        for folder in ("evaluator", "relay")
        for path in (ROOT / "consumers" / folder).glob("*.py")
        for place in re.findall(r'reach\("([^"]+)"\)', path.read_text())
    }
    assert named == {step.partition(":")[0] for step in STEPS}


async def killed_at(world: World, step: str) -> None:
    """An evaluator that dies at this step, under load."""
    process = world.evaluator(failpoint=step)
    if step == "released":

        async def owns() -> bool:
            return bool(await process.owned())

        await process.runs()
        await until("it has a partition to release", owns)
        assert await asyncio.to_thread(process.end) < 0
    else:
        assert await process.killed_itself(), step


async def owns_all(world: World) -> None:
    process = world.evaluator()
    await process.runs()

    async def all_owned() -> bool:
        return len(await process.owned()) == PARTITIONS

    await until("the last one owns all partitions", all_owned)


async def test_killed_at_a_step_and_started_again_nothing_is_lost_or_doubled(tmp_path: Path, kafka: str) -> None:
    async with kafka_world(tmp_path, kafka) as world:
        async with world.load(rate=300):
            for step in FEW:
                await killed_at(world, step)
            await owns_all(world)
        assert await world.check() > 500


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
async def test_killed_twice_at_each_step_and_started_again(tmp_path: Path, kafka: str, step: str) -> None:
    async with kafka_world(tmp_path, kafka) as world:
        async with world.load(rate=300):
            await killed_at(world, "4.after:10")  # so that the next takeover has somebody to fence
            for _ in range(2):
                await killed_at(world, step)
            await owns_all(world)
        assert await world.check() > 500


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_at_all_steps_in_turn_beside_another_evaluator(tmp_path: Path, kafka: str, seed: int) -> None:
    """`T2.fenced` comes only where the former owner has died, so it is left to the other tests."""
    steps = [step for step in STEPS if step != "T2.fenced"]
    async with kafka_world(tmp_path, kafka) as world:
        beside = world.evaluator()
        await beside.runs()
        async with world.load(rate=300, seed=seed):
            for step in steps if seed % 2 else steps[::-1]:
                await killed_at(world, step)
        assert await world.check() > 500
