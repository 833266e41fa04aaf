"""Shorthands of these tests: plans from YAML, events from few words, transitions as lines.

A log is a list of lines: `at("...")` is milliseconds, `event("purchase", "2026-01-01T00:00:00Z", amount=5)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from rules.events import Event
from rules.language import load_yaml
from rules.language.documents import AttributeNode, Comparison, Duration, EventNode, Filter
from rules.plan import Definition, Plan, compile_plan
from rules.play import Partition
from rules.profile import Profile
from rules.times import format_instant, parse_instant
from rules.transitions import Transition
from tests.rules.language.reading import condition

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(text: str | int) -> int:
    """An instant in ms; a date alone is its midnight in UTC."""
    if isinstance(text, int):
        return text
    ms = parse_instant(text if "T" in text else f"{text}T00:00:00Z")
    assert ms is not None, text
    return ms


def event(kind: str, ts: str | int, customer_id: str = "ana", id: str = "", **properties: Any) -> Event:
    return Event(kind, customer_id, at(ts), id, properties, id)


def tagged(ts: str | int, *added: str, removed: Iterable[str] = (), customer_id: str = "ana") -> Event:
    return event("profile", ts, customer_id, tags_add=list(added), tags_remove=list(removed))


def attributed(ts: str | int, **attributes: Any) -> Event:
    return event("profile", ts, set=attributes)


def by_hand(ts: str | int, segment: str, action: str, until: str | None = None, id: str = "") -> Event:
    order = {"segment": segment, "action": action} | ({"until": until} if until else {})
    return event("membership", ts, id=id, **order)


def definition(text: str, version: int = 1, state: Any = "active") -> Definition:
    raw = load_yaml(text)
    return Definition(raw["id"], version, state, raw)


def deleted(name: str, version: int = 2) -> Definition:
    return Definition(name, version, "deleted")


def plan_of(*documents: str) -> Plan:
    return compile_plan([definition(text) for text in documents])


def edition(before: Plan, at_ms: str | int, *changed: Definition, collecting: Iterable[Definition] = ()) -> Plan:
    """The next edition: `before` with some definitions changed at an instant."""
    definitions = before.definitions | {each.segment: each for each in changed}
    names = frozenset(each.segment for each in changed)
    return compile_plan(definitions.values(), before.edition + 1, at(at_ms), before, names, collecting)


def line(change: Transition) -> str:
    what = "entered" if change.entered else "exited"
    return f"{format_instant(change.time)} {change.customer_id} {what} {change.segment} {change.cause}"


def lines(changes: Iterable[Transition]) -> list[str]:
    return [line(change) for change in changes]


def played(plan: Plan, log: Iterable[Event], until: str | int | None = None) -> tuple[Partition, list[Transition]]:
    """A partition after a log in which every event comes at its own time, and all it said."""
    partition = Partition(plan)
    found = [change for each in log for change in partition.feed(each)]
    if until is not None:
        found += partition.run_to(at(until))
    return partition, found


def told(plan: Plan, log: Iterable[Event], until: str | int | None = None) -> list[str]:
    return lines(played(plan, log, until)[1])


def state(profile: Profile) -> Any:
    """Everything a profile holds, as plain values that compare."""
    return msgspec.to_builtins(profile, str_keys=False)


def comparison(text: str) -> Comparison:
    """The comparison that an attribute condition with these operators has: `gte: 5, lt: 9`."""
    node = condition(f"{{attribute: x, {text}}}")
    assert isinstance(node, AttributeNode)
    return node.comparison


def measured(kind: str, text: str) -> Comparison:
    """The comparison of a measure: `measured("since_last", "gt: 30d")`."""
    node = condition(f"{{event: purchase, {kind}: {{{text}}}}}")
    assert isinstance(node, EventNode)
    assert node.measure.comparison is not None
    return node.measure.comparison


def filters(text: str) -> tuple[tuple[Filter, ...], tuple[Filter, ...]]:
    """`where` and `items` of an event node: `where: {color: red}, items: {price: 5}`."""
    node = condition(f"{{event: purchase, {text}}}")
    assert isinstance(node, EventNode)
    return node.where, node.items


def exact(ms: int) -> Duration:
    return Duration(ms=ms)


def months(n: int) -> Duration:
    return Duration(months=n)
