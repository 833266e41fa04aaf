"""An emptied store filled from the log is what it was, transition for transition; discarding leaves no half state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
import pytest

from consumers.evaluator import Evaluator
from consumers.log.port import START, NewRecord, Offset
from consumers.log.redis_streams import RedisLog
from consumers.state import rebuild
from consumers.state.commit import Held, Meta, Reload, take_over
from consumers.state.keys import REGISTRY, PartitionKeys
from consumers.state.rebuild import Filled, allow, discard, filled, finish, look, restored
from consumers.state.registry import Registry
from consumers.state.registry_log import read_entries
from consumers.state.store import Store
from rules.events import Event
from rules.language import load_yaml
from rules.records import DefinitionRecord, encode_definition
from tests.consumers.evaluator.worlds import (
    BEGIN,
    DAY,
    SEGMENTS,
    by_customer,
    define,
    evaluate,
    feed,
    random_events,
    write,
)

KEYS = PartitionKeys(0)
YAML = "application/yaml"
DEADLINE_S = 30.0


async def fill(store: Store, log: RedisLog) -> None:
    """Events with definitions among them, one of which asks what nobody asked before; evaluated."""
    lines = random_events(7, 600)
    known = [(BEGIN, define(name)) for name in ("active", "spenders", "by-tag", "quiet")]
    late = [(lines[300][0], define("lapsing")), (lines[300][0], define("active", 2, about="again"))]
    await write(store, [*known, *lines[:300], *late, *lines[300:], (BEGIN + 40 * DAY, None)])
    await evaluate(store, log)


async def state(store: Store) -> dict[str, Any]:
    """Everything that readers see of partition 0."""
    customers = [each.decode() for each in await store.call("ZRANGE", KEYS.judged, 0, -1)]
    members = {name: await store.call("ZRANGE", KEYS.members(name), 0, -1, "WITHSCORES") for name in SEGMENTS}
    return {
        "profiles": {each: await store.call("GET", KEYS.profile(each)) for each in customers},
        "members": members,
        "timers": await store.call("ZRANGE", KEYS.timers, 0, -1, "WITHSCORES"),
        "transitions": by_customer(await feed(store)),
    }


async def _keys(store: Store) -> list[bytes]:
    """All of the partition."""
    return [key for _, found in await store.on_every("KEYS", KEYS.meta.replace("meta", "*")) for key in found]


async def meta(store: Store) -> Meta:
    return Meta.parse(await store.call("HGETALL", KEYS.meta))


async def keys_of(store: Store) -> set[str]:
    """What is left of partition 0."""
    found = await _keys(store)
    return {each.decode().rpartition("}:")[2] for each in found}


def nothing(_count: int) -> None: ...


async def until_filled(store: Store, log: RedisLog, end: Offset) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not (await filled(store, log, {0: end}))[0].done:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_discarded_state_made_again_from_the_log_is_the_same(store: Store, log: RedisLog) -> None:
    await fill(store, log)
    before, numbered = await state(store), (await meta(store)).numbered
    assert sum(map(len, before["transitions"].values())) == numbered > 100
    counted: list[int] = []
    await discard(store, 0, counted.append)
    assert sum(counted) == len(before["profiles"])
    assert await keys_of(store) == {"log", "meta"}
    await evaluate(store, log)
    assert await state(store) == before
    assert (await meta(store)).numbered == numbered


async def test_an_emptied_state_made_again_from_the_log_is_the_same(store: Store, log: RedisLog) -> None:
    await fill(store, log)
    before = await state(store)
    for key in await _keys(store):
        if key.decode() != KEYS.log:
            await store.call("DEL", key)
    (standing,) = await look(store, log, [0])
    assert (standing.empty, standing.rebuilding, standing.whole) == (True, False, True)
    await allow(store, 0)
    await evaluate(store, log)
    assert await state(store) == before
    assert (await meta(store)).rebuild == 1
    await finish(store, [0])
    assert (await meta(store)).rebuild == 0


async def test_a_partition_is_nobodys_until_its_state_is_discarded_to_the_end(store: Store, log: RedisLog) -> None:
    await fill(store, log)
    owner = await take_over(store, KEYS, "owner", 15_000, force=True)

    class Crash(Exception): ...

    def crash(_count: int) -> None:
        raise Crash

    with pytest.raises(Crash):
        await discard(store, 0, crash)
    (standing,) = await look(store, log, [0])
    assert standing.discarding
    for force in (False, True):
        with pytest.raises(Held, match="a rebuild that discards its state"):
            await take_over(store, KEYS, "owner", 15_000, force=force)
    with pytest.raises(Reload, match="being discarded"):
        await allow(store, 0)
    await discard(store, 0, nothing)
    taken = await take_over(store, KEYS, "owner", 15_000, force=False)
    assert taken.epoch > owner.epoch + 1
    assert (taken.position, taken.numbered, taken.rebuild) == (START, 0, 1)


async def test_of_two_that_discard_at_once_one_gives_way(
    store: Store, log: RedisLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, log)
    monkeypatch.setattr(rebuild, "CUSTOMERS_A_STEP", 1)
    others: list[asyncio.Task[None]] = []

    def begin_another(_count: int) -> None:
        if not others:
            others.append(asyncio.create_task(discard(store, 0, nothing)))

    with pytest.raises(Reload, match="owns the partition"):
        await discard(store, 0, begin_another)
    await others[0]
    assert await keys_of(store) == {"log", "meta"}
    assert [each.discarding for each in await look(store, log, [0])] == [False]


async def test_a_running_evaluator_does_the_discarded_partition_again(store: Store, log: RedisLog) -> None:
    past = BEGIN - int(time.time() * 1000) + 60 * DAY
    events = [
        (at - past, msgspec.structs.replace(item, ts=item.ts - past))
        for at, item in random_events(7, 600)
        if isinstance(item, Event)
    ]
    await write(store, [(events[0][0], define("active")), *events])
    evaluator = Evaluator(store, log)
    running = asyncio.create_task(evaluator.run())
    try:
        end = (await log.bounds())[0].last
        await until_filled(store, log, end)
        before, made = await meta(store), by_customer(await feed(store))
        assert made
        await discard(store, 0, nothing)
        await until_filled(store, log, end)
        after = await meta(store)
        assert after.epoch >= before.epoch + 2
        again = by_customer(await feed(store))  # by the clock, more may have come
        assert {name: again[name][: len(each)] for name, each in made.items()} == made
    finally:
        await evaluator.stop()
        await running


async def test_commits_number_on_unless_transitions_are_published(store: Store, log: RedisLog) -> None:
    await fill(store, log)
    before = await meta(store)
    await discard(store, 0, nothing)
    after = await meta(store)
    assert (after.commit, after.shown, after.numbered) == (before.commit, before.commit, 0)
    await store.call("HSET", KEYS.meta, "relays", "an-id another", "relayed", "5 0 17 30")
    await discard(store, 0, nothing)
    after = await meta(store)
    assert (after.commit, after.shown, after.relays, after.relayed) == (0, 0, "an-id another", "")
    assert after.epoch == before.epoch + 2


async def test_only_an_empty_partition_may_be_filled(store: Store, log: RedisLog) -> None:
    await allow(store, 0)
    await allow(store, 0)
    await finish(store, [0])
    await store.call("HSET", KEYS.meta, "commit", 3)
    with pytest.raises(Reload, match="partition 0: it has a state"):
        await allow(store, 0)
    assert (await meta(store)).rebuild == 0


async def test_what_there_is_of_each_partition_is_told(store: Store, log: RedisLog) -> None:
    assert [(each.empty, each.records, each.whole) for each in await look(store, log, [0, 1])] == [(False, 0, True)] * 2
    places = [(await log.append([NewRecord(1, b"%d" % n)]))[0] for n in range(5)]
    empty, written = await look(store, log, range(2))
    assert (empty.partition, empty.first, empty.empty) == (0, None, False)
    assert (written.partition, written.first, written.last) == (1, places[0], places[4].offset)
    assert (written.records, written.whole, written.empty) == (5, True, True)
    await store.call("XTRIM", PartitionKeys(1).log, "MAXLEN", 3)
    (trimmed,) = await look(store, log, [1])
    assert (trimmed.first, trimmed.records, trimmed.whole) == (places[2], 3, False)


async def test_a_partition_is_filled_when_it_has_read_all_and_nothing_is_due(store: Store, log: RedisLog) -> None:
    await fill(store, log)
    end = (await log.bounds())[0].last
    assert await filled(store, log, {0: end}) == {0: Filled(end, True)}
    assert await filled(store, log, {1: START}) == {1: Filled(START, True)}
    clock = (await meta(store)).clock
    await store.call("ZADD", KEYS.timers, clock - 1, "somebody")
    assert not (await filled(store, log, {0: end}))[0].done
    await store.call("ZREM", KEYS.timers, "somebody")
    await store.call("HSET", KEYS.meta, "lost_to", 5)
    assert not (await filled(store, log, {0: end}))[0].done
    await store.call("HDEL", KEYS.meta, "lost_to")
    await log.append([NewRecord(0, encode_definition(define("quiet", 9)))])
    assert (await filled(store, log, {0: end}))[0].done
    assert not (await filled(store, log, {0: (await log.bounds())[0].last}))[0].done


async def test_what_was_restored_is_counted(store: Store, log: RedisLog) -> None:
    await fill(store, log)
    found = await restored(store, [0, 1])
    everything = await state(store)
    members = sum(len(each) // 2 for each in everything["members"].values())
    assert found == (len(everything["profiles"]), members, 5, (await meta(store)).numbered)


# -- the registry -----------------------------------------------------------------------------------------------------


async def put(registry: Registry, name: str, **changes: Any) -> None:
    document = SEGMENTS[name] | changes
    await registry.put(name, document, f"# mine\n{orjson.dumps(document).decode()}", YAML)


async def test_segments_come_back_from_the_log_in_their_newest_version(store: Store, log: RedisLog) -> None:
    registry = Registry(store, log)
    await put(registry, "active")
    await put(registry, "active", about="ação: 2026-01-01, on, 0x10")
    await put(registry, "quiet")
    await registry.pause("quiet")
    await put(registry, "spenders")
    await registry.delete("spenders")
    before = {name: entry for name in SEGMENTS if (entry := await registry.get(name)) is not None}
    await store.call("DEL", REGISTRY)
    counted: list[int] = []
    entries = await read_entries(log, (await log.bounds())[0].last, counted.append)
    assert sum(counted) == 6
    assert len(await registry.restore(entries.values())) == 3
    assert await registry.restore(entries.values()) == []
    for name, entry in before.items():
        found = await registry.get(name)
        assert found is not None
        assert (found.version, found.state, found.document) == (entry.version, entry.state, entry.document)
        assert (found.media_type, found.published) == (YAML, entry.version)
        assert load_yaml(found.text) == entry.document
        assert abs(found.created_at - entry.created_at) < 60_000
        assert found.updated_at >= found.created_at
    assert await registry.get("spenders") is None
    again, created = await registry.put("spenders", SEGMENTS["spenders"], "", YAML)
    assert (again.version, created) == (3, True)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([define("quiet", 2), define("quiet", 1, about="older")], [("quiet", 2)]),
        ([define("quiet", 2), define("quiet", 2, about="the same")], [("quiet", 2)]),
        ([define("quiet", 1), define("quiet", 2, enter={"evnt": "x"})], [("quiet", 1)]),
        ([DefinitionRecord("other", 1, "active", SEGMENTS["quiet"])], []),
        ([DefinitionRecord("quiet", 1, "active", None)], []),
        ([define("quiet", 1), DefinitionRecord("quiet", 9, "active", None, activate=True)], [("quiet", 1)]),
    ],
    ids=["an older one", "the same again", "no segment", "another's id", "no document", "an activation"],
)
async def test_what_evaluators_do_not_take_note_of_is_left_out(
    log: RedisLog, records: Sequence[DefinitionRecord], expected: list[tuple[str, int]]
) -> None:
    await log.append([NewRecord(0, encode_definition(record)) for record in records])
    await log.append([NewRecord(0, b'{"type": "definition", broken'), NewRecord(0, b'{"type":"tick"}')])
    entries = await read_entries(log, (await log.bounds())[0].last, nothing)
    assert [(each.segment, each.version) for each in entries.values()] == expected
    assert all("about" not in each.document for each in entries.values())


async def test_definitions_after_the_end_asked_for_may_be_read_but_nothing_is_waited_for(log: RedisLog) -> None:
    assert await read_entries(log, START, nothing) == {}
    places = await log.append([NewRecord(0, encode_definition(define("quiet")))])
    async with asyncio.timeout(10):
        assert set(await read_entries(log, places[0].offset + 10**9, nothing)) == {"quiet"}


async def test_a_segment_made_again_is_as_old_as_its_second_beginning(store: Store, log: RedisLog) -> None:
    made = DefinitionRecord("quiet", 3, "active", SEGMENTS["quiet"])
    records = [define("quiet"), DefinitionRecord("quiet", 2, "deleted", None), made]
    await write(store, [(BEGIN + nth * DAY, record) for nth, record in enumerate(records)])
    entries = await read_entries(log, (await log.bounds())[0].last, nothing)
    assert entries["quiet"].created_at == entries["quiet"].updated_at == BEGIN + 2 * DAY
