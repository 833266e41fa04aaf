"""Reading the log again for what nobody asked before: collected, merged and switched on, it is as if always asked."""

from __future__ import annotations

from random import Random

import pytest

from rules.backfill import Collector
from rules.events import Event
from rules.plan import Definition, Plan, compile_plan, missing_features
from rules.profile import Profile, new_profile
from rules.step import step
from rules.transitions import Transition, render
from tests.rules.building import HOUR, MINUTE, definition, edition, event, line, lines, plan_of

Log = list[tuple[Event, int]]

BASES = {
    "nothing": ["{id: base, list: true}"],
    "a shorter window": ["{id: base, enter: {event: purchase, within: 2h, sum: {of: amount, gte: 2}}}"],
    "a total": ["{id: base, enter: {event: purchase, sum: {of: amount, gte: 5}}}", "{id: b, enter: {event: purchase}}"],
}
NEWCOMERS = {
    "count": "{event: purchase, within: 9h, count: {gte: 2}}",
    "sum": "{event: purchase, within: 9h, sum: {of: amount, gte: 3}}",
    "total": "{event: purchase, count: {gte: 3}}",
    "sum ever": "{event: purchase, sum: {of: amount, gte: 4}}",
    "distinct": "{event: purchase, within: 9h, distinct: {of: amount, gte: 2}}",
    "first": "{event: purchase, first: {of: amount, eq: 1}}",
    "last": "{event: purchase, within: 9h, last: {of: amount, eq: 2}}",
    "age": "{event: page_view, since_last: {gt: 3h}}",
    "sequence": "{event: purchase, within: 9h, not_followed_by: {event: page_view, within: 1h}}",
    "by value": "{event: purchase, where: {color: red}, within: 9h, count: {gte: 2}}",
    "two": "{ratio: [{event: purchase, within: 9h, sum: {of: amount}}, {event: page_view, count: {}}], gte: 1}",
}


def collecting(plan: Plan, new: Definition, clock: int = 0) -> Plan:
    """An edition that judges nobody anew, with the new definition's features folded beside."""
    return compile_plan(plan.definitions.values(), plan.edition + 1, clock, plan, collecting=[new])


class Partition:
    """Customers stepped through a log; `plan` is what they are judged by from now on."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.clock = plan, 0
        self.profiles: dict[str, Profile] = {}
        self.found: list[Transition] = []

    def read(self, each: Event, stamp: int) -> None:
        self.clock = max(self.clock, stamp)
        profile = self.profiles.setdefault(each.customer_id, new_profile(each.customer_id))
        self.found += step(profile, (each,), self.plan, self.clock)[1]

    def settle(self, now: int) -> None:
        for _, profile in sorted(self.profiles.items()):
            self.found += step(profile, (), self.plan, now)[1]

    def told(self) -> list[bytes]:
        """What was said of the segments that matter, customer by customer."""
        mine = [change for change in self.found if change.segment != "keeper"]
        return [render(change) for change in sorted(mine, key=lambda each: each.customer_id)]


def read_again(base: list[str], new: Definition, log: Log, defined: int, merged: int, active: int) -> Partition:
    """Places in the log: of the definition, of the merging of what was collected, of the activation."""
    partition = Partition(plan_of(*base))
    asked = missing_features(partition.plan, new)
    collector: Collector | None = None
    for place in range(len(log) + 1):
        if place == defined:
            partition.plan = collecting(partition.plan, new, partition.clock)
            collector = Collector(partition.plan, asked, partition.clock)
            clock = 0
            for each, stamp in log[:place]:
                clock = max(clock, stamp)
                collector.add(each, clock)
        if place == merged:
            assert collector is not None
            partition.settle(partition.clock)
            for customer in list(collector.customers()):
                collector.merge_into(partition.profiles[customer], partition.plan, partition.clock)
        if place == active:
            partition.plan = edition(partition.plan, partition.clock, new)
        if place < len(log):
            partition.read(*log[place])
    partition.settle(partition.clock + 20 * HOUR)
    return partition


def always_asked(base: list[str], new: Definition, log: Log, active: int) -> Partition:
    """A segment that nobody can enter asks the same from the start; the new one comes when it is switched on."""
    assert new.document is not None
    keeper = {"id": "keeper", "enter": {"all": [new.document["enter"], {"tag": "nobody has it"}]}}
    partition = Partition(compile_plan([*plan_of(*base).definitions.values(), Definition("keeper", document=keeper)]))
    for place in range(len(log) + 1):
        if place == active:
            partition.plan = edition(partition.plan, partition.clock, new)
        if place < len(log):
            partition.read(*log[place])
    partition.settle(partition.clock + 20 * HOUR)
    return partition


def random_log(random: Random) -> Log:
    """Late events, events up to five minutes ahead, and some that are delivered twice."""
    found: Log = []
    clock = 0
    for place in range(random.randint(4, 16)):
        clock += random.choice([0, 1, 2, 30, 60, 120]) * MINUTE
        ts = clock + random.choice([0, 0, 0, -120, -300, 4]) * MINUTE
        given = {"amount": random.choice([1, 2, -1]), "color": random.choice(["red", "blue"])}
        each = event(
            random.choice(["purchase", "purchase", "page_view"]),
            ts,
            random.choice(["ana", "bob"]),
            f"e{place}",
            **given,
        )
        found.append((each, clock))
        if random.random() < 0.15:
            found.append((random.choice(found)[0], clock))
    return found


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", NEWCOMERS)
def test_collecting_later_is_having_collected_from_the_start(name: str, base: str) -> None:
    new = definition(f"{{id: new, enter: {NEWCOMERS[name]}}}")
    changes = 0
    for seed in range(25):
        random = Random(seed)
        log = random_log(random)
        places = sorted(random.randint(0, len(log)) for _ in range(3))
        late = read_again(BASES[base], new, log, *places)
        ever = always_asked(BASES[base], new, log, places[2])

        assert late.told() == ever.told(), (seed, places, lines(late.found), lines(ever.found))
        changes += sum(change.segment == "new" for change in late.found)
    assert changes > 10


def test_an_event_that_waits_across_the_definition_is_counted_once() -> None:
    """It was read before the definition, and its time comes after it."""
    new = definition("{id: new, enter: {event: purchase, within: 9h}}")
    log = [(event("purchase", 4 * MINUTE, id="a"), 0), (event("refund", 5 * HOUR, id="b"), 5 * HOUR)]

    for places in ((1, 1, 1), (1, 1, 2), (1, 2, 2)):
        partition = read_again(["{id: base, list: true}"], new, log, *places)
        (series,) = partition.profiles["ana"].features.values()
        assert series.ts == [4 * MINUTE], places


@pytest.mark.parametrize("customer", ["ana", "bob"])
def test_so_is_one_whose_time_is_the_definitions_own(customer: str) -> None:
    """A record of hers at that instant, before the definition, folds it before; one of somebody else does not."""
    new = definition("{id: new, enter: {event: purchase, within: 9h}}")
    log = [
        (event("purchase", 4 * MINUTE, id="a"), 0),
        (event("refund", 4 * MINUTE, customer, id="b"), 4 * MINUTE),
        (event("refund", 5 * HOUR, id="c"), 5 * HOUR),
    ]

    for places in ((2, 2, 2), (2, 2, 3), (2, 3, 3)):
        partition = read_again(["{id: base, list: true}"], new, log, *places)
        (series,) = partition.profiles["ana"].features.values()
        assert series.ts == [4 * MINUTE], places


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("within: 2h, sum: {of: amount, gte: 1}", "sum: {of: amount, gte: 1}"),  # entries beside a total
        ("sum: {of: amount, gte: 1}", "within: 2h, sum: {of: amount, gte: 1}"),
        ("within: 2h, count: {gte: 1}", "count: {gte: 1}"),
    ],
)
def test_a_series_read_again_still_has_what_others_ask_of_it(base: str, asked: str) -> None:
    """The collected series takes the place of the one that was there."""
    old = f"{{id: base, enter: {{event: purchase, {base}}}}}"
    new = definition(f"{{id: new, enter: {{event: purchase, {asked}}}}}")
    log = [(event("purchase", n * MINUTE, id=f"{n}", amount=1), n * MINUTE) for n in range(4)]

    partition = read_again([old], new, log, 2, 3, 4)
    (series,) = partition.profiles["ana"].features.values()
    assert series.ts == [0, MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert series.total[0] == 4
    exits = [line(change) for change in partition.found if not change.entered]
    assert exits == [f"1970-01-01T02:03:00Z ana exited {'base' if 'within' in base else 'new'} clock"]


def test_what_runs_out_at_the_instant_of_the_activation_is_seen_to_run_out() -> None:
    """At the very instant the series is merged, whose entries then count no more."""
    new = definition("{id: new, enter: {event: purchase, count: {gte: 5}}}")
    log = [(event("purchase", 0, id="a"), 0), (event("refund", 2 * HOUR, "bob", id="b"), 2 * HOUR)]

    partition = read_again(["{id: base, enter: {event: purchase, within: 2h}}"], new, log, 2, 2, 2)
    assert lines(partition.found)[1:] == ["1970-01-01T02:00:00Z ana exited base clock"]


def test_nothing_is_read_again_for_what_is_collected_already() -> None:
    plan = plan_of("{id: a, enter: {event: purchase, within: 30d, count: {gte: 2}}}")

    assert (
        missing_features(plan, definition("{id: b, enter: {event: purchase, within: 7d, count: {gte: 5}}}"))
        == frozenset()
    )
    assert missing_features(plan, definition("{id: b, enter: {tag: x}}")) == frozenset()
    assert len(missing_features(plan, definition("{id: b, enter: {event: purchase, within: 31d}}"))) == 1
    assert len(missing_features(plan, definition("{id: b, enter: {event: purchase}}"))) == 1  # the total
    assert len(missing_features(plan, definition("{id: b, enter: {event: refund}}"))) == 1


def test_what_is_being_collected_is_asked_by_nobody() -> None:
    new = definition("{id: new, enter: {event: purchase, within: 9h}}")
    plan = collecting(plan_of("{id: base, enter: {event: purchase, within: 2h}}"), new)
    (asked,) = missing_features(plan_of("{id: base, enter: {event: purchase, within: 2h}}"), new)

    assert plan.is_shadow(asked)
    assert [plan.is_shadow(key) for key in plan.feature_keys if key != asked] == [False]
    assert list(plan.segments) == ["base"]
    partition = Partition(plan)
    partition.read(event("purchase", 0), 0)
    assert [line(change) for change in partition.found] == ["1970-01-01T00:00:00Z ana entered base event"]
    assert len(partition.profiles["ana"].features) == 2


def test_a_duplicate_in_the_log_is_collected_once() -> None:
    new = definition("{id: new, enter: {event: purchase, sum: {of: amount, gte: 10}}}")
    plan = collecting(plan_of("{id: base, list: true}"), new)
    collector = Collector(plan, plan.feature_keys, 100 * HOUR)
    for hours in (0, 1, 71, 72):
        collector.add(event("purchase", 0, id="a", amount=6), hours * HOUR)
    profile = new_profile("ana")
    assert list(collector.customers()) == ["ana"]
    collector.merge_into(profile, plan, 100 * HOUR)

    (series,) = profile.features.values()
    assert series.total[0] == 2  # at 0 h, and again 72 h later
    assert list(collector.customers()) == []


def test_customers_without_what_is_asked_are_not_touched() -> None:
    new = definition("{id: new, enter: {event: purchase, where: {color: red}}}")
    plan = collecting(plan_of("{id: base, list: true}"), new)
    collector = Collector(plan, plan.feature_keys, HOUR)
    for name, color in (("zoe", "red"), ("ana", "red"), ("bob", "blue")):
        collector.add(event("purchase", 0, name, color=color), 0)
        collector.add(event("refund", 0, name + "2", color=color), 0)

    assert list(collector.customers()) == ["ana", "zoe"]
