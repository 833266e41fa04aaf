"""Definitions compiled once: shared features, slots with their thresholds, and the index from events to segments."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Literal

import msgspec

from rules.aggregates.features import Feature
from rules.compile import Builder, Equal
from rules.concerns import Concern, Guard
from rules.extract import Reader
from rules.folding import Fold, compiled
from rules.hidden import is_hidden, parse_definition, segment_of, triggering
from rules.identity import identity
from rules.language.documents import Hold, Segment, SegmentNode
from rules.profile import Profile
from rules.slots import AttributeSlot, MembershipSlot, Slot, TagSlot
from rules.tree import Holds, Tree, always_false, guard_of, leaves, render


class Definition(msgspec.Struct, frozen=True):
    """One segment as the log defines it, or what evaluators know of its actions (`rules.hidden`). `document` is the
    JSON form of the author's; None once deleted."""

    segment: str
    version: int = 1
    state: Literal["active", "paused", "deleted"] = "active"
    document: dict[str, Any] | None = None


class SegmentPlan:
    """One segment, compiled. `place` is its rank: every segment it names has a lower one."""

    def __init__(self, document: Segment, version: int, paused: bool) -> None:
        self.id, self.document, self.version, self.paused = document.id, document, version, paused
        self.timezone, self.hold = document.timezone, document.hold
        self.held = document.hold != Hold()
        self.place = 0
        self.itself = Concern(())
        self.enter: Tree | None = None
        self.exit: Tree | None = None
        self.enter_holds: Holds = always_false
        self.exit_holds: Holds | None = None

    @cached_property
    def names(self) -> set[str]:
        """The ids of the segments it names. Asked for once both trees are here."""
        trees = [tree for tree in (self.enter, self.exit) if tree is not None]
        return {leaf.node.segment for tree in trees for leaf in leaves(tree) if isinstance(leaf.node, SegmentNode)}


class TypeIndex:
    """The features that events of one type may touch: those found by an equality filter, and the rest; and their
    folds, in the same order."""

    def __init__(self) -> None:
        self.plain: list[Feature] = []
        self.keyed: dict[str, tuple[Reader, dict[str, list[Feature]]]] = {}
        self.by_value: tuple[tuple[Reader, dict[str, list[Feature]]], ...] = ()
        self.folds: tuple[Fold, ...] = ()
        self.folds_by_value: tuple[tuple[Reader, dict[str, tuple[Fold, ...]]], ...] = ()

    def fold_by(self, folds: dict[int, Fold]) -> None:
        """Called once all features are in; `folds` by feature key."""
        self.folds = tuple(folds[feature.key] for feature in self.plain)
        self.folds_by_value = tuple(
            (read, {value: tuple(folds[feature.key] for feature in found) for value, found in table.items()})
            for read, table in self.by_value
        )


class Plan:
    """All definitions of one edition, compiled.

    `at` is the clock (ms) at the definition record that made the edition, `changed` what it changed, `previous` the
    edition before it (kept until every customer was judged by this one). `layout` names the slots and thresholds.
    `triggers`: the segments with actions that wait for events of a type.
    """

    def __init__(self, edition: int, at: int, previous: Plan | None, changed: frozenset[str]) -> None:
        self.edition, self.at, self.previous, self.changed = edition, at, previous, changed
        self.layout = 0
        self.definitions: dict[str, Definition] = {}
        self.collecting: dict[str, Definition] = {}
        self.parsed: dict[str, Segment] = {}
        self.segments: dict[str, SegmentPlan] = {}
        self.order: list[SegmentPlan] = []
        self.features: dict[int, Feature] = {}
        self.slots: list[Slot] = []
        self.by_type: dict[str, TypeIndex] = {}
        self.by_attribute: dict[str, list[AttributeSlot]] = {}
        self.by_tag: dict[str, list[TagSlot]] = {}
        self.watchers: dict[str, list[MembershipSlot]] = {}
        self.initial = Concern(())
        self.triggers: dict[str, list[str]] = {}

    @property
    def feature_keys(self) -> frozenset[int]:
        """Every series that is collected."""
        return frozenset(self.features)

    def is_shadow(self, key: int) -> bool:
        """Whether a series is only being collected."""
        return key in self.features and not self.features[key].slots

    def chain(self, edition: int) -> list[Plan]:
        """The editions newer than `edition`, oldest first, as far as they are still kept."""
        found: list[Plan] = []
        plan: Plan | None = self
        while plan is not None and plan.edition > edition:
            found.append(plan)
            plan = plan.previous
        return found[::-1]


def compile_plan(
    definitions: Iterable[Definition | Segment],
    edition: int = 0,
    at: int = 0,
    previous: Plan | None = None,
    changed: frozenset[str] = frozenset(),
    collecting: Iterable[Definition] = (),
) -> Plan:
    """Compiles definitions (documents already checked; SegmentInvalid otherwise) into a plan.

    `collecting`: definitions whose new features are folded from here on, under keys of their own, without being
    judged: they wait for the log to be read again.
    """
    plan = Plan(edition, at, previous, changed)
    builder = Builder()
    for each in definitions:
        if isinstance(each, Segment):
            plan.definitions[each.id] = Definition(each.id)
            plan.parsed[each.id] = each
        else:
            plan.definitions[each.segment] = each
    for definition in sorted(plan.definitions.values(), key=lambda each: each.segment):
        if definition.state == "deleted":
            continue
        document = plan.parsed.get(definition.segment) or _parsed(definition, previous)
        plan.parsed[definition.segment] = document
        if is_hidden(definition.segment):
            for event_type in triggering(document.actions):
                plan.triggers.setdefault(event_type, []).append(segment_of(definition.segment))
        segment = SegmentPlan(document, definition.version, definition.state == "paused")
        plan.segments[segment.id] = segment
        segment.enter = None if document.enter is None else builder.enter(document.enter, document.timezone)
        segment.exit = None if document.exit is None else builder.tree(document.exit, document.timezone)
    builder.finish()
    plan.features, plan.slots = dict(builder.features), builder.slots
    _index(plan, builder.found_by())
    _collect(plan, collecting, previous)
    folds = {key: compiled(feature) for key, feature in plan.features.items()}
    for index in plan.by_type.values():
        index.fold_by(folds)
    _index_slots(plan)
    _order(plan)
    _connect(plan)
    plan.initial = Concern([(segment.place, None) for segment in plan.order if _may_start(segment)])
    return plan


SHADOW = 0x5A5A_5A5A_5A5A_5A5A
"""Sets the key of a series that is being collected apart from the one that is judged by."""


def _collect(plan: Plan, definitions: Iterable[Definition], previous: Plan | None) -> None:
    """Folds what waiting definitions need and `plan` does not keep, under shadow keys, asked by nobody yet."""
    builder = Builder()
    for definition in definitions:
        if definition.state == "deleted":  # it may wait behind one that needs something
            continue
        plan.collecting[definition.segment] = definition
        builder.collect(_parsed(definition, previous))
    builder.finish()
    missing = {key for key, feature in builder.features.items() if not _covers(plan.features.get(key), feature)}
    for key in missing:
        feature = builder.features[key]
        feature.key = key ^ SHADOW
        feature.slots = []
        if (have := plan.features.get(key)) is not None:  # it will take the other's place
            feature.keep, feature.totals = max(feature.keep, have.keep), feature.totals or have.totals
        plan.features[feature.key] = feature
    _index(plan, ((key ^ SHADOW, types, equal) for key, types, equal in builder.found_by() if key in missing))


def missing_features(plan: Plan, definition: Definition) -> frozenset[int]:
    """What a definition needs and `plan` does not keep, or not so far back: the keys under which a plan with the
    definition in `collecting` folds it. Empty: the definition can take effect at once."""
    alone = Plan(0, 0, None, frozenset())
    alone.features = {key: feature for key, feature in plan.features.items() if not plan.is_shadow(key)}
    before = frozenset(alone.features)
    _collect(alone, (definition,), plan)
    return frozenset(alone.features) - before


def _covers(have: Feature | None, need: Feature) -> bool:
    return have is not None and have.keep >= need.keep and (have.totals or not need.totals)


def _parsed(definition: Definition, previous: Plan | None) -> Segment:
    if previous is not None:
        same = previous.definitions.get(definition.segment)
        if same is not None and same.document == definition.document and definition.segment in previous.parsed:
            return previous.parsed[definition.segment]
    return parse_definition(definition.document)


def _order(plan: Plan) -> None:
    """Ranks the segments so that each comes after all it names (names of unknown segments do not count)."""
    done: dict[str, None] = {}

    def visit(segment: SegmentPlan, path: tuple[str, ...]) -> None:
        if segment.id in done or segment.id in path:
            return
        for name in sorted(segment.names):
            if name in plan.segments:
                visit(plan.segments[name], (*path, segment.id))
        done[segment.id] = None

    for segment in sorted(plan.segments.values(), key=lambda each: each.id):
        visit(segment, ())
    plan.order = [plan.segments[name] for name in done]
    for place, segment in enumerate(plan.order):
        segment.place = place
        segment.itself = Concern([(place, None)])


def _connect(plan: Plan) -> None:
    """Tells each slot which segments its changes concern, and renders each tree as a function of levels."""
    marks: list[dict[int, dict[int, Guard | None]]] = [{} for _ in plan.slots]
    for segment in plan.order:
        for tree in (segment.enter, segment.exit):
            for leaf in leaves(tree) if tree is not None else ():
                if leaf.slot is not None:
                    guard = None if segment.enter is None else guard_of(segment.enter, leaf.slot)
                    for mark in leaf.marks():
                        marks[leaf.slot.index].setdefault(mark, {})[segment.place] = guard
        if segment.enter is not None:
            segment.enter_holds = render(segment.enter)
        if segment.exit is not None:
            segment.exit_holds = render(segment.exit)
    for slot, found in zip(plan.slots, marks, strict=True):
        slot.concerns = {mark: Concern(places.items()) for mark, places in found.items()}
    plan.layout = identity((plan.edition, [[slot.describe(), slot.gate, slot.opens] for slot in plan.slots]))


def _index(plan: Plan, found_by: Iterable[tuple[int, frozenset[str], Equal | None]]) -> None:
    """Enters features by event type and, where their filter has a text equality, by its value."""
    for key, types, equal in found_by:
        feature = plan.features[key]
        for event_type in types:
            index = plan.by_type.setdefault(event_type, TypeIndex())
            if equal is None:
                index.plain.append(feature)
                continue
            path, read, values = equal
            table = index.keyed.setdefault(path, (read, {}))[1]
            for value in values:
                table.setdefault(value, []).append(feature)
    for index in plan.by_type.values():
        index.by_value = tuple(index.keyed.values())


def _index_slots(plan: Plan) -> None:
    """Enters slots by the attribute, tag or segment that moves them."""
    for slot in plan.slots:
        if isinstance(slot, AttributeSlot):
            for name in {slot.path, slot.parts[0]}:
                plan.by_attribute.setdefault(name, []).append(slot)
        elif isinstance(slot, TagSlot):
            for tag in {*slot.any_of, *slot.all_of, *slot.none_of}:
                plan.by_tag.setdefault(tag, []).append(slot)
        elif isinstance(slot, MembershipSlot):
            plan.watchers.setdefault(slot.segment, []).append(slot)


_NOBODY = Profile(0, "", 0, 0, 0)


def _may_start(segment: SegmentPlan) -> bool:
    """Whether a customer of whom nothing is known may be a member (a share of all is asked each customer)."""
    if segment.enter is None:
        return False
    if any(leaf.sample is not None for leaf in leaves(segment.enter)):
        return True
    return segment.enter_holds(_NOBODY)
