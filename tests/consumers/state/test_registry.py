"""Segment documents: versions that only grow, changes that never overwrite one another, every change in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from consumers.log.port import START, Appended, NewRecord
from consumers.log.redis_streams import RedisLog
from consumers.state.definitions import Collection, Definitions, Note, encode
from consumers.state.keys import REGISTRY, PartitionKeys
from consumers.state.registry import Conflict, Entry, Registry, RegistryMoved
from consumers.state.store import Store
from rules.errors import Unavailable
from rules.plan import Definition
from rules.records import DefinitionRecord, decode_record

YAML = "application/yaml"


@pytest.fixture
def registry(store: Store, log: RedisLog) -> Registry:
    return Registry(store, log)


def document(name: str = "vip", **more: Any) -> dict[str, Any]:
    return {"id": name, "enter": {"event": "purchase"}, **more}


async def put(registry: Registry, name: str = "vip", text: str = "a", **options: Any) -> Entry:
    entry, _ = await registry.put(name, document(name, about=text), text, YAML, **options)
    return entry


async def published(log: RedisLog, partition: int) -> list[tuple[str, int, str]]:
    records = [decode_record(r.payload, r.timestamp_ms) for r in await log.read({partition: START}, 1_000, 0)]
    return [(r.segment, r.version, r.state) for r in records if isinstance(r, DefinitionRecord)]


async def test_a_segment_is_kept_as_its_author_wrote_it(registry: Registry) -> None:
    text = "# for spring\nid: vip\nenter: {event: purchase}\n"
    entry, created = await registry.put("vip", document(), text, YAML)
    assert created
    assert (entry.version, entry.etag, entry.state, entry.published) == (1, '"1"', "active", 1)
    assert await registry.get("vip") == entry
    assert (entry.text, entry.media_type, entry.document) == (text, YAML, document())
    assert await registry.get("other") is None


async def test_versions_grow_and_every_partition_hears_of_each(registry: Registry, log: RedisLog) -> None:
    await put(registry)
    assert (await put(registry, text="b")).version == 2
    paused = await registry.pause("vip")
    assert paused is not None
    assert (paused.version, paused.state) == (3, "paused")
    assert (await put(registry, text="c")).state == "paused"
    await registry.resume("vip")
    await registry.delete("vip")
    assert await registry.get("vip") is None
    again, created = await registry.put("vip", document(), "a", YAML)
    assert (again.version, created) == (7, True)
    states = ["active", "active", "paused", "paused", "active", "deleted", "active"]
    for partition in (0, 1):
        assert await published(log, partition) == [("vip", n + 1, state) for n, state in enumerate(states)]


async def test_the_same_again_changes_nothing(registry: Registry, log: RedisLog) -> None:
    first = await put(registry)
    assert await put(registry) == first
    assert await registry.resume("vip") == first
    assert len(await published(log, 0)) == 1


async def test_changes_ask_for_the_version_they_were_made_from(registry: Registry) -> None:
    await put(registry)
    await put(registry, text="b", expected_version=1)
    for change in (
        put(registry, text="c", expected_version=1),
        put(registry, text="c", must_not_exist=True),
        put(registry, "new", expected_version=1),
        registry.delete("vip", expected_version=1),
        registry.pause("vip", expected_version=1),
    ):
        with pytest.raises(Conflict):
            await change
    entry = await registry.get("vip")
    assert entry is not None
    assert (entry.version, entry.text) == (2, "b")


async def test_what_is_not_there_cannot_be_changed(registry: Registry) -> None:
    assert await registry.delete("vip") is None
    assert await registry.pause("vip") is None
    await put(registry)
    await registry.delete("vip")
    assert await registry.delete("vip") is None
    assert await registry.resume("vip") is None


async def test_a_document_checked_against_an_older_set_is_refused(registry: Registry) -> None:
    before = await registry.snapshot()
    await put(registry)
    with pytest.raises(RegistryMoved):
        await put(registry, "other", revision=before.revision)
    now = await registry.snapshot()
    assert list(now.entries) == ["vip"]
    await put(registry, "other", revision=now.revision)
    with pytest.raises(RegistryMoved):
        await registry.delete("vip", revision=now.revision)


async def test_changes_at_the_same_time_all_count(registry: Registry, log: RedisLog) -> None:
    await asyncio.gather(*(put(registry, text=str(n)) for n in range(8)))
    entry = await registry.get("vip")
    assert entry is not None
    assert (entry.version, entry.published) == (8, 8)
    assert sorted(version for _, version, _ in await published(log, 0)) == list(range(1, 9))


class Broken(RedisLog):
    """A log that cannot be written to."""

    async def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        raise Unavailable("the log is down")


async def test_what_a_crash_left_unpublished_is_published_at_the_next_start(
    store: Store, registry: Registry, log: RedisLog
) -> None:
    with pytest.raises(Unavailable):
        await put(Registry(store, Broken(store, 2)))
    assert await published(log, 0) == []
    assert await registry.publish_pending() == 1
    assert await registry.publish_pending() == 0
    assert await published(log, 0) == await published(log, 1) == [("vip", 1, "active")]
    entry = await registry.get("vip")
    assert entry is not None
    assert entry.published == 1


async def test_what_was_left_unpublished_is_published_by_the_same_put_again(
    store: Store, registry: Registry, log: RedisLog
) -> None:
    with pytest.raises(Unavailable):
        await put(Registry(store, Broken(store, 2)))
    assert (await put(registry)).published == 1
    assert len(await published(log, 1)) == 1


async def test_an_entry_survives_as_it_was_written(store: Store, registry: Registry) -> None:
    entry = await put(registry, text="ação")
    raw = await store.call("HGET", REGISTRY, "vip")
    assert msgspec.json.decode(raw, type=Entry) == entry


async def knows(store: Store, partition: int, definitions: Definitions) -> None:
    """What a partition's evaluator has heard of."""
    await store.call("SET", PartitionKeys(partition).definitions, encode(definitions))


def waiting(version: int) -> Definition:
    return Definition("vip", version, "active", document())


@pytest.mark.parametrize(
    "definitions",
    [
        Definitions(notes={"vip": Note(7, "active", 1)}),
        Definitions(notes={"vip": Note(2, "active", 1)}, collecting=Collection([waiting(7)], 0, 0)),
        Definitions(notes={"vip": Note(2, "active", 1)}, queued=[waiting(3), waiting(7)]),
    ],
    ids=["in force", "collecting", "queued"],
)
async def test_a_registry_behind_what_evaluators_know_counts_on_above_it(
    store: Store, registry: Registry, log: RedisLog, definitions: Definitions
) -> None:
    await put(registry)
    await knows(store, 1, definitions)
    assert (await put(registry, text="b")).version == 8
    assert (await published(log, 0))[-1] == ("vip", 8, "active")
    assert (await put(registry, "other")).version == 1


async def test_a_segment_that_the_registry_has_lost_is_made_above_what_evaluators_know(
    store: Store, registry: Registry
) -> None:
    await knows(store, 0, Definitions(notes={"vip": Note(7, "deleted", 1)}))
    entry, created = await registry.put("vip", document(), "a", YAML)
    assert (entry.version, created) == (8, True)


async def test_the_same_again_is_published_where_evaluators_know_something_newer(
    store: Store, registry: Registry, log: RedisLog
) -> None:
    first = await put(registry)
    await knows(store, 0, Definitions(notes={"vip": Note(7, "active", 1)}))
    again = await put(registry)
    assert (again.version, again.published, again.text) == (8, 8, first.text)
    await knows(store, 0, Definitions(notes={"vip": Note(8, "active", 2)}))
    assert await put(registry) == again
    assert [version for _, version, _ in await published(log, 1)] == [1, 8]


async def test_what_is_restored_is_put_only_where_nothing_newer_stands(registry: Registry, log: RedisLog) -> None:
    standing = await put(registry)
    revision = (await registry.snapshot()).revision
    newer = msgspec.structs.replace(standing, segment="gone", version=5, published=5)
    assert await registry.restore([standing, newer]) == [newer]
    assert await registry.get("gone") == newer
    assert (await registry.snapshot()).revision == revision + 1
    newer = msgspec.structs.replace(standing, version=2, text="b", published=2)
    assert await registry.restore([newer]) == [newer]
    assert await registry.get("vip") == newer
    assert len(await published(log, 0)) == 1


async def test_what_some_evaluator_has_not_heard_of_is_published_again(
    store: Store, registry: Registry, log: RedisLog
) -> None:
    for name in ("known", "older", "unheard"):
        await put(registry, name)
    await put(registry, "older", text="b")
    await put(registry, "deleted")
    await registry.delete("deleted")
    notes = {"known": Note(1, "active", 1), "older": Note(2, "active", 1), "unheard": Note(1, "active", 1)}
    await knows(store, 0, Definitions(notes=notes))
    before = len(await published(log, 0))
    await knows(store, 1, Definitions(notes={"known": Note(1, "active", 1), "older": Note(1, "active", 1)}))
    assert sorted(each.segment for each in await registry.publish_missing()) == ["older", "unheard"]
    assert sorted((await published(log, 1))[before:]) == [("older", 2, "active"), ("unheard", 1, "active")]
