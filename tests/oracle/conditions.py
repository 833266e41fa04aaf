"""Conditions by definition: what holds of one customer at one instant, from all raw events seen by then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol, assert_never

from rules.language.documents import (
    All,
    AnyOf,
    AtLeast,
    AttributeNode,
    Comparison,
    Condition,
    EventNode,
    Follow,
    NoneOf,
    Not,
    PairNode,
    SampleNode,
    SegmentNode,
    TagNode,
    Window,
)
from tests.oracle import calendars, values
from tests.oracle.amounts import amount


class EventLike(Protocol):
    """What the oracle reads of an event."""

    @property
    def type(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def ts(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def properties(self) -> dict[str, Any]: ...
    @property
    def rank(self) -> str: ...


@dataclass(frozen=True)
class World:
    """One customer at one instant. `events`: those with `ts <= now`, in order of (ts, rank)."""

    now: int
    customer_id: str
    events: Sequence[EventLike]
    attributes: Mapping[str, Any]
    tags: frozenset[str]
    since: Mapping[str, int]  # the segments the customer is announced to be in, and from when
    passed: dict[tuple[int, int], bool] = field(default_factory=dict)  # by node and event: known from another instant

    def passes(self, node: EventNode, event: EventLike) -> bool:
        """Whether an event passes a node's filters, which is the same at every instant."""
        key = id(node), id(event)
        if key not in self.passed:
            self.passed[key] = values.passes(event.properties, node.where, node.items)
        return self.passed[key]


def world(now: int, customer_id: str, events: Sequence[EventLike], since: Mapping[str, int]) -> World:
    """Everything that is true at `now`, from every event read so far."""
    seen = sorted((event for event in events if event.ts <= now), key=lambda event: (event.ts, event.rank))
    attributes: dict[str, Any] = {}
    tags: set[str] = set()
    for event in seen:
        if event.type == "profile":
            attributes.update(event.properties.get("set", {}))
            for name in event.properties.get("unset", []):
                attributes.pop(name, None)
            tags.update(event.properties.get("tags_add", []))
            tags.difference_update(event.properties.get("tags_remove", []))
    return World(now, customer_id, seen, attributes, frozenset(tags), since)


def holds(condition: Condition, seen: World, tz: str) -> bool:
    match condition:
        case All():
            return all(holds(each, seen, tz) for each in condition.of)
        case AnyOf():
            return any(holds(each, seen, tz) for each in condition.of)
        case NoneOf():
            return not any(holds(each, seen, tz) for each in condition.of)
        case Not():
            return not holds(condition.of, seen, tz)
        case AtLeast():
            return sum(holds(each, seen, tz) for each in condition.of) >= condition.n
        case EventNode():
            return _event_holds(condition, seen, tz)
        case AttributeNode():
            value = values.at(seen.attributes, condition.path)
            return values.satisfies(value, condition.comparison, seen.now, tz)
        case TagNode():
            return _tag_holds(condition, seen.tags)
        case SegmentNode():
            return _member(condition, seen, tz)
        case PairNode():
            return _pair_holds(condition, seen, tz)
        case SampleNode():
            return share(condition.salt, seen.customer_id) < condition.percent / 100
    assert_never(condition)


def share(salt: str, customer_id: str) -> Fraction:
    digest = hashlib.sha256(f"{salt}:{customer_id}".encode()).digest()
    return Fraction(int.from_bytes(digest[:8], "big"), 2**64)


def _tag_holds(node: TagNode, tags: frozenset[str]) -> bool:
    if node.any and not tags.intersection(node.any):
        return False
    return tags.issuperset(node.all) and not tags.intersection(node.none)


def _member(node: SegmentNode, seen: World, tz: str) -> bool:
    since = seen.since.get(node.segment)
    if since is None or node.for_ is None:
        return since is not None
    settled = calendars.after(since, node.for_, tz)
    return settled is not None and seen.now >= settled


def _pair_holds(node: PairNode, seen: World, tz: str) -> bool:
    left, right = measured(node.left, seen, tz), measured(node.right, seen, tz)
    if left is None or right is None or (node.kind == "ratio" and right == 0):
        return False
    return values.satisfies(left / right if node.kind == "ratio" else left - right, node.comparison)


def _event_holds(node: EventNode, seen: World, tz: str) -> bool:
    measure = node.measure
    comparison = measure.comparison
    assert isinstance(comparison, Comparison)
    if measure.kind in ("first", "last"):
        found = edge_value(node, seen, tz)
        return found is not None and values.satisfies(found, comparison, seen.now, tz)
    if measure.kind in ("since_first", "since_last"):
        counted = counting(node, seen, tz)
        if not counted:
            return False
        return values.age_compares(counted[0 if measure.kind == "since_first" else -1].ts, comparison, seen.now, tz)
    value = measured(node, seen, tz)
    return value is not None and values.satisfies(value, comparison)


def counting(node: EventNode, seen: World, tz: str) -> list[EventLike]:
    """The events that count at this instant, in order of (ts, rank)."""
    return [
        event
        for event in seen.events
        if event.type in node.events
        and in_window(node.window, event.ts, seen.now, tz)
        and seen.passes(node, event)
        and (node.follow is None or _follows(node.follow, event, seen, tz))
    ]


def in_window(window: Window, ts: int, now: int, tz: str) -> bool:
    if window.kind == "between":
        return (window.start_ms is None or window.start_ms <= ts) and (window.end_ms is None or ts < window.end_ms)
    if window.kind == "period":
        return calendars.in_period(ts, now, window.period or "", tz)
    if window.within is not None:
        ends = calendars.after(ts, window.within, tz)
        if ends is not None and now >= ends:
            return False
    if window.before is not None:
        begins = calendars.after(ts, window.before, tz)
        return begins is not None and now >= begins
    return True


def _follows(follow: Follow, event: EventLike, seen: World, tz: str) -> bool:
    deadline = None if follow.within is None else calendars.after(event.ts, follow.within, tz)
    found = any(
        other.type in follow.events
        and (event.ts < other.ts if other.type == event.type else event.ts <= other.ts)
        and (deadline is None or other.ts <= deadline)
        and values.passes(other.properties, follow.where, follow.items)
        and all(_match(event, mine, other, theirs) for mine, theirs in follow.match)
        for other in seen.events
    )
    if not follow.negated:
        return found
    if follow.within is not None and (deadline is None or seen.now < deadline):
        return False
    return not found


def _match(event: EventLike, mine: str, other: EventLike, theirs: str) -> bool:
    return any(
        values.same(one, two)
        for one in values.values(event.properties, mine, ())
        for two in values.values(other.properties, theirs, ())
    )


def edge_value(node: EventNode, seen: World, tz: str) -> Any:
    """The value of `first`/`last`: of the first/last event that has one (of items, the first/last item's). As for
    `distinct`, a list or an object is of the wrong type."""
    path = node.measure.of
    assert path is not None
    raw = [value for event in counting(node, seen, tz) for value in values.values(event.properties, path, node.items)]
    found = [value for value in raw if values.same(value, value)]
    if not found:
        return None
    return found[0] if node.measure.kind == "first" else found[-1]


def measured(node: EventNode, seen: World, tz: str) -> Fraction | None:
    """The number a numeric measure gives, None where it has no value."""
    counted = counting(node, seen, tz)
    kind, path = node.measure.kind, node.measure.of
    if kind == "count":
        return Fraction(len(counted))
    assert path is not None
    raw = [value for event in counted for value in values.values(event.properties, path, node.items)]
    if kind == "distinct":
        kinds: list[Any] = []
        for value in raw:
            if values.same(value, value) and not any(values.same(value, other) for other in kinds):
                kinds.append(value)
        return Fraction(len(kinds))
    amounts = [number for value in raw if (number := amount(value)) is not None]
    if kind == "sum":
        return sum(amounts, Fraction(0))
    if not amounts:
        return None
    if kind == "avg":
        return sum(amounts, Fraction(0)) / len(amounts)
    return min(amounts) if kind == "min" else max(amounts)
