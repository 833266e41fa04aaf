"""What is settled beyond the first item that is not stays settled when somebody else goes on, however often."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
import pytest

from consumers.delivery.following import SPANS_MAX, Place, Position, Span
from consumers.delivery.port import Call, Done, Outcome
from consumers.delivery.reads import Reads
from consumers.state.store import Store
from tests.consumers.delivery.worlds import PARTITIONS, QUICK, FakeTarget, FakeTargets, FeedWriter, working

SHORT = msgspec.structs.replace(QUICK, lease_ms=200, heartbeat_ms=50, page_entries_max=2)


@pytest.mark.parametrize("spans", [0, 1, SPANS_MAX])
def test_a_position_is_read_as_it_was_written(spans: int) -> None:
    some = [Span(Place(n, 10 * n, 1), Place(n, 10 * n + 5)) for n in range(2, 2 + spans)]
    position = Position(Place(1, 7, 2), some, 5 * spans)
    assert Position.read(position.write()) == position


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_settled_is_not_called_again_after_any_number_of_crashes(
    store: Store, feed: FeedWriter, seed: int
) -> None:
    rng = Random(seed)
    stuck: set[str] = set()
    never = asyncio.Event()

    async def answer(call: Call) -> Outcome:
        if call.item.id in stuck:
            await never.wait()
        return Done()

    target = FakeTarget(answer=answer, ordered=False, concurrency=50)
    said: list[str] = []
    reads = Reads(store, PARTITIONS)

    async def written() -> bool:
        (standing,) = await reads.standings([target.id])
        return set(target.done) == set(said) - stuck and standing.done == len(target.done)

    for _ in range(4):
        fresh = await feed.say(*[f"m{m}" for m in range(30)])
        said += fresh
        stuck |= set(rng.sample(fresh, 5))
        stuck -= set(rng.sample(sorted(stuck), 2))
        async with working(store, FakeTargets(target), settings=SHORT) as world:
            await world.until_true(written)
            await world.crash()
    stuck.clear()
    async with working(store, FakeTargets(target), settings=SHORT) as world:
        await world.until_true(written)
    assert sorted(target.done) == sorted(said), "each once"
