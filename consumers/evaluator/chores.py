"""Between batches, the same steps 2 to 5 do what is due, in bounded chunks: timers, the sweep of a new edition, a
collection (reading the log again for what nobody asked before)."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.evaluator.collecting import Collecting
from consumers.evaluator.draft import Draft
from consumers.evaluator.items import Item
from consumers.evaluator.owned import Owned
from consumers.evaluator.restoring import Restoring
from consumers.log.port import NewRecord
from rules.records import DefinitionRecord, encode_definition
from rules.step import step


class Chores:
    """`busy`: whether a chunk waits that needs no record; `do` does one."""

    def __init__(self, owned: Owned, restoring: Restoring | None) -> None:
        self._owned, self._restoring = owned, restoring
        self._collecting: Collecting | None = None
        self._turn = 0

    @property
    def busy(self) -> bool:
        return self._timers_due or self._owned.editions.unsettled or self._collection_waits

    @property
    def _timers_due(self) -> bool:
        return self._owned.due is not None and self._owned.due < self._owned.meta.clock

    @property
    def _collection_waits(self) -> bool:
        collection = self._owned.editions.collecting
        return collection is not None and (self._collecting is None or not self._collecting.announced)

    async def do(self, milliseconds: int) -> None:
        """One chunk: due timers first; then the sweep of a new edition and a collection, in turn."""
        owned = self._owned
        self._turn += 1
        if self._timers_due:
            await self._settle_some(owned.keys.timers, owned.meta.clock, milliseconds)
        elif owned.editions.unsettled and (self._turn % 2 or not self._collection_waits):
            await self._sweep(milliseconds)
        elif self._collection_waits:
            await self._collect()

    async def _sweep(self, milliseconds: int) -> None:
        """Judge some of those whom the newest edition has not judged yet; when there is nobody, it is settled."""
        owned = self._owned
        if await self._settle_some(owned.keys.judged, owned.editions.state.newest, milliseconds):
            return
        owned.editions.settled()
        await owned.commit(draft := Draft(), owned.begin_commit(draft))

    async def _settle_some(self, index: str, below: int, milliseconds: int) -> int:
        """Bring some customers whom an index has below a score to the clock and the newest edition; how many."""
        owned = self._owned
        limit = owned.settings.drain_customers_max
        found = await owned.store.call("ZRANGE", index, "-inf", f"({below}", "BYSCORE", "LIMIT", 0, limit)
        customer_ids = [customer.decode() for customer in found]
        if not customer_ids:
            return 0
        await owned.have_profiles(dict.fromkeys(customer_ids))
        draft, plan, clock = Draft(), owned.editions.plan, owned.meta.clock
        until = owned.clock_now.monotonic() + milliseconds / 1000
        for customer_id in customer_ids:
            kept = owned.hot.get(customer_id)
            draft.touch(customer_id, kept)
            draft.transitions.extend(step(kept.profile, (), plan, clock)[1])
            assert kept.profile.wake >= clock, "what was due before the clock is done"
            if owned.clock_now.monotonic() > until:
                break
        await self._finish(draft)
        return len(draft.touched)

    async def _finish(self, draft: Draft, cursor: str | None = None) -> None:
        """Commit a chunk; the log's position stays where it was."""
        if self._restoring is not None:
            await self._restoring.reconcile(draft)
        commit = self._owned.begin_commit(draft)
        if cursor is not None:
            commit.cursor = cursor
        await self._owned.commit(draft, commit)

    # -- collecting what nobody asked before --------------------------------------------------------------------------

    def forget_collection(self) -> None:
        """Another collection has begun, or none is under way."""
        self._collecting, self._owned.meta.cursor = None, ""

    def ends_collection(self, item: DefinitionRecord, before: Sequence[Item]) -> bool:
        """Whether the collection must be complete before this record; it may itself have begun in this very batch."""
        return item.activate and (
            self._owned.editions.awaits(item) or any(isinstance(each, DefinitionRecord) for each in before)
        )

    async def finish_collecting(self, item: DefinitionRecord) -> None:
        """The log says that the collection was complete here (a store that was rolled back): then so it must be."""
        while self._owned.editions.awaits(item) and not (self._collecting and self._collecting.merged):
            await self._collect()

    async def _collect(self) -> None:
        """A chunk of the collection under way: read the log again, then merge, then say so in the log."""
        owned = self._owned
        collection = owned.editions.collecting
        assert collection is not None, "nothing is being collected"
        if self._collecting is None:
            self._collecting = Collecting(owned.number, collection, owned.editions.plan, owned.meta.cursor)
        collecting = self._collecting
        if not collecting.read:
            await collecting.read_some(owned.log, owned.settings.collect_records_max)
            if collecting.read and collecting.first_ms is not None:
                owned.editions.found_history(collecting.first_ms)
        elif not collecting.merged:
            await self._merge_some(collecting)
        elif not collecting.announced:
            record = NewRecord(owned.number, encode_definition(owned.editions.activation()))
            await owned.log.append_own([record])
            collecting.announced = True

    async def _merge_some(self, collecting: Collecting) -> None:
        """Fold what was collected into the next customers' profiles; the cursor is part of the commit."""
        owned = self._owned
        customer_ids = collecting.next_customers(owned.settings.drain_customers_max)
        await owned.have_profiles(dict.fromkeys(customer_ids))
        draft, plan, clock = Draft(), owned.editions.plan, owned.meta.clock
        for customer_id in customer_ids:
            kept = owned.hot.get(customer_id)
            draft.touch(customer_id, kept)
            draft.transitions.extend(step(kept.profile, (), plan, clock)[1])  # older editions would drop what is merged
            collecting.merge_into(kept.profile, plan, clock)
        await self._finish(draft, collecting.cursor)
