"""The whole embedded evaluator over a backlog: log, step, commit, feed, on a real server."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.progress import Advance, track
from benchmarks.server import PARTITIONS, Server
from benchmarks.workload import documents
from consumers.evaluator import Evaluator, NullMetrics
from consumers.state.definitions import Definitions, encode
from consumers.state.keys import PartitionKeys
from consumers.state.status import read_status
from consumers.state.store import Store
from rules.plan import Definition

KEYS = [PartitionKeys(partition) for partition in range(PARTITIONS)]
_SAMPLE = 2_000  # customers whose stored bytes are looked at
_POLL_S = 0.05


@dataclass(frozen=True)
class Sizes:
    """Bytes in the server's memory, its own overhead for each key or member included."""

    customers: int
    memberships: int
    profile_bytes: float  # as stored, the value alone
    customer_bytes: float  # the key with its value, timer and edition
    membership_bytes: float


@dataclass(frozen=True)
class Whole:
    """µs of CPU an event."""

    segments: int
    ours_us: float
    server_us: float
    transitions: float  # an event
    sizes: Sizes

    @property
    def us(self) -> float:
        return self.ours_us + self.server_us


class _Counting(NullMetrics):
    """Tells when the backlog has been read."""

    def __init__(self, expected: int, advance: Advance) -> None:
        self.all_read = asyncio.Event()
        self.changes = 0
        self._left, self._advance = expected, advance

    def batch(self, records: int) -> None:
        self._left -= records
        self._advance(records)
        if self._left <= 0:
            self.all_read.set()

    def transitions(self, segment: str, kind: Literal["entered", "exited"], count: int) -> None:
        self.changes += count


async def whole(server: Server, segments: int, events: int) -> Whole:
    """Evaluates the log from its start until the last event is judged and nothing is due any more."""
    store = server.database(2)
    await store.call("FLUSHDB")
    await define(store, [Definition(each["id"], document=each) for each in documents(segments)], KEYS)
    gc.collect()
    with track(f"whole, {segments:,} segments", events) as advance:
        counting = _Counting(events, advance)
        evaluator = Evaluator(store, server.log, metrics=counting)
        ours, theirs = time.process_time(), server.cpu_s()
        running = asyncio.create_task(evaluator.run())
        await _until(counting.all_read, running)
        await _drained(store, server)
        ours, theirs = time.process_time() - ours, server.cpu_s() - theirs
    await evaluator.stop()
    await running
    found = await sizes(store, KEYS)
    await store.call("FLUSHDB")
    await store.close()
    return Whole(segments, ours / events * 1e6, theirs / events * 1e6, counting.changes / events, found)


async def _until(event: asyncio.Event, running: asyncio.Task[None]) -> None:
    """Waits for the event, or raises what ended the evaluator."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        running.result()
        raise RuntimeError("the evaluator ended before the log did")


async def _drained(store: Store, server: Server) -> None:
    """Back when the clock has nothing left to change."""
    while any(each.timers_due for each in await read_status(store, server.log, KEYS)):  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)


async def define(store: Store, definitions: list[Definition], partitions: Sequence[PartitionKeys]) -> None:
    """Every partition knows the segments before the first event, as after any longer run."""
    known = encode(Definitions(edition=1, base={each.segment: each for each in definitions}))
    for keys in partitions:
        await store.call("SET", keys.definitions, known)


async def sizes(store: Store, partitions: Sequence[PartitionKeys]) -> Sizes:
    """What all partitions hold, their profiles by a sample."""
    customers = memberships = index_bytes = member_bytes = value_bytes = key_bytes = looked = 0
    for keys in partitions:
        customers += int(await store.call("ZCARD", keys.judged))
        for index in (keys.judged, keys.timers):
            index_bytes += await _bytes(store, index)
        for name in await store.call("KEYS", keys.members_prefix.replace("{", "\\{") + "*"):
            memberships += int(await store.call("ZCARD", name))
            member_bytes += await _bytes(store, name)
        for customer in await store.call("ZRANDMEMBER", keys.judged, _SAMPLE // len(partitions)):
            profile = keys.profile(customer.decode())
            value_bytes += int(await store.call("STRLEN", profile))
            key_bytes += await _bytes(store, profile)
            looked += 1
    customer_bytes = key_bytes / looked + index_bytes / customers
    return Sizes(customers, memberships, value_bytes / looked, customer_bytes, member_bytes / max(1, memberships))


async def _bytes(store: Store, key: str | bytes) -> int:
    return int(await store.call("MEMORY", "USAGE", key, "SAMPLES", 0) or 0)
