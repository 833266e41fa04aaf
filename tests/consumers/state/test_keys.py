"""Every key that the service leaves in the store stands in the table of `consumers/state/keys.py`, with its type."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import pytest

from consumers.actions.store import Counts, Reservation, RunTimes
from consumers.connectors.mail.addresses import Address
from consumers.connectors.mail.suppression import Suppressions
from consumers.connectors.mail.tokens import Keys
from consumers.log.redis_streams import RedisLog
from consumers.state import keys
from consumers.state.imports import Import, Imports
from consumers.state.registry import Registry
from consumers.state.store import Store
from consumers.webhooks.documents import Document
from consumers.webhooks.registry import Subscriptions
from tests.consumers.delivery.worlds import write_every_key
from tests.consumers.evaluator.worlds import SEGMENTS, Line, evaluate, random_events, write

ALL_TAGS_SHA256 = "604aca6aeb53d0ca852f4beabd6bb07c9f8140c28b483920f130e9ee1403ec9c"


def test_the_tags_never_change_for_they_name_what_is_stored() -> None:
    assert [keys.tag(partition) for partition in range(4)] == ["0-1r", "1-dO", "2-4g", "3-03"]
    assert keys.PartitionKeys(1).profile("ana") == "sg:{1-dO}:c:ana"
    assert hashlib.sha256(" ".join(map(keys.tag, range(1024))).encode()).hexdigest() == ALL_TAGS_SHA256


def test_every_partition_has_a_tag_of_its_own() -> None:
    assert len({keys.tag(partition) for partition in range(1024)}) == 1024
    assert len({keys.slot_of(keys.tag(partition)) for partition in range(1024)}) == 1024


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 6, 10, 12])
@pytest.mark.parametrize(
    ("partitions", "uneven_max"), [((1, 2, 4, 8, 16, 32, 64, 128, 256), 1), (range(1, 65), 4), (range(1, 257), 5)]
)
def test_partitions_spread_evenly_over_nodes(nodes: int, partitions: Iterable[int], uneven_max: int) -> None:
    for count in partitions:
        on_node = [0] * nodes
        for partition in range(count):
            on_node[keys.slot_of(keys.PartitionKeys(partition).meta) * nodes // keys.SLOTS] += 1
        assert max(on_node) - min(on_node) <= uneven_max, (count, on_node)


@pytest.mark.parametrize(
    ("key", "slot"), [("123456789", 12739), ("foo{123456789}bar{x}", 12739), ("foo{}{bar}", 8363), ("{123456789", 5574)]
)
def test_slots_are_those_of_the_cluster_specification(key: str, slot: int) -> None:
    assert keys.slot_of(key) == slot


def _table() -> dict[re.Pattern[str], str]:
    rows = re.findall(r"^\| `(sg:[^`]+)` \| (\w+) \|", keys.__doc__ or "", re.MULTILINE)
    assert len(rows) > 10
    return {_pattern(key): kind for key, kind in rows}


def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(
        re.escape(key)
        .replace(re.escape("{p-xx}"), r"\{\d+-\w{2,3}\}")
        .replace("<customer>", ".+")
        .replace("<segment>", ".+")
        .replace("<target>", "[a-z0-9_./-]+")
    )


async def test_every_key_has_a_line_that_says_whose_it_is(store: Store, log: RedisLog) -> None:
    registry = Registry(store, log)
    for name, document in SEGMENTS.items():
        await registry.put(name, document, "text", "application/json")
    events = random_events(1, 100)
    poison: list[Line] = [(events[-1][0], b"poison")]
    await write(store, events + poison)
    await evaluate(store, log)
    await Imports(store).finish(Import("import-1", "vip", "ana", False, 0, 0), [])
    await Counts(store, 2).reserve("act/vip/a", Reservation("ana", "a:vip:ana:1", 1, 0, 60_000, 1))
    await RunTimes(store).begun("act/vip/a", 1)
    await Suppressions(store, Keys(["a secret of the tests"])).add(Address("ana", "a.example"), "bounced", 1)
    await Subscriptions(store).create(Document("https://hooks.example.com/"), "", 1)
    await store.call("HSET", keys.SUBSCRIPTIONS_FAILING, "sub_1", 1)  # by a worker whose calls all fail
    await write_every_key(store)
    table = _table()
    found = {key.decode() for key in await store.call("KEYS", "*")}
    matched = set()
    for key in found:
        [(pattern, kind)] = [row for row in table.items() if row[0].fullmatch(key)]
        assert (await store.call("TYPE", key)).decode() == kind, key
        matched.add(pattern)
    assert {pattern.pattern for pattern in set(table) - matched} == set(), "lines of keys that nobody writes"
