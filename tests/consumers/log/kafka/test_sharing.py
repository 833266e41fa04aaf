"""Evaluators share partitions as a group of a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable

import pytest

from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.sharing import KafkaSharing
from consumers.log.kafka.topics import events_topic, prepare_topic
from rules.errors import Unavailable

PARTITIONS = 4
SESSION_MS = 4_000
Join = Callable[..., KafkaSharing]


@pytest.fixture
async def join(kafka: str) -> AsyncIterator[Join]:
    """Members of one group of this test's own; all leave in the end."""
    settings = KafkaSettings(kafka, events_topic=f"events-{uuid.uuid4()}", partitions=PARTITIONS)
    await prepare_topic(settings, events_topic(settings))
    group, members = f"group-{uuid.uuid4()}", list[KafkaSharing]()

    def member(name: str = "") -> KafkaSharing:
        members.append(KafkaSharing(settings, name, group, SESSION_MS))
        return members[-1]

    yield member
    await asyncio.gather(*(each.stop() for each in members))


async def settled(*members: KafkaSharing) -> list[frozenset[int]]:
    """Waits until the members own all partitions, none twice, in even shares."""
    async with asyncio.timeout(20):
        while True:
            shares = [each.wanted for each in members]
            even = PARTITIONS // len(members)
            all_owned = sorted(partition for mine in shares for partition in mine) == list(range(PARTITIONS))
            if all_owned and all(even <= len(mine) <= even + 1 for mine in shares):
                return shares
            for each in members:
                each.changed.clear()
            bells = [asyncio.create_task(each.changed.wait()) for each in members]
            await asyncio.wait(bells, return_when=asyncio.FIRST_COMPLETED)
            for bell in bells:
                bell.cancel()


async def test_members_share_and_join_and_leave_and_little_moves(join: Join) -> None:
    first, second = join(), join()
    assert not first.exclusive
    await first.start()
    assert await settled(first) == [frozenset(range(PARTITIONS))]
    await second.start()
    two = await settled(first, second)
    assert [len(mine) for mine in two] == [2, 2]
    third = join()
    await third.start()
    three = await settled(first, second, third)
    assert sorted(len(mine) for mine in three) == [1, 1, 2]
    assert three[0] <= two[0]
    assert three[1] <= two[1]
    await third.stop()  # leaves: nobody waits for its session to end
    rest = await asyncio.wait_for(settled(first, second), SESSION_MS / 1000)
    assert [len(mine) for mine in rest] == [2, 2]
    assert rest[0] >= three[0]


async def test_a_static_member_that_restarts_gets_its_partitions_again_and_nothing_moves(join: Join) -> None:
    first, second = join("eve-1"), join("eve-2")
    await asyncio.gather(first.start(), second.start())
    before = await settled(first, second)
    for each in (first, second):
        each.changed.clear()
    await second.stop()
    again = join("eve-2")
    await again.start()
    assert await settled(first, again) == before
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(first.changed.wait(), 1.0)  # longer than two heartbeats
    assert not first.changed.is_set()
    assert first.wanted == before[0]
    await first.stop()
    leader = join("eve-1")  # also the one that led the group
    await leader.start()
    assert await settled(leader, again) == before


async def test_a_static_member_that_stays_away_is_replaced_when_its_session_ends(join: Join) -> None:
    first, second = join("eve-1"), join("eve-2")
    await asyncio.gather(first.start(), second.start())
    await settled(first, second)
    await second.stop()
    assert await settled(first) == [frozenset(range(PARTITIONS))]


async def test_without_a_broker_joining_says_so() -> None:
    sharing = KafkaSharing(KafkaSettings("127.0.0.1:1"))
    with pytest.raises(Unavailable, match="joining the group"):
        await sharing.start()
    await sharing.stop()
