"""Filling an emptied store from the log: what each partition has, discarding it, and allowing it to be filled anew.

An evaluator then does the log again; a relay leaves out what the topic of transitions holds already. `discard` is for a
store that is not empty: whatever happens in between, nobody owns the partition until all of its state is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from consumers.log.port import START, Appended, Log, Offset
from consumers.log.redis_streams import RedisLog
from consumers.state.commit import Meta, Reload
from consumers.state.definitions import decode
from consumers.state.keys import REGISTRY, PartitionKeys
from consumers.state.store import Script, Store
from rules.hidden import is_hidden

CUSTOMERS_A_STEP = 1_000
_BEGIN, _SOME, _END = (Script(f"discard_{step}") for step in ("begin", "some", "end"))
_REBUILD = Script("rebuild")


class Standing(NamedTuple):
    """What a partition has, and its log. `first`: the oldest record kept, None for none; `last`: the newest offset
    there ever was. `records`: how many are kept, at most. `whole`: the log reaches back to its beginning."""

    partition: int
    commit: int
    rebuilding: bool  # it was allowed to be filled from the log, and is not yet
    discarding: bool  # its state is being discarded, or that was interrupted
    first: Appended | None
    last: Offset
    records: int
    whole: bool

    @property
    def empty(self) -> bool:
        """Whether it has no state, though its log has records."""
        return self.commit == 0 and self.last != START


async def look(store: Store, log: Log, partitions: Collection[int]) -> list[Standing]:
    """Where these partitions stand. Raises Unavailable."""
    fields = ("commit", "rebuild", "discarding")
    found = await store.calls([("HMGET", PartitionKeys(partition).meta, *fields) for partition in partitions])
    all_bounds = await log.bounds()
    standings = []
    for partition, (commit, rebuild, discarding) in zip(partitions, found, strict=True):
        first, last = all_bounds[partition]
        records, whole = await _records(store, log, partition, first, last)
        flags = (rebuild == b"1", discarding is not None)
        standings.append(Standing(partition, int(commit or 0), *flags, first, last, records, whole))
    return standings


async def _records(store: Store, log: Log, partition: int, first: Appended | None, last: Offset) -> tuple[int, bool]:
    """How many there are, and whether these are all there ever were."""
    if not isinstance(log, RedisLog):
        return last - first.offset + 1 if first else 0, first.offset == 0 if first else last == START
    key = PartitionKeys(partition).log
    if not await store.call("EXISTS", key):
        return 0, True
    flat = await store.call("XINFO", "STREAM", key)
    info = dict(zip(flat[::2], flat[1::2], strict=True))
    return info[b"length"], info[b"length"] == info[b"entries-added"]


async def allow(store: Store, partition: int) -> None:
    """Let an empty partition be filled from the log; harmless to repeat. Raises Reload (it has a state)."""
    _done(partition, await store.run(_REBUILD, [PartitionKeys(partition).meta], []))


async def finish(store: Store, partitions: Iterable[int]) -> None:
    """They are filled: an empty one would be refused again."""
    await store.calls([("HDEL", PartitionKeys(partition).meta, "rebuild") for partition in partitions])


# -- discarding -------------------------------------------------------------------------------------------------------


async def discard(store: Store, partition: int, progress: Callable[[int], None]) -> None:
    """Delete the partition's whole state, never its log; then it may be filled anew. `progress`: of so many customers.

    Interrupted, it is done again from where it was. Raises Reload (somebody else discards it too), Unavailable.
    """
    keys = PartitionKeys(partition)
    epoch = await store.run(_BEGIN, [keys.meta], [])
    while customers := await store.call("ZRANGE", keys.judged, 0, CUSTOMERS_A_STEP - 1):
        profiles = [keys.profile(customer.decode()) for customer in customers]
        _done(partition, await store.run(_SOME, [keys.meta, keys.judged, *profiles], [epoch, *customers]))
        progress(len(customers))
    segments = await _segments(store, keys)
    names = [keys.meta, keys.judged, keys.timers, keys.out, keys.dead, keys.definitions]
    names += [keys.members(segment) for segment in sorted(segments)]
    _done(partition, await store.run(_END, names, [epoch]))


async def _segments(store: Store, keys: PartitionKeys) -> set[str]:
    """Every segment that may have members here."""
    registered, definitions = await store.calls([("HKEYS", REGISTRY), ("GET", keys.definitions)])
    state = decode(definitions)
    found = {segment.decode() for segment in registered} | set(state.notes) | set(state.in_force())
    waiting = [*(state.collecting.definitions if state.collecting else []), *state.queued]
    return found | {each.segment for each in waiting}


def _done(partition: int, answer: bytes) -> None:
    if answer:
        raise Reload(f"partition {partition}: {answer.decode()}")


# -- progress ---------------------------------------------------------------------------------------------------------


class Filled(NamedTuple):
    """How far a partition is. `done`: it has read up to where it should, and nothing is due."""

    position: Offset
    done: bool


async def filled(store: Store, log: Log, until: Mapping[int, Offset]) -> dict[int, Filled]:
    """How far these partitions are on their way to offsets (partition -> offset). Raises Unavailable."""
    flats = await store.calls([("HGETALL", PartitionKeys(partition).meta) for partition in until])
    metas = {partition: Meta.parse(flat) for partition, flat in zip(until, flats, strict=True)}
    read = [p for p, meta in metas.items() if not meta.lost_to and await _has_read(log, p, meta.position, until[p])]
    commands = []
    for partition in read:
        keys = PartitionKeys(partition)
        commands += [("GET", keys.definitions), ("ZCOUNT", keys.timers, "-inf", f"({metas[partition].clock}")]
    answers = await store.calls(commands)
    done = set()
    for partition, definitions, due in zip(read, answers[::2], answers[1::2], strict=True):
        state = decode(definitions)
        if not (due or state.stages or state.collecting or state.queued):
            done.add(partition)
    return {partition: Filled(meta.position, partition in done) for partition, meta in metas.items()}


async def _has_read(log: Log, partition: int, position: Offset, until: Offset) -> bool:
    """The last offset may be no record that anybody gets to see (Kafka's transactions end with such)."""
    return position >= until or not (await log.lags({partition: position}, 1))[partition].records


class Restored(NamedTuple):
    """What a store holds: `transitions` made since it was empty."""

    customers: int
    memberships: int
    segments: int
    transitions: int


async def restored(store: Store, partitions: Collection[int]) -> Restored:
    """What these partitions hold. Raises Unavailable."""
    customers = memberships = transitions = 0
    segments: set[str] = set()
    for partition in partitions:
        keys = PartitionKeys(partition)
        judged, numbered, definitions = await store.calls(
            [("ZCARD", keys.judged), ("HGET", keys.meta, "numbered"), ("GET", keys.definitions)]
        )
        customers += judged
        transitions += int(numbered or 0)
        in_force = decode(definitions).in_force()
        segments |= {name for name, each in in_force.items() if each.state != "deleted" and not is_hidden(name)}
        memberships += sum(await store.calls([("ZCARD", keys.members(each)) for each in in_force]))
    return Restored(customers, memberships, len(segments), transitions)
