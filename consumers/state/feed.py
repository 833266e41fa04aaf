"""The feed: every partition's transitions in order, up to what is durable, from any position, without a gap."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from consumers.state.commit import OutboxEntry
from consumers.state.feed_tail import Entry, Place, Tail
from consumers.state.keys import PartitionKeys
from consumers.state.shown import POLL_S, Shown
from consumers.state.store import Argument, Store

__all__ = [
    "Feed",
    "FeedItem",
    "FeedPage",
    "Place",
    "PositionInvalid",
    "PositionLost",
    "read_position",
    "write_position",
]

_ENTRIES_A_READ = 200  # of a partition; an entry is a commit with all its transitions
_TAIL_BYTES_MAX = 8 * 1024 * 1024  # some 16,000 transitions: seconds of a busy feed
_TAIL_IDLE_S = 5.0
_PAGES_KEPT_MAX = 8
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


def write_position(places: Sequence[Place]) -> str:
    """The opaque text of a position."""
    return "-".join(f"{place.commit:x}.{place.number:x}" for place in places)


def read_position(text: str, partitions: int) -> list[Place]:
    """The inverse. Raises PositionInvalid."""
    if _POSITION.fullmatch(text) is None or text.count("-") != partitions - 1:
        raise PositionInvalid("this is not a position of the feed: use one that the feed or a member list gave")
    return [Place(*(int(part, 16) for part in place.split("."))) for place in text.split("-")]


class Feed:
    """Reads the outboxes. One per process: all waiting readers share one subscription, and the reads at the end."""

    def __init__(self, store: Store, partitions: int) -> None:
        self.shown = Shown(store)
        self._store = store
        self._keys = [PartitionKeys(p) for p in range(partitions)]
        self._tail = Tail(_TAIL_BYTES_MAX)
        self._refreshing = asyncio.Lock()
        self._fresh = (-1, 0.0)  # the hints heard when the tail was read last, and when that was
        self._pages: dict[tuple[str, int], FeedPage] = {}  # made since

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
        return self._page(places, (await self._read(places))[1], limit)

    async def wait(self, position: str, limit: int = 1000, wait_ms: int = 15_000) -> FeedPage:
        """The same, waiting up to `wait_ms` when there is nothing (then `items` is empty)."""
        deadline = time.monotonic() + wait_ms / 1000
        while True:
            seen = self.shown.count
            page = await self._next(position, limit)
            left = deadline - time.monotonic()
            if page.items or left <= 0:
                return page
            await self.shown.after(seen, left)

    async def close(self) -> None:
        await self.shown.close()

    # -- the store ------------------------------------------------------------------------------------------------

    async def _read(self, places: Sequence[Place]) -> tuple[list[int], list[list[Entry]]]:
        """How far each partition is shown, and its next entries from these places on, as far as they are."""
        commands: list[Sequence[Argument]] = []
        for keys, place in zip(self._keys, places, strict=True):
            commands.append(("HGET", keys.meta, "shown"))  # before the entries: what it allows is then among them
            commands.append(("XRANGE", keys.out, f"{place.commit}-0", "+", "COUNT", _ENTRIES_A_READ))
        answers = await self._store.calls(commands)
        shown = [int(answer or 0) for answer in answers[::2]]
        found = [
            [_entry(key, fields[1]) for key, fields in entries if _commit(key) <= upto]
            for upto, entries in zip(shown, answers[1::2], strict=True)
        ]
        return shown, found

    def _page(self, places: list[Place], entries: Sequence[Sequence[Entry]], limit: int) -> FeedPage:
        items: list[FeedItem] = []
        share = max(1, limit // len(self._keys))  # of a partition, so that none waits for another
        for partition, each in enumerate(entries):
            _collect(items, places, partition, each, share)
        return FeedPage(items, write_position(places))

    # -- the tail -------------------------------------------------------------------------------------------------

    async def _next(self, position: str, limit: int) -> FeedPage:
        """What comes after `position`: from the tail, or for who is further back from the store."""
        places = read_position(position, len(self._keys))
        if self._tail.covers(places) and await self._refreshed() and self._tail.covers(places):
            if (page := self._pages.get((position, limit))) is None:  # most who follow are at the same place
                entries = [self._tail.after(partition, place) for partition, place in enumerate(places)]
                page = self._page(places, entries, limit)
                if len(self._pages) < _PAGES_KEPT_MAX:
                    self._pages[position, limit] = page
            return page
        page = await self.read(position, limit)
        if not page.items and (not self._tail or self._asleep()):
            self._tail.begin(read_position(page.position, len(self._keys)))
            self._pages.clear()
            self._fresh = (-1, time.monotonic())
        return page

    def _asleep(self) -> bool:
        """Whether nobody has asked for so long that catching up would cost more than beginning anew."""
        return time.monotonic() - self._fresh[1] > _TAIL_IDLE_S

    async def _refreshed(self) -> bool:
        """Brings the tail to the end, once for all who ask at the same time. False: there is none any more."""
        async with self._refreshing:
            if self._asleep():
                self._tail.drop()
            count, at = self._fresh
            now = time.monotonic()
            if self._tail and (count != self.shown.count or now - at > POLL_S):
                seen = self.shown.count
                shown, entries = await self._read(self._tail.ends)
                self._fresh = (seen, now)
                self._pages.clear()
                if any(told < known for told, known in zip(shown, self._tail.shown, strict=True)):
                    self._tail.drop()  # the store was rolled back: what is here may never have been
                else:
                    self._grow(shown, entries)
            return bool(self._tail)

    def _grow(self, shown: list[int], entries: Sequence[Sequence[Entry]]) -> None:
        self._tail.shown = shown
        for partition, each in enumerate(entries):
            for entry in each:
                if entry.first != self._tail.ends[partition].number + 1:
                    self._tail.drop()  # trimmed, or rolled back meanwhile: readers are told by the store
                    return
                self._tail.add(partition, entry)
            if len(each) == _ENTRIES_A_READ:
                self._fresh = (-1, self._fresh[1])  # there is more: read again at once


def _commit(key: bytes) -> int:
    return int(key[: key.index(b"-")])


def _entry(key: bytes, packed: bytes) -> Entry:
    entry = _DECODER.decode(packed)
    return Entry(_commit(key), entry.first_number, entry.transitions)


def _oldest(entries: Sequence[Any]) -> Place:
    """Before the first of a stream's entries."""
    if not entries:
        return Place(0, 0)
    key, fields = entries[0]
    return Place(_commit(key), _DECODER.decode(fields[1]).first_number - 1)


def _collect(items: list[FeedItem], places: list[Place], partition: int, entries: Sequence[Entry], limit: int) -> None:
    """Add up to `limit` of a partition's transitions to `items`, moving its place on."""
    end = len(items) + limit
    for entry in entries:
        number = places[partition].number
        if entry.first > number + 1:
            raise PositionLost("what follows this position is no longer kept: read the members and go on from there")
        for data in entry.transitions[number + 1 - entry.first :]:
            if len(items) == end:
                return
            number += 1
            places[partition] = Place(entry.commit, number)
            items.append(FeedItem(write_position(places), partition, number, data))
        places[partition] = Place(entry.commit + 1, number)
