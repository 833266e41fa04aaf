"""Actions in the registry: edits that make no new version, told to evaluators apart, and who made which edit."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.log.port import START
from consumers.log.redis_streams import RedisLog
from consumers.state.edits import read_edits
from consumers.state.feed import Feed
from consumers.state.keys import REGISTRY
from consumers.state.registry import Entry, Registry
from consumers.state.registry_log import read_entries
from consumers.state.store import Store
from rules.errors import Unavailable
from rules.records import DefinitionRecord, decode_record
from tests.consumers.state.test_registry import YAML, Broken

WELCOME = {"id": "welcome", "on": "entered", "use": "mail.send"}
HIDDEN = "vip/actions"


@pytest.fixture
def registry(store: Store, log: RedisLog) -> Registry:
    return Registry(store, log)


async def put(registry: Registry, *actions: dict[str, Any], by: str = "", **more: Any) -> Entry:
    document = {"id": "vip", "enter": {"event": "purchase"}, **more}
    if actions:
        document["actions"] = list(actions)
    return (await registry.put("vip", document, repr(document), YAML, by=by))[0]


async def told(log: RedisLog, partition: int = 1) -> list[tuple[str, int, str]]:
    records = [decode_record(r.payload, r.timestamp_ms) for r in await log.read({partition: START}, 1_000, 0)]
    return [(r.segment, r.version, r.state) for r in records if isinstance(r, DefinitionRecord)]


async def test_an_edit_of_actions_alone_makes_a_new_tag_and_no_new_version(registry: Registry, log: RedisLog) -> None:
    await put(registry)
    first = await put(registry, WELCOME)
    second = await put(registry, WELCOME | {"rate": "5/s"})
    assert [(each.version, each.etag) for each in (first, second)] == [(1, '"1.1"'), (1, '"1.2"')]
    assert await put(registry, WELCOME | {"rate": "5/s"}) == second
    changed = await put(registry, WELCOME | {"rate": "5/s"}, about="new")
    assert (changed.version, changed.etag, changed.actions_version) == (2, '"2"', 2)
    assert await told(log) == [
        ("vip", 1, "active"),
        (HIDDEN, 1, "paused"),
        (HIDDEN, 2, "paused"),
        ("vip", 2, "active"),
    ]


async def test_the_rule_in_the_log_has_no_actions(registry: Registry, log: RedisLog) -> None:
    await put(registry, WELCOME)
    [rule, hidden] = [decode_record(r.payload, r.timestamp_ms) for r in await log.read({0: START}, 10, 0)]
    assert isinstance(rule, DefinitionRecord)
    assert isinstance(hidden, DefinitionRecord)
    assert rule.document == {"id": "vip", "enter": {"event": "purchase"}}
    assert hidden.document == {"id": HIDDEN, "actions": [WELCOME]}


async def test_what_is_hidden_goes_with_the_last_action_and_with_the_segment(registry: Registry, log: RedisLog) -> None:
    await put(registry, WELCOME)
    await put(registry)
    await put(registry, WELCOME)
    await registry.pause("vip")
    await registry.delete("vip")
    again = await put(registry, WELCOME)
    assert [each for each in await told(log) if each[0] == HIDDEN] == [
        (HIDDEN, 1, "paused"),
        (HIDDEN, 2, "deleted"),
        (HIDDEN, 3, "paused"),
        (HIDDEN, 4, "deleted"),
        (HIDDEN, 5, "paused"),
    ]
    assert (again.version, again.etag) == (4, '"4"')


async def test_actions_that_a_crash_kept_from_the_log_are_published_at_the_next_start(
    store: Store, registry: Registry, log: RedisLog
) -> None:
    await put(registry)
    with pytest.raises(Unavailable):
        await put(Registry(store, Broken(store, 2)), WELCOME)
    assert await told(log) == [("vip", 1, "active")]
    assert await registry.publish_pending() == 1
    assert await told(log) == [("vip", 1, "active"), (HIDDEN, 1, "paused")]
    assert await registry.publish_pending() == 0


async def test_a_registry_that_was_lost_comes_back_from_the_log_with_its_actions(
    store: Store, registry: Registry, log: RedisLog
) -> None:
    await put(registry, WELCOME)
    await put(registry, WELCOME | {"rate": "5/s"})
    lost = await put(registry, WELCOME | {"rate": "9/s"}, WELCOME | {"id": "more"})
    await store.call("DEL", REGISTRY)
    end = (await log.bounds())[0].last
    entries = await read_entries(log, end, lambda _: None)
    assert [each.document for each in await registry.restore(entries.values())] == [lost.document]
    found = await registry.get("vip")
    assert found is not None
    assert (found.version, found.actions_version, found.pending) == (1, 3, False)
    assert (await put(registry, WELCOME)).actions_version == 4


async def test_edits_say_who_made_them_and_are_read_newest_first(store: Store, registry: Registry) -> None:
    await put(registry, by="ana")
    await put(registry, WELCOME, by="zoe")
    await put(registry, WELCOME, by="nobody, for nothing changed")
    await registry.pause("vip", by="ana")
    await registry.resume("vip", by="anonymous")
    await put(registry, WELCOME, about="x", by="ana")
    await registry.delete("vip", by="zoe")
    found = await read_edits(store, "vip", 100)
    assert [(each.by, each.what, each.version, each.revision) for each in found] == [
        ("zoe", "deleted", 5, 0),
        ("ana", "changed", 4, 0),
        ("anonymous", "resumed", 3, 0),
        ("ana", "paused", 2, 0),
        ("zoe", "actions", 1, 1),
        ("ana", "created", 1, 0),
    ]
    assert await read_edits(store, "vip", 2, before=found[3].id) == found[4:]


async def test_an_action_begins_where_the_feed_stood_when_it_came(store: Store, registry: Registry) -> None:
    first = await put(registry, WELCOME)
    position = await Feed(store, 2).now()
    assert first.begins["welcome"].position == position
    later = await put(registry, WELCOME | {"rate": "5/s"}, WELCOME | {"id": "more"})
    assert later.begins["welcome"] == first.begins["welcome"]
    assert later.begins["more"].at >= first.begins["welcome"].at
    assert (await put(registry)).begins == {}
