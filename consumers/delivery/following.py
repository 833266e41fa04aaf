"""The feed of one partition as targets follow it: what one of them reads, others at that place need not read again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from consumers.delivery.port import Item
from consumers.relay.waiting import heed_cancellation
from consumers.state.commit import OutboxEntry
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.errors import Unavailable
from rules.triggers import read_trigger


class Place(NamedTuple):
    """How far a target is: transitions up to `number` are behind it, and of commit `commit` so many `triggers`; what
    follows is in that commit or later."""

    commit: int
    number: int
    triggers: int = 0

    def write(self) -> str:
        return f"{self.commit}.{self.number}.{self.triggers}"

    @classmethod
    def read(cls, text: str) -> Place:
        return cls(*(int(part) for part in text.split(".")))


class Span(NamedTuple):
    """The items after `begin` up to `end`."""

    begin: Place
    end: Place


class Position(NamedTuple):
    """How far a target is: everything up to `cursor` is settled, and so are `spans` beyond it, in order.

    `triggered`: the running number of the last trigger that it has looked at, 0 where that is not known.
    """

    cursor: Place
    spans: list[Span]
    triggered: int = 0

    def write(self) -> str:
        spans = (f"{span.begin.write()}-{span.end.write()}" for span in self.spans)
        triggered = [f"t{self.triggered}"] if self.triggered else []
        return " ".join([self.cursor.write(), *spans, *triggered])

    @classmethod
    def read(cls, text: str) -> Position:
        cursor, *rest = text.split(" ")
        triggered = int(rest.pop()[1:]) if rest and rest[-1].startswith("t") else 0
        pairs = (span.split("-") for span in rest)
        return cls(Place.read(cursor), [Span(Place.read(begin), Place.read(end)) for begin, end in pairs], triggered)


SPANS_MAX = 64
"""Of a position; what is settled beyond the last comes again after a crash."""


class Entry(msgspec.Struct, frozen=True):
    """A commit of the feed. `first_number`: of its first transition, or of the next one if it has none;
    `first_trigger` the same of triggers, 0 before there were any."""

    commit: int
    first_number: int
    first_trigger: int
    clock: int
    transitions: list[Item]
    triggers: list[Item]


class Page(msgspec.Struct, frozen=True):
    """The entries from `commit` on, in order; what follows them is in commit `next_commit` or later."""

    commit: int
    entries: list[Entry]
    next_commit: int
    size: int  # bytes, about


class _Data(msgspec.Struct):
    segment: str
    customer_id: str
    sequence: int
    cause: str


class _CloudEvent(msgspec.Struct):
    id: str
    type: str
    time: datetime
    data: _Data


_ENTRY = msgspec.msgpack.Decoder(OutboxEntry)
_EVENT = msgspec.json.Decoder(_CloudEvent)


def transition_item(data: bytes, partition: int, number: int) -> Item:
    """A transition's CloudEvent as an item."""
    event = _EVENT.decode(data)
    return Item(
        id=event.id,
        kind="entered" if event.type == "segment.entered" else "exited",
        partition=partition,
        customer_id=event.data.customer_id,
        segment=event.data.segment,
        cause=event.data.cause,
        sequence=event.data.sequence,
        time_ms=round(event.time.timestamp() * 1000),
        number=number,
        data=data,
    )


def trigger_item(data: bytes, partition: int) -> Item:
    """An event of a member as an item."""
    trigger = read_trigger(data)
    return Item(
        id=trigger.id,
        kind="event",
        partition=partition,
        customer_id=trigger.customer_id,
        segment=trigger.segment,
        cause=trigger.type,
        sequence=trigger.sequence,
        time_ms=trigger.ts,
        data=msgspec.json.encode({"event": trigger.event, "sequence": trigger.sequence}),
    )


def decode_entry(commit: int, fields: Sequence[bytes], partition: int) -> Entry:
    """From an entry's fields: `t`, the commit's packed; `n`, the first trigger's number, if there ever was one."""
    entry = _ENTRY.decode(fields[1])
    first_trigger = int(fields[3]) if len(fields) > 3 else 0
    first = entry.first_number
    transitions = [transition_item(data, partition, first + at) for at, data in enumerate(entry.transitions)]
    return Entry(
        commit,
        first,
        first_trigger,
        entry.clock,
        transitions,
        [trigger_item(data, partition) for data in entry.triggers],
    )


class Pages:
    """Pages that were read lately, of all partitions, up to so many bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max, self._bytes = bytes_max, 0
        self._pages: OrderedDict[tuple[int, int], Page] = OrderedDict()

    def get(self, partition: int, commit: int) -> Page | None:
        page = self._pages.get((partition, commit))
        if page is not None:
            self._pages.move_to_end((partition, commit))
        return page

    def put(self, partition: int, commit: int, page: Page) -> None:
        old = self._pages.pop((partition, commit), None)
        self._bytes += page.size - (old.size if old else 0)
        self._pages[(partition, commit)] = page
        while self._bytes > self._bytes_max and len(self._pages) > 1:
            self._bytes -= self._pages.popitem(last=False)[1].size

    def forget(self, partition: int) -> None:
        for key in [key for key in self._pages if key[0] == partition]:
            self._bytes -= self._pages.pop(key).size


SHOWN_FIELDS = ("shown", "numbered", "rebuild")
"""Of a partition's meta."""


def read_shown(answer: Sequence[bytes | None]) -> tuple[int, int, bool]:
    """From SHOWN_FIELDS, what `Following.see` takes."""
    return int(answer[0] or 0), int(answer[1] or 0), answer[2] == b"1"


class Following:
    """One partition. `shown`: the newest commit that may be read; `numbered`: of the newest transition there is;
    `rebuilding`: its state is being filled from the log anew, with transitions that were told before."""

    def __init__(self, store: Store, keys: PartitionKeys, partition: int, pages: Pages, entries_max: int) -> None:
        self.shown = 0
        self.numbered = 0
        self.rebuilding = False
        self.reads = 0
        self._store, self._keys, self._partition = store, keys, partition
        self._pages, self._entries_max = pages, entries_max
        self._reading: dict[int, asyncio.Task[Page]] = {}

    def see(self, shown: int, numbered: int, rebuilding: bool) -> bool:
        """What the partition shows by now; whether that is news."""
        if shown < self.shown:  # the store was rolled back, or is filled anew: other commits have these numbers
            self._pages.forget(self._partition)
        news = (shown, rebuilding) != (self.shown, self.rebuilding)
        self.shown, self.numbered, self.rebuilding = shown, numbered, rebuilding
        return news

    async def after(self, commit: int) -> Page:
        """What is shown from this commit on. Raises Unavailable."""
        page = self._pages.get(self._partition, commit)
        if page is not None:
            return page
        task = self._reading.get(commit)
        if task is None:
            task = self._reading[commit] = asyncio.create_task(self._read(commit, self.shown), name="page")
            task.add_done_callback(self._forgetting(commit))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            heed_cancellation()
            raise Unavailable("the partition was let go") from None  # the read was ended, not who waits for it

    async def news(self, shown_before: int) -> Page | None:
        """The page of what is shown since; None where it is not simply more of the same. Raises Unavailable."""
        if self.rebuilding or not 0 < shown_before < self.shown:
            return None
        return await self.after(shown_before + 1)

    async def look(self) -> None:
        """Ask the store what is shown. Raises Unavailable."""
        self.see(*read_shown(await self._store.call("HMGET", self._keys.meta, *SHOWN_FIELDS)))

    async def close(self) -> None:
        for task in list(self._reading.values()):
            task.cancel()
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    def _forgetting(self, commit: int) -> Callable[[asyncio.Task[Page]], None]:
        def forget(task: asyncio.Task[Page]) -> None:
            self._reading.pop(commit, None)
            if not task.cancelled():
                task.exception()  # whoever asked has it too; nobody may be there any more

        return forget

    async def _read(self, commit: int, shown: int) -> Page:
        self.reads += 1
        limit = self._entries_max
        found = await self._store.call("XRANGE", self._keys.out, f"{commit}-0", f"{shown}-0", "COUNT", limit)
        entries = [decode_entry(int(key[: key.index(b"-")]), fields, self._partition) for key, fields in found]
        following = entries[-1].commit + 1 if len(entries) == limit else shown + 1
        page = Page(commit, entries, following, 200 + 2 * sum(len(fields[1]) for _, fields in found))
        if following > commit:
            self._pages.put(self._partition, commit, page)
        return page


# -- where a target begins --------------------------------------------------------------------------------------------


async def oldest(store: Store, keys: PartitionKeys) -> Place:
    """Before the oldest entry that is kept."""
    found = await store.call("XRANGE", keys.out, "-", "+", "COUNT", 1)
    return _before(found[0]) if found else Place(0, 0)


async def now(store: Store, keys: PartitionKeys) -> Place:
    """After the newest commit that is shown."""
    shown, numbered = await store.call("HMGET", keys.meta, "shown", "numbered")
    shown = int(shown or 0)
    following = await store.call("XRANGE", keys.out, f"{shown + 1}-0", "+", "COUNT", 1)
    if following:  # a commit that is on its way to being shown
        return Place(shown + 1, _before(following[0]).number)
    return Place(shown + 1, int(numbered or 0))


async def first_since(store: Store, keys: PartitionKeys, since_ms: int) -> Place:
    """Before the first entry whose clock is at or after that instant."""
    return await _first(store, keys, lambda entry: entry.clock < since_ms)


async def first_numbered(store: Store, keys: PartitionKeys, number: int) -> Place:
    """Before the transition of this running number, or the oldest after it that is kept."""
    place = await _first(store, keys, lambda entry: entry.first_number + len(entry.transitions) <= number)
    return Place(place.commit, max(place.number, number - 1))


async def _first(store: Store, keys: PartitionKeys, is_before: Callable[[OutboxEntry], bool]) -> Place:
    """Before the first entry that is not before what is sought; by bisection."""
    newest = await store.call("XREVRANGE", keys.out, "+", "-", "COUNT", 1)
    begin = await store.call("XRANGE", keys.out, "-", "+", "COUNT", 1)
    if not newest or not begin:
        return Place(0, 0)
    low, high = _commit(begin[0]), _commit(newest[0]) + 1  # what is below `low` is before it, what is at `high` is not
    while low < high:
        middle = (low + high) // 2
        found = await store.call("XRANGE", keys.out, f"{middle}-0", "+", "COUNT", 1)
        if found and is_before(_ENTRY.decode(found[0][1][1])):
            low = _commit(found[0]) + 1
        else:
            high = middle
    found = await store.call("XRANGE", keys.out, f"{low}-0", "+", "COUNT", 1)
    if found:
        return Place(low, _before(found[0]).number)
    last = _ENTRY.decode(newest[0][1][1])
    return Place(low, last.first_number + len(last.transitions) - 1)


async def find_item(store: Store, keys: PartitionKeys, partition: int, commit: int, item_id: str) -> Item | None:
    """An item of a commit; None where it is not (any more)."""
    found = await store.call("XRANGE", keys.out, f"{commit}-0", f"{commit}-0")
    if not found:
        return None
    entry = decode_entry(commit, found[0][1], partition)
    return next((item for item in [*entry.transitions, *entry.triggers] if item.id == item_id), None)


def items_after(page: Page, place: Place) -> Iterator[tuple[Item | None, Place]]:
    """The page's items after a place, each with the place after it; in the end None with the place after the page."""
    for entry in page.entries:
        if entry.commit < place.commit:
            continue
        done = place.triggers if entry.commit == place.commit else 0
        number = max(place.number, entry.first_number - 1)
        for item in entry.transitions[number - entry.first_number + 1 :]:
            number += 1
            yield item, Place(entry.commit, number)
        for at, item in enumerate(entry.triggers[done:], done + 1):
            yield item, Place(entry.commit, number, at)
        place = Place(entry.commit + 1, number)
    yield None, Place(max(page.next_commit, place.commit), place.number)


def _commit(entry: tuple[bytes, list[bytes]]) -> int:
    return int(entry[0][: entry[0].index(b"-")])


def _before(entry: tuple[bytes, list[bytes]]) -> Place:
    return Place(_commit(entry), _ENTRY.decode(entry[1][1]).first_number - 1)
