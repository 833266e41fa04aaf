"""A store that lost commits which the topic holds: what comes again is left out, by id, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from consumers.relay.port import digest_of
from consumers.relay.settings import Settings
from consumers.relay.takeover import StoreEmptied
from rules.errors import Unavailable
from tests.consumers.relay.memory_outlet import MemoryOutlet, no_fault
from tests.consumers.relay.worlds import Process, Snapshot, World, read_meta, transition, until

NOTING = Settings(gather_ms=1, note_ms=0, note_idle_ms=5)


async def rolled_back(world: World) -> Process:
    """ana, bo in one commit each; then cy, dee, ed, of which the store knows nothing any more."""
    first = await world.process("a")
    await first.take()
    await first.commit("ana")
    await first.commit("bo")
    await first.published()
    snapshot = await Snapshot.of(world.store)
    await first.commit("cy", "dee")
    await first.commit("ed")
    await first.published()
    await first.kill()
    await snapshot.restore()
    return first


async def test_what_comes_again_is_left_out_in_whatever_batches_it_comes(world: World) -> None:
    await rolled_back(world)
    second = await world.process("b")
    recovery = await second.take()
    assert recovery is not None
    assert {"vip:cy:1", "vip:dee:1", "vip:ed:1"} <= set(recovery.ids)  # and what follows the note, for that may be lost
    assert recovery.ids["vip:cy:1"].digest == digest_of(transition("cy"))
    assert recovery.ids["vip:cy:1"].place.commit == 3
    assert await second.relay.value(0, recovery.ids["vip:dee:1"].offset) == transition("dee")
    assert recovery.lost_position == 3
    meta = await read_meta(world.store)
    assert (meta.commit, meta.lost_to, meta.lost_position) == (4, 4, 3)
    assert meta.lost_from <= 2
    await second.commit("dee")
    await second.commit("ed", "cy", "flo")
    await second.published()
    assert world.seen() == ["ana", "bo", "cy", "dee", "ed", "flo"]
    assert world.places()[-1].commit == 6
    await second.relay.recovered(0)
    meta = await read_meta(world.store)
    assert (meta.lost_from, meta.lost_to, meta.lost_position) == (0, 0, -1)


async def test_a_new_process_in_the_midst_of_it_leaves_out_the_same(world: World) -> None:
    await rolled_back(world)
    second = await world.process("b")
    await second.take()
    await second.commit("cy")
    await second.published()
    await second.kill()
    third = await world.process("c")
    recovery = await third.take()
    assert recovery is not None
    assert {"vip:cy:1", "vip:dee:1", "vip:ed:1"} <= set(recovery.ids)
    await third.commit("dee", "ed", "flo")
    await third.published()
    assert world.seen() == ["ana", "bo", "cy", "dee", "ed", "flo"]


async def test_what_was_left_out_stays_so_once_it_is_over(world: World) -> None:
    await rolled_back(world)
    second = await world.process("b")
    await second.take()
    await second.commit("cy", "dee", "ed")
    await second.published()
    await second.relay.recovered(0)
    await second.kill()
    third = await world.process("c")
    assert await third.take() is None
    await third.commit("flo")
    await third.published()
    assert world.seen() == ["ana", "bo", "cy", "dee", "ed", "flo"]


async def test_it_is_not_over_before_the_relay_is_past_it(world: World) -> None:
    await rolled_back(world)
    second = await world.process("b")
    await second.take()

    async def away(step: str, name: str) -> None:
        if step == "produce.before":
            raise Unavailable("away")

    world.topic.fault = away
    await second.commit("flo")
    with pytest.raises(Unavailable):
        await second.relay.recovered(0)
    assert (await read_meta(world.store)).lost_to == 4


async def test_a_second_roll_back_widens_what_comes_again(world: World) -> None:
    await rolled_back(world)
    second = await world.process("b", NOTING)
    await second.take()
    snapshot = await Snapshot.of(world.store)
    await second.commit("cy", "flo")
    await second.published()
    await second.kill()
    await snapshot.restore()
    third = await world.process("c")
    recovery = await third.take()
    assert recovery is not None
    assert {"vip:cy:1", "vip:dee:1", "vip:ed:1", "vip:flo:1"} <= set(recovery.ids)
    meta = await read_meta(world.store)
    assert (meta.commit, meta.lost_to) == (5, 5)
    assert meta.lost_from <= 2
    await third.commit("cy", "dee", "ed", "flo", "gil")
    await third.published()
    assert world.seen() == ["ana", "bo", "cy", "dee", "ed", "flo", "gil"]


async def test_two_processes_that_hold_the_same_epoch_after_a_roll_back_are_told_apart(world: World) -> None:
    zombie = await world.process("a")
    snapshot = await Snapshot.of(world.store)
    await zombie.take()
    await snapshot.restore()  # the store forgot that it had been taken over
    heir = await world.process("b")
    await heir.take()
    assert heir.metas[0].epoch == zombie.metas[0].epoch
    await heir.commit("ana")
    await heir.published()
    lost_once = ["commit.after"]

    async def lose(step: str, name: str) -> None:
        if name == "a" and step in lost_once:
            lost_once.remove(step)
            raise Unavailable("lost on the way")

    world.topic.fault = lose
    await zombie.take(1)
    await zombie.commit("bo", partition=1)
    await zombie.published(1)
    assert zombie.relay.take_lost() == [0]
    assert (world.seen(0), world.seen(1)) == (["ana"], ["bo"])


async def test_an_emptied_store_is_refused_until_a_person_says_so(world: World) -> None:
    first = await world.process("a")
    await first.take()
    await first.commit("ana", "bo")
    await first.published()
    await first.kill()
    await world.store.call("FLUSHALL")
    second = await world.process("b")
    with pytest.raises(StoreEmptied, match="segmentd rebuild"):
        await second.take()
    meta = await second.raise_epoch()
    meta.rebuild = 1
    recovery = await second.relay.take(0, meta, meta.epoch)
    assert recovery is not None
    second.metas[0] = await read_meta(world.store)
    await second.commit("bo")
    await second.commit("ana", "cy")
    await second.published()
    assert world.seen() == ["ana", "bo", "cy"]


async def test_a_rebuild_leaves_out_what_retention_dropped_from_the_topic_too(world: World) -> None:
    first = await world.process("a")
    await first.take()
    for name in ("ana", "bo", "cy", "dee"):
        await first.commit(name)
    await first.published()
    await first.kill()
    world.topic.retain(0, world.topic.committed(0)[2].offset)
    assert world.seen() == ["cy", "dee"]
    await world.store.call("FLUSHALL")
    second = await world.process("b", NOTING)
    meta = await second.raise_epoch()
    meta.rebuild = 1
    await second.relay.take(0, meta, meta.epoch)
    second.metas[0] = await read_meta(world.store)
    await second.commit("bo")  # one of the two that were dropped
    await second.published()
    await until(lambda: _noted(world, "5 0 0 4 1"))
    await second.kill()
    third = await world.process("c")
    await third.take()
    await third.commit("cy", "ana", "dee", "flo")  # cut elsewhere, another order between customers
    await third.published()
    assert world.seen() == ["cy", "dee", "flo"]
    assert world.places()[-1].number == 5


async def _noted(world: World, note: str) -> bool:
    return (await read_meta(world.store)).relayed == note


async def test_a_store_restored_from_an_old_copy_leaves_out_what_retention_dropped_since(world: World) -> None:
    first = await world.process("a", NOTING)
    await first.take()
    await first.commit("ana", "bo")
    await first.published()
    snapshot = await Snapshot.of(world.store)
    for name in ("cy", "dee", "ed"):
        await first.commit(name)
    await first.published()
    await first.kill()
    await snapshot.restore()
    world.topic.retain(0, world.topic.committed(0)[4].offset)
    assert world.seen() == ["ed"]
    second = await world.process("b")
    recovery = await second.take()
    assert recovery is not None
    assert list(recovery.ids) == ["vip:ed:1"]
    await second.commit("cy", "dee", "ed", "flo")
    await second.published()
    assert world.seen() == ["ed", "flo"]


async def test_a_roll_back_while_the_owner_lives_is_found_when_it_takes_over_anew(world: World) -> None:
    process = await world.process("a")
    await process.take()
    await process.commit("ana")
    await process.published()
    snapshot = await Snapshot.of(world.store)
    await process.commit("bo")
    await process.published()
    await snapshot.restore()
    recovery = await process.take()
    assert recovery is not None
    assert "vip:bo:1" in recovery.ids
    await process.commit("bo", "cy")
    await process.published()
    assert world.seen() == ["ana", "bo", "cy"]


async def test_a_store_that_went_another_way_to_the_same_commit_is_found_out_by_content(world: World) -> None:
    zombie = await world.process("a")
    await zombie.take()
    await zombie.commit("ana")
    await zombie.published()
    snapshot = await Snapshot.of(world.store)
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def sleep(step: str, name: str) -> None:
        if step == "produce.before" and name == "a":
            asleep.set()
            await awake.wait()

    world.topic.fault = sleep
    await zombie.commit("bo")
    await asyncio.wait_for(asleep.wait(), 10)
    await snapshot.restore()  # the store forgets `bo`; somebody goes on without a relay's takeover noticing
    await commit_unpublished(world, "cy")
    awake.set()
    await until(lambda: world.seen() == ["ana", "bo"])
    await zombie.kill()
    world.topic.fault = no_fault
    heir = await world.process("b")
    recovery = await heir.take()
    assert recovery is not None
    assert set(recovery.ids) == {"vip:ana:1", "vip:bo:1"}  # all since the note: where they parted is not known
    await heir.commit("bo")
    await heir.published()
    assert world.seen() == ["ana", "bo", "cy"]


async def commit_unpublished(world: World, *said: str) -> None:
    """The second commit, of a process that is gone before its relay says anything."""
    writer = Process(world.store, MemoryOutlet(world.topic, "writer"))
    await writer.relay.open()
    meta = await writer.raise_epoch()
    writer.metas[0] = meta
    await writer.commit(*said, offer=False)


async def test_a_partition_that_turns_out_to_be_lost_is_not_said_to_be_let_go_cleanly(world: World) -> None:
    sleeper = await world.process("a")
    await sleeper.take()
    away = True

    async def fault(step: str, name: str) -> None:
        if name == "a" and away:
            raise Unavailable("away")

    world.topic.fault = fault
    await sleeper.commit("ana")
    snapshot = await Snapshot.of(world.store)
    other = await world.process("b")
    await other.take()
    await other.commit("bo")
    await other.published()
    await other.kill()
    await snapshot.restore()  # the store knows of nobody but the sleeper, who wakes up
    away = False
    assert not await sleeper.relay.flush([0], 10)
    assert not await sleeper.relay.flush([0], 10)  # nor later, when it does not hold it
    assert (await read_meta(world.store)).relays == "a"
    assert sleeper.relay.take_lost() == [0]
    recovery = await sleeper.take()
    assert recovery is not None
    assert "vip:bo:1" in recovery.ids
    assert world.seen() == ["ana", "bo"]


async def test_what_a_store_said_on_its_own_way_is_published_though_the_topic_is_further_on(world: World) -> None:
    first = await world.process("a")
    await first.take()
    await first.commit("ana")
    await first.published()
    snapshot = await Snapshot.of(world.store)
    for name in ("bo", "cy", "dee"):
        await first.commit(name)
    await first.published()
    await first.kill()
    await snapshot.restore()
    await commit_unpublished(world, "dee", "eve")  # another order; commit 2, of 4 that the topic knows
    heir = await world.process("b")
    assert await heir.take() is not None
    await heir.commit("bo", "cy")
    await heir.published()
    assert world.seen() == ["ana", "bo", "cy", "dee", "eve"]
