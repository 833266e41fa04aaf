"""FLUSHALL under load, and `segmentd rebuild`: the log alone gives the store back, and nothing is said twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from consumers.state.keys import PartitionKeys
from tests.integration.kafka_faults import more_said, two_evaluators
from tests.integration.kafka_worlds import PARTITIONS, World, kafka_world, until


async def flush_and_rebuild(world: World) -> None:
    """While the load goes on, and evaluators run."""
    await world.store.call("FLUSHALL")
    assert await world.store.call("ZCARD", PartitionKeys(0).judged) == 0
    rebuild = world.process("rebuild")
    await asyncio.to_thread(rebuild.wait_for, r"transitions came again, with the same ids")
    assert await asyncio.to_thread(rebuild.end, 0) == 0
    await more_said(world)


async def rebuilds(directory: Path, kafka: str, times: int) -> None:
    async with kafka_world(directory, kafka) as world:
        async with world.load(rate=200):
            evaluators = await two_evaluators(world)
            await more_said(world, 300)
            for _ in range(times):
                await flush_and_rebuild(world)

            async def owned() -> bool:
                return sum([len(await each.owned()) for each in evaluators]) == PARTITIONS

            await until("the evaluators own all partitions again", owned)
        assert await world.check() > 300


async def test_an_emptied_store_is_rebuilt_under_load(tmp_path: Path, kafka: str) -> None:
    await rebuilds(tmp_path, kafka, times=1)


@pytest.mark.long
async def test_an_emptied_store_is_rebuilt_time_and_again(tmp_path: Path, kafka: str) -> None:
    await rebuilds(tmp_path, kafka, times=4)
