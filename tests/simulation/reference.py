"""What an uninterrupted reader makes of the log: `rules.step`, a record at a time, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.evaluator.editions import Editions
from consumers.log.partition import partition_of
from consumers.log.port import Record
from rules.backfill import Collector
from rules.errors import EventRejected
from rules.events import Event
from rules.hidden import is_hidden
from rules.language import parse_document
from rules.plan import Definition, missing_features
from rules.profile import CHANGED, SEQUENCE, Profile, new_profile
from rules.records import DefinitionRecord, decode_record
from rules.step import step
from rules.tally import Tally
from rules.transitions import Transition, render
from rules.triggers import triggers_of
from tests.oracle import Edit
from tests.oracle.oracle import Entry


class Reference:
    """One partition. `found`: per customer, its transitions rendered, in order; `triggers`: the same of these."""

    def __init__(self, partition: int, partitions: int) -> None:
        self.clock = 0
        self.found: dict[str, list[bytes]] = {}
        self.triggers: dict[str, list[bytes]] = {}
        self.changes: list[Transition] = []
        self.profiles: dict[str, Profile] = {}
        self.editions = Editions(None)
        self._partition, self._partitions = partition, partitions
        self.entries: list[Entry] = []  # the same for the oracle
        self.many = False  # whether several definitions took effect at one instant, with customers there
        self._read: list[tuple[int, Event, int]] = []  # offset, event, the clock after reading it
        self._first_ms: int | None = None

    def run(self, records: Sequence[Record]) -> None:
        """All of the log, and what was due before its last clock."""
        for record in records:
            if self._first_ms is None:
                self._first_ms = record.timestamp_ms
            before, self.clock = self.clock, max(self.clock, record.timestamp_ms)
            try:
                item = decode_record(record.payload, record.timestamp_ms)
                if isinstance(item, DefinitionRecord):
                    self._define(item, record, before)
            except EventRejected:
                continue
            if isinstance(item, Event) and partition_of(item.customer_id, self._partitions) == self._partition:
                self._read.append((record.offset, item, self.clock))
                self.entries.append((item, self.clock))
                profile = self.profiles.setdefault(item.customer_id, new_profile(item.customer_id))
                plan, tally = self.editions.plan, Tally()
                self._note(step(profile, (item,), plan, self.clock, tally)[1])
                if not tally.duplicates and (said := triggers_of(profile, item, plan, self.clock)):
                    self.triggers.setdefault(item.customer_id, []).extend(said)
        for profile in self.profiles.values():
            self._note(step(profile, (), self.editions.plan, self.clock)[1])

    def members(self) -> dict[str, dict[str, int]]:
        """segment -> customer -> since (ms)."""
        found: dict[str, dict[str, int]] = {}
        for customer, profile in self.profiles.items():
            for segment, state in profile.members.items():
                if state[SEQUENCE] % 2 == 1:
                    found.setdefault(segment, {})[customer] = state[CHANGED]
        return found

    def _define(self, item: DefinitionRecord, record: Record, before: int) -> None:
        if item.activate and self.editions.awaits(item):
            self._collect(before)
        notes, newest = self.editions.state.notes, self.editions.state.newest
        self.editions.define(item, self.clock, record.offset, len(self.profiles))
        changed = [segment for segment, note in self.editions.state.notes.items() if notes.get(segment) != note]
        at_once = len(changed) > 1 or self.editions.state.newest > newest + 1
        self.many = self.many or (at_once and bool(self.profiles))
        for segment in changed:
            if is_hidden(segment):
                continue  # who is a member is the oracle's question
            definition = self.editions.state.in_force().get(segment)
            self.entries.append((_edit(segment, definition), self.clock))

    def _collect(self, clock: int) -> None:
        collection, plan = self.editions.collecting, self.editions.plan
        assert collection is not None, "only a collection under way can end"
        keys = frozenset[int]().union(*(missing_features(plan, each) for each in collection.definitions))
        collector = Collector(plan, keys, collection.at)
        for offset, event, at in self._read:
            if offset < collection.until:
                collector.add(event, at)
        for customer in collector.customers():
            profile = self.profiles[customer]
            self._note(step(profile, (), plan, clock)[1])
            collector.merge_into(profile, plan, clock)
        if self._first_ms is not None:
            self.editions.found_history(self._first_ms)

    def _note(self, changes: Sequence[Transition]) -> None:
        for change in changes:
            self.found.setdefault(change.customer_id, []).append(render(change))
            self.changes.append(change)


def _edit(segment: str, definition: Definition | None) -> Edit:
    if definition is None or definition.state == "deleted":
        return Edit(segment, None)
    return Edit(segment, parse_document(definition.document), definition.state == "paused")
