"""What the API asks of the state, on a cluster."""

from __future__ import annotations

from consumers.log.redis_streams import RedisLog
from consumers.state.dead_letter_box import StoreDeadLetters
from consumers.state.feed import Feed
from consumers.state.keys import PartitionKeys
from consumers.state.reads import Reads
from consumers.state.registry import Registry
from consumers.state.status import read_status
from consumers.state.store import Store
from tests.consumers.evaluator.worlds import SEGMENTS, Line, evaluate, members, random_events, write


async def test_everything_the_api_asks_is_answered(store: Store, log: RedisLog) -> None:
    registry, feed = Registry(store, log), Feed(store, 2)
    for name, document in SEGMENTS.items():
        await registry.put(name, document, "text", "application/json")
    events = random_events(1, 100)
    poison: list[Line] = [(events[-1][0], b"poison")]
    await write(store, events + poison)
    await evaluate(store, log)
    reads = Reads(store, log, feed)
    inside = {name: await members(store, name) for name in SEGMENTS}
    assert await reads.sizes(SEGMENTS) == {name: len(found) for name, found in inside.items()}
    name = max(inside, key=lambda each: len(inside[each]))
    page = await reads.members(name, limit=1_000)
    assert {member.customer_id: member.since for member in page.members} == inside[name]
    found = await reads.profiles([*inside[name], "nobody"])
    assert [profile is not None for profile in found] == [True] * len(inside[name]) + [False]
    assert len([letter async for letter in StoreDeadLetters(store, 2).newest_first()]) == 1
    assert (await reads.activations(dict.fromkeys(SEGMENTS, 1)))[name].judged > 0
    first, second = await read_status(store, log, [PartitionKeys(0), PartitionKeys(1)])
    assert first.customers > 0 == second.customers
    await feed.close()
