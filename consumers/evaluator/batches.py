"""A batch of one partition's records: (2) load, (3) step, then one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from consumers.evaluator.chores import Chores
from consumers.evaluator.draft import Draft
from consumers.evaluator.items import Item, decode
from consumers.evaluator.owned import Owned
from consumers.evaluator.restoring import Restoring
from consumers.failpoints import reach
from consumers.log.partition import partition_of
from consumers.log.port import NewRecord, Record
from rules.errors import EventRejected
from rules.events import FROM_THE_LOG, Event
from rules.records import DefinitionRecord
from rules.step import step, step_one
from rules.transitions import traced
from rules.triggers import triggers_of

_SLICE = 500  # records, after which others of this process (HTTP) have their turn


class Batches:
    """Cut anywhere, batches give the same."""

    def __init__(self, owned: Owned, chores: Chores, restoring: Restoring | None) -> None:
        self._owned, self._chores, self._restoring = owned, chores, restoring
        self._partitions = owned.log.partitions
        self._limits = replace(FROM_THE_LOG, age_ms=owned.settings.event_age_ms_max)

    async def take(self, records: Sequence[Record]) -> None:
        """Records of this partition, in log order, from its position on."""
        items = await self._decode(records)
        begin = 0
        for at, item in enumerate(items):
            if isinstance(item, DefinitionRecord) and self._chores.ends_collection(item, items[begin:at]):
                if at > begin:
                    await self._batch(records[begin:at], items[begin:at])
                await self._chores.finish_collecting(item)
                begin = at
        await self._batch(records[begin:], items[begin:])

    async def _decode(self, records: Sequence[Record]) -> list[Item]:
        items: list[Item] = []
        limits = self._limits
        for at in range(0, len(records), _SLICE):
            if at:
                await asyncio.sleep(0)
            items += [decode(record, limits) for record in records[at : at + _SLICE]]
        return items

    async def _batch(self, records: Sequence[Record], items: Sequence[Item]) -> None:
        owned, now = self._owned, self._owned.clock_now.monotonic
        began = now()
        due = owned.due_before(max([owned.meta.clock, *[record.timestamp_ms for record in records]]))
        customers = {item.customer_id: None for item in items if type(item) is Event}
        unheard = await owned.have_profiles(customers | dict.fromkeys(due))
        strangers = frozenset(each for each in unheard if partition_of(each, self._partitions) != owned.number)
        loaded = now()
        draft, clock = Draft(), owned.meta.clock
        for at in range(0, len(items), _SLICE):
            clock = self._step(draft, clock, records[at : at + _SLICE], items[at : at + _SLICE], strangers)
            await asyncio.sleep(0)
        owned.hot.forget(strangers)
        self._settle(draft, due, clock)
        if self._restoring is not None:
            await self._restoring.reconcile(draft)
        stepped = now()
        commit = owned.begin_commit(draft)
        commit.position, commit.clock = records[-1].offset, clock
        reach("3.after")
        await owned.commit(draft, commit)
        owned.metrics.step_seconds("load", loaded - began)
        owned.metrics.step_seconds("step", stepped - loaded)
        owned.metrics.batch(len(records))

    def _step(
        self,
        draft: Draft,
        clock: int,
        records: Sequence[Record],
        items: Sequence[Item],
        strangers: frozenset[str],
    ) -> int:
        """(3) Each record in log order, judged at the clock after reading it. Returns the clock."""
        owned = self._owned
        plan = None
        tally, transitions, touched, types = draft.tally, draft.transitions, draft.touched, draft.types
        for record, item in zip(records, items, strict=True):
            if record.timestamp_ms > clock:
                clock = record.timestamp_ms
            if type(item) is Event:
                types[item.type] += 1
                if strangers and item.customer_id in strangers:
                    self._send_home(draft, record, item)
                    continue
                if plan is None:
                    plan = owned.editions.plan
                kept = touched.get(item.customer_id)
                if kept is None:
                    kept = owned.hot.get(item.customer_id)
                    draft.touch(item.customer_id, kept)
                before, duplicates = len(transitions), tally.duplicates
                step_one(kept.profile, item, plan, clock, transitions, tally)
                if len(transitions) > before and (item.traceparent or item.hops):
                    transitions[before:] = traced(transitions[before:], item)
                if item.type in plan.triggers and tally.duplicates == duplicates:
                    draft.triggers += triggers_of(kept.profile, item, plan, clock)
            elif isinstance(item, DefinitionRecord):
                self._define(draft, record, item, clock)
                plan = None
            elif isinstance(item, EventRejected):
                draft.reject(record, str(item))
        return clock

    def _settle(self, draft: Draft, due: Sequence[str], clock: int) -> None:
        """Who is known to be due by now, in the same commit: one of its own would cost as much again."""
        owned, plan = self._owned, self._owned.editions.plan
        overtaken = [customer_id for customer_id, kept in draft.touched.items() if kept.profile.wake < clock]
        for customer_id in (*due, *overtaken):
            kept = owned.hot.get(customer_id)
            if kept.profile.wake < clock:  # no event has come to it meanwhile
                draft.touch(customer_id, kept)
                draft.transitions.extend(step(kept.profile, (), plan, clock)[1])

    def _send_home(self, draft: Draft, record: Record, event: Event) -> None:
        """A record of another partition's customer, as a publisher with another partitioner leaves it.

        What is done again was sent there before the commit that was lost, and is older there than the dedup window by
        now, perhaps: it is not sent again.
        """
        if self._restoring is not None and record.offset <= self._restoring.until:
            return
        home = partition_of(event.customer_id, self._partitions)
        draft.moved.append(NewRecord(home, record.payload, event.customer_id))

    def _define(self, draft: Draft, record: Record, item: DefinitionRecord, clock: int) -> None:
        editions = self._owned.editions
        before = editions.collecting
        try:
            editions.define(item, clock, record.offset, self._owned.customers + draft.new_customers)
        except EventRejected as error:
            draft.reject(record, str(error))
        after = editions.collecting
        if after is None or before is None or after.until != before.until:
            self._chores.forget_collection()
