"""The relay with a real broker and a real store: each transition once, in order, whatever happens to either end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from consumers.log.port import Offset
from consumers.relay.port import Outgoing, Outlet, Published, digest_of
from consumers.relay.settings import Settings
from consumers.state.store import Store
from rules.errors import Unavailable
from tests.consumers.relay.kafka_worlds import KafkaWorld, kafka_world
from tests.consumers.relay.worlds import Crashed, Process, Snapshot, names, read_meta, transition, until


class KafkaProcesses:
    """Processes over one topic and one store."""

    def __init__(self, world: KafkaWorld, store: Store) -> None:
        self.world, self.store = world, store
        self.processes: list[Process] = []

    async def start(self, name: str, wrap: Callable[[Outlet], Outlet] = lambda outlet: outlet) -> Process:
        process = Process(self.store, wrap(self.world.outlet(name)), Settings(note_idle_ms=50))
        self.processes.append(process)
        return await process.start()

    async def seen(self, partition: int = 0) -> list[str]:
        """Whose transitions a read-committed consumer sees; their running numbers have no gap."""
        numbers = [place.number for place in await self.world.places(partition)]
        first = numbers[0] if numbers else 1
        assert numbers == list(range(first, first + len(numbers)))
        return names(await self.world.values(partition))


@pytest.fixture
async def kafkas(kafka: str, store: Store) -> AsyncIterator[KafkaProcesses]:
    async with kafka_world(kafka) as world:
        processes = KafkaProcesses(world, store)
        yield processes
        for process in processes.processes:
            await process.kill()


async def test_a_restarted_process_resumes_where_the_topic_ends(kafkas: KafkaProcesses) -> None:
    first = await kafkas.start("a")
    await first.take(0)
    await first.take(1)
    await first.commit("ana", "bo")
    await first.commit("cy", partition=1)
    await first.published()
    await first.commit("dee", offer=False)
    await first.kill()
    second = await kafkas.start("a")  # under the same name: what it opens fences itself
    await second.take(0)
    await second.take(1)
    await second.commit("ed", partition=1)
    await second.published()
    assert (await kafkas.seen(0), await kafkas.seen(1)) == (["ana", "bo", "dee"], ["cy", "ed"])


async def test_a_crash_between_produce_and_commit_leaves_nothing_behind(
    kafkas: KafkaProcesses, crash: Callable[[str], None]
) -> None:
    first = await kafkas.start("a")
    await first.take()
    await first.commit("ana")
    await first.published()
    crash("relay.produced")
    await first.commit("bo", "cy")
    assert isinstance(await first.ended(), Crashed)
    second = await kafkas.start("b")
    await second.take()
    await second.commit("dee")
    await second.published()
    assert await kafkas.seen() == ["ana", "bo", "cy", "dee"]


async def test_owners_that_take_a_partition_from_one_another_publish_each_transition_once(
    kafkas: KafkaProcesses,
) -> None:
    owners = [await kafkas.start("a"), await kafkas.start("b")]
    said = []
    for turn in range(6):
        owner = owners[turn % 2]
        await owner.take()
        for number in range(3):
            said.append(f"t{turn}-{number}")
            await owner.commit(said[-1])
        if turn % 3 == 0:  # sometimes fenced before, sometimes after it came to publish
            await asyncio.sleep(0.05)
    await owners[1].published()
    assert await kafkas.seen() == said


class Uncertain:
    """An outlet whose answers to `publish` get lost, as long as there are `losses`."""

    def __init__(self, inner: Outlet, losses: int) -> None:
        self.inner, self.losses = inner, losses

    @property
    def name(self) -> str:
        return self.inner.name

    async def open(self) -> None:
        await self.inner.open()

    async def publish(self, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        await self.inner.publish(batches)
        if self.losses:
            self.losses -= 1
            raise Unavailable("the answer got lost")

    async def fence(self, name: str) -> None:
        await self.inner.fence(name)

    async def tail(self, partition: int) -> Published | None:
        return await self.inner.tail(partition)

    async def published(self, partition: int, after_commit: int) -> dict[str, Published]:
        return await self.inner.published(partition, after_commit)

    async def value(self, partition: int, offset: Offset) -> bytes:
        return await self.inner.value(partition, offset)

    async def close(self) -> None:
        await self.inner.close()


async def test_a_commit_whose_answer_got_lost_is_not_published_again(kafkas: KafkaProcesses) -> None:
    process = await kafkas.start("a", lambda outlet: Uncertain(outlet, losses=2))
    await process.take()
    for name in ("ana", "bo", "cy"):
        await process.commit(name, name + "-too")
        await process.published()
    assert await kafkas.seen() == ["ana", "ana-too", "bo", "bo-too", "cy", "cy-too"]


async def test_what_a_rolled_back_store_makes_again_is_left_out_and_what_differs_is_told_apart(
    kafkas: KafkaProcesses,
) -> None:
    first = await kafkas.start("a")
    await first.take()
    await first.commit("ana")
    await first.published()
    snapshot = await Snapshot.of(kafkas.store)
    await first.commit("bo", "cy")
    await first.published()
    await first.kill()
    await snapshot.restore()
    second = await kafkas.start("b")
    recovery = await second.take()
    assert recovery is not None
    assert recovery.lost_position == 1
    bo = recovery.ids["vip:bo:1"]
    assert (bo.digest == digest_of(transition("bo")), bo.digest == digest_of(transition("bo", "new code"))) == (
        True,
        False,
    )
    assert await second.relay.value(0, bo.offset) == transition("bo")
    await second.commit("cy")
    await second.commit("bo", text="new code")
    await second.commit("dee")
    await second.published()
    await second.relay.recovered(0)
    assert await kafkas.seen() == ["ana", "bo", "cy", "dee"]
    assert (await kafkas.world.values())[1] == transition("bo")


async def test_an_emptied_topic_is_resumed_from_the_note(kafkas: KafkaProcesses, kafka: str) -> None:
    first = await kafkas.start("a")
    await first.take()
    await first.commit("ana", "bo")
    await first.published()

    async def noted() -> bool:
        return (await read_meta(kafkas.store)).relayed == "1 1 0 2 0"

    await until(noted)
    await first.kill()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(kafkas.world.topic, 0): RecordsToDelete(before_offset=-1)})
    finally:
        await admin.close()
    second = await kafkas.start("b")
    await second.take()
    await second.commit("cy")
    await second.published()
    assert await kafkas.seen() == ["cy"]
    assert [place.number for place in await kafkas.world.places()] == [3]


async def test_thousands_go_out_in_order_through_memory_and_outbox(kafkas: KafkaProcesses) -> None:
    process = await kafkas.start("a")
    process.relay.settings = Settings(gather_ms=1, memory_transitions_max=500, transaction_transitions_max=300)
    await process.take()
    said = []
    for turn in range(60):
        new = [f"c{turn}-{number}" for number in range(50)]
        await process.commit(*new)
        said += new
    await process.published()
    assert await kafkas.seen() == said
