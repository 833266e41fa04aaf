"""Every key that the service leaves in the store stands in the table of `consumers/state/keys.py`, with its type."""

from __future__ import annotations

import re

from consumers.log.redis_streams import RedisLog
from consumers.state import keys
from consumers.state.registry import Registry
from consumers.state.store import Store
from tests.consumers.evaluator.worlds import SEGMENTS, Line, evaluate, random_events, write


def _table() -> dict[re.Pattern[str], str]:
    rows = re.findall(r"^\| `(sg:[^`]+)` \| (\w+) \|", keys.__doc__ or "", re.MULTILINE)
    assert len(rows) > 10
    return {_pattern(key): kind for key, kind in rows}


def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(
        re.escape(key).replace(r"\{p\}", r"\{\d+\}").replace("<customer>", ".+").replace("<segment>", ".+")
    )


async def test_every_key_has_a_line_that_says_whose_it_is(store: Store, log: RedisLog) -> None:
    registry = Registry(store, log)
    for name, document in SEGMENTS.items():
        await registry.put(name, document, "text", "application/json")
    events = random_events(1, 100)
    poison: list[Line] = [(events[-1][0], b"poison")]
    await write(store, events + poison)
    await evaluate(store, log)
    table = _table()
    found = {key.decode() for key in await store.call("KEYS", "*")}
    matched = set()
    for key in found:
        [(pattern, kind)] = [row for row in table.items() if row[0].fullmatch(key)]
        assert (await store.call("TYPE", key)).decode() == kind, key
        matched.add(pattern)
    assert {pattern.pattern for pattern in set(table) - matched} == set(), "lines of keys that nobody writes"
