"""Sequences: which events are followed, and from when an event counts that is not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rules.aggregates.chains import Chain
from rules.aggregates.series import Series
from rules.events import Event
from rules.limits import SERIES_ENTRIES_MAX
from rules.times import NEVER
from tests.rules.aggregates.folding import feature_of, folded
from tests.rules.building import DAY, HOUR, SECOND, at, event

RED = {"color": "red"}
WHERES = ("", ", match: color", ", match: {color: items.color}", ", where: {color: red}")


def chain_of(text: str) -> Chain:
    chain = feature_of(text)
    assert isinstance(chain, Chain)
    return chain


def counts(chain: Chain, series: Series, now: int) -> list[int]:
    return [ts for ts, _ in chain.counting(series, now)]


def carts(*hours: float, **properties: Any) -> list[Event]:
    return [event("purchase", int(hour * HOUR), **properties) for hour in hours]


def views(*hours: float, **properties: Any) -> list[Event]:
    return [event("page_view", int(hour * HOUR), **properties) for hour in hours]


FOLLOWED = [
    # f of another type: hours of e, hours of f, those that are followed within an hour
    ([1], [1], [1]),  # at the same instant
    ([1], [2], [1]),  # at the deadline
    ([1], [2.001], []),
    ([1], [0.999], []),  # before
    ([1, 2, 5], [2, 5.5], [1, 2, 5]),  # one f may follow several
    ([1, 1.5], [2.25], [1.5]),
    ([], [1], []),
]


@pytest.mark.parametrize(("es", "fs", "followed"), FOLLOWED)
def test_an_event_is_followed_within_a_time_inclusive(es: list[float], fs: list[float], followed: list[float]) -> None:
    asked = chain_of("followed_by: {event: page_view, within: 1h}")
    series = folded(asked, [*carts(*es), *views(*fs)], DAY)

    assert counts(asked, series, DAY) == [int(hour * HOUR) for hour in followed]


@pytest.mark.parametrize(("es", "fs", "followed"), FOLLOWED)
def test_the_others_count_as_not_followed(es: list[float], fs: list[float], followed: list[float]) -> None:
    asked = chain_of("not_followed_by: {event: page_view, within: 1h}")
    series = folded(asked, [*views(*fs), *carts(*es)], DAY)

    assert counts(asked, series, DAY) == [int(hour * HOUR) for hour in es if hour not in followed]


def test_of_one_type_what_follows_is_strictly_later() -> None:
    asked = chain_of("followed_by: {event: purchase, within: 1h}")
    series = folded(asked, carts(1, 1, 3, 3.5), DAY)

    assert counts(asked, series, DAY) == [3 * HOUR]


def test_without_a_time_any_later_event_follows() -> None:
    followed, alone = chain_of("followed_by: {event: page_view}"), chain_of("not_followed_by: {event: page_view}")
    log = [*carts(1, 5000), *views(4000)]

    assert counts(followed, folded(followed, log, 6000 * HOUR), 6000 * HOUR) == [HOUR]
    assert counts(alone, folded(alone, log, 6000 * HOUR), 6000 * HOUR) == [5000 * HOUR]


def test_what_is_not_followed_counts_from_its_deadline_on() -> None:
    asked = chain_of("not_followed_by: {event: page_view, within: 1h}")
    series = folded(asked, carts(1), HOUR)

    assert counts(asked, series, 2 * HOUR - 1) == []
    assert asked.decided(series, HOUR) == [2 * HOUR]
    assert counts(asked, series, 2 * HOUR) == [HOUR]
    assert asked.decided(series, 2 * HOUR) == []


def test_a_deadline_in_calendar_units_is_in_local_time() -> None:
    asked = chain_of("not_followed_by: {event: page_view, within: 1mo}")
    series = folded(asked, [event("purchase", "2026-01-31T10:00:00Z")], at("2026-01-31T10:00:00Z"))

    assert asked.decided(series, at("2026-01-31T10:00:00Z")) == [at("2026-02-28T10:00:00Z")]


def test_a_value_missing_on_either_side_matches_nothing() -> None:
    asked = chain_of("followed_by: {event: page_view, match: color}")
    log = [*carts(1), *views(2), *views(2, color="red"), *carts(3, color="red"), *views(4)]

    assert counts(asked, folded(asked, log, DAY), DAY) == []
    assert counts(asked, folded(asked, [*log, *views(5, color="red")], DAY), DAY) == [3 * HOUR]


def test_an_item_path_matches_through_any_item() -> None:
    asked = chain_of("followed_by: {event: page_view, match: {items.id: product}}")
    log = [*carts(1, items=[{"id": "a"}, {"id": "b"}]), *carts(2, items=[{"id": "c"}]), *views(3, product="b")]

    assert counts(asked, folded(asked, log, DAY), DAY) == [HOUR]


def test_what_follows_may_lie_outside_the_events_own_window() -> None:
    asked = chain_of("within: 3h, before: 1h, followed_by: {event: page_view}")

    assert counts(asked, folded(asked, [*carts(1), *views(3.5)], int(3.5 * HOUR)), int(3.5 * HOUR)) == [HOUR]


def test_only_an_event_with_a_value_is_measured() -> None:
    asked = chain_of("sum: {of: amount, gte: 1}, followed_by: {event: page_view}")

    assert folded(asked, [*carts(1), *carts(2, amount="5"), *carts(3, amount=5)], DAY).ts == [3 * HOUR]


def by_definition(es: list[Event], fs: list[Event], within: int, negated: bool, match: str, now: int) -> list[int]:
    """The contract's words, over the raw events."""

    def meets(e: Event, f: Event) -> bool:
        if "color: items" in match:
            mine, theirs = [e.properties.get("color")], [each["color"] for each in f.properties.get("items", [])]
        elif "match" in match:
            mine, theirs = [e.properties.get("color")], [f.properties.get("color")]
        else:
            return "where" not in match or f.properties.get("color") == "red"
        return any(value is not None and value in theirs for value in mine)

    def follows(e: Event, f: Event) -> bool:
        later = e.ts < f.ts if e.type == f.type else e.ts <= f.ts
        return later and f.ts <= e.ts + within and f.ts <= now and meets(e, f)

    found = []
    for e in es:
        followed = any(follows(e, f) for f in fs)
        if followed != negated and (not negated or e.ts + within <= now):
            found.append(e.ts)
    return sorted(found)


@pytest.mark.parametrize("match", WHERES)
@pytest.mark.parametrize("negated", [False, True])
def test_random_events_in_any_order_count_as_the_contract_says(negated: bool, match: str) -> None:
    kind = "not_followed_by" if negated else "followed_by"
    asked = chain_of(f"{kind}: {{event: [page_view, purchase], within: 2h{match}}}")
    for seed in range(150):
        random = Random(seed)
        log = []
        for _ in range(random.randint(1, 9)):
            given: dict[str, Any] = random.choice([{}, {"color": "red"}, {"color": "blue"}])
            given |= random.choice(
                [{}, {"items": [{"color": "red"}]}, {"items": [{"color": "blue"}, {"color": "red"}]}]
            )
            log.append(event(random.choice(["purchase", "page_view"]), random.randint(0, 6) * HOUR, **given))
        now = 6 * HOUR + random.randint(0, 3) * HOUR
        es = [each for each in log if each.type == "purchase"]

        series = folded(asked, log, now)
        instants = sorted({now, *(instant for instant in asked.decided(series, now))})
        for instant in instants:
            assert counts(asked, series, instant) == by_definition(es, log, 2 * HOUR, negated, match, instant), seed


def test_between_the_instants_announced_nothing_changes() -> None:
    asked = chain_of("not_followed_by: {event: page_view, within: 2h}")
    for seed in range(40):
        random = Random(seed)
        log = [event(random.choice(["purchase", "page_view"]), random.randint(0, 12) * HOUR // 2) for _ in range(8)]
        series, now = folded(asked, log, 6 * HOUR), 6 * HOUR
        announced = [*asked.decided(series, now), NEVER]
        for instant in range(now, now + 3 * HOUR, HOUR // 4):
            since = max([now, *(each for each in announced if each <= instant)])
            assert counts(asked, series, instant) == counts(asked, series, since)


def test_only_the_newest_of_each_kind_are_looked_at() -> None:
    asked = chain_of("followed_by: {event: page_view, within: 1h}")
    es = [event("purchase", n * SECOND, id=f"{n:05}") for n in range(SERIES_ENTRIES_MAX + 3)]
    series = folded(asked, es, DAY)

    assert series.ts[0] == 3 * SECOND
    assert series.total


def test_an_event_as_old_as_a_forgotten_follower_is_not_looked_at() -> None:
    """Whether it was followed is not known any more; so it is left out whenever it comes."""
    asked = chain_of("followed_by: {event: page_view}")
    fs = [event("page_view", n * SECOND, id=f"{n:05}") for n in range(SERIES_ENTRIES_MAX + 3)]
    e = event("purchase", 2 * SECOND)
    before, after = folded(asked, [e, *fs], DAY), folded(asked, [*fs, e], DAY)

    assert before.ts == after.ts == []
    assert asked.counting(folded(asked, [*fs, event("purchase", 3 * SECOND)], DAY), DAY)
