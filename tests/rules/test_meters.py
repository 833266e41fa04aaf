"""Measures: what each reads off the events in its window, exactly; and over no events."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import pytest

from rules.aggregates.series import Series
from rules.compare import key
from rules.events import Event
from rules.meters import Meter
from rules.slots import EdgeSlot, SinceSlot
from rules.slots_numbers import NumberSlot
from rules.times import NEVER
from tests.rules.aggregates.folding import folded
from tests.rules.building import DAY, HOUR, event, plan_of

MEASURES = {
    "count": "count: {gte: 1}",
    "sum": "sum: {of: amount, gte: 1}",
    "avg": "avg: {of: amount, gte: 1}",
    "min": "min: {of: amount, gte: 1}",
    "max": "max: {of: amount, gte: 1}",
    "distinct": "distinct: {of: amount, gte: 1}",
    "first": "first: {of: amount, eq: 1}",
    "last": "last: {of: amount, eq: 1}",
    "since_first": "since_first: {gt: 1h}",
    "since_last": "since_last: {gt: 1h}",
}
WINDOWS = ["", "within: 1d, ", "within: 1d, before: 6h, ", "before: 6h, ", "period: today, ", "within: 1mo, "]
BEGIN = 400 * DAY


def meter_of(text: str) -> Meter:
    (slot,) = plan_of(f"{{id: a, enter: {{event: purchase, {text}}}}}").slots
    assert isinstance(slot, NumberSlot | EdgeSlot | SinceSlot)
    return slot.meter


def by_definition(kind: str, events: list[Event]) -> Any:
    """Over the events that count, in order of time and id."""
    events = sorted(events, key=lambda each: (each.ts, each.rank))
    valued = [each for each in events if isinstance(each.properties.get("amount"), int | float)]
    amounts = [Fraction(str(each.properties["amount"])) * 10**6 for each in valued]
    if kind == "count":
        return len(events)
    if kind in ("since_first", "since_last"):
        return events[0 if kind == "since_first" else -1].ts if events else None
    if kind == "sum":
        return sum(amounts)
    if kind == "distinct":
        return len(set(amounts))
    if not amounts:
        return None
    if kind == "avg":
        return sum(amounts) / len(amounts)
    if kind in ("first", "last"):
        return key(valued[0 if kind == "first" else -1].properties["amount"])
    return min(amounts) if kind == "min" else max(amounts)


def in_window(window: str, ts: int, now: int) -> bool:
    if window.startswith("period"):
        return now - now % DAY <= ts <= now
    low = now - DAY if "within: 1d" in window else -NEVER
    return low < ts <= now - (6 * HOUR if "before" in window else 0)


@pytest.mark.parametrize("window", WINDOWS[:-1])
@pytest.mark.parametrize("kind", MEASURES)
def test_a_measure_is_of_the_events_in_its_window(kind: str, window: str) -> None:
    meter = meter_of(window + MEASURES[kind])
    for seed in range(40):
        random = Random(seed)
        log = [
            event("purchase", BEGIN + random.randint(0, 24) * HOUR, id=f"{n}", **random.choice(GIVEN))
            for n in range(random.randint(0, 7))
        ]
        now = BEGIN + 24 * HOUR
        series = folded(meter.feature, log, now)
        for later in range(0, 60, 7):
            instant = now + later * HOUR
            counted = [each for each in log if in_window(window, each.ts, instant)]
            assert meter.value(series, instant) == by_definition(kind, counted), (seed, later)


GIVEN: list[dict[str, Any]] = [{"amount": 1}, {"amount": 2.5}, {"amount": -3}, {"amount": 0.1}, {}, {"amount": None}]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", MEASURES)
def test_over_no_events_there_is_no_value_or_nothing(kind: str, window: str) -> None:
    meter = meter_of(window + MEASURES[kind])
    nothing = 0 if kind in ("count", "sum", "distinct") else None

    assert meter.value(None, BEGIN) == nothing
    assert meter.value(Series(), BEGIN) == nothing
    assert list(meter.changes(None, BEGIN)) == []


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", MEASURES)
def test_a_measure_stands_still_between_the_changes_it_announces(kind: str, window: str) -> None:
    meter = meter_of(window + MEASURES[kind])
    for seed in range(12):
        random = Random(seed)
        log = [
            event("purchase", BEGIN + random.randint(0, 24) * HOUR, id=f"{n}", **random.choice(GIVEN))
            for n in range(random.randint(0, 5))
        ]
        now = BEGIN + 24 * HOUR
        series = folded(meter.feature, log, now)
        changes = list(meter.changes(series, now))
        assert changes == sorted(changes)
        assert all(instant > now for instant in changes)
        for instant in range(now, now + 33 * DAY, 5 * HOUR):
            since = max([now, *(each for each in changes if each <= instant)])
            assert meter.value(series, instant) == meter.value(series, since), (seed, instant)


def test_a_measure_is_approximate_once_entries_were_summed_by_day() -> None:
    meter = meter_of("within: 365d, sum: {of: amount, gte: 1}")
    log = [event("purchase", n * 1000, id=f"{n:05}", amount=1) for n in range(4097)]

    assert not meter.approximate(None)
    assert not meter.approximate(folded(meter.feature, log[:4096], DAY))
    assert meter.approximate(folded(meter.feature, log, DAY))


def test_a_total_is_never_approximate() -> None:
    meter = meter_of("sum: {of: amount, gte: 1}")
    log = [event("purchase", n * 1000, id=f"{n:05}", amount=0.1) for n in range(5000)]

    series = folded(meter.feature, log, DAY)
    assert meter.value(series, DAY) == 500_000_000
    assert not meter.approximate(series)
