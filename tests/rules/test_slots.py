"""Slots: the cheap ways of knowing a level agree with reading the measure, and no wake is too late."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from rules.events import Event
from rules.plan import Plan
from rules.play import Partition
from rules.profile import Profile
from rules.slots import AttributeSlot, EdgeSlot, MembershipSlot, SinceSlot, Slot, TagSlot
from rules.slots_numbers import AgeSlot, NumberSlot, PairSlot, RollingCount, RollingSum, TotalCount, TotalSum
from rules.times import NEVER
from tests.rules.building import DAY, HOUR, attributed, event, plan_of, tagged

BEGIN = 20_500 * DAY
SPANS = (1, 2, 3, 5, 24, 25, 48)  # hours, of windows and ages below

CONDITIONS = {
    "RollingCount": [f"within: 5h, count: {{gte: {n}}}" for n in (1, 2, 4, 7)]
    + ["within: 5h, count: {lt: 3}", "within: 5h, count: {in: [0, 2]}"],
    "RollingSum": [f"within: 5h, sum: {{of: amount, gte: {n}}}" for n in (-3, 0, 2, 5.5, 9)]
    + ["within: 5h, sum: {of: amount, eq: 4}", "within: 5h, sum: {of: amount, lt: 0}"],
    "TotalCount": [f"count: {{gte: {n}}}" for n in (1, 3, 6)] + ["count: {eq: 2}"],
    "TotalSum": [f"sum: {{of: amount, gte: {n}}}" for n in (-2, 0, 3, 8)] + ["sum: {of: amount, lt: 1}"],
    "AgeSlot last": ["since_last: {gt: 2h}", "since_last: {lt: 5h}", "since_last: {gte: 3h, lte: 5h}"],
    "AgeSlot first": ["since_first: {gt: 2h}", "since_first: {lte: 24h}"],
    "AgeSlot in a window": ["within: 25h, since_last: {gt: 3h}", "within: 25h, since_first: {gte: 24h}"],
    "NumberSlot avg": ["within: 5h, avg: {of: amount, gte: 1}", "within: 5h, avg: {of: amount, lt: 2}"],
    "NumberSlot min": ["within: 5h, min: {of: amount, gte: 1}", "within: 5h, max: {of: amount, eq: 3}"],
    "NumberSlot band": ["within: 5h, before: 2h, count: {gte: 1}", "before: 3h, sum: {of: amount, gt: 2}"],
    "NumberSlot day": ["period: today, count: {gte: 2}", "period: yesterday, sum: {of: amount, gte: 1}"],
    "NumberSlot distinct": ["within: 5h, distinct: {of: amount, gte: 2}", "distinct: {of: amount, gte: 4}"],
    "NumberSlot sequence": [
        "within: 24h, count: {gte: 2}, not_followed_by: {event: page_view, within: 2h}",
        "count: {gte: 1}, followed_by: {event: purchase, within: 1h}",
    ],
    "EdgeSlot": ["within: 5h, last: {of: amount, gte: 1}", "within: 5h, before: 1h, first: {of: amount, eq: 3}"],
}
PAIRS = [
    "{ratio: [{event: purchase, within: 5h, sum: {of: amount}}, {event: purchase, within: 24h, count: {}}], gte: 0.5}",
    "{difference: [{event: purchase, within: 2h, count: {}}, {event: page_view, within: 5h, count: {}}], gt: 0}",
]
AMOUNTS: dict[str, tuple[Any, ...]] = {
    "never negative": (1, 2, 3, 0, 0.5, None),
    "some negative": (1, 2, 3, -1, -2.5, 0, "3", None),
}


def plan_for(conditions: Iterable[str]) -> Plan:
    return plan_of(*(f"{{id: s{n}, enter: {{event: purchase, {text}}}}}" for n, text in enumerate(conditions)))


def random_log(random: Random, amounts: tuple[Any, ...]) -> list[tuple[Event, int]]:
    """Events on the hour within two days, one in three late, with the log's clock at each."""
    found, clock = [], BEGIN
    for place in range(random.randint(1, 12)):
        clock += random.choice([0, 0, 1, 1, 2, 5]) * HOUR
        ts = clock - random.choice([0, 0, 1, 3, 6]) * HOUR
        kind = random.choice(["purchase", "purchase", "purchase", "page_view"])
        found.append((event(kind, ts, id=f"{place:02}", amount=random.choice(amounts)), clock))
    return found


def truth(slot: Slot, profile: Profile, now: int) -> int:
    """The level as the measure itself says, without any shortcut."""
    if not isinstance(slot, NumberSlot):
        return slot.evaluate(profile, now)[0]
    value = slot.value(profile, now)
    return slot.levels.of(now - value if isinstance(slot, AgeSlot) and value is not None else value)


def candidates(profile: Profile, now: int) -> list[int]:
    """Every instant after now at which anything here can change by the clock."""
    instants = {ts for series in profile.features.values() for ts in series.ts + [f[0] for f in series.follows]}
    instants |= {ts for series in profile.features.values() for ts in series.total[-2:]} | {now}
    found = {ts + hours * HOUR + off for ts in instants for hours in SPANS for off in (0, 1)}
    found |= {now - now % DAY + n * DAY for n in range(1, 4)}
    return sorted(instant for instant in found if instant > now)


def check(plan: Plan, profile: Profile, now: int) -> None:
    for slot in plan.slots:
        level, wake = slot.evaluate(profile, now)
        stored = profile.levels.get(slot.index, slot.default)
        name = type(slot).__name__
        assert level == stored == truth(slot, profile, now), (name, now)
        assert wake > now
        assert profile.wakes.get(slot.index, NEVER) > now
        for instant in candidates(profile, now):
            if instant < wake or instant < profile.wakes.get(slot.index, NEVER):
                assert truth(slot, profile, instant) == level, (name, now, instant, wake)


@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("name", CONDITIONS)
def test_a_slot_says_what_its_measure_says_and_wakes_in_time(name: str, amounts: str) -> None:
    """After every record, and at every instant at which it wakes."""
    plan = plan_for(CONDITIONS[name])
    assert {type(slot).__name__ for slot in plan.slots} == {name.split()[0]}
    follow(plan, AMOUNTS[amounts])


@pytest.mark.parametrize("amounts", AMOUNTS)
def test_so_does_a_slot_of_two_measures(amounts: str) -> None:
    plan = plan_of(*(f"{{id: s{n}, enter: {text}}}" for n, text in enumerate(PAIRS)))
    assert all(type(slot) is PairSlot for slot in plan.slots)
    follow(plan, AMOUNTS[amounts])


def follow(plan: Plan, amounts: tuple[Any, ...]) -> None:
    for seed in range(25):
        partition = Partition(plan)
        for each, clock in random_log(Random(seed), amounts):
            partition.feed(each, clock)
            profile = partition.profiles["ana"]
            check(plan, profile, partition.clock)
        while profile.wake < NEVER:
            partition.run_to(profile.wake)
            check(plan, profile, partition.clock)


SLOTS = [
    ("{event: purchase, within: 30d}", RollingCount),
    ("{event: purchase, within: 30d, before: 1d}", NumberSlot),
    ("{event: purchase, within: 1mo}", NumberSlot),
    ("{event: purchase, within: 30d, sum: {of: amount, gte: 1}}", RollingSum),
    ("{event: purchase}", TotalCount),
    ("{event: purchase, sum: {of: amount, gte: 1}}", TotalSum),
    ("{event: purchase, within: 30d, avg: {of: amount, gte: 1}}", NumberSlot),
    ("{event: purchase, followed_by: {event: page_view}}", NumberSlot),
    ("{event: purchase, since_last: {gt: 30d}}", AgeSlot),
    ("{event: purchase, within: 30d, since_first: {gt: 3d}}", AgeSlot),
    ("{event: purchase, since_last: {gt: 1mo}}", SinceSlot),
    ("{event: purchase, last: {of: color, eq: red}}", EdgeSlot),
    ("{attribute: color, eq: red}", AttributeSlot),
    ("{tag: vip}", TagSlot),
    ("{segment: b, for: 1d}", MembershipSlot),
]


@pytest.mark.parametrize(("text", "kind"), SLOTS)
def test_a_condition_has_the_cheapest_slot_that_can_say_it(text: str, kind: type[Slot]) -> None:
    plan = plan_of(f"{{id: a, enter: {text}}}", "{id: b, list: true}")

    assert [type(slot) for slot in plan.slots] == [kind]


def test_equal_questions_share_a_slot_and_equal_series_a_feature() -> None:
    plan = plan_of(
        "{id: a, enter: {event: purchase, within: 30d, count: {gte: 1}}}",
        "{id: b, enter: {any: [{event: purchase, within: 30d, count: {gte: 5}}, {tag: x}]}}",
        "{id: c, enter: {all: [{event: purchase, within: 7d}, {tag: {all: [x]}}]}}",
    )

    assert len(plan.features) == 1
    assert sorted(type(slot).__name__ for slot in plan.slots) == ["RollingCount", "RollingCount", "TagSlot"]


def test_the_same_day_in_two_zones_is_two_slots_of_one_feature() -> None:
    today = "enter: {event: purchase, period: today}"
    plan = plan_of(f"{{id: a, {today}}}", f"{{id: b, timezone: Europe/Bucharest, {today}}}")

    assert len(plan.features) == 1
    assert len(plan.slots) == 2


@pytest.mark.parametrize(
    ("asked", "tags", "holds"),
    [
        ("tag: x", ["x"], True),
        ("tag: x", [], False),
        ("tag: {any: [x, y]}", ["y"], True),
        ("tag: {any: [x, y]}", ["z"], False),
        ("tag: {all: [x, y]}", ["x"], False),
        ("tag: {all: [x, y]}", ["y", "x"], True),
        ("tag: {none: [x, y]}", [], True),
        ("tag: {none: [x, y]}", ["z"], True),
        ("tag: {none: [x, y]}", ["y"], False),
        ("tag: {any: [x], none: [y]}", ["x"], True),
        ("tag: {any: [x], none: [y]}", ["x", "y"], False),
        ("tag: {all: [z], any: [x], none: [y]}", ["x"], False),
    ],
)
def test_tags_are_asked_for_any_all_and_none(asked: str, tags: list[str], holds: bool) -> None:
    plan = plan_of(f"{{id: a, enter: {{{asked}}}}}")
    partition = Partition(plan)
    partition.feed(tagged(0, *tags, "other"))
    (slot,) = plan.slots

    assert slot.evaluate(partition.profiles["ana"], 0)[0] == holds
    assert (partition.profiles["ana"].is_member("a")) == holds
    assert slot.default == ("none" in asked and "any" not in asked)


@pytest.mark.parametrize(
    ("path", "attributes", "value"),
    [
        ("color", {"color": "red"}, "red"),
        ("home.city", {"home": {"city": "Iasi"}}, "Iasi"),
        ("home.city", {"home": {"city": "Iasi"}, "home.city": "Cluj"}, "Cluj"),
        ("home.city", {"home": "Iasi"}, None),
        ("home.city", {}, None),
        ("home.geo.lat", {"home": {"geo": {"lat": 4}}}, 4),
    ],
)
def test_an_attribute_is_read_by_its_path(path: str, attributes: dict[str, Any], value: Any) -> None:
    plan = plan_of(f"{{id: a, enter: {{attribute: {path}, exists: true}}}}")
    partition = Partition(plan)
    partition.feed(attributed(0, **attributes))

    assert plan.slots[0].value(partition.profiles["ana"], 0) == value
    assert partition.profiles["ana"].is_member("a") == (value is not None)
