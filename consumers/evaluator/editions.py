"""Segment definitions as they come through the log: which are in force, which wait, and the plan that says it.

A definition takes effect at its record as a new *edition*: customers are judged by it on their own next record or by
the sweep, whichever is sooner, each as of the record's clock. One that needs what was not collected so far waits until
the log has been read again (a *collection*); those that come meanwhile queue behind it, for they may name it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from consumers.log.port import Offset
from consumers.state.definitions import (
    Collection,
    Note,
    Stage,
    by_segment,
    compile_editions,
    decode,
    encode,
)
from rules.errors import EventRejected, SegmentInvalid
from rules.hidden import is_hidden, parse_definition, same_for_evaluators
from rules.plan import Definition, Plan, compile_plan, missing_features
from rules.records import DefinitionRecord


class Editions:
    """The definitions of one partition. `written()` is what the next commit has to store of them."""

    def __init__(self, data: bytes | None) -> None:
        self.state = decode(data)
        self._dirty = False
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """Compiled when first needed: many definitions in a row, before there is anybody to judge, cost one plan."""
        if self._plan is None:
            self._plan = compile_editions(self.state)
        return self._plan

    @property
    def collecting(self) -> Collection | None:
        return self.state.collecting

    @property
    def unsettled(self) -> bool:
        """Whether some customer may have been judged by an older edition only."""
        return bool(self.state.stages)

    def take_unwritten(self) -> bytes | None:
        """What a commit has to store, None when nothing changed since the last call."""
        if not self._dirty:
            return None
        self._dirty = False
        return encode(self.state)

    def define(self, record: DefinitionRecord, clock: int, offset: Offset, customers: int) -> None:
        """A definition record of the log. Raises EventRejected for a document that does not compile."""
        if record.activate:
            if self._awaits(record):
                self._activate(clock, offset, customers)
            return
        if record.version <= self._version(record.segment):
            return
        definition = Definition(record.segment, record.version, record.state, record.document)
        _check(definition)
        self._dirty = True
        if is_hidden(definition.segment) and self._asks_nothing_new(definition):
            self._renumber(definition)
        elif self.state.collecting is not None:
            queued = by_segment(self.state.queued)
            queued.pop(definition.segment, None)  # the newer one goes to the end of the queue
            self.state.queued = [*queued.values(), definition]
        else:
            self._take([definition], clock, offset, customers)

    def awaits(self, record: DefinitionRecord) -> bool:
        """Whether this record ends the collection under way (which must be complete before it is read)."""
        return record.activate and self._awaits(record)

    def activation(self) -> DefinitionRecord:
        """The record that ends the collection under way."""
        assert self.state.collecting is not None, "nothing is being collected"
        first = self.state.collecting.definitions[0]
        return DefinitionRecord(first.segment, first.version, first.state, None, activate=True)

    def found_history(self, first_ms: int) -> None:
        """The collection has read the log from its start, which was written at `first_ms`."""
        assert self.state.collecting is not None, "nothing is being collected"
        self.state.collecting = msgspec.structs.replace(self.state.collecting, first_ms=first_ms)
        self._dirty = True

    def settled(self) -> None:
        """Every customer has been judged by the newest edition: the older ones go."""
        plan = self.plan
        kept = {name: each for name, each in self.state.in_force().items() if each.state != "deleted"}
        self.state.base, self.state.edition, self.state.at = kept, self.state.newest, self.state.newest_at
        self.state.stages = []
        self.state.base_collecting = self.state.collecting.definitions if self.state.collecting else []
        plan.previous = None
        plan.definitions = dict(kept)
        self._dirty = True

    def _asks_nothing_new(self, definition: Definition) -> bool:
        """Whether evaluators know already all that they must know of these actions."""
        if self.state.collecting is not None:
            return False  # what it is to be compared with may be on its way
        known = self.state.in_force().get(definition.segment)
        if definition.state == "deleted":
            return known is None
        old = parse_definition(known.document) if known is not None and known.document is not None else None
        return same_for_evaluators(old, parse_definition(definition.document))

    def _renumber(self, definition: Definition) -> None:
        """Only the version is news."""
        note = self.state.notes.get(definition.segment) or Note(0, definition.state, self.state.newest)
        note = msgspec.structs.replace(note, version=definition.version, state=definition.state)
        self.state.notes = {**self.state.notes, definition.segment: note}

    def _awaits(self, record: DefinitionRecord) -> bool:
        if self.state.collecting is None:
            return False
        first = self.state.collecting.definitions[0]
        return (record.segment, record.version) == (first.segment, first.version)

    def _version(self, segment: str) -> int:
        note = self.state.notes.get(segment)
        known = [note.version] if note else [0]
        waiting = self.state.collecting.definitions if self.state.collecting else []
        known += [each.version for each in (*waiting, *self.state.queued) if each.segment == segment]
        return max(known)

    def _take(self, definitions: list[Definition], clock: int, offset: Offset, customers: int) -> None:
        """Put definitions into force, or start collecting what they need."""
        if customers == 0:  # nobody to judge, and nothing to read again
            merged = self.state.in_force() | by_segment(definitions)
            self.state.base = {name: each for name, each in merged.items() if each.state != "deleted"}
            self.state.edition, self.state.at, self.state.stages = self.state.newest + 1, clock, []
            self.state.base_collecting = []
            self._plan = None
            self._note(definitions)
        elif any(missing_features(self.plan, each) for each in definitions if each.state != "deleted"):
            self._collect(definitions, clock, offset)
        else:
            self._adopt(definitions, clock)

    def _collect(self, definitions: list[Definition], clock: int, offset: Offset) -> None:
        """Start folding what definitions need, as an edition in which nobody is judged anew."""
        self.state.collecting = Collection(definitions, until=offset, at=clock)
        edition, in_force = self.state.newest + 1, self.state.in_force().values()
        self._plan = compile_plan(in_force, edition, clock, self.plan, collecting=definitions)
        self.state.stages = [*self.state.stages, Stage(edition, clock, [], definitions)]

    def _activate(self, clock: int, offset: Offset, customers: int) -> None:
        """What was collected comes into force, and what queued behind it has its turn."""
        collection = self.state.collecting
        assert collection is not None, "only a collection under way can end"
        if collection.first_ms is not None:
            collected = (missing_features(self.plan, each) for each in collection.definitions)
            self.state.history |= {key: collection.first_ms for keys in collected for key in keys}
        self.state.collecting = None
        self._adopt(collection.definitions, clock)
        queued, self.state.queued = self.state.queued, []
        self._dirty = True
        if queued:
            self._take(queued, clock, offset, customers)

    def _adopt(self, definitions: list[Definition], clock: int) -> None:
        edition = self.state.newest + 1
        merged = self.state.in_force() | by_segment(definitions)
        changed = frozenset(each.segment for each in definitions)
        self._plan = compile_plan(merged.values(), edition, clock, self.plan, changed)
        self.state.stages = [*self.state.stages, Stage(edition, clock, definitions)]
        self._note(definitions)

    def _note(self, definitions: Iterable[Definition]) -> None:
        """Remember each as it now stands, and from when on all that it asks has been counted."""
        notes = dict(self.state.notes)
        for each in definitions:
            asked = _features(each) if self.state.history and each.state != "deleted" else frozenset[int]()
            since = max((self.state.history[key] for key in asked if key in self.state.history), default=None)
            notes[each.segment] = Note(each.version, each.state, self.state.newest, since)
        self.state.notes = notes


_NOTHING = compile_plan(())


def _features(definition: Definition) -> frozenset[int]:
    """The keys of all that a definition asks, as `missing_features` gives them."""
    return missing_features(_NOTHING, definition)


def _check(definition: Definition) -> None:
    """Raise EventRejected for a document that is none, before anything is changed."""
    if definition.state == "deleted":
        return
    if definition.document is None:
        raise EventRejected("a definition that is not deleted has a document", "document")
    try:
        parsed = parse_definition(definition.document)
    except SegmentInvalid as error:
        raise EventRejected(str(error), "document") from error
    if parsed.id != definition.segment:
        raise EventRejected(f"the document's id is {parsed.id}", "document.id")
