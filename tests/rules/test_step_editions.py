"""Editions: what a changed set of definitions does to customers, whether they are settled at once or much later."""

from __future__ import annotations

from random import Random

import pytest

from rules.events import Event
from rules.plan import Definition, Plan, compile_plan
from rules.play import Partition
from rules.profile import Profile, new_profile
from rules.step import step
from rules.transitions import Transition, render
from tests.rules.building import (
    DAY,
    HOUR,
    by_hand,
    definition,
    deleted,
    edition,
    event,
    line,
    lines,
    plan_of,
    state,
    tagged,
)

OFTEN = "{id: a, enter: {event: purchase, within: 10d, count: {gte: 2}}}"
ONCE = "{id: a, enter: {event: purchase, within: 10d}}"
NEWCOMER = "{id: b, enter: {event: purchase, within: 3d}}"
KEEPER = "{id: k, enter: {event: purchase, within: 90d, count: {gte: 99}}}"  # keeps purchases, whoever else asks


class Customer:
    """One customer's profile, stepped through records and definitions. Eager: settled at each definition."""

    def __init__(self, plan: Plan, eager: bool = True) -> None:
        self.plan, self.eager = plan, eager
        self.profile: Profile = new_profile("ana")
        self.found: list[Transition] = []

    def read(self, each: Event, now: int | None = None) -> list[str]:
        return self._step((each,), each.ts if now is None else now)

    def run_to(self, now: int) -> list[str]:
        """The clock alone; what is due at `now` is done."""
        return self._step((), now + 1)

    def define(self, at_ms: int, *changed: Definition) -> list[str]:
        self.plan = edition(self.plan, at_ms, *changed)
        return self._step((), at_ms) if self.eager else []

    def _step(self, events: tuple[Event, ...], now: int) -> list[str]:
        if self.profile.edition < 0 and not events:
            return []  # nobody has heard of them yet: there is no profile to settle
        _, found, wake = step(self.profile, events, self.plan, now)
        assert wake > now - (not events)
        self.found += found
        return lines(found)


def test_a_new_segment_judges_those_who_are_there() -> None:
    customer = Customer(plan_of(ONCE))
    customer.read(event("purchase", 0))

    assert customer.define(DAY, definition("{id: b, enter: {event: purchase, within: 10d, count: {lt: 2}}}")) == [
        "1970-01-02T00:00:00Z ana entered b definition"
    ]
    assert customer.run_to(20 * DAY) == ["1970-01-11T00:00:00Z ana exited a clock"]


def test_an_edit_keeps_members_their_since_and_sequence() -> None:
    customer = Customer(plan_of(OFTEN))
    customer.read(event("purchase", 0))
    customer.read(event("purchase", HOUR))
    assert customer.profile.members == {"a": [1, HOUR]}

    assert customer.define(DAY, definition(ONCE, 2)) == []
    assert customer.profile.members == {"a": [1, HOUR]}
    assert customer.run_to(30 * DAY) == ["1970-01-11T01:00:00Z ana exited a clock"]  # by the new rule
    assert (customer.found[-1].sequence, customer.found[-1].version) == (2, 2)


def test_an_edit_that_lets_in_or_out_does_so_at_once_at_its_own_time() -> None:
    customer = Customer(plan_of(OFTEN))
    customer.read(event("purchase", 0))

    assert customer.define(DAY, definition(ONCE, 2)) == ["1970-01-02T00:00:00Z ana entered a definition"]
    assert customer.define(2 * DAY, definition(OFTEN, 3)) == ["1970-01-03T00:00:00Z ana exited a definition"]
    assert [(change.sequence, change.version) for change in customer.found] == [(1, 2), (2, 3)]
    assert customer.found[0].forecast == 10 * DAY


def test_a_hold_does_not_delay_an_edit() -> None:
    held = ONCE[:-1] + ", hold: {min_stay: 9d, cooldown: 9d}}"
    customer = Customer(plan_of(held, KEEPER))
    customer.read(event("purchase", 0))

    assert customer.define(DAY, definition("{id: a, enter: {tag: x}, hold: {cooldown: 9d}}", 2)) == [
        "1970-01-02T00:00:00Z ana exited a definition"
    ]
    assert customer.define(2 * DAY, definition(held, 3)) == ["1970-01-03T00:00:00Z ana entered a definition"]


def test_but_it_delays_what_others_edits_bring_about() -> None:
    """Only the edited segment is free; one that names it is held as ever."""
    customer = Customer(plan_of(ONCE, "{id: z, enter: {segment: a}, hold: {min_stay: 5d}}"))
    customer.read(event("purchase", 0))

    assert customer.define(DAY, definition("{id: a, enter: {tag: x}}", 2)) == [
        "1970-01-02T00:00:00Z ana exited a definition"
    ]
    assert customer.run_to(9 * DAY) == ["1970-01-06T00:00:00Z ana exited z clock"]


def test_a_paused_segment_freezes_its_members_while_events_are_folded_on() -> None:
    customer = Customer(plan_of(OFTEN))
    paused = definition(OFTEN, 2, "paused")
    assert customer.read(event("purchase", 0)) == []

    assert customer.define(DAY, paused) == []
    assert customer.read(event("purchase", 2 * DAY)) == []  # would have entered
    assert customer.define(3 * DAY, definition(OFTEN, 3)) == ["1970-01-04T00:00:00Z ana entered a definition"]
    assert customer.define(4 * DAY, definition(OFTEN, 4, "paused")) == []
    assert customer.run_to(30 * DAY) == []  # would have left
    assert customer.profile.is_member("a")
    assert customer.define(31 * DAY, definition(OFTEN, 5)) == ["1970-02-01T00:00:00Z ana exited a definition"]
    assert [change.sequence for change in customer.found] == [1, 2]


def test_a_paused_segments_members_are_members_to_others() -> None:
    customer = Customer(plan_of(ONCE, "{id: z, enter: {segment: a, for: 15d}}"))
    customer.read(event("purchase", 0))
    customer.define(DAY, definition(ONCE, 2, "paused"))

    assert customer.run_to(30 * DAY) == ["1970-01-16T00:00:00Z ana entered z clock"]


def test_a_deleted_segment_lets_its_members_leave() -> None:
    customer = Customer(plan_of(ONCE, NEWCOMER))
    customer.read(event("purchase", 0))

    assert customer.define(DAY, deleted("a")) == ["1970-01-02T00:00:00Z ana exited a definition"]
    (left,) = [change for change in customer.found if change.time == DAY]
    assert (left.sequence, left.version, left.why[0]["value"]) == (2, 2, "deleted")
    assert customer.define(2 * DAY, deleted("a", 3)) == []


def test_created_again_a_segment_goes_on_counting() -> None:
    customer = Customer(plan_of(ONCE))
    customer.read(event("purchase", 0))
    customer.define(DAY, deleted("a"))

    customer.define(2 * DAY, definition(ONCE, 3))
    customer.read(event("purchase", 3 * DAY))
    assert [change.sequence for change in customer.found] == [1, 2, 3]
    assert [change.id for change in customer.found][-1] == "a:ana:3"


def test_a_deleted_segments_overrides_do_not_come_back_with_it() -> None:
    customer = Customer(plan_of(OFTEN))
    customer.read(by_hand(0, "a", "add"))
    customer.define(DAY, deleted("a"))

    assert customer.define(2 * DAY, definition(OFTEN, 3)) == []
    assert not customer.profile.is_member("a")


def test_a_change_by_hand_of_later_than_the_deletion_is_there_when_the_segment_comes_back() -> None:
    customer = Customer(plan_of(OFTEN))
    assert customer.read(by_hand(DAY + 60_000, "a", "add"), now=DAY) == []  # it waits for its time
    customer.define(DAY + 30_000, deleted("a"))

    assert customer.define(2 * DAY, definition(OFTEN, 3)) == ["1970-01-03T00:00:00Z ana entered a definition"]


def test_an_override_stands_through_an_edit() -> None:
    customer = Customer(plan_of(OFTEN))
    customer.read(by_hand(0, "a", "add", until="1970-01-05T00:00:00Z"))

    assert customer.define(DAY, definition("{id: a, enter: {tag: x}}", 2)) == []
    assert customer.run_to(9 * DAY) == ["1970-01-05T00:00:00Z ana exited a clock"]


@pytest.mark.parametrize("eager", [True, False])
def test_what_was_due_before_the_definition_happens_before_it_with_its_own_time(eager: bool) -> None:
    customer = Customer(plan_of(NEWCOMER), eager)
    customer.read(event("purchase", 0))
    customer.define(5 * DAY, definition("{id: b, enter: {event: purchase, within: 30d}}", 2))
    customer.run_to(40 * DAY)

    assert lines(customer.found) == [
        "1970-01-01T00:00:00Z ana entered b event",
        "1970-01-04T00:00:00Z ana exited b clock",
        "1970-01-06T00:00:00Z ana entered b definition",
        "1970-01-31T00:00:00Z ana exited b clock",
    ]


@pytest.mark.parametrize("eager", [True, False])
def test_what_is_due_at_the_definitions_instant_is_done_with_it(eager: bool) -> None:
    """In segments of its own by the clock; in the edited one the new rule is what is judged by."""
    customer = Customer(plan_of(NEWCOMER, "{id: c, enter: {event: purchase, within: 3d}}"), eager)
    customer.read(event("purchase", 0))
    customer.define(3 * DAY, definition("{id: b, enter: {event: purchase, within: 4d}}", 2))
    customer.run_to(9 * DAY)

    assert lines(customer.found)[2:] == [
        "1970-01-04T00:00:00Z ana exited c clock",
        "1970-01-05T00:00:00Z ana exited b clock",
    ]


def test_an_event_at_the_definitions_instant_is_judged_after_it() -> None:
    customer = Customer(plan_of(OFTEN), eager=False)
    customer.read(event("purchase", 0))
    customer.define(DAY, definition(ONCE, 2))

    assert customer.read(event("purchase", DAY)) == ["1970-01-02T00:00:00Z ana entered a definition"]


def test_a_feature_nobody_asks_for_any_more_is_forgotten() -> None:
    customer = Customer(plan_of(ONCE, "{id: b, enter: {event: page_view, within: 10d}}"))
    customer.read(event("purchase", 0))
    customer.read(event("page_view", 0))
    assert len(customer.profile.features) == 2

    customer.define(DAY, deleted("b"))
    assert len(customer.profile.features) == 1


def test_the_same_definitions_compiled_anew_change_nothing() -> None:
    """As after a restart, when slots may be numbered otherwise."""
    first = compile_plan([definition(ONCE), definition(NEWCOMER)], 7)
    again = compile_plan([definition(NEWCOMER), definition(ONCE)], 7)
    customer = Customer(first)
    customer.read(event("purchase", 0))
    customer.plan = again

    assert customer.run_to(30 * DAY) == [
        "1970-01-04T00:00:00Z ana exited b clock",
        "1970-01-11T00:00:00Z ana exited a clock",
    ]


def test_a_customer_who_is_new_after_an_edit_is_not_judged_by_it() -> None:
    customer = Customer(plan_of(ONCE))
    customer.define(DAY, definition("{id: b, enter: {not: {event: page_view}}}"))

    assert customer.read(event("purchase", 2 * DAY)) == [
        "1970-01-03T00:00:00Z ana entered a event",
        "1970-01-03T00:00:00Z ana entered b event",
    ]


def test_an_event_that_waits_for_its_time_is_folded_by_the_edition_of_then() -> None:
    customer = Customer(plan_of(ONCE))
    customer.read(event("refund", 0))
    customer.read(event("page_view", 60_000), 0)
    customer.define(30_000, definition("{id: b, enter: {event: page_view, within: 1d}}"))

    assert customer.run_to(2 * DAY) == [
        "1970-01-01T00:01:00Z ana entered b clock",
        "1970-01-02T00:01:00Z ana exited b clock",
    ]


CONDITIONS = [
    "{event: purchase, within: 2h}",
    "{event: purchase, within: 5h, count: {gte: 2}}",
    "{event: purchase, sum: {of: amount, gte: 3}}",
    "{not: {event: page_view, within: 3h}}",
    "{tag: x}",
    "{all: [{event: purchase, within: 9h, sum: {of: amount, gte: 2}}, {event: page_view, within: 4h}]}",
    "{event: purchase, since_last: {gt: 2h}}",
    "{event: purchase, within: 9h, not_followed_by: {event: page_view, within: 1h}}",
]
NAMES = ("a", "b", "c")


def random_definition(random: Random, known: dict[str, Definition]) -> Definition:
    name = random.choice(NAMES)
    version = known[name].version + 1 if name in known else 1
    kind = random.random()
    if name in known and known[name].state != "deleted" and kind < 0.3:
        return Definition(name, version, random.choice(["paused", "active"]), known[name].document)
    if kind < 0.4 and name in known and name != "a":
        return deleted(name, version)
    text = f"{{id: {name}, enter: {random.choice(CONDITIONS)}"
    if name == "c" and random.random() < 0.5:
        text = "{id: c, enter: {all: [{segment: a, for: 1h}, {not: {tag: y}}]}"
    if random.random() < 0.3:
        text += f", exit: {random.choice(CONDITIONS)}"
    if random.random() < 0.3:
        text += f", hold: {{{random.choice(['min_stay', 'cooldown'])}: 3h}}"
    return definition(text + "}", version)


def random_story(seed: int) -> list[Event | Definition | int]:
    """Records, definitions and looks at the clock, half an hour or more apart, or at one instant."""
    random = Random(seed)
    known = {"a": definition(f"{{id: a, enter: {CONDITIONS[0]}}}")}
    found: list[Event | Definition | int] = []
    now = 0
    for place in range(random.randint(4, 16)):
        now += random.choice([0, 1, 2, 2, 4, 9]) * HOUR // 2
        kind = random.random()
        if kind < 0.35:
            each = random_definition(random, known)
            known[each.segment] = each
            found += [now, each]
        elif kind < 0.45:
            found += [
                now,
                by_hand(now, random.choice(NAMES), random.choice(["add", "remove", "clear"]), id=f"m{place}"),
            ]
        elif kind < 0.55:
            found += [now, tagged(now, random.choice("xy"), removed=random.choice(["", "x"]))]
        else:
            ts = now - random.choice([0, 0, 0, 3]) * HOUR
            kinds = random.choice(["purchase", "purchase", "page_view"])
            found += [now, event(kinds, ts, id=f"e{place}", amount=random.choice([1, 2, -1]))]
    return found


def lived(story: list[Event | Definition | int], eager: bool) -> Customer:
    customer = Customer(plan_of(f"{{id: a, enter: {CONDITIONS[0]}}}"), eager)
    now = 0
    for each in story:
        if isinstance(each, int):
            now = each
        elif isinstance(each, Definition):
            customer.define(now, each)
        else:
            customer.read(each, now)
    customer.run_to(now + 30 * HOUR)
    return customer


def test_customers_settled_late_make_the_same_transitions_as_those_settled_at_once() -> None:
    """Byte for byte, whatever was edited, paused, deleted and made again in between."""
    changes, causes = 0, set()
    for seed in range(130):
        story = random_story(seed)
        eager, late = lived(story, True), lived(story, False)
        assert [render(change) for change in late.found] == [render(change) for change in eager.found], (
            seed,
            [line(change) for change in eager.found],
            [line(change) for change in late.found],
        )
        assert state(late.profile) == state(eager.profile), seed
        changes += len(eager.found)
        causes |= {change.cause for change in eager.found}
    assert changes > 250
    assert causes == {"event", "clock", "definition", "manual"}


def test_sequences_have_no_gap_and_times_do_not_run_back_whatever_is_edited() -> None:
    for seed in range(130):
        customer = lived(random_story(seed), False)
        assert [change.time for change in customer.found] == sorted(change.time for change in customer.found)
        for name in NAMES:
            mine = [change.sequence for change in customer.found if change.segment == name]
            assert mine == list(range(1, len(mine) + 1))


def test_editions_between_are_settled_each_at_its_own_time() -> None:
    plan = plan_of(ONCE, KEEPER)
    partition = Partition(plan)
    partition.feed(event("purchase", 0))
    for day in range(1, 4):
        plan = edition(plan, day * DAY, definition("{id: a, enter: {tag: x}}" if day % 2 else ONCE, day + 1))

    assert plan.chain(0)[0].edition == 1
    assert [each.edition for each in plan.chain(1)] == [2, 3]
    _, found, _ = step(partition.profiles["ana"], (), plan, 4 * DAY)
    assert lines(found) == [
        "1970-01-02T00:00:00Z ana exited a definition",
        "1970-01-03T00:00:00Z ana entered a definition",
        "1970-01-04T00:00:00Z ana exited a definition",
    ]
