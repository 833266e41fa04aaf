"""The broker and the store restarted and killed under load, evaluators restarted one by one, a store rolled back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from consumers.state.keys import PartitionKeys
from tests.integration.kafka_faults import copied_store, end_server, more_said, roll_files_back, two_evaluators
from tests.integration.kafka_worlds import PARTITIONS, Evaluator, World, kafka_world, until
from tests.kafka import Broker

AWAY_S = 0.5  # longer than one try takes


# -- the broker -------------------------------------------------------------------------------------------------------


async def restart_broker(world: World, broker: Broker, how: str) -> None:
    refusals = world.refusals
    await asyncio.to_thread(broker.stop if how == "stop" else broker.kill)

    async def refused() -> bool:
        return world.refusals > refusals

    await until("senders are told that the broker is away", refused)
    await asyncio.to_thread(broker.start)
    await more_said(world)


async def broker_restarts(directory: Path, broker: Broker, ways: list[str]) -> None:
    async with kafka_world(directory, broker.address) as world:
        async with world.load(rate=300):
            await two_evaluators(world)
            await more_said(world)
            for how in ways:
                await restart_broker(world, broker, how)
        assert await world.check() > 100 * len(ways)


async def test_the_broker_is_killed_under_load(tmp_path: Path, broker: Broker) -> None:
    await broker_restarts(tmp_path, broker, ["kill"])


@pytest.mark.long
async def test_the_broker_is_restarted_and_killed_time_and_again(tmp_path: Path, broker: Broker) -> None:
    await broker_restarts(tmp_path, broker, ["stop", "kill", "kill", "stop"])


# -- the store --------------------------------------------------------------------------------------------------------


async def restart_store(world: World, how: str, older: Path | None = None) -> None:
    """`older`: a copy of its append-only files, which it is started on again."""
    before = await asyncio.to_thread(end_server, world.embedded, how)
    if older is not None:
        await asyncio.to_thread(roll_files_back, world.embedded, older)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(world.embedded.start)
    assert world.embedded.pid not in (None, before)
    await more_said(world)


async def store_restarts(directory: Path, kafka: str, ways: list[str]) -> None:
    async with kafka_world(directory, kafka) as world:
        async with world.load(rate=300):
            await two_evaluators(world)
            await more_said(world)
            for how in ways:
                await restart_store(world, how)
        assert await world.check() > 100 * len(ways)


async def test_the_store_is_restarted_and_killed_under_load(tmp_path: Path, kafka: str) -> None:
    await store_restarts(tmp_path, kafka, ["stop", "kill"])


@pytest.mark.long
async def test_the_store_is_killed_time_and_again(tmp_path: Path, kafka: str) -> None:
    await store_restarts(tmp_path, kafka, ["kill"] * 12)


async def roll_back(world: World, number: int) -> None:
    """The store, back to where it was some hundred transitions ago."""
    older = await copied_store(world, f"older-{number}")
    copied = await commits(world)
    await more_said(world, 300)
    assert sum(await commits(world)) > sum(copied)
    await restart_store(world, "kill", older)


async def commits(world: World) -> list[int]:
    return [int(await world.store.call("HGET", PartitionKeys(p).meta, "commit") or 0) for p in range(PARTITIONS)]


async def roll_backs(directory: Path, kafka: str, times: int) -> None:
    async with kafka_world(directory, kafka) as world:
        async with world.load(rate=300):
            evaluators = await two_evaluators(world)
            await more_said(world)
            for number in range(times):
                await roll_back(world, number)
        assert await world.check() > 300 * times
        told = [line for each in evaluators for line in each.lines if "the store has lost what the topic holds" in line]
        assert told, "no roll-back was noticed"


async def test_a_store_rolled_back_says_nothing_twice(tmp_path: Path, kafka: str) -> None:
    await roll_backs(tmp_path, kafka, times=1)


@pytest.mark.long
async def test_a_store_rolled_back_time_and_again_says_nothing_twice(tmp_path: Path, kafka: str) -> None:
    await roll_backs(tmp_path, kafka, times=4)


# -- the evaluators ---------------------------------------------------------------------------------------------------


async def rolling_restart(world: World, rounds: int) -> None:
    names = ("one", "two", "three")
    evaluators = {name: named(world, name) for name in names}
    await asyncio.gather(*(each.runs() for each in evaluators.values()))

    async def owned() -> bool:
        shares = [await each.owned() for each in evaluators.values()]
        return all(shares) and sum(map(len, shares)) == PARTITIONS

    await until("all partitions are owned", owned)
    for name in names * rounds:
        shares = {each: await evaluators[each].owned() for each in names}
        assert await asyncio.to_thread(evaluators[name].end) == 0
        evaluators[name] = named(world, name)
        await evaluators[name].runs()
        await until("all partitions are owned again", owned)
        assert {each: await evaluators[each].owned() for each in names} == shares, "a static member's stay with it"


def named(world: World, name: str) -> Evaluator:
    """A static member: what it has waits for it, for starting may take its time."""
    return world.evaluator(evaluator_name=name, session_timeout_seconds="30")


async def rolling_restarts(directory: Path, kafka: str, rounds: int) -> None:
    async with kafka_world(directory, kafka) as world:
        async with world.load(rate=1000):
            await rolling_restart(world, rounds)
        assert len(world.acknowledged) > 3000
        assert await world.check() > 1000


async def test_three_evaluators_are_restarted_one_by_one_under_a_thousand_events_a_second(
    tmp_path: Path, kafka: str
) -> None:
    await rolling_restarts(tmp_path, kafka, rounds=1)


@pytest.mark.long
async def test_three_evaluators_are_restarted_time_and_again(tmp_path: Path, kafka: str) -> None:
    await rolling_restarts(tmp_path, kafka, rounds=5)
