"""What the feed says is called, once, in order per lane, and what fails is tried again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from consumers.delivery.branch import Branch
from consumers.delivery.port import Call, Done, Dropped, Failed, Later, Outcome, Refused
from consumers.delivery.reads import Reads
from consumers.state.store import Store
from tests.consumers.delivery.worlds import (
    BEGIN_MS,
    DEADLINE_S,
    PARTITIONS,
    QUICK,
    FakeTarget,
    FakeTargets,
    FeedWriter,
    HandClock,
    working,
)

CUSTOMERS = ["ana", "bob", "eve", "zoe"]


async def until(holds: Callable[[], bool]) -> None:
    """As a world's, but nobody is nudged."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, "it does not come to that"
        await asyncio.sleep(0.005)


def counted(
    rounds: Counter[str], name: str, make: Callable[[Branch], Awaitable[bool]]
) -> Callable[[Branch], Awaitable[bool]]:
    async def round_of(branch: Branch) -> bool:
        rounds[name] += 1
        return await make(branch)

    return round_of


def by_customer(ids: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in ids:
        found.setdefault(each.split(":")[1], []).append(each)
    return found


async def test_every_transition_is_called_once_in_order_per_customer(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget()
    said = await feed.say(*CUSTOMERS)
    async with working(store, FakeTargets(target)) as world:
        for _ in range(20):
            said += await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) >= len(said))
        await world.rest()
    assert sorted(target.called) == sorted(said)
    assert by_customer(target.called) == by_customer(said)
    assert [call.attempt for call in target.calls] == [1] * len(said)
    (standing,) = await Reads(store, PARTITIONS).standings(["sub/a"])
    assert (standing.done, standing.lag, standing.parked, standing.failed) == (len(said), 0, 0, 0)


async def test_a_target_gets_what_it_wants_from_where_it_begins(store: Store, feed: FeedWriter) -> None:
    before = await feed.say("ana", segment="old")
    from_start = FakeTarget("sub/start", wants=lambda item: item.kind == "entered")
    from_now = FakeTarget("sub/now", begin="now")
    async with working(store, FakeTargets(from_start, from_now)) as world:
        await world.until(lambda: len(world.worker.partitions) == PARTITIONS and from_start.done == before)
        await world.until(lambda: not world.worker.troubles)
        await world.rest()
        later = await feed.say("ana", "bob", segment="new")
        left = await feed.say("ana", segment="new")
        await world.until(lambda: len(from_now.done) == 3 and len(from_start.done) == 3)
    assert from_start.called[0] == before[0]
    assert sorted(from_start.called) == sorted(before + later)
    assert sorted(from_now.called) == sorted(later + left)


async def test_one_failing_customer_waits_while_the_others_go_on(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    broken = {"ana"}

    def answer(call: Call) -> Outcome:
        return Failed("no") if call.item.customer_id in broken else Done()

    target = FakeTarget(answer=answer)
    async with working(store, FakeTargets(target), clock=clock) as world:
        said = [await feed.say(*CUSTOMERS) for _ in range(5)]
        others = [each for ids in said for each in ids if ":ana:" not in each]
        await world.until(lambda: sorted(target.done) == sorted(others))
        await world.rest()
        assert target.called.count("vip:ana:1") == 1
        clock.ms += 6_000  # the second attempt
        await world.until(lambda: target.called.count("vip:ana:1") == 2)
        await world.rest()
        broken.clear()
        clock.ms += 331_000
        await world.until(lambda: len(target.done) == 20)
    assert by_customer(target.done)["ana"] == [f"vip:ana:{n}" for n in range(1, 6)]
    assert [call.attempt for call in target.calls if call.item.id == "vip:ana:1"] == [1, 2, 3]
    assert {call.first_ms for call in target.calls if call.item.id == "vip:ana:1"} == {BEGIN_MS}
    assert {call.key for call in target.calls if call.item.id == "vip:ana:1"} == {"sub/a:vip:ana:1"}


async def test_after_the_schedule_an_item_is_given_up_and_the_next_has_its_turn(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    target = FakeTarget(answer=lambda call: Failed("no", 500) if call.item.id == "vip:ana:1" else Done())
    reads = Reads(store, PARTITIONS)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say("ana")
        await feed.say("ana")
        times = []
        for attempt in range(1, 11):
            await world.until(lambda attempt=attempt: target.called.count("vip:ana:1") == attempt)  # type: ignore[misc]
            times.append(clock.ms - BEGIN_MS)

            async def parked(attempt: int = attempt) -> bool:
                (standing,) = await reads.standings(["sub/a"])
                return standing.failed == attempt

            await world.until_true(parked)
            (standing,) = await reads.standings(["sub/a"])
            if standing.next_ms:
                clock.ms = standing.next_ms
        await world.until(lambda: target.done == ["vip:ana:2"])
    waits = [b - a for a, b in itertools.pairwise(times)]
    planned = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(s * 1000 <= ms <= s * 1100 for ms, s in zip(waits, planned, strict=True))
    page = await reads.dead("sub/a", 10)
    assert [(item.item_id, item.attempts, item.status, item.error) for item in page.items] == [
        ("vip:ana:1", 10, 500, "no")
    ]
    log = await reads.log("sub/a", 100)
    assert [entry.outcome for entry in log.entries][::-1] == ["failed"] * 9 + ["given_up", "done"]


@pytest.mark.parametrize("ending", [Refused("never", 400), Dropped("has left")])
async def test_what_will_never_be_taken_is_not_tried_again(store: Store, feed: FeedWriter, ending: Outcome) -> None:
    target = FakeTarget(answer=lambda call: ending if call.item.id == "vip:ana:1" else Done())
    async with working(store, FakeTargets(target)) as world:
        await feed.say("ana")
        await feed.say("ana")
        await world.until(lambda: target.done == ["vip:ana:2"])
    reads = Reads(store, PARTITIONS)
    (standing,) = await reads.standings(["sub/a"])
    refused = isinstance(ending, Refused)
    assert (standing.given_up, standing.dropped, standing.dead) == (refused, not refused, refused)
    assert target.called == ["vip:ana:1", "vip:ana:2"]


async def test_later_is_no_attempt_and_holds_up_its_customer_alone(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()

    def answer(call: Call) -> Outcome:
        quiet = call.item.customer_id == "ana" and clock.ms < BEGIN_MS + 3_600_000
        return Later(BEGIN_MS + 3_600_000, "quiet hours") if quiet else Done()

    target = FakeTarget(answer=answer)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say("ana", "bob")
        await feed.say("ana", "bob")
        await world.until(lambda: sorted(target.done) == ["vip:bob:1", "vip:bob:2"])
        await world.rest()
        clock.ms += 3_599_000
        await world.rest()
        assert len(target.done) == 2
        clock.ms += 1_000
        await world.until(lambda: len(target.done) == 4)
    assert target.done[2:] == ["vip:ana:1", "vip:ana:2"]
    assert [call.attempt for call in target.calls] == [1] * 5


async def test_a_wait_parks_until_it_is_over(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    target = FakeTarget(wait_ms=60_000)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say("ana", "bob")
        await feed.say("ana", at_ms=BEGIN_MS + 30_000)
        reads = Reads(store, PARTITIONS)

        async def parked() -> bool:
            return (await reads.standings(["sub/a"]))[0].parked == 3

        await world.until_true(parked)
        assert target.calls == []
        clock.ms += 59_999
        await world.rest()
        assert target.calls == []
        clock.ms += 1
        await world.until(lambda: len(target.done) == 2)
        clock.ms += 29_999
        await world.rest()
        assert len(target.done) == 2
        clock.ms += 1
        await world.until(lambda: target.done[2:] == ["vip:ana:2"])


async def test_an_exception_of_a_target_is_a_failed_call(store: Store, feed: FeedWriter) -> None:
    clock = HandClock()
    broken = [True]

    def answer(call: Call) -> Outcome:
        if broken:
            raise ValueError("secret=1")
        return Done()

    target = FakeTarget(answer=answer)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say("ana")
        await world.until(lambda: len(target.calls) == 1)
        await world.rest()
        broken.clear()
        clock.ms += 6_000
        await world.until(lambda: len(target.done) == 1)
    (_, entry) = (await Reads(store, PARTITIONS).log("sub/a", 10)).entries
    assert entry.detail == "ValueError"


async def test_events_of_members_come_after_the_transitions_of_their_commit(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget(ordered=True)
    trigger = (
        b'{"id":"vip:ana:event:order_returned:e1","segment":"vip","type":"order_returned","customer_id":"ana",'
        b'"event_id":"e1","ts":1767225600000,"sequence":1,"event":{"id":"e1"}}'
    )
    from rules.transitions import render

    partition = feed.partition_of("ana")
    async with working(store, FakeTargets(target)) as world:
        await feed.commit(partition, [render(feed.change("ana"))], [trigger])
        await feed.commit(partition, [], [trigger.replace(b"e1", b"e2")])
        await feed.say("ana")
        await world.until(lambda: len(target.done) == 4)
        await world.rest()
    assert target.done == [
        "vip:ana:1",
        "vip:ana:event:order_returned:e1",
        "vip:ana:event:order_returned:e2",
        "vip:ana:2",
    ]
    event = target.calls[1].item
    assert (event.kind, event.cause, event.sequence, event.data) == (
        "event",
        "order_returned",
        1,
        b'{"event":{"id":"e1"},"sequence":1}',
    )


async def test_a_target_is_not_woken_for_what_others_want(store: Store, feed: FeedWriter) -> None:
    shops = [f"shop-{number}" for number in range(30)]
    idle = {shop: FakeTarget(f"sub/{shop}", wants=lambda item, shop=shop: item.segment == shop) for shop in shops}  # type: ignore[misc]
    busy = FakeTarget("sub/busy", wants=lambda item: item.segment == "vip")
    # Naps are long, and nobody nudges: who makes a round was woken.
    settings = msgspec.structs.replace(QUICK, nap_ms=60_000)
    async with working(store, FakeTargets(busy, *idle.values()), settings=settings) as world:
        await world.until(lambda: len(world.worker.partitions) == PARTITIONS and not world.worker.troubles)
        said = await feed.say(*CUSTOMERS)
        await until(lambda: set(busy.done) == set(said))
        await world.rest()
        await asyncio.sleep(0.1)  # for the rounds of the last nudge
        rounds = Counter[str]()
        for name, runner in world.worker._roster.runners.items():
            runner._round = counted(rounds, name, runner._round)  # type: ignore[method-assign,assignment]
        for count in range(2, 22):
            await feed.say(*CUSTOMERS)
            await until(lambda count=count: len(busy.done) == count * len(CUSTOMERS))  # type: ignore[misc]
        assert set(rounds) == {"sub/busy"}
        for shop, target in idle.items():  # and who is wanted at last gets it, and nothing of before
            mine = await feed.say("ana", segment=shop)
            await until(lambda target=target, mine=mine: target.called == mine)  # type: ignore[misc]
    standings = await Reads(store, PARTITIONS).standings([target.id for target in idle.values()])
    assert [(each.lag, each.done) for each in standings] == [(0, 1)] * len(idle)
