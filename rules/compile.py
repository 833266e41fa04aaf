"""From the conditions of all documents to the features and slots they share. Used once a plan, by `rules.plan`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from rules import extract
from rules.aggregates.chains import Chain
from rules.aggregates.features import Amounts, Distinct, Edge, Feature
from rules.dates import Since, Timed
from rules.extract import ITEMS, Reader, Reads
from rules.identity import identity
from rules.language.documents import (
    All,
    AnyOf,
    AtLeast,
    AttributeNode,
    Comparison,
    Condition,
    EventNode,
    Filter,
    NoneOf,
    Not,
    PairNode,
    SampleNode,
    Segment,
    SegmentNode,
    TagNode,
    Window,
)
from rules.levels import Levels, thresholds_of
from rules.meters import Meter
from rules.numbers import MICRO
from rules.slots import AttributeSlot, EdgeSlot, MaskSlot, MembershipSlot, SinceSlot, Slot, TagSlot
from rules.slots_numbers import NumberSlot, PairSlot, number_slot
from rules.tree import Branch, Leaf, Tree, least_level, share
from rules.windows import ALL, Calendar, Ever, compile_window

FAMILIES = {"count": "instants", "since_first": "instants", "since_last": "instants", "distinct": "distinct"}
AMOUNTS = ("sum", "avg", "min", "max")
Equal = tuple[str, Reader, tuple[str, ...]]


@dataclass
class _FeatureAsked:
    """One feature and how far back its slots look."""

    node: EventNode
    family: str
    tz: str
    keep: int = 0
    totals: bool = False


@dataclass
class _SlotAsked:
    """One slot and the leaves that ask something of it, with their comparisons and time zones.

    `numeric`: it compares numbers with thresholds, in units of 1/`scale`, which are `whole`. `gates`: the leaves of
    which each must hold before the one it stands beside is of any interest.
    """

    make: Callable[[int, Levels], Slot]
    numeric: bool = False
    scale: int = 1
    whole: bool = True
    leaves: list[tuple[Leaf, Comparison | None, str]] = field(default_factory=list)
    gates: list[Leaf] = field(default_factory=list)


class Builder:
    """First every condition is walked (`tree`, `collect`), then `finish` makes features and slots, each once."""

    def __init__(self) -> None:
        self.features: dict[int, Feature] = {}
        self.slots: list[Slot] = []
        self._features: dict[int, _FeatureAsked] = {}
        self._slots: dict[Any, _SlotAsked] = {}

    def enter(self, node: Condition, tz: str) -> Tree:
        """What must hold to enter. Of `all: [...]` with a count that only grows, the rest sleeps until that holds."""
        gate = next((child for child in node.of if _only_grows(child)), None) if isinstance(node, All) else None
        if gate is None or not isinstance(node, All):
            return self.tree(node, tz)
        leaf = self.tree(gate, tz)
        assert isinstance(leaf, Leaf)
        opens = (self._slot(gate, tz)[0], leaf)
        return Branch("all", node.at, tuple(leaf if each is gate else self.tree(each, tz, opens) for each in node.of))

    def tree(self, node: Condition, tz: str, gate: tuple[Any, Leaf] | None = None) -> Tree:
        """`gate`: the key of a slot and its leaf; while that does not hold, nobody asks about this condition."""
        if isinstance(node, All | AnyOf | NoneOf):
            kind = {All: "all", AnyOf: "any", NoneOf: "none"}[type(node)]
            return Branch(kind, node.at, tuple(self.tree(child, tz, gate) for child in node.of))
        if isinstance(node, Not):
            return Branch("not", node.at, (self.tree(node.of, tz, gate),))
        if isinstance(node, AtLeast):
            return Branch("at_least", node.at, tuple(self.tree(child, tz, gate) for child in node.of), node.n)
        if isinstance(node, SampleNode):
            return Leaf(node, sample=share(node))
        leaf = Leaf(node)
        key, asked = self._slot(node, tz)
        gated = gate is not None and isinstance(node, EventNode) and _wakes(node)
        asked = self._slots.setdefault((key, gate[0]) if gate is not None and gated else key, asked)
        if gate is not None and gated:
            asked.gates.append(gate[1])
        comparison = node.measure.comparison if isinstance(node, EventNode) else getattr(node, "comparison", None)
        asked.leaves.append((leaf, comparison, tz))
        return leaf

    def collect(self, document: Segment) -> None:
        """Walks a document for its features alone."""
        for node in (document.enter, document.exit):
            if node is not None:
                self.tree(node, document.timezone)

    def finish(self) -> None:
        for key, asked in self._features.items():
            self.features[key] = _feature(key, asked)
        for slot_asked in self._slots.values():
            slot = _slot(len(self.slots), slot_asked)
            self.slots.append(slot)
            for feature_key in slot.feature_keys():
                self.features[feature_key].slots.append(slot)
        for slot, slot_asked in zip(self.slots, self._slots.values(), strict=True):
            if slot_asked.gates:
                _close(slot, slot_asked.gates)

    def found_by(self) -> Iterator[tuple[int, frozenset[str], Equal | None]]:
        """Each feature's key, the event types that may touch it, and the equality it can be looked up by."""
        for key, asked in self._features.items():
            yield key, _types(asked.node), _equality(asked.node)[0]

    def _slot(self, node: Condition, tz: str) -> tuple[Any, _SlotAsked]:
        if isinstance(node, EventNode):
            return self._event_slot(node, tz)
        if isinstance(node, PairNode):
            left, right = (self._meter(side, tz) for side in (node.left, node.right))
            kind, a, b = node.kind, left[1], right[1]
            pair = _SlotAsked(lambda i, levels: PairSlot(i, kind, a(), b(), levels), numeric=True, whole=False)
            return (kind, left[0], right[0]), pair
        if isinstance(node, AttributeNode):
            path = node.path
            return ("attribute", path), _SlotAsked(lambda i, _: AttributeSlot(i, path))
        if isinstance(node, TagNode):
            sets = (tuple(sorted(node.any)), tuple(sorted(node.all)), tuple(sorted(node.none)))
            return ("tag", *sets), _SlotAsked(lambda i, _: TagSlot(i, *sets))
        assert isinstance(node, SegmentNode)
        zone = tz if node.for_ and node.for_.months else ""
        named, lasting = node.segment, node.for_
        key = ("segment", named, identity((lasting,)), zone)
        return key, _SlotAsked(lambda i, _: MembershipSlot(i, named, lasting, tz))

    def _event_slot(self, node: EventNode, tz: str) -> tuple[Any, _SlotAsked]:
        key, meter = self._meter(node, tz)
        kind = node.measure.kind
        if kind in ("first", "last"):
            return key, _SlotAsked(lambda i, _: EdgeSlot(i, meter()))
        comparison = node.measure.comparison
        assert comparison is not None
        if kind.startswith("since") and any(getattr(test.operand, "months", 0) for test in comparison.tests):
            return (*key, "calendar"), _SlotAsked(lambda i, _: SinceSlot(i, meter()))
        scale = MICRO if kind in AMOUNTS else 1
        return key, _SlotAsked(lambda i, levels: number_slot(i, meter(), levels), True, scale, kind != "avg")

    def _meter(self, node: EventNode, tz: str) -> tuple[Any, Callable[[], Meter]]:
        """The key of what is measured, and how to make its meter once the features exist."""
        feature_key = self._feature(node, tz)
        window = compile_window(node.window, tz)
        zone = tz if node.window.kind == "period" or isinstance(window, Calendar) else ""
        key = (feature_key, node.measure.kind, identity((node.window,)), zone)
        return key, lambda: Meter(self.features[feature_key], window, node.measure.kind)

    def _feature(self, node: EventNode, tz: str) -> int:
        kind = node.measure.kind
        family = FAMILIES.get(kind) or ("amounts" if kind in AMOUNTS else kind)
        follow = node.follow
        zone = tz if follow and follow.within and follow.within.months else ""
        bare = replace(node, measure=replace(node.measure, kind="count", comparison=None), window=Window())
        key = identity((family, replace(bare, events=tuple(sorted(set(node.events)))), zone))
        asked = self._features.setdefault(key, _FeatureAsked(node, family, tz))
        window = compile_window(node.window, tz)
        if isinstance(window, Ever) and follow is None and family != "distinct":
            asked.totals = True
        else:
            asked.keep = max(asked.keep, window.span())
        return key


def _only_grows(node: Condition) -> bool:
    """Whether it is a count of all events ever that has to reach something: once it holds, it holds for ever."""
    if not isinstance(node, EventNode) or node.follow is not None or node.window.kind != "ever":
        return False
    comparison = node.measure.comparison
    if node.measure.kind != "count" or comparison is None or len(comparison.tests) != 1:
        return False
    operand: Any = comparison.tests[0].operand
    return (comparison.tests[0].op == "gte" and operand > 0) or (comparison.tests[0].op == "gt" and operand >= 0)


def _wakes(node: EventNode) -> bool:
    """Whether the clock alone may change it, so that it is worth letting it sleep."""
    return node.window.kind != "ever" or node.measure.kind.startswith("since")


def _close(slot: Slot, gates: list[Leaf]) -> None:
    """Lets a slot sleep until the first of its gates holds."""
    gate, levels = gates[0].slot, [leaf.least for leaf in gates]
    assert gate is not None, "slots are made before gates are closed"
    slot.gate, slot.opens = gate.index, min(level for level in levels if level is not None)
    gate.gated = (*gate.gated, slot)


def _types(node: EventNode) -> frozenset[str]:
    return frozenset(node.events) | (frozenset(node.follow.events) if node.follow else frozenset())


def _equality(node: EventNode) -> tuple[Equal | None, tuple[Filter, ...]]:
    """A text equality among the filters that the index can hash by, and the filters that are left."""
    if node.follow is None:
        for each in node.where:
            tests = each.comparison.tests
            if len(tests) == 1 and tests[0].op in ("eq", "in") and not each.path.startswith(ITEMS):
                operand = tests[0].operand
                values = operand if isinstance(operand, tuple) else (operand,)
                if all(isinstance(value, str) for value in values):
                    texts = tuple(dict.fromkeys(str(value) for value in values))
                    rest = tuple(other for other in node.where if other is not each)
                    return (each.path, extract.reader(each.path), texts), rest
    return None, node.where


def _feature(key: int, asked: _FeatureAsked) -> Feature:
    node, family = asked.node, asked.family
    reads = _reads(family, node)
    if node.follow is not None:
        return _chain(key, asked, reads)
    accepts = extract.accepts(_equality(node)[1], node.items)
    if family == "amounts":
        return Amounts(key, accepts, reads, asked.keep, asked.totals)
    if family == "distinct":
        return Distinct(key, accepts, reads, asked.keep, asked.totals)
    if family in ("first", "last"):
        return Edge(key, accepts, reads, asked.keep, asked.totals, last=family == "last")
    return Feature(key, accepts, None, asked.keep, asked.totals)


def _reads(family: str, node: EventNode) -> Reads | None:
    if node.measure.of is None:
        return None
    return (extract.amounts if family == "amounts" else extract.keys)(node.measure.of, node.items)


def _chain(key: int, asked: _FeatureAsked, reads: Reads | None) -> Chain:
    node, follow = asked.node, asked.node.follow
    assert follow is not None
    e_match = tuple(extract.keys(path, ()) for path, _ in follow.match)
    f_match = tuple(extract.keys(path, ()) for _, path in follow.match)
    return Chain(
        key,
        (frozenset(node.events), extract.accepts(node.where, node.items), reads, e_match),
        (frozenset(follow.events), extract.accepts(follow.where, follow.items), f_match),
        (follow.negated, follow.within, asked.tz),
        asked.keep or ALL,
    )


def _slot(index: int, asked: _SlotAsked) -> Slot:
    comparisons = [comparison for _, comparison, _ in asked.leaves if comparison is not None and asked.numeric]
    thresholds = [each for comparison in comparisons for each in thresholds_of(comparison, asked.scale)]
    slot = asked.make(index, Levels(thresholds, asked.whole))
    bits: dict[Any, int] = {}
    for leaf, comparison, tz in asked.leaves:
        leaf.slot = slot
        if isinstance(slot, NumberSlot):
            assert comparison is not None
            leaf.truths = slot.levels.truths(comparison, asked.scale)
            leaf.least = least_level(leaf.truths)
        elif isinstance(slot, MaskSlot):
            assert comparison is not None
            leaf.bit = bits.setdefault(identity((comparison, tz)), len(bits))
            if leaf.bit == len(slot.tests):
                slot.tests.append(_test(slot, comparison, tz))
    if isinstance(slot, AttributeSlot):
        slot.seal()
    return slot


def _test(slot: MaskSlot, comparison: Comparison, tz: str) -> Any:
    return Since(comparison, tz) if isinstance(slot, SinceSlot) else Timed(comparison, tz)
