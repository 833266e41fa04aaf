"""Beyond the caps: what is older than the newest entries counts by UTC day, so an answer is off by a day at most.

A window is then wrong only at its edges: what is counted lies between what the window without those days would count
and what the window with them would. The caps are lowered here, so that a few dozen events go beyond them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.aggregates import chains, features
from rules.events import Event
from rules.explain import explain
from rules.language import parse_document
from rules.language.documents import Duration, EventNode
from rules.plan import Definition, compile_plan
from rules.play import Partition
from tests.oracle import Oracle
from tests.oracle.calendars import DAY, HOUR
from tests.oracle.conditions import measured, world

ENTRIES, VALUES = 6, 3
NOW = 20_000 * DAY + 7 * HOUR

Shop = list[Event]


@contextmanager
def low_caps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "SERIES_ENTRIES_MAX", ENTRIES)
        patch.setattr(features, "DISTINCT_VALUES_MAX", VALUES)
        patch.setattr(chains, "SERIES_ENTRIES_MAX", ENTRIES)
        yield


def purchases(hours: list[int]) -> Shop:
    """One purchase so many hours before NOW each, of different amounts and products."""
    return [
        Event(
            "purchase",
            "ana",
            NOW - ago * HOUR,
            f"e{line}",
            {"amount": 1 + line % 7, "product": f"p{line % 5}"},
            f"e{line}",
        )
        for line, ago in enumerate(hours)
    ]


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    return purchases(draw(st.lists(st.integers(0, 9 * 24), min_size=ENTRIES, max_size=30)))


windows = st.sampled_from([{"within": "5d"}, {"within": "2d"}, {"within": "7d", "before": "2d"}, {"before": "3d"}])


def evaluated(document: dict[str, Any], shop: Shop) -> dict[str, Any]:
    """The condition as the evaluator explains it at NOW, all events having been read."""
    partition = Partition(compile_plan([Definition("a", document=document)]))
    for event in shop:
        partition.feed(event, NOW)
    told: dict[str, Any] = explain(partition.profiles["ana"], partition.plan, "a", NOW)["enter"]
    return told


def by_definition(document: dict[str, Any], shop: Shop, narrower: bool) -> Fraction | None:
    """The exact value of the window narrowed, or widened, at its far edge and its near one by a day."""
    node = parse_document(document).enter
    assert isinstance(node, EventNode)
    window = node.window
    if window.within is not None and not narrower:
        window = replace(window, within=Duration(ms=window.within.ms + DAY))
    if window.before is not None and narrower:
        window = replace(window, before=Duration(ms=window.before.ms + DAY))
    return measured(replace(node, window=window), world(NOW, "ana", shop, {}), "UTC")


def document(measure: str, window: dict[str, str]) -> dict[str, Any]:
    asked = {"gte": 3} if measure == "count" else {"of": "product" if measure == "distinct" else "amount", "gte": 3}
    return {"id": "a", "enter": {"event": "purchase", **window, measure: asked}}


@given(shops(), windows, st.sampled_from(["count", "sum", "max"]))
def test_what_grows_with_each_event_lies_between_the_window_a_day_narrower_and_a_day_wider(
    shop: Shop, window: dict[str, str], measure: str
) -> None:
    asked = document(measure, window)
    with low_caps():
        found = evaluated(asked, shop).get("value")

    least, most = by_definition(asked, shop, narrower=True), by_definition(asked, shop, narrower=False)
    if least is not None:
        assert found is not None
        assert found >= least
    if found is not None:
        assert most is not None
        assert found <= most


@given(shops(), windows)
def test_an_old_distinct_is_never_too_small_and_never_more_than_the_events(shop: Shop, window: dict[str, str]) -> None:
    asked = document("distinct", window)
    with low_caps():
        found = evaluated(asked, shop)["value"]

    least = by_definition(asked, shop, narrower=True)
    most = by_definition(document("count", window), shop, narrower=False)
    assert least is not None
    assert most is not None
    assert least <= found <= most


@given(shops(), windows, st.sampled_from(["count", "sum", "max", "min", "avg", "distinct"]))
def test_without_going_beyond_a_cap_every_value_is_exact(shop: Shop, window: dict[str, str], measure: str) -> None:
    asked = document(measure, window)
    told = evaluated(asked, shop)

    exact = exact_value(asked, shop)
    assert told.get("value") == (None if exact is None else pytest.approx(float(exact)))
    assert not told.get("approximate")


def exact_value(asked: dict[str, Any], shop: Shop) -> Fraction | None:
    node = parse_document(asked).enter
    assert isinstance(node, EventNode)
    return measured(node, world(NOW, "ana", shop, {}), "UTC")


@given(shops(), windows, st.sampled_from(["count", "sum", "max", "distinct"]), st.randoms(use_true_random=False))
def test_no_order_of_arrival_shows_beyond_the_caps(
    shop: Shop, window: dict[str, str], measure: str, random: Any
) -> None:
    asked = document(measure, window)
    with low_caps():
        assert evaluated(asked, shop) == evaluated(asked, random.sample(shop, len(shop)))


def test_what_is_beyond_a_cap_says_that_it_is_approximate() -> None:
    asked = document("count", {"within": "5d"})
    with low_caps():
        exact = evaluated(asked, purchases(list(range(ENTRIES))))
        beyond = evaluated(asked, purchases(list(range(ENTRIES + 1))))

    assert "approximate" not in exact or not exact["approximate"]
    assert beyond["approximate"] is True
    assert beyond["value"] == ENTRIES + 1  # all of one day: nothing is at the edge


def test_a_total_without_a_window_stays_exact_beyond_the_cap() -> None:
    asked = document("sum", {})
    shop = purchases(list(range(40)))
    with low_caps():
        told = evaluated(asked, shop)

    assert told["value"] == sum(event.properties["amount"] for event in shop)
    assert not told.get("approximate")


def test_the_real_caps_hold_4096_entries_exactly() -> None:
    hours = [minute // 60 for minute in range(4096)]
    asked = {"id": "a", "enter": {"event": "purchase", "within": "30d", "count": {"gte": 4096}}}
    shop = purchases(hours)

    told = evaluated(asked, shop)
    assert (told["value"], told["holds"], told.get("approximate", False)) == (4096, True, False)
    one_more = evaluated(asked, [*shop, Event("purchase", "ana", NOW - 20 * DAY, "old", {}, "old")])
    assert (one_more["value"], one_more["holds"], one_more["approximate"]) == (4097, True, True)


def test_of_the_ids_of_a_customer_the_newest_512_are_remembered() -> None:
    segment = {"id": "a", "enter": {"event": "purchase", "count": {"in": [513, 514]}}}
    shop = purchases([0] * 513)
    log: list[tuple[Event, int | None]] = [(event, None) for event in [*shop, *reversed(shop)]]
    partition = Partition(compile_plan([Definition("a", document=segment)]))
    found = [(change.sequence, change.event_id) for event, stamp in log for change in partition.feed(event, stamp)]

    expected = Oracle([parse_document(segment)]).run(log).transitions
    assert found == [(change.sequence, change.event_id) for change in expected]
    assert found == [(1, "e512")]  # the 513th enters; of all that came again, only e0 had been forgotten
