"""Folds: any order of the same events gives the same series, the caps included; merging is folding together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.aggregates import chains, features
from rules.aggregates.features import Amounts, Distinct, Edge, Feature, entries
from rules.aggregates.series import COUNT, FIRST, LAST, LEAST, MOST, SUM, Series
from rules.events import Event
from rules.limits import DAY_MS, DISTINCT_VALUES_MAX, SERIES_ENTRIES_MAX
from tests.rules.aggregates.folding import content, feature_of, folded, merged
from tests.rules.building import DAY, HOUR, SECOND, event, plan_of

KINDS: dict[str, str] = {
    "instants": "within: 2d",
    "instants and total": "within: 2d, count: {gte: 2}",
    "amounts": "within: 2d, sum: {of: amount, gte: 1}",
    "amounts of items": "within: 2d, sum: {of: items.price, gte: 1}",
    "amounts ever": "sum: {of: amount, gte: 1}",
    "distinct": "within: 2d, distinct: {of: amount, gte: 2}",
    "distinct of items": "distinct: {of: items.price, gte: 2}",
    "first": "within: 2d, first: {of: amount, eq: 1}",
    "last": "within: 2d, last: {of: amount, eq: 1}",
    "first ever": "first: {of: amount, eq: 1}",
    "last ever": "last: {of: items.price, eq: 1}",
    "sequence": "within: 2d, followed_by: {event: [purchase, page_view], within: 1d}",
    "sequence with values": "sum: {of: amount, gte: 1}, not_followed_by: {event: purchase, match: {amount: amount}}",
}
NOW = 20 * DAY
VALUES: tuple[Any, ...] = (1, 2, 0.5, -3, "1", None, 100)


def a_log(random: Random) -> list[Event]:
    """Events of two types in four days before NOW, many at one instant, each with an id of its own."""
    found = []
    for place in range(random.randint(1, 14)):
        ts = NOW - random.randint(0, 8) * 12 * HOUR - random.choice([0, 0, 1])
        items = [{"price": random.choice(VALUES)} for _ in range(random.randint(0, 2))]
        kind = random.choice(["purchase", "purchase", "page_view"])
        found.append(event(kind, ts, id=f"{random.choice('abc')}{place}", amount=random.choice(VALUES), items=items))
    return found


@contextmanager
def caps(small: bool) -> Iterator[None]:
    """Caps that a handful of events overflows, or those that stand."""
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(features, "SERIES_ENTRIES_MAX", 5)
            patch.setattr(chains, "SERIES_ENTRIES_MAX", 5)
            patch.setattr(features, "DISTINCT_VALUES_MAX", 2)
        yield


def taken(feature: Feature, log: list[Event]) -> list[Event]:
    """As the index does it: a feature of purchases sees purchases, a sequence both."""
    return [each for each in log if feature.kind == "chain" or each.type == "purchase"]


def any_order(kind: str, random: Random) -> None:
    feature = feature_of(KINDS[kind])
    log = taken(feature, a_log(random))
    shuffled = random.sample(log, len(log))

    assert content(folded(feature, shuffled, NOW)) == content(folded(feature, log, NOW)), (kind, log, shuffled)


def merging(kind: str, random: Random) -> None:
    feature = feature_of(KINDS[kind])
    log = taken(feature, a_log(random))
    parts: list[list[Event]] = [[], []]
    for each in log:
        parts[random.randrange(2)].append(each)
    together = merged(feature, [folded(feature, part, NOW) for part in parts], NOW)

    assert content(together) == content(folded(feature, log, NOW)), (kind, parts)


@pytest.mark.parametrize("small", [False, True], ids=["within the caps", "beyond the caps"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("test", [any_order, merging])
def test_no_order_of_arrival_shows_in_a_series(test: Callable[[str, Random], None], kind: str, small: bool) -> None:
    """Any order gives the same series, and merging two series is folding all their events."""
    with caps(small):
        for seed in range(60):
            test(kind, Random(seed))


@given(st.sampled_from(list(KINDS)), st.randoms(use_true_random=False), st.booleans())
def test_nor_does_it_in_any_that_can_be_thought_of(kind: str, random: Random, small: bool) -> None:
    with caps(small):
        any_order(kind, random)
        merging(kind, random)


def purchases(count: int, every: int, begin: int = 0, **properties: Any) -> list[Event]:
    return [event("purchase", begin + n * every, id=f"{n:05}", **properties) for n in range(count)]


def test_what_no_slot_sees_any_more_is_dropped() -> None:
    feature = feature_of("within: 2d, sum: {of: amount, gte: 1}")
    series = folded(feature, purchases(4, DAY, amount=5), 3 * DAY)

    assert series.ts == [2 * DAY, 3 * DAY]  # the one of two days ago to the millisecond has just gone


def test_what_is_too_late_for_every_slot_is_not_kept() -> None:
    feature = feature_of("within: 2d")
    series = Series()

    assert feature.add(series, event("purchase", 0), 2 * DAY) == 1
    assert series.ts == []


def test_the_widest_window_decides_how_much_is_kept() -> None:
    two = "all: [{event: purchase, within: 1d}, {event: purchase, within: 9d, count: {gte: 2}}]"
    feature = feature_of_all(two)

    assert feature.keep == 9 * DAY
    assert not feature.totals


def feature_of_all(enter: str) -> Feature:
    (feature,) = plan_of(f"{{id: a, enter: {{{enter}}}}}").features.values()
    return feature


def test_a_total_alone_keeps_no_entries() -> None:
    feature = feature_of("sum: {of: amount, gte: 100}")
    series = folded(feature, purchases(100, DAY, amount=2.5), 200 * DAY)

    assert series.ts == []
    assert series.sums in ([], [0])
    assert series.total == [100, 250_000_000, 2_500_000, 2_500_000, 99 * DAY, 0]


def test_an_event_without_a_value_gives_nothing_but_counts() -> None:
    bare = event("purchase", 0, amount="5")

    for text in ("sum: {of: amount, gte: 1}", "distinct: {of: items.price, gte: 1}", "last: {of: nothing, eq: 1}"):
        assert feature_of(text).add(Series(), bare, 0) == 0
    assert feature_of("count: {gte: 1}").add(Series(), bare, 0) == 1


def test_of_one_instant_the_smaller_amount_comes_first_and_sums_run() -> None:
    feature = feature_of("within: 2d, sum: {of: amount, gte: 1}")
    log = [event("purchase", ts, amount=amount) for ts, amount in ((5, 3), (5, 1), (9, 2), (5, 2), (1, 4))]

    series = folded(feature, log, 10)

    assert series.ts == [1, 5, 5, 5, 9]
    assert entries(series) == [(1, 4_000_000), (5, 1_000_000), (5, 2_000_000), (5, 3_000_000), (9, 2_000_000)]
    assert series.falls is False
    feature.add(series, event("purchase", 10, amount=-1), 10)
    assert series.falls is True


def test_beyond_the_cap_entries_are_summed_by_utc_day() -> None:
    """Two an hour from 1 January: the oldest are in days, each with its count, sum, extremes and edges."""
    feature = feature_of("within: 365d, sum: {of: amount, gte: 1}")
    log = [event("purchase", n * HOUR // 2, amount=n % 7) for n in range(SERIES_ENTRIES_MAX + 60)]

    series = folded(feature, log, log[-1].ts)

    assert len(series.ts) == SERIES_ENTRIES_MAX
    assert series.ts[0] == 60 * HOUR // 2
    first, second = series.aged[0], series.aged[1]
    assert sorted(series.aged) == [0, 1]
    assert [first[COUNT], second[COUNT]] == [48, 12]
    assert first[SUM] == sum(n % 7 for n in range(48)) * 10**6
    assert (first[LEAST], first[MOST]) == (0, 6 * 10**6)
    assert (first[FIRST], first[LAST]) == (0, 47 * HOUR // 2)


def test_a_full_series_says_that_a_cap_was_met() -> None:
    feature = feature_of("within: 365d")
    series = folded(feature, purchases(SERIES_ENTRIES_MAX, SECOND), DAY_MS)

    assert feature.add(series, event("purchase", DAY_MS), DAY_MS) == 2
    assert feature.add(series, event("purchase", 5), DAY_MS) == 2  # late: aged at once
    assert len(series.ts) == SERIES_ENTRIES_MAX
    assert series.aged[0][COUNT] == 2


def test_an_aged_day_goes_when_its_newest_entry_is_out_of_every_window() -> None:
    feature = feature_of("within: 10d")
    series = folded(feature, purchases(SERIES_ENTRIES_MAX + 2, SECOND), DAY)
    assert series.aged[0][LAST] == SECOND

    gone = 10 * DAY + 9 * SECOND  # the tenth is out of the window, and with it all that are older
    series.aged[0][LAST] = 8 * SECOND
    feature.add(series, event("purchase", gone), gone)

    assert 0 not in series.aged
    assert series.ts[0] == 10 * SECOND


def test_a_thousand_distinct_values_stand_exactly() -> None:
    feature = feature_of("distinct: {of: product, gte: 1}")
    log = [event("purchase", n * SECOND, product=f"p{n % 1200}") for n in range(2000)]

    series = folded(feature, log, DAY)

    assert len(set(series.rows)) == DISTINCT_VALUES_MAX
    assert len(series.ts) == DISTINCT_VALUES_MAX
    assert sum(summary[COUNT] for summary in series.aged.values()) == 1000


def test_a_late_value_older_than_what_was_aged_is_aged_too() -> None:
    """Though its value is among those that stand: in order of time it would have gone with the others."""
    feature = feature_of("distinct: {of: product, gte: 1}")
    log = [event("purchase", n * SECOND, product=f"p{n}") for n in range(1, DISTINCT_VALUES_MAX + 2)]
    early = event("purchase", 0, product=f"p{DISTINCT_VALUES_MAX}")

    assert content(folded(feature, [*log, early], DAY)) == content(folded(feature, [early, *log], DAY))


def test_one_event_counts_each_value_once() -> None:
    feature = feature_of("distinct: {of: items.price, gte: 1}")
    series = folded(feature, [event("purchase", 0, items=[{"price": 1}, {"price": 1.0}, {"price": 2}])], 0)

    assert series.rows == ["\x00n1", "\x00n2"]


@pytest.mark.parametrize(("kind", "value"), [("first", "b"), ("last", "d")])
def test_at_one_instant_the_greater_id_is_later(kind: str, value: str) -> None:
    feature = feature_of(f"{kind}: {{of: color, eq: x}}")
    log = [event("purchase", 5, id=name, color=name) for name in ("c", "d", "b")]

    assert folded(feature, log, 5).total[2] == value


@pytest.mark.parametrize(("kind", "value"), [("first", "red"), ("last", "blue")])
def test_of_items_the_first_or_last_one_with_a_value_stands(kind: str, value: str) -> None:
    feature = feature_of(f"{kind}: {{of: items.color, eq: x}}")
    log = [event("purchase", 5, items=[{}, {"color": "red"}, {"color": "blue"}, {"color": None}])]

    assert folded(feature, log, 5).total[2] == value


def test_each_kind_of_measure_has_its_fold() -> None:
    assert type(feature_of("count: {gte: 1}")) is Feature
    assert isinstance(feature_of("avg: {of: amount, gte: 1}"), Amounts)
    assert isinstance(feature_of("distinct: {of: amount, gte: 1}"), Distinct)
    assert isinstance(feature_of("first: {of: amount, gte: 1}"), Edge)
