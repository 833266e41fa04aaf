"""Kafka for the log and a Redis Cluster for the state: slots move and a node dies under load."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from consumers.state.keys import SLOTS, PartitionKeys, slot_of
from tests.consumers.state.servers import Process, SlotMove, cluster, until
from tests.integration.kafka_worlds import PARTITIONS, World


def _third(partition: int) -> int:
    """Which of the three nodes has the partition."""
    return slot_of(PartitionKeys(partition).meta) * 3 // SLOTS


async def _one_by_one(nodes: list[Process], partition: int) -> None:
    """Move the partition's slot to another node, key by key."""
    source = nodes[_third(partition)]
    target, other = [node for node in nodes if node is not source]
    move = SlotMove(slot_of(PartitionKeys(partition).meta), source, target, [other])
    await move.begin()
    while keys := await move.keys():
        for key in keys:
            await move.key(key)
    await move.end()


async def _at_one_stroke(nodes: list[Process], partition: int) -> None:
    source, slot = nodes[_third(partition)], slot_of(PartitionKeys(partition).meta)
    target = next(node for node in nodes if node is not source)
    await source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", await target.ask("CLUSTER", "MYID"))

    async def moved() -> bool:
        ranges = await target.ask("CLUSTER", "SLOTS")
        return any(first <= slot <= last and master[1] == target.port for first, last, master, *_ in ranges)

    await until("the slot has moved", moved)


@pytest.mark.long
async def test_nothing_is_lost_or_doubled_while_slots_move_and_a_node_dies(tmp_path: Path, kafka: str) -> None:
    nodes = await cluster(tmp_path)
    world = World(nodes[0], kafka)  # type: ignore[arg-type]  # of its server it wants the URL
    try:
        await world.define()
        async with world.load(rate=300):
            for _ in range(2):
                await world.evaluator().runs()
            await asyncio.sleep(2)
            await _one_by_one(nodes, 0)
            await _at_one_stroke(nodes, 1)
            await asyncio.sleep(1)
            nodes[2].kill()
            await asyncio.sleep(1)
            await nodes[2].start()
            await asyncio.sleep(2)
        assert {_third(partition) for partition in range(PARTITIONS)} == {0, 1, 2}
        assert await world.check() > 300
    finally:
        await world.close()
        for node in nodes:
            node.kill()
