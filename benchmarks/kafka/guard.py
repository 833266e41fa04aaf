"""Whether a run's output is whole: what read-committed readers see is the feed, and (if asked) what the rules say.

A number is only told of a run that passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from benchmarks.kafka.loading import PARTITIONS
from consumers.state.commit import OutboxEntry
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.events import Event
from rules.plan import Definition, compile_plan
from rules.profile import Profile, new_profile
from rules.records import decode_record
from rules.step import step
from rules.transitions import Transition, render

KEYS = [PartitionKeys(number) for number in range(PARTITIONS)]
_ENTRY = msgspec.msgpack.Decoder(OutboxEntry)
_FEED_CHUNK = 500
_SILENT_S = 30.0
Told = tuple[str, str]
"""A transition's id and time."""


class Incomplete(AssertionError):
    """The output is not what it must be: nothing measured here counts."""


async def check(bootstrap: str, topic: str, store: Store) -> int:
    """Per partition, the topic has what the feed has, in the same order. Returns how many transitions. Incomplete."""
    total = 0
    published = await _published(bootstrap, topic)
    for number, keys in enumerate(KEYS):
        feed = [_told(data) async for data in _feed(store, keys)]
        if feed != published[number]:
            missing, more = len(set(feed) - set(published[number])), len(set(published[number]) - set(feed))
            raise Incomplete(
                f"partition {number}: {len(published[number])} transitions on the topic, {len(feed)} in the feed"
                f" ({missing} missing, {more} unknown, order or number otherwise)"
            )
        total += len(feed)
    return total


async def check_by_rules(bootstrap: str, events: str, transitions: str, documents: Iterable[dict[str, Any]]) -> None:
    """The topic has what the rules alone make of the log, in any order among customers. Raises Incomplete."""
    plan = compile_plan((Definition(each["id"], document=each) for each in documents), edition=1)
    published = await _published(bootstrap, transitions)
    for number in range(PARTITIONS):
        profiles: dict[str, Profile] = {}
        wanted: list[Told] = []
        clock = 0
        async for record in _records(bootstrap, events, number):
            clock = max(clock, record.timestamp)
            event = decode_record(record.value, record.timestamp)
            if isinstance(event, Event):
                profile = profiles.setdefault(event.customer_id, new_profile(event.customer_id))
                wanted += [_of(change) for change in step(profile, (event,), plan, clock)[1]]
        for profile in profiles.values():
            wanted += [_of(change) for change in step(profile, (), plan, clock)[1]]
        if sorted(wanted) != sorted(published[number]):
            raise Incomplete(f"partition {number}: {len(published[number])} transitions, the rules say {len(wanted)}")


@dataclass(frozen=True)
class Exit:
    """A transition as its reader finds it; `published_ms`: when it was given to the producer."""

    subject: str
    time: str
    published_ms: int


async def times_of(bootstrap: str, topic: str, segment: str, kind: str) -> list[Exit]:
    """All transitions of a segment and kind (`segment.entered`, `segment.exited`) on the topic."""
    found = []
    for number in range(PARTITIONS):
        async for record in _records(bootstrap, topic, number):
            change = orjson.loads(record.value)
            if change["type"] == kind and change["data"]["segment"] == segment:
                found.append(Exit(change["subject"], change["time"], record.timestamp))
    return found


def _told(data: bytes) -> Told:
    change = orjson.loads(data)
    return change["id"], change["time"]


def _of(change: Transition) -> Told:
    return _told(render(change))


async def _feed(store: Store, keys: PartitionKeys) -> AsyncIterator[bytes]:
    after = "-"
    while entries := await store.call("XRANGE", keys.out, after, "+", "COUNT", _FEED_CHUNK):
        for _, fields in entries:
            for data in _ENTRY.decode(fields[1]).transitions:
                yield data
        after = "(" + entries[-1][0].decode()


async def _published(bootstrap: str, topic: str) -> list[list[Told]]:
    """By partition."""
    found: list[list[Told]] = []
    for number in range(PARTITIONS):
        found.append([_told(record.value) async for record in _records(bootstrap, topic, number)])
    return found


async def _records(bootstrap: str, topic: str, number: int) -> AsyncIterator[Any]:
    """All that read-committed readers may see of a partition now."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level="read_committed", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        partition = TopicPartition(topic, number)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        async with asyncio.timeout(None) as limit:
            while await consumer.position(partition) < end:
                limit.reschedule(asyncio.get_running_loop().time() + _SILENT_S)
                for record in (await consumer.getmany(partition, timeout_ms=200)).get(partition, ()):
                    yield record
    finally:
        await consumer.stop()
