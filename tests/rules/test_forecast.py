"""What is forecast happens, at that instant, if nothing comes; null for never, nothing where it is not known."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rules.events import Event
from rules.explain import forecast
from rules.limits import FORECAST_STEPS_MAX
from rules.play import Partition
from rules.times import NEVER
from tests.rules.building import DAY, attributed, by_hand, edition, event, line, plan_of, played, state, tagged

STORIES: dict[str, tuple[list[str], list[Event]]] = {
    "a window that runs out": (["{id: a, enter: {event: purchase, within: 5d}}"], [event("purchase", 0)]),
    "the third-newest falls out": (
        ["{id: a, enter: {event: purchase, within: 5d, count: {gte: 3}}}"],
        [event("purchase", n * DAY) for n in range(4)],
    ),
    "an absence that begins": (
        ["{id: a, enter: {all: [{event: purchase}, {not: {event: page_view, within: 3d}}]}}"],
        [event("purchase", 0), event("page_view", DAY)],
    ),
    "a band that opens and closes": (
        ["{id: a, enter: {event: purchase, within: 5d, before: 2d}}"],
        [event("purchase", 0)],
    ),
    "a month in Bucharest": (
        ["{id: a, timezone: Europe/Bucharest, enter: {event: purchase, within: 1mo}}"],
        [event("purchase", "2026-02-28T23:00:00Z")],
    ),
    "days one after another": (["{id: a, enter: {event: purchase, period: yesterday}}"], [event("purchase", DAY // 2)]),
    "a deadline": (
        ["{id: a, enter: {event: cart, within: 2d, count: {gte: 1}, not_followed_by: {event: purchase, within: 1d}}}"],
        [event("cart", 5)],
    ),
    "a birthday": (
        ["{id: a, enter: {attribute: born, anniversary_in_next: 7d}}"],
        [attributed("2026-01-01", born="1990-03-01")],
    ),
    "an exit of its own": (
        ["{id: a, enter: {event: purchase, within: 5d}, exit: {event: page_view, since_last: {gt: 2d}}}"],
        [event("page_view", 0), event("purchase", DAY)],
    ),
    "an exit that ends lets in again": (
        ["{id: a, enter: {event: purchase, within: 9d}, exit: {event: refund, within: 2d}}"],
        [event("purchase", 0), event("refund", DAY)],
    ),
    "a least stay": (
        ["{id: a, enter: {event: purchase, within: 5d}, hold: {min_stay: 8d}}"],
        [event("purchase", 0)],
    ),
    "a cooldown that outlasts the window": (
        ["{id: a, enter: {event: purchase, within: 5d}, hold: {cooldown: 30d}}"],
        [event("purchase", 0), tagged(6 * DAY, "x"), event("purchase", 7 * DAY)],
    ),
    "a cooldown that the window outlasts": (
        ["{id: a, enter: {event: purchase, within: 5d}, hold: {cooldown: 3d}}"],
        [event("purchase", 0), tagged(5 * DAY, "x"), event("purchase", 6 * DAY)],
    ),
    "an override with an end": (
        ["{id: a, enter: {event: purchase, within: 5d}}"],
        [event("purchase", 0), by_hand(DAY, "a", "remove", until="1970-01-04T00:00:00Z")],
    ),
    "an override that ends too late": (
        ["{id: a, enter: {event: purchase, within: 5d}}"],
        [event("purchase", 0), by_hand(DAY, "a", "remove", until="1970-01-08T00:00:00Z")],
    ),
    "an override for ever": (["{id: a, enter: {event: purchase, within: 5d}}"], [by_hand(0, "a", "add")]),
    "a member of another": (
        ["{id: a, enter: {segment: b}}", "{id: b, enter: {event: purchase, within: 5d}}"],
        [event("purchase", 0)],
    ),
    "a member of another for long": (
        ["{id: a, enter: {segment: b, for: 3d}}", "{id: b, enter: {event: purchase, within: 5d}}"],
        [event("purchase", 0)],
    ),
    "a member of another held in it": (
        [
            "{id: a, enter: {all: [{segment: b, for: 6d}, {not: {tag: x}}]}}",
            "{id: b, enter: {event: purchase, within: 5d}, hold: {min_stay: 7d}}",
        ],
        [event("purchase", 0)],
    ),
    "no member of another by hand": (
        ["{id: a, enter: {not: {segment: b}}}", "{id: b, enter: {event: purchase}}"],
        [by_hand(0, "b", "add", until="1970-01-05T00:00:00Z")],
    ),
    "a chain of three": (
        [
            "{id: a, enter: {segment: c, for: 1d}}",
            "{id: c, enter: {segment: b, for: 2d}, exit: {not: {segment: b}}}",
            "{id: b, enter: {event: purchase, within: 5d}}",
        ],
        [event("purchase", 0)],
    ),
    "nothing at all": (["{id: a, enter: {event: purchase}}"], [event("purchase", 0)]),
    "members by hand only": (["{id: a, list: true}"], [event("purchase", 0)]),
}


STILL = {
    "a cooldown that outlasts the window",
    "an override that ends too late",
    "an override for ever",
    "nothing at all",
    "members by hand only",
}


def follow(partition: Partition, horizon: int) -> int:
    """Runs on, and at every instant at which anything is done compares what comes with what was forecast."""
    seen = 0
    while partition.clock < horizon:
        now = partition.clock
        profile = partition.profiles["ana"]
        said = {name: forecast(profile, partition.plan, name, now) for name in partition.plan.segments}
        coming = min([each for each in said.values() if each is not None] + [profile.wake, horizon])
        found = partition.run_to(coming)
        for name, instant in said.items():
            assert instant is not None
            changes = [change for change in found if change.segment == name]
            assert [change.time for change in changes] == ([instant] if instant == coming < horizon else [])
        seen += len(found)
    return seen


@pytest.mark.parametrize("name", STORIES)
def test_what_is_forecast_happens_if_nothing_comes(name: str) -> None:
    documents, log = STORIES[name]
    partition = Partition(plan_of(*documents))
    for each in log:
        partition.feed(each)
        partition.run_to(partition.clock)

    changes = follow(partition, partition.clock + 90 * DAY)
    assert bool(changes) == (name not in STILL)


@pytest.mark.parametrize("name", STORIES)
def test_a_transition_carries_the_instant_of_the_next_one(name: str) -> None:
    """As long as nothing comes in between: every change by the clock was told by the one before it."""
    documents, log = STORIES[name]
    partition, found = played(plan_of(*documents), log)
    end = partition.clock
    found += partition.run_to(end + 90 * DAY)

    for segment in partition.plan.segments:
        mine = [change for change in found if change.segment == segment]
        for before, after in pairwise(mine):
            if before.time >= end:
                assert before.forecast == after.time, line(after)
        assert not mine or mine[-1].forecast == NEVER or (mine[-1].forecast or 0) > end + 90 * DAY


def test_a_paused_segment_changes_never() -> None:
    plan = plan_of("{id: a, enter: {event: purchase, within: 5d}}")
    partition, _ = played(plan, [event("purchase", 0)])
    frozen = plan.definitions["a"]
    paused = edition(plan, 1, type(frozen)("a", 1, "paused", frozen.document))

    assert forecast(partition.profiles["ana"], plan, "a", 0) == 5 * DAY
    assert forecast(partition.profiles["ana"], paused, "a", 0) == NEVER


def test_after_64_steps_it_is_not_known() -> None:
    """Two days of the year that are never the same day: judging on and on, with no end."""
    plan = plan_of(
        "{id: a, enter: {all: [{attribute: b, anniversary_in_next: 1d}, {attribute: c, anniversary_in_next: 1d}]}}"
    )
    partition, changes = played(plan, [attributed("2026-01-01", b="1990-03-01", c="1990-09-01")])

    assert FORECAST_STEPS_MAX == 64
    assert not changes
    assert forecast(partition.profiles["ana"], plan, "a", partition.clock) is None


def test_a_forecast_changes_nothing() -> None:
    documents, log = STORIES["a chain of three"]
    partition, _ = played(plan_of(*documents), log)
    profile = partition.profiles["ana"]
    before = state(profile)
    for name in partition.plan.segments:
        forecast(profile, partition.plan, name, partition.clock)

    assert state(profile) == before
