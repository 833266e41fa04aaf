"""The feed: every partition's transitions in order, up to what is durable, from any position, without a gap."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from consumers.state.commit import OutboxEntry
from consumers.state.keys import PartitionKeys
from consumers.state.shown import Shown
from consumers.state.store import Argument, Store

_ENTRIES_A_READ = 200  # of a partition; an entry is a commit with all its transitions
_POSITION = re.compile(r"[0-9a-f]{1,16}\.[0-9a-f]{1,16}(-[0-9a-f]{1,16}\.[0-9a-f]{1,16})*")
_DECODER = msgspec.msgpack.Decoder(OutboxEntry)


class FeedItem(msgspec.Struct, frozen=True, gc=False):
    """One transition. `data` is its CloudEvent as JSON bytes; `number` counts its partition's without gaps, from 1.

    `position` is where the feed goes on after it (an SSE id): opaque, over all partitions.
    """

    position: str
    partition: int
    number: int
    data: bytes


class FeedPage(msgspec.Struct, frozen=True):
    """Items in order (per partition the log's), and the position after all that was looked at."""

    items: list[FeedItem]
    position: str


class PositionInvalid(Exception):
    """Not a position of this feed. The reader's mistake: `str(error)` says so."""


class PositionLost(Exception):
    """What follows the position has been trimmed: the reader must start anew (from `Feed.now()` and the members)."""


class Place(NamedTuple):
    """Where a reader is in one partition: transitions up to `number` are read, the rest is in `commit` or later."""

    commit: int
    number: int


def write_position(places: Sequence[Place]) -> str:
    """The opaque text of a position."""
    return "-".join(f"{place.commit:x}.{place.number:x}" for place in places)


def read_position(text: str, partitions: int) -> list[Place]:
    """The inverse. Raises PositionInvalid."""
    if _POSITION.fullmatch(text) is None or text.count("-") != partitions - 1:
        raise PositionInvalid("this is not a position of the feed: use one that the feed or a member list gave")
    return [Place(*(int(part, 16) for part in place.split("."))) for place in text.split("-")]


class Feed:
    """Reads the outboxes. One per process: all waiting readers share one subscription."""

    def __init__(self, store: Store, partitions: int) -> None:
        self.shown = Shown(store)
        self._store = store
        self._keys = [PartitionKeys(p) for p in range(partitions)]

    async def oldest(self) -> str:
        """The position before the oldest transition that is kept."""
        answers = await self._store.calls([("XRANGE", keys.out, "-", "+", "COUNT", 1) for keys in self._keys])
        return write_position([_oldest(entries) for entries in answers])

    async def now(self) -> str:
        """The position after the newest transition shown."""
        answers = await self._store.calls([("HMGET", keys.meta, "commit", "numbered", "shown") for keys in self._keys])
        places = []
        for keys, (commit, numbered, shown) in zip(self._keys, answers, strict=True):
            if commit == shown:
                places.append(Place(int(commit or 0) + 1, int(numbered or 0)))
            else:  # a commit is on its way to being shown
                places.append(await self._last_shown(keys, int(shown or 0)))
        return write_position(places)

    async def _last_shown(self, keys: PartitionKeys, shown: int) -> Place:
        newest = await self._store.call("XREVRANGE", keys.out, f"{shown}-0", "-", "COUNT", 1)
        if not newest:
            return _oldest(await self._store.call("XRANGE", keys.out, "-", "+", "COUNT", 1))
        entry = _DECODER.decode(newest[0][1][1])
        return Place(shown + 1, entry.first_number + len(entry.transitions) - 1)

    async def read(self, position: str, limit: int = 1000) -> FeedPage:
        """What comes after `position`. Raises PositionInvalid, PositionLost, Unavailable."""
        places = read_position(position, len(self._keys))
        commands: list[Sequence[Argument]] = []
        for keys, place in zip(self._keys, places, strict=True):
            commands.append(("HGET", keys.meta, "shown"))  # before the entries: what it allows is then among them
            commands.append(("XRANGE", keys.out, f"{place.commit}-0", "+", "COUNT", _ENTRIES_A_READ))
        answers = await self._store.calls(commands)
        items: list[FeedItem] = []
        share = max(1, limit // len(self._keys))  # of a partition, so that none waits for another
        for partition in range(len(self._keys)):
            shown, entries = int(answers[2 * partition] or 0), answers[2 * partition + 1]
            visible = [(int(key[: key.index(b"-")]), fields[1]) for key, fields in entries]
            _collect(items, places, partition, [entry for entry in visible if entry[0] <= shown], share)
        return FeedPage(items, write_position(places))

    async def wait(self, position: str, limit: int = 1000, wait_ms: int = 15_000) -> FeedPage:
        """The same, waiting up to `wait_ms` when there is nothing (then `items` is empty)."""
        deadline = time.monotonic() + wait_ms / 1000
        while True:
            seen = self.shown.count
            page = await self.read(position, limit)
            left = deadline - time.monotonic()
            if page.items or left <= 0:
                return page
            if page.position == position:
                await self.shown.after(seen, left)
            position = page.position  # past commits without a transition

    async def close(self) -> None:
        await self.shown.close()


def _oldest(entries: Sequence[Any]) -> Place:
    """Before the first of a stream's entries."""
    if not entries:
        return Place(0, 0)
    key, fields = entries[0]
    return Place(int(key[: key.index(b"-")]), _DECODER.decode(fields[1]).first_number - 1)


def _collect(
    items: list[FeedItem], places: list[Place], partition: int, entries: Sequence[tuple[int, bytes]], limit: int
) -> None:
    """Add up to `limit` of a partition's transitions to `items`, moving its place on."""
    end = len(items) + limit
    for commit, packed in entries:
        entry = _DECODER.decode(packed)
        number = places[partition].number
        if entry.first_number > number + 1:
            raise PositionLost("what follows this position is no longer kept: read the members and go on from there")
        for data in entry.transitions[number + 1 - entry.first_number :]:
            if len(items) == end:
                return
            number += 1
            places[partition] = Place(commit, number)
            items.append(FeedItem(write_position(places), partition, number, data))
        places[partition] = Place(commit + 1, number)
