"""A rolled-back store: what was published stands, where the log now gives something else, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import orjson
import pytest

from consumers.clock import SYSTEM_CLOCK
from consumers.evaluator import NullMetrics, Settings
from consumers.evaluator.owned import Tools
from consumers.evaluator.partition import Partition
from consumers.log.partition import partition_of
from consumers.log.port import Offset
from consumers.log.redis_streams import RedisLog
from consumers.relay.port import Place, Published, digest_of
from consumers.relay.relay import Relay
from consumers.relay.takeover import Recovery
from consumers.state.commit import Reload
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.events import Event
from rules.profile import SEQUENCE, Profile, decode
from rules.times import format_instant
from tests.consumers.evaluator.worlds import BEGIN, at_home, define, evaluate, feed, members, played, write

ANA, BOB, CY = at_home(0), at_home(1), at_home(2)
DEFINED = {"event": "page_view", "within": "2d"}
DEFINITION = define("active", enter=DEFINED)


class Topic:
    """The part of a relay that an owner asks, over a topic that holds `values`."""

    name = "relay"

    def __init__(self, values: Iterable[bytes], lost_position: Offset) -> None:
        self.values = list(values)
        self.lost_position = lost_position
        self.ended = False
        self.commit = 0

    async def take(self, partition: int, meta: object, epoch: int) -> Recovery:
        ids = {}
        for offset, value in enumerate(self.values):
            place = Place(1, offset, self.lost_position, offset + 1)
            ids[orjson.loads(value)["id"]] = Published(offset, digest_of(value), place)
        return Recovery(ids, self.lost_position)

    async def value(self, partition: int, offset: Offset) -> bytes:
        return self.values[offset]

    def known(self, partition: int) -> int:
        return self.commit

    def backlog(self, partition: int) -> int:
        return 0

    def offer(self, partition: int, commit: int, position: Offset, transitions: Sequence[bytes]) -> None: ...

    async def recovered(self, partition: int) -> None:
        self.ended = True


class Counts(NullMetrics):
    def __init__(self) -> None:
        self.found: dict[str, int] = {"differs": 0, "absent": 0}

    def adopted(self, why: Literal["differs", "absent"], count: int) -> None:
        self.found[why] += count


def view(customer: str, at: int, name: str = "v") -> Event:
    return Event("page_view", customer, at, f"{name}-{customer}", {}, f"{name}-{customer}")


async def restore(store: Store, log: RedisLog, values: Iterable[bytes]) -> tuple[Topic, Counts]:
    """An owner takes the whole log, beginning after a roll-back to nothing."""
    records = await log.read({0: -1}, 1_000, 0)
    topic, counts = Topic(values, records[-1].offset), Counts()
    tools = Tools(store, log, Settings(drain_ms=1_000), counts, SYSTEM_CLOCK, True, cast(Relay, topic))
    owner = Partition(0, tools)
    await owner.open("test", force=True)
    await owner.take(records[:2])
    assert not topic.ended, "what is not read yet may still come"
    await owner.take(records[2:])
    while owner.busy and not topic.ended:
        await owner.chore()
    assert topic.ended
    return topic, counts


def changed(value: bytes, **parts: Any) -> bytes:
    return orjson.dumps(orjson.loads(value) | parts)


@pytest.fixture
async def made(store: Store, log: RedisLog) -> list[bytes]:
    """What the log makes: two enter."""
    events = [(BEGIN, view(ANA, BEGIN)), (BEGIN + 5, view(BOB, BEGIN + 5))]
    await write(store, [(BEGIN - 9, DEFINITION), *events])
    transitions, _ = played([DEFINITION], events)
    assert len(transitions) == 2
    return transitions


async def test_what_comes_again_as_it_was_is_no_matter(store: Store, log: RedisLog, made: list[bytes]) -> None:
    _, counts = await restore(store, log, made)
    assert counts.found == {"differs": 0, "absent": 0}
    assert await feed(store) == made


async def test_what_comes_again_otherwise_stands_as_it_was_published(
    store: Store, log: RedisLog, made: list[bytes]
) -> None:
    other = changed(made[0], time=format_instant(BEGIN - 3))
    _, counts = await restore(store, log, [other, made[1]])
    assert counts.found == {"differs": 1, "absent": 0}
    assert await feed(store) == [other, made[1]]
    assert await members(store, "active") == {ANA: BEGIN - 3, BOB: BEGIN + 5}
    assert (await profile_of(store, ANA)).members["active"] == [1, BEGIN - 3]


async def test_what_does_not_come_again_is_adopted_in_the_order_of_its_sequence(
    store: Store, log: RedisLog, made: list[bytes]
) -> None:
    def said(customer: str, sequence: int, at: int) -> bytes:
        told = orjson.loads(made[0]) | {"id": f"active:{customer}:{sequence}", "subject": customer}
        told["type"] = "segment.entered" if sequence % 2 else "segment.exited"
        return orjson.dumps(told | {"time": format_instant(at)})

    extra = [said(CY, 3, BEGIN + 9), said(CY, 1, BEGIN + 7), said(BOB, 2, BEGIN + 8), said(CY, 2, BEGIN + 8)]
    _, counts = await restore(store, log, [*made, *extra])
    assert counts.found == {"differs": 0, "absent": 4}
    found = await feed(store)
    assert found[:2] == made
    assert sorted(found[2:]) == sorted(extra)
    cys = [orjson.loads(each)["id"] for each in found if orjson.loads(each)["subject"] == CY]
    assert cys == [f"active:{CY}:{n}" for n in (1, 2, 3)]
    assert await members(store, "active") == {ANA: BEGIN, CY: BEGIN + 9}
    assert (await profile_of(store, BOB)).members["active"][SEQUENCE] == 2


async def test_who_is_known_only_by_what_was_published_is_judged_by_later_definitions(
    store: Store, log: RedisLog, made: list[bytes]
) -> None:
    extra = orjson.dumps(orjson.loads(made[0]) | {"id": f"active:{CY}:1", "subject": CY})
    await restore(store, log, [*made, extra])
    await write(store, [(BEGIN + 10, define("active", 2, enter=DEFINED, about="anew")), (BEGIN + 11, None)])
    async with asyncio.timeout(20):
        owner = await evaluate(store, log)
    assert not owner.busy
    found = await feed(store)
    assert [orjson.loads(each)["id"] for each in found][2:] == [f"active:{CY}:1", f"active:{CY}:2"]
    assert set(await members(store, "active")) == {ANA, BOB}


async def test_what_came_again_before_this_owner_is_not_adopted(store: Store, log: RedisLog, made: list[bytes]) -> None:
    first, _ = await restore(store, log, made)
    counts, topic = Counts(), Topic(made, first.lost_position)
    topic.commit = int(await store.call("HGET", PartitionKeys(0).meta, "commit"))
    owner = Partition(0, Tools(store, log, Settings(), counts, SYSTEM_CLOCK, True, cast(Relay, topic)))
    await owner.open("test", force=True)
    while owner.busy and not topic.ended:
        await owner.chore()
    assert topic.ended
    assert counts.found == {"differs": 0, "absent": 0}
    assert await feed(store) == made


async def test_a_partition_that_somebody_else_wrote_meanwhile_is_taken_over_again(
    store: Store, log: RedisLog, made: list[bytes]
) -> None:
    first, _ = await restore(store, log, made)
    topic = Topic(made, first.lost_position)
    topic.commit = 99  # what the relay knows is not what the store has
    owner = Partition(0, Tools(store, log, Settings(), Counts(), SYSTEM_CLOCK, True, cast(Relay, topic)))
    with pytest.raises(Reload, match="somebody else"):
        await owner.open("test", force=True)


async def profile_of(store: Store, customer: str) -> Profile:
    return decode(await store.call("GET", PartitionKeys(0).profile(customer)))


async def test_a_stranger_that_was_sent_home_before_is_not_sent_again(
    store: Store, log: RedisLog, made: list[bytes]
) -> None:
    stranger = next(name for name in (f"customer-{n}" for n in range(99)) if partition_of(name, 2) == 1)
    await write(store, [(BEGIN + 6, view(stranger, BEGIN + 6)), (BEGIN + 7, view(CY, BEGIN + 7))])
    topic, _ = await restore(store, log, made)
    assert topic.ended
    assert await log.read({1: -1}, 10, 0) == []
    await write(store, [(BEGIN + 8, view(stranger, BEGIN + 8, "later"))])
    again = Topic(made, topic.lost_position)  # the store is emptied again; this one was never read before
    for key in await store.call("KEYS", "sg:{0-*"):
        if key.decode() != PartitionKeys(0).log:
            await store.call("DEL", key)
    records = await log.read({0: -1}, 1_000, 0)
    owner = Partition(0, Tools(store, log, Settings(), Counts(), SYSTEM_CLOCK, True, cast(Relay, again)))
    await owner.open("test", force=True)
    await owner.take(records)
    assert [b"later" in record.payload for record in await log.read({1: -1}, 10, 0)] == [True]
