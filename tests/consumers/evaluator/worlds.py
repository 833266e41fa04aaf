"""Logs written with chosen timestamps, evaluated batch by batch, and what `rules.play` says to the same log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import count, islice
from typing import Any

import msgspec
import orjson

from consumers.clock import SYSTEM_CLOCK
from consumers.evaluator.metrics import NullMetrics
from consumers.evaluator.owned import Tools
from consumers.evaluator.partition import Partition
from consumers.evaluator.settings import Settings
from consumers.log.partition import partition_of
from consumers.log.redis_streams import RedisLog
from consumers.state.commit import OutboxEntry
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.events import Event
from rules.plan import Definition, compile_plan
from rules.play import Partition as Played
from rules.records import DefinitionRecord, encode_definition, encode_event, encode_tick
from rules.transitions import render

DAY = 86_400_000
HOUR = 3_600_000
BEGIN = 4_102_444_800_000  # 2100: ahead of the server's clock, so that what the owner appends comes after

Line = tuple[int, Event | DefinitionRecord | bytes | None]
"""A record and its log timestamp (ms); None is a tick, bytes are taken as they are."""

SEGMENTS: dict[str, dict[str, Any]] = {
    "active": {"id": "active", "enter": {"event": "page_view", "within": "2d", "count": {"gte": 2}}},
    "spenders": {
        "id": "spenders",
        "enter": {"event": "purchase", "within": "7d", "sum": {"of": "amount", "gte": 50}},
        "exit": {"event": "refund", "within": "1d"},
        "hold": {"min_stay": "6h"},
    },
    "lapsing": {
        "id": "lapsing",
        "enter": {"all": [{"segment": "spenders"}, {"event": "page_view", "since_last": {"gt": "1d"}}]},
    },
    "by-tag": {"id": "by-tag", "enter": {"any": [{"tag": "vip"}, {"attribute": "country", "eq": "BR"}]}},
    "quiet": {"id": "quiet", "enter": {"not": {"event": ["page_view", "purchase"], "within": "3d"}}},
}


def define(segment: str, version: int = 1, **changes: Any) -> DefinitionRecord:
    return DefinitionRecord(segment, version, "active", SEGMENTS[segment] | changes)


def random_events(seed: int, count: int, customers: int = 12, days: float = 12) -> list[Line]:
    """Events in log order: late ones, duplicates, several at one instant."""
    rng = random.Random(seed)
    lines: list[Line] = []
    at = BEGIN
    for n in range(count):
        at += rng.choice([0, 0, 1, int(days * DAY / count * rng.random() * 3)])
        ts = at - rng.choice([0, 0, 0, 0, rng.randrange(3 * DAY)])
        event = Event(*_random_kind(rng), ts, f"e{n}", _random_properties(rng))
        event = msgspec.structs.replace(event, properties=_fitting(event, rng))
        lines.append((at, event))
        if rng.random() < 0.1:
            lines.append((at, event))
    return [(at, _of(each, customers, rng)) for at, each in lines]


def _random_kind(rng: random.Random) -> tuple[str, str]:
    return rng.choice(["page_view", "page_view", "purchase", "refund", "profile", "membership"]), ""


def _random_properties(rng: random.Random) -> dict[str, Any]:
    return {"amount": rng.randrange(1, 60)}


def _fitting(event: Event, rng: random.Random) -> dict[str, Any]:
    if event.type == "profile":
        return {"set": {"country": rng.choice(["BR", "PT"])}, rng.choice(["tags_add", "tags_remove"]): ["vip"]}
    if event.type == "membership":
        return {"segment": rng.choice(["active", "quiet"]), "action": rng.choice(["add", "remove", "clear"])}
    return event.properties


def _of(event: Any, customers: int, rng: random.Random) -> Event:
    """The same customer for the same id, so that duplicates are duplicates."""
    customer = at_home(int(event.id[1:]) * 7919 % customers)
    assert isinstance(event, Event)
    return msgspec.structs.replace(event, customer_id=customer, rank=event.id)


@cache
def at_home(nth: int) -> str:
    """A customer of partition 0 of 2: the names that hash elsewhere would be sent there."""
    return next(islice((name for n in count() if partition_of(name := f"customer-{n}", 2) == 0), nth, None))


def payload(item: Event | DefinitionRecord | bytes | None) -> bytes:
    if item is None:
        return encode_tick()
    if isinstance(item, bytes):
        return item
    return encode_definition(item) if isinstance(item, DefinitionRecord) else encode_event(item)


async def write(store: Store, lines: Iterable[Line], partition: int = 0) -> None:
    """Put records into the log with the timestamps given (never before the last)."""
    stream = PartitionKeys(partition).log
    commands = [("XADD", stream, f"{at}-*", "d", payload(item)) for at, item in lines]
    for begin in range(0, len(commands), 1000):
        await store.calls(commands[begin : begin + 1000])


def make(store: Store, log: RedisLog, settings: Settings | None = None, partition: int = 0) -> Partition:
    return Partition(partition, Tools(store, log, settings or Settings(drain_ms=1_000), NullMetrics(), SYSTEM_CLOCK))


async def rest(partition: Partition) -> None:
    """All that is due, done."""
    while partition.busy:
        await partition.chore()


async def evaluate(
    store: Store, log: RedisLog, batch: int = 5_000, settings: Settings | None = None, idle: bool = True
) -> Partition:
    """Own the partition and take the log to its end in batches; with `idle`, what is due is done in between."""
    owner = make(store, log, settings)
    await owner.open("test", force=True)
    while True:
        records = await log.read({0: owner.position}, batch, 0)
        if records:
            await owner.take(records)
        if idle or not records:
            if not (records or owner.busy):
                return owner
            await rest(owner)


async def feed(store: Store, partition: int = 0) -> list[bytes]:
    """Every transition of the outbox; the numbers must have no gap."""
    found: list[bytes] = []
    for _, fields in await store.call("XRANGE", PartitionKeys(partition).out, "-", "+"):
        entry = msgspec.msgpack.decode(fields[1], type=OutboxEntry)
        assert entry.first_number == len(found) + 1
        found += entry.transitions
    return found


def by_customer(transitions: Iterable[bytes]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for each in transitions:
        found.setdefault(orjson.loads(each)["subject"], []).append(each)
    return found


def played(definitions: Sequence[DefinitionRecord], lines: Iterable[Line]) -> tuple[list[bytes], Played]:
    """The same log through `rules.play`, all definitions known from the start."""
    plan = compile_plan(Definition(each.segment, each.version, each.state, each.document) for each in definitions)
    game = Played(plan)
    out = []
    for at, item in lines:
        if isinstance(item, Event):
            out += game.feed(item, at)
        elif item is None:
            out += game.run_to(at - 1)
            game.clock = at
    return [render(change) for change in out], game


async def members(store: Store, segment: str, partition: int = 0) -> dict[str, int]:
    flat = await store.call("ZRANGE", PartitionKeys(partition).members(segment), 0, -1, "WITHSCORES")
    return {flat[at].decode(): int(flat[at + 1]) for at in range(0, len(flat), 2)}


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that the evaluator does by itself."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")
