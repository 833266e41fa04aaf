"""Whom a change of level concerns: guards leave out those, and only those, who cannot change."""

from __future__ import annotations

from random import Random

import pytest

from rules import plan as plans
from rules.concerns import Concern
from rules.events import Event
from rules.membership import wanted
from rules.plan import Plan, SegmentPlan
from rules.play import Partition
from rules.profile import Profile, new_profile
from rules.transitions import render
from tests.rules.building import HOUR, by_hand, event, plan_of, tagged

SLOT, OTHER = 7, 8


def listed(concern: Concern, **levels: int) -> set[int]:
    profile = new_profile("ana")
    profile.levels = {int(name[1:]): level for name, level in levels.items()}
    found: set[int] = set()
    concern.into(found, profile)
    return found


def test_those_whose_guard_has_reached_its_level_are_listed() -> None:
    concern = Concern([(0, (SLOT, 0, 2)), (1, None), (2, (SLOT, 0, 1)), (3, (OTHER, -1, 0)), (4, (SLOT, 0, 5))])

    assert listed(concern) == {1}
    assert listed(concern, s7=1) == {1, 2}
    assert listed(concern, s7=4) == {0, 1, 2}
    assert listed(concern, s7=5, s8=0) == {0, 1, 2, 3, 4}
    assert concern.behind_guards == {0, 2, 3, 4}


def random_leaf(random: Random) -> str:
    window = random.choice(["within: 2h", "within: 5h", "within: 9h, before: 1h"])
    measure = random.choice(["count", "count", "sum", "sum", "avg"])
    operator = random.choice(["gte", "gte", "gte", "lt", "eq"])
    asked = f"{operator}: {random.choice([0, 1, 2, 3, 5])}"
    of = "" if measure == "count" else "of: amount, "
    kind = random.choice(["purchase", "page_view"])
    return f"{{event: {kind}, {window}, {measure}: {{{of}{asked}}}}}"


def random_plan(random: Random) -> Plan:
    """Mostly `all` of two or three numbers, as guards need; some with exit, hold, or others in them."""
    documents = []
    for n in range(8):
        leaves = [random_leaf(random) for _ in range(random.randint(1, 3))]
        if random.random() < 0.2:
            others = ["{tag: vip}", "{event: purchase, since_last: {gt: 1h}}", "{segment: s0}"]
            leaves.append(random.choice(others[: 3 if n else 2]))
        kind = random.choice(["all", "all", "all", "any", "none"])
        text = f"{{id: s{n}, enter: {{{kind}: [{', '.join(leaves)}]}}"
        if random.random() < 0.25:
            text += f", exit: {random_leaf(random)}"
        if random.random() < 0.25:
            text += f", hold: {{{random.choice(['min_stay', 'cooldown'])}: 2h}}"
        documents.append(text + "}")
    return plan_of(*documents)


def random_log(random: Random) -> list[tuple[Event, int]]:
    found: list[tuple[Event, int]] = []
    clock = 0
    for place in range(random.randint(3, 20)):
        clock += random.choice([0, 1, 1, 3]) * HOUR // 2
        ts = clock - random.choice([0, 0, 0, 2]) * HOUR
        if random.random() < 0.1:
            each = by_hand(ts, f"s{random.randrange(8)}", random.choice(["add", "remove", "clear"]), id=f"m{place}")
        elif random.random() < 0.1:
            each = tagged(ts, "vip")
        else:
            amount = random.choice([1, 2, 3, -2, 0.5])
            each = event(random.choice(["purchase", "page_view"]), ts, id=f"e{place}", amount=amount)
        found.append((each, clock))
    return found


def everything(plan: Plan, log: list[tuple[Event, int]]) -> list[bytes]:
    partition = Partition(plan)
    found = [change for each, clock in log for change in partition.feed(each, clock)]
    return [render(change) for change in found + partition.run_to(log[-1][1] + 24 * HOUR)]


def test_judging_by_guards_and_judging_everyone_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded, changes = 0, 0
    for seed in range(80):
        random = Random(seed)
        plan = random_plan(random)
        guarded += sum(bool(concern.guarded) for slot in plan.slots for concern in slot.concerns.values())
        with monkeypatch.context() as patch:
            patch.setattr(plans, "guard_of", lambda tree, moved: None)
            bare = random_plan(Random(seed))
        assert not any(concern.guarded for slot in bare.slots for concern in slot.concerns.values())
        log = random_log(random)
        told = everything(plan, log)
        changes += len(told)
        assert told == everything(bare, log), seed
    assert guarded > 100  # the guards were there,
    assert changes > 200  # and something happened


def judged(plan: Plan, monkeypatch: pytest.MonkeyPatch, log: list[Event]) -> list[str]:
    """The segments whose table of membership is looked up for the last event."""
    partition = Partition(plan)
    for each in log[:-1]:
        partition.feed(each)
    found: list[str] = []

    def noting(segment: SegmentPlan, profile: Profile, now: int, *, free: bool = False) -> tuple[bool, int]:
        found.append(segment.id)
        return wanted(segment, profile, now, free=free)

    with monkeypatch.context() as patch:
        patch.setattr("rules.step.wanted", noting)
        partition.feed(log[-1])
    return found


def test_an_event_judges_those_whose_threshold_it_crosses() -> None:
    """Of a hundred thresholds, one."""
    with pytest.MonkeyPatch.context() as patch:
        spent = "{{id: s{0}, enter: {{event: purchase, sum: {{of: amount, gte: {0}}}}}}}"
        plan = plan_of(*(spent.format(n) for n in range(1, 101)))
        log = [event("purchase", 0, amount=41.5), event("purchase", 1, amount=1)]

        assert judged(plan, patch, log) == ["s42"]
        assert judged(plan, patch, [*log, event("purchase", 2, amount=0.25)]) == []


def test_of_those_only_the_ones_whose_guard_lets_them() -> None:
    """A hundred ask the same of the purchases and each something else of the visits."""
    with pytest.MonkeyPatch.context() as patch:
        both = "{{event: purchase, count: {{gte: 2}}}}, {{event: page_view, within: 1d, count: {{gte: {0}}}}}"
        plan = plan_of(*(f"{{id: s{n:03}, enter: {{all: [{both.format(n)}]}}}}" for n in range(1, 101)))
        log = [*(event("page_view", n) for n in range(3)), event("purchase", 5), event("purchase", 6)]

        assert judged(plan, patch, log) == ["s001", "s002", "s003"]


def test_a_member_is_looked_at_whatever_the_guards_say() -> None:
    """Held in the segment, though neither number is reached any more: a visit does not get past the guard of a buyer,
    who would be left out were she not a member."""
    with pytest.MonkeyPatch.context() as patch:
        both = "{event: purchase, within: 1d}, {event: page_view, within: 1h}"
        plan = plan_of(f"{{id: a, enter: {{all: [{both}]}}, hold: {{min_stay: 5d}}}}")
        log = [event("purchase", 0), event("page_view", 0), event("refund", 29 * HOUR), event("page_view", 30 * HOUR)]

        assert judged(plan, patch, log) == ["a"]
        assert judged(plan_of(f"{{id: a, enter: {{all: [{both}]}}}}"), patch, log) == []
