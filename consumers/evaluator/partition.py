"""One partition and its owner: the numbered list of `docs/architecture.md`, one function a step.

(1) read a batch (`evaluator`)  (2) load profiles  (3) step  (4) commit  (5) publish  (6) report (`evaluator`).
Between batches the same steps 2 to 5 do what is due, bounded: timers, the sweep of a new edition, a collection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from consumers.evaluator.collecting import Collecting
from consumers.evaluator.draft import Draft
from consumers.evaluator.editions import Editions
from consumers.evaluator.hot import HotProfiles
from consumers.evaluator.items import Item, decode
from consumers.evaluator.metrics import Metrics
from consumers.evaluator.settings import Settings
from consumers.log.port import Log, NewRecord, Offset, Record
from consumers.state.commit import Commit, Committed, Meta, apply, release, show, take_over, trim_out
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.errors import EventRejected, Unavailable
from rules.events import Event
from rules.records import DefinitionRecord, encode_definition
from rules.step import step

_COMMIT_PAUSES_S = (0.05, 0.5)  # before the commit is sent again; then the partition is loaded anew
_SLICE = 500  # records, after which others of this process (HTTP) have their turn


class Partition:
    """Everything an owner knows of its partition. After any exception from a call: `load` again before the next."""

    def __init__(self, number: int, store: Store, log: Log, settings: Settings, metrics: Metrics) -> None:
        self.number = number
        self.keys = PartitionKeys(number)
        self._store, self._log = store, log
        self._settings, self._metrics = settings, metrics
        self._meta = Meta()
        self._customers = 0
        self.due: int | None = None  # the earliest timer (ms)
        self._editions = Editions(None)
        self._hot = self._new_hot()
        self._collecting: Collecting | None = None
        self._turn = 0

    @property
    def position(self) -> Offset:
        return self._meta.position

    @property
    def clock(self) -> int:
        return self._meta.clock

    @property
    def trim_behind(self) -> Offset | None:
        """The position that trimming must stay behind; None while the log is being read again."""
        return None if self._editions.collecting is not None else self._meta.position

    def _new_hot(self) -> HotProfiles:
        return HotProfiles(self._store, self.keys, max(1, self._settings.hot_profiles_max // self._log.partitions))

    # -- owning -------------------------------------------------------------------------------------------------------

    async def load(self, owner: str, force: bool) -> None:
        """Take the partition over and read where it stands. Raises Held, Unavailable."""
        self._meta = await take_over(self._store, self.keys, owner, self._settings.lease_ms, force)
        definitions, self._customers, nearest = await self._store.calls(
            [
                ("GET", self.keys.definitions),
                ("ZCARD", self.keys.judged),
                ("ZRANGE", self.keys.timers, 0, 0, "WITHSCORES"),
            ]
        )
        self.due = int(float(nearest[1])) if nearest else None
        self._editions = Editions(definitions)
        self._hot = self._new_hot()
        self._collecting = None
        await self._publish()  # the last commit may not have been shown yet

    async def alive(self) -> None:
        """Say that the owner is alive; raises Reload when it is not the owner any more."""
        await show(self._store, self.keys, self.number, self._meta.epoch, None)

    async def trim_feed(self, transitions_max: int) -> None:
        """Keep so many transitions for subscribers to resume from."""
        if self._meta.numbered > transitions_max:
            await trim_out(self._store, self.keys, self._meta.numbered - transitions_max + 1)

    async def release(self) -> None:
        await release(self._store, self.keys, self._meta.epoch)

    # -- a batch ------------------------------------------------------------------------------------------------------

    async def take(self, records: Sequence[Record]) -> None:
        """Records of this partition, in log order, from its position on. Cut anywhere, they give the same."""
        items = await self._decode(records)
        begin = 0
        for at, item in enumerate(items):
            if isinstance(item, DefinitionRecord) and self._ends_collection(item, items[begin:at]):
                if at > begin:
                    await self._batch(records[begin:at], items[begin:at])
                await self._finish_collecting(item)
                begin = at
        await self._batch(records[begin:], items[begin:])

    async def _decode(self, records: Sequence[Record]) -> list[Item]:
        items: list[Item] = []
        for at in range(0, len(records), _SLICE):
            items += [decode(record) for record in records[at : at + _SLICE]]
            await asyncio.sleep(0)
        return items

    async def _batch(self, records: Sequence[Record], items: Sequence[Item]) -> None:
        began = time.perf_counter()
        await self._load({item.customer_id: None for item in items if type(item) is Event})
        loaded = time.perf_counter()
        draft, clock = Draft(), self._meta.clock
        for at in range(0, len(items), _SLICE):
            clock = self._step(draft, clock, records[at : at + _SLICE], items[at : at + _SLICE])
            await asyncio.sleep(0)
        stepped = time.perf_counter()
        commit = self._draft_commit(draft)
        commit.position, commit.clock = records[-1].offset, clock
        await self._commit(draft, commit)
        self._metrics.step_seconds("load", loaded - began)
        self._metrics.step_seconds("step", stepped - loaded)
        self._metrics.batch(len(records))

    async def _load(self, customer_ids: dict[str, None]) -> None:
        """(2) Have the profiles at hand."""
        await self._hot.load(customer_ids)

    def _step(self, draft: Draft, clock: int, records: Sequence[Record], items: Sequence[Item]) -> int:
        """(3) Each record in log order, judged at the clock after reading it. Returns the clock."""
        plan = None
        tally, transitions, get, touch = draft.tally, draft.transitions, self._hot.get, draft.touch
        for record, item in zip(records, items, strict=True):
            if record.timestamp_ms > clock:
                clock = record.timestamp_ms
            if type(item) is Event:
                if plan is None:
                    plan = self._editions.plan
                kept = get(item.customer_id)
                touch(item.customer_id, kept)
                changes = step(kept.profile, (item,), plan, clock, tally)[1]
                if changes:
                    transitions.extend(changes)
            elif isinstance(item, DefinitionRecord):
                self._define(draft, record, item, clock)
                plan = None
            elif isinstance(item, EventRejected):
                draft.reject(record, str(item))
        draft.types.update(item.type for item in items if type(item) is Event)
        return clock

    def _define(self, draft: Draft, record: Record, item: DefinitionRecord, clock: int) -> None:
        before = self._editions.collecting
        try:
            self._editions.define(item, clock, record.offset, self._customers + draft.new_customers)
        except EventRejected as error:
            draft.reject(record, str(error))
        after = self._editions.collecting
        if after is None or before is None or after.until != before.until:
            self._collecting, self._meta.cursor = None, ""

    def _draft_commit(self, draft: Draft) -> Commit:
        return draft.commit(self._meta, self._editions.take_unwritten(), self._editions.state.newest)

    async def _commit(self, draft: Draft, commit: Commit) -> None:
        """(4) All of it or nothing, durably; then (5)."""
        began = time.perf_counter()
        done = await self._apply(commit)
        draft.stored()
        meta = self._meta
        meta.commit, meta.position, meta.clock = commit.commit, commit.position, commit.clock
        meta.edition, meta.cursor = commit.edition, commit.cursor
        meta.numbered += len(commit.transitions)
        self.due, self._customers = done.due, done.customers
        self._hot.shrink()
        committed = time.perf_counter()
        await self._publish()
        self._metrics.step_seconds("commit", committed - began)
        self._metrics.step_seconds("publish", time.perf_counter() - committed)
        draft.report(self._metrics)
        self._metrics.hot_profiles(self.number, len(self._hot))

    async def _apply(self, commit: Commit) -> Committed:
        """The very same commit again where its answer got lost: once it stands, again changes nothing."""
        for pause_s in _COMMIT_PAUSES_S:
            try:
                return await apply(self._store, self.keys, commit)
            except Unavailable:
                await asyncio.sleep(pause_s)
        return await apply(self._store, self.keys, commit)

    async def _publish(self) -> None:
        """(5) Let the feed's readers see what is durable."""
        await show(self._store, self.keys, self.number, self._meta.epoch, self._meta.commit)

    # -- between batches ----------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a chunk of work waits that needs no record."""
        return self._timers_due or self._editions.unsettled or self._collection_waits

    @property
    def _timers_due(self) -> bool:
        return self.due is not None and self.due < self._meta.clock

    @property
    def _collection_waits(self) -> bool:
        collection = self._editions.collecting
        return collection is not None and (self._collecting is None or not self._collecting.announced)

    async def chore(self, milliseconds_max: int | None = None) -> None:
        """One bounded chunk: due timers first; then the sweep of a new edition and a collection, in turn."""
        self._turn += 1
        milliseconds = self._settings.drain_ms if milliseconds_max is None else milliseconds_max
        if self._timers_due:
            await self._settle_some(self.keys.timers, self._meta.clock, milliseconds)
        elif self._editions.unsettled and (self._turn % 2 or not self._collection_waits):
            await self._sweep(milliseconds)
        elif self._collection_waits:
            await self._collect()

    async def _sweep(self, milliseconds: int) -> None:
        """Judge some of those whom the newest edition has not judged yet; when there is nobody, it is settled."""
        if await self._settle_some(self.keys.judged, self._editions.state.newest, milliseconds):
            return
        self._editions.settled()
        await self._commit(draft := Draft(), self._draft_commit(draft))

    async def _settle_some(self, index: str, below: int, milliseconds: int) -> int:
        """Bring some customers whom an index has below a score to the clock and the newest edition; how many."""
        limit = self._settings.drain_customers_max
        found = await self._store.call("ZRANGE", index, "-inf", f"({below}", "BYSCORE", "LIMIT", 0, limit)
        customer_ids = [customer.decode() for customer in found]
        if not customer_ids:
            return 0
        await self._load(dict.fromkeys(customer_ids))
        draft, plan, clock = Draft(), self._editions.plan, self._meta.clock
        until = time.perf_counter() + milliseconds / 1000
        for customer_id in customer_ids:
            kept = self._hot.get(customer_id)
            draft.touch(customer_id, kept)
            draft.transitions.extend(step(kept.profile, (), plan, clock)[1])
            assert kept.profile.wake >= clock, "what was due before the clock is done"
            if time.perf_counter() > until:
                break
        await self._commit(draft, self._draft_commit(draft))
        return len(draft.touched)

    # -- collecting what nobody asked before --------------------------------------------------------------------------

    def _ends_collection(self, item: DefinitionRecord, before: Sequence[Item]) -> bool:
        """Whether the collection must be complete before this record; it may itself have begun in this very batch."""
        return item.activate and (
            self._editions.awaits(item) or any(isinstance(each, DefinitionRecord) for each in before)
        )

    async def _finish_collecting(self, item: DefinitionRecord) -> None:
        """The log says that the collection was complete here (a store that was rolled back): then so it must be."""
        while self._editions.awaits(item) and not (self._collecting and self._collecting.merged):
            await self._collect()

    async def _collect(self) -> None:
        """A chunk of the collection under way: read the log again, then merge, then say so in the log."""
        collection = self._editions.collecting
        assert collection is not None, "nothing is being collected"
        if self._collecting is None:
            self._collecting = Collecting(self.number, collection, self._editions.plan, self._meta.cursor)
        collecting = self._collecting
        if not collecting.read:
            await collecting.read_some(self._log, self._settings.collect_records_max)
            if collecting.read and collecting.first_ms is not None:
                self._editions.found_history(collecting.first_ms)
        elif not collecting.merged:
            await self._merge_some(collecting)
        elif not collecting.announced:
            await self._log.append_own([NewRecord(self.number, encode_definition(self._editions.activation()))])
            collecting.announced = True

    async def _merge_some(self, collecting: Collecting) -> None:
        """Fold what was collected into the next customers' profiles; the cursor is part of the commit."""
        customer_ids = collecting.next_customers(self._settings.drain_customers_max)
        await self._load(dict.fromkeys(customer_ids))
        draft, plan, clock = Draft(), self._editions.plan, self._meta.clock
        for customer_id in customer_ids:
            kept = self._hot.get(customer_id)
            draft.touch(customer_id, kept)
            draft.transitions.extend(step(kept.profile, (), plan, clock)[1])  # older editions would drop what is merged
            collecting.merge_into(kept.profile, plan, clock)
        commit = self._draft_commit(draft)
        commit.cursor = collecting.cursor
        await self._commit(draft, commit)
