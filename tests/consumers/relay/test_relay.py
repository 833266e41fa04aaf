"""Each transition is published once, in order, with running numbers, whatever happens to the process or the topic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from consumers.relay.settings import Settings
from consumers.state.commit import Reload, release
from consumers.state.keys import PartitionKeys
from consumers.state.relaying import Holder, note_relayed
from rules.errors import Unavailable
from tests.consumers.relay.memory_outlet import MemoryOutlet, no_fault
from tests.consumers.relay.worlds import QUICK, Crashed, World, read_meta, until

STEPS = ["open", "produce", "commit", "tail"]


async def test_what_is_committed_is_published_once_in_order(world: World) -> None:
    process = await world.process("a")
    await process.take(0)
    await process.take(1)
    await process.commit("ana", "bo")
    await process.commit()  # a commit that says nothing
    await process.commit("cy", partition=1)
    await process.commit("dee")
    await process.published()
    assert (world.seen(0), world.seen(1)) == (["ana", "bo", "dee"], ["cy"])
    assert [(place.commit, place.nth, place.position) for place in world.places(0)] == [(1, 0, 0), (1, 1, 0), (3, 0, 2)]


async def test_what_comes_in_a_burst_shares_transactions(world: World) -> None:
    process = await world.process("a", Settings(gather_ms=50))
    await process.take(0)
    await process.take(1)
    for number in range(20):
        await process.commit(f"c{number}", partition=number % 2)
    await process.published()
    assert sorted(world.seen(0) + world.seen(1)) == sorted(f"c{number}" for number in range(20))
    assert world.topic.transactions <= 5


async def test_a_transaction_is_bounded(world: World) -> None:
    process = await world.process("a", Settings(gather_ms=0, transaction_transitions_max=3))
    await process.take(0)
    held = asyncio.Event()

    async def hold(step: str, name: str) -> None:
        if step == "produce.before":
            await held.wait()

    world.topic.fault = hold
    await process.commit("first")
    await process.commit(*(f"c{number}" for number in range(10)))
    held.set()
    await process.published()
    assert world.seen() == ["first", *(f"c{number}" for number in range(10))]
    assert world.topic.transactions >= 4  # 3, 3, 3, 2, or the first alone and four more


@pytest.mark.parametrize("place", ["relay.begin", "relay.produced", "relay.committed"])
async def test_a_process_that_crashes_at_any_step_is_followed_by_one_that_resumes(
    world: World, crash: Callable[[str], None], place: str
) -> None:
    first = await world.process("a")
    await first.take()
    await first.commit("ana")
    await first.published()
    crash(place)
    await first.commit("bo", "cy")
    assert isinstance(await first.ended(), Crashed)
    second = await world.process("b")
    await second.take()
    await second.commit("dee")
    await second.published()
    assert world.seen() == ["ana", "bo", "cy", "dee"]


@pytest.mark.parametrize("place", ["T2.fenced", "T2.after", "T3.after", "T4.after"])
async def test_a_takeover_that_crashes_at_any_step_is_done_again(
    world: World, crash: Callable[[str], None], place: str
) -> None:
    first = await world.process("a")
    await first.take()
    await first.commit("ana", offer=False)
    await first.kill()
    crash(place)
    second = await world.process("b")
    with pytest.raises(Crashed):
        await second.take()
    await second.kill()
    third = await world.process("c")
    await third.take()
    await third.published()
    assert world.seen() == ["ana"]
    assert (await read_meta(world.store)).relays == "c"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_lost_request_or_answer_changes_nothing(world: World, step: str, when: str) -> None:
    process = await world.process("a")
    await process.take()
    lost = [f"{step}.{when}", f"{step}.{when}", f"{step}.{when}"]
    if step in ("open", "tail"):  # these are asked only after something went wrong
        lost.insert(0, "commit.after")

    async def lose(at: str, name: str) -> None:
        if lost and at == lost[0]:
            del lost[0]
            raise Unavailable("lost on the way")

    world.topic.fault = lose
    names: list[str] = []
    while lost:
        names += [f"x{len(names)}", f"y{len(names)}"]
        await process.commit(*names[-2:])
        await process.published()
    assert world.seen() == names


async def test_while_the_topic_is_away_it_says_why_and_evaluation_waits_when_the_outbox_is_full(world: World) -> None:
    process = await world.process("a", Settings(gather_ms=1, outbox_transitions_max=3))
    await process.take()
    away = True

    async def fault(step: str, name: str) -> None:
        if away:
            raise Unavailable("Kafka is away")

    world.topic.fault = fault
    await process.commit("ana", "bo")
    await until(lambda: "Kafka is away" in process.relay.reason)
    assert process.relay.room(0)
    await process.commit("cy")
    assert not process.relay.room(0)
    assert process.relay.backlog(0) == 3
    away = False
    await process.published()
    await until(lambda: process.relay.room(0) and not process.relay.reason)
    assert world.seen() == ["ana", "bo", "cy"]


async def test_more_than_memory_holds_is_read_from_the_outbox_again(world: World) -> None:
    process = await world.process("a", Settings(gather_ms=0, memory_transitions_max=10, read_transitions_max=7))
    await process.take(0)
    await process.take(1)
    away = True

    async def fault(step: str, name: str) -> None:
        if away:
            raise Unavailable("away")

    world.topic.fault = fault
    for number in range(60):
        await process.commit(f"x{number}", f"y{number}", partition=0)
        await process.commit(f"z{number}", partition=1)
    assert process.relay.backlog(0) == 120
    assert sum(line.held for line in process.relay._lines) <= 10
    away = False
    await process.published()
    assert world.seen(0) == [name for number in range(60) for name in (f"x{number}", f"y{number}")]
    assert world.seen(1) == [f"z{number}" for number in range(60)]
    await process.commit("last")
    await process.published()
    assert world.seen(0)[-1] == "last"


async def test_a_new_process_finds_what_was_not_offered_in_the_outbox(world: World) -> None:
    first = await world.process("a")
    await first.take()
    await first.commit("ana", "bo")
    await first.published()
    for name in ("cy", "dee", "ed"):
        await first.commit(name, offer=False)
    await first.kill()
    second = await world.process("b")

    async def away(step: str, name: str) -> None:
        if step == "produce.before":
            raise Unavailable("away")

    world.topic.fault = away
    await second.take()
    assert second.relay.backlog(0) == 3
    world.topic.fault = no_fault
    await second.published()
    assert world.seen() == ["ana", "bo", "cy", "dee", "ed"]


async def test_a_fenced_process_lets_go_of_what_it_lost_and_keeps_the_rest(world: World) -> None:
    zombie, heir = await world.process("a"), await world.process("b")
    await zombie.take(0)
    await zombie.take(1)
    await heir.take(0)
    await heir.commit("ana", partition=0)
    zombie.relay.offer(0, 1, 0, [])  # it does not know yet
    await zombie.commit("bo", partition=1)
    await zombie.published(1)
    await heir.published(0)
    assert (world.seen(0), world.seen(1)) == (["ana"], ["bo"])
    assert zombie.relay.take_lost() == [0]
    assert zombie.relay.take_lost() == []
    await heir.commit("cy", partition=0)
    await heir.published(0)
    assert world.seen(0) == ["ana", "cy"]


async def test_a_zombie_that_wakes_up_within_its_transaction_publishes_nothing(world: World) -> None:
    zombie, heir = await world.process("a"), await world.process("b")
    await zombie.take()
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def sleep(step: str, name: str) -> None:
        if step == "commit.before" and name == "a":
            asleep.set()
            await awake.wait()

    world.topic.fault = sleep
    await zombie.commit("ana")
    await asyncio.wait_for(asleep.wait(), 10)
    await heir.take()
    await heir.published()
    await heir.commit("bo")
    awake.set()
    await heir.published()
    await until(lambda: zombie.relay.take_lost() == [0])
    assert world.seen() == ["ana", "bo"]


async def test_a_zombie_looks_who_owns_the_partition_before_it_goes_on(world: World) -> None:
    zombie, heir = await world.process("a"), await world.process("b")
    await zombie.take()
    away, go_on = True, asyncio.Event()

    async def fault(step: str, name: str) -> None:
        if name == "a" and away:
            raise Unavailable("away")
        if name == "b" and step == "produce.before":
            await go_on.wait()

    world.topic.fault = fault
    await zombie.commit("ana")
    await until(lambda: bool(zombie.relay.reason))
    await heir.take()  # it has `ana` from the outbox, and takes its time
    away = False
    await until(lambda: zombie.relay.take_lost() == [0])
    go_on.set()
    await heir.published()
    assert world.seen() == ["ana"]


async def test_what_is_let_go_cleanly_is_published_and_nobody_is_fenced(world: World) -> None:
    first, second = await world.process("a"), await world.process("b")
    await first.take(0)
    await first.take(1)
    await first.commit("ana")
    assert await first.relay.flush([0], 10)
    assert world.seen() == ["ana"]
    await release(world.store, PartitionKeys(0), first.metas[0].epoch)
    fenced = []

    async def fault(step: str, name: str) -> None:
        if step == "fence.before":
            fenced.append(name)

    world.topic.fault = fault
    await second.take(0)
    assert fenced == []
    await first.commit("bo", partition=1)  # goes on with the other
    await first.published(1)
    await second.commit("cy")
    await second.published()
    assert (world.seen(0), world.seen(1)) == (["ana", "cy"], ["bo"])


async def test_what_could_not_be_published_in_time_is_not_said_to_be(world: World) -> None:
    first = await world.process("a")
    await first.take()

    async def away(step: str, name: str) -> None:
        if name == "a":
            raise Unavailable("away")

    world.topic.fault = away
    await first.commit("ana")
    assert not await first.relay.flush([0], 0.05)
    assert (await read_meta(world.store)).relays == "a"
    await first.kill()
    second = await world.process("b")
    await second.take()
    await second.published()
    assert world.seen() == ["ana"]


async def test_the_same_process_may_take_a_partition_again_while_its_transaction_is_under_way(world: World) -> None:
    process = await world.process("a")
    await process.take()
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def sleep(step: str, name: str) -> None:
        if step == "commit.before":
            asleep.set()
            await awake.wait()

    world.topic.fault = sleep
    await process.commit("ana")
    await asyncio.wait_for(asleep.wait(), 10)
    taking = asyncio.create_task(process.take())
    await asyncio.sleep(0.05)
    assert not taking.done()
    awake.set()
    await taking
    await process.commit("bo")
    await process.published()
    assert world.seen() == ["ana", "bo"]


async def test_a_topic_that_was_emptied_is_resumed_from_the_stores_note(world: World) -> None:
    first = await world.process("a", Settings(gather_ms=1, note_idle_ms=10))
    await first.take()
    await first.commit("ana", "bo")
    await first.published()
    await until(lambda: _noted(world, "1 1 0 2 0"))
    await first.kill()
    world.topic.retain(0, world.topic.end(0))
    assert world.seen() == []
    second = await world.process("b")
    await second.take()
    await second.commit("cy")
    await second.published()
    assert world.seen() == ["cy"]
    assert world.places()[0].number == 3


async def _noted(world: World, note: str) -> bool:
    return (await read_meta(world.store)).relayed == note


async def test_a_topic_that_lost_its_end_gets_it_again(world: World) -> None:
    first = await world.process("a", Settings(gather_ms=1, note_idle_ms=10))
    await first.take()
    await first.commit("ana")
    await first.published()
    end = world.topic.end(0)
    await first.commit("bo", "cy")
    await first.published()
    await until(lambda: _noted(world, "2 1 1 3 0"))
    await first.kill()
    world.topic.truncate(0, end)
    second = await world.process("b")
    await second.take()
    await second.published()
    assert world.seen() == ["ana", "bo", "cy"]


async def test_no_tail_is_trusted_while_a_stranger_has_a_transaction_open(world: World) -> None:
    stranger = MemoryOutlet(world.topic, "stranger")
    await stranger.open()

    async def stop_before_commit(step: str, name: str) -> None:
        if step == "commit.before" and name == "stranger":
            raise Unavailable("gone")

    first = await world.process("a")
    await first.take()
    await first.commit("ana")
    await first.published()
    world.topic.fault = stop_before_commit
    with pytest.raises(Unavailable):
        await stranger.publish({0: [entry.outgoing for entry in world.topic.committed(0) if entry.outgoing]})
    second = await world.process("b")
    with pytest.raises(Unavailable):
        await second.take()
    world.topic.time_out("stranger")
    await second.take()
    await second.commit("bo")
    await second.published()
    assert world.seen() == ["ana", "bo"]


async def test_only_the_holder_of_a_partition_writes_its_notes(world: World) -> None:
    first, second = await world.process("a"), await world.process("b")
    await first.take()
    old = Holder(first.metas[0].epoch, "a")
    await second.take()
    now = Holder(second.metas[0].epoch, "b")
    await second.kill()  # or it writes its own
    for holder in (old, Holder(now.epoch, "a"), Holder(old.epoch, "b")):
        with pytest.raises(Reload):
            await note_relayed(world.store, PartitionKeys(0), holder, "9 9 9 9 9", 0)
    await note_relayed(world.store, PartitionKeys(0), now, "1 0 0 0 0", 0)
    with pytest.raises(Reload, match="commit"):  # which the store does not have
        await note_relayed(world.store, PartitionKeys(0), now, "9 0 0 0 0", 9)
    assert (await read_meta(world.store)).relayed == "1 0 0 0 0"


async def test_an_outbox_that_let_go_too_early_is_told_and_the_rest_goes_out(world: World) -> None:
    first = await world.process("a")
    await first.take()
    for name in ("ana", "bo", "cy"):
        await first.commit(name, offer=False)
    await first.kill()
    await world.store.call("XTRIM", PartitionKeys(0).out, "MINID", "3-0")
    second = await world.process("b", QUICK)
    await second.take()
    await second.published()
    assert world.seen() == ["cy"]


async def test_close_ends_the_loop_and_lets_go_of_the_outlet(world: World) -> None:
    process = await world.process("a")
    await process.take()
    await process.relay.close()
    assert await process.ended() is None
    with pytest.raises(Unavailable):
        await process.outlet.publish({0: []})
