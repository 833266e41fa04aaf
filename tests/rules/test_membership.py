"""Who is a member: every row of the table of rule, exit, override and hold (contract §2)."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from rules.membership import held_until, wanted
from rules.plan import SegmentPlan
from rules.profile import IN_FORCE, Profile, new_profile
from rules.times import NEVER
from tests.rules.building import DAY, HOUR, at, plan_of

NOW = 100 * DAY
WITHOUT_EXIT = "{id: a, enter: {tag: in}}"
WITH_EXIT = "{id: a, enter: {tag: in}, exit: {tag: out}}"


def segment(text: str) -> SegmentPlan:
    return plan_of(text).segments["a"]


def standing(of: SegmentPlan, *, enter: bool, out: bool = False, member: bool = False, since: int = 0) -> Profile:
    """A customer for whom `enter` and `exit` hold or not, who is a member or has left since an instant."""
    profile = new_profile("ana")
    for tree, holds in ((of.enter, enter), (of.exit, out)):
        if tree is not None and holds:
            slot: Any = tree.slot  # type: ignore[union-attr]
            profile.levels[slot.index] = 1
    profile.members = {"a": [1 if member else 2, since]}
    return profile


def override(action: str, until: int = NEVER, was_in_force: bool = False) -> list[Any]:
    return [action, 0, "", until, was_in_force]


BOOLS = (False, True)


def by_the_contract(action: str | None, member: bool, has_exit: bool, enter: bool, out: bool, released: bool) -> bool:
    """Enters when `enter` holds and `exit` does not; leaves when `exit` holds; released: judged afresh."""
    if action in ("add", "remove"):
        return action == "add"
    if not has_exit:
        return enter
    if member and not released:
        return not out
    return enter and not out


@pytest.mark.parametrize("action", [None, "add", "remove", "clear"])
@pytest.mark.parametrize(("member", "has_exit", "enter", "out"), list(product(BOOLS, repeat=4)))
def test_without_a_hold_the_table_decides(
    action: str | None, member: bool, has_exit: bool, enter: bool, out: bool
) -> None:
    of = segment(WITH_EXIT if has_exit else WITHOUT_EXIT)
    profile = standing(of, enter=enter, out=out, member=member)
    if action is not None:
        profile.overrides = {"a": override(action)}

    becomes, due = wanted(of, profile, NOW)

    assert becomes == by_the_contract(action, member, has_exit, enter, out and has_exit, released=False)
    assert due == NEVER


@pytest.mark.parametrize("how", ["cleared", "due"])
@pytest.mark.parametrize(("member", "has_exit", "enter", "out"), list(product(BOOLS, repeat=4)))
def test_when_an_override_ends_the_customer_is_judged_afresh(
    how: str, member: bool, has_exit: bool, enter: bool, out: bool
) -> None:
    of = segment(WITH_EXIT if has_exit else WITHOUT_EXIT)
    profile = standing(of, enter=enter, out=out, member=member)
    action, until = ("clear", NEVER) if how == "cleared" else ("add", NOW)
    profile.overrides = {"a": override(action, until, was_in_force=True)}

    assert wanted(of, profile, NOW)[0] == by_the_contract(
        None, member, has_exit, enter, out and has_exit, released=True
    )
    assert profile.overrides["a"][IN_FORCE] is False


def test_an_override_is_in_force_until_its_instant_exclusive() -> None:
    of = segment(WITHOUT_EXIT)
    profile = standing(of, enter=False)
    profile.overrides = {"a": override("add", NOW)}

    assert wanted(of, profile, NOW - 1) == (True, NOW)
    assert profile.overrides["a"][IN_FORCE] is True
    assert wanted(of, profile, NOW) == (False, NEVER)


HELD = [
    # member, enter, hours since the last change, becomes, due after so many hours
    (True, False, 0, True, 3),
    (True, False, 2.999, True, 3),
    (True, False, 3, False, None),
    (True, True, 1, True, None),  # nothing to delay
    (False, True, 0, False, 5),
    (False, True, 4.999, False, 5),
    (False, True, 5, True, None),
    (False, False, 1, False, None),
]


@pytest.mark.parametrize(("member", "enter", "hours", "becomes", "due"), HELD)
def test_a_hold_delays_a_change_until_it_is_over(
    member: bool, enter: bool, hours: float, becomes: bool, due: int | None
) -> None:
    of = segment("{id: a, enter: {tag: in}, hold: {min_stay: 3h, cooldown: 5h}}")
    profile = standing(of, enter=enter, member=member, since=NOW)

    found = wanted(of, profile, NOW + int(hours * HOUR))

    assert found == (becomes, NEVER if due is None else NOW + due * HOUR)


@pytest.mark.parametrize("member", BOOLS)
def test_a_hold_delays_no_edit_no_override_and_not_the_end_of_one(member: bool) -> None:
    of = segment("{id: a, enter: {tag: in}, hold: {min_stay: 3h, cooldown: 5h}}")

    def held() -> Profile:
        return standing(of, enter=not member, member=member, since=NOW)

    assert wanted(of, held(), NOW + 1)[0] is member
    assert wanted(of, held(), NOW + 1, free=True) == (not member, NEVER)
    by_hand, ended = held(), held()
    by_hand.overrides = {"a": override("remove" if member else "add")}
    ended.overrides = {"a": override("clear", was_in_force=True)}
    assert wanted(of, by_hand, NOW + 1) == (not member, NEVER)
    assert wanted(of, ended, NOW + 1) == (not member, NEVER)


def test_a_first_entry_is_held_by_nothing() -> None:
    of = segment("{id: a, enter: {tag: in}, hold: {cooldown: 5h}}")
    profile = standing(of, enter=True)
    del profile.members["a"]

    assert wanted(of, profile, NOW) == (True, NEVER)


def test_a_hold_in_calendar_units_is_in_the_segments_time() -> None:
    of = segment("{id: a, timezone: Europe/Bucharest, enter: {tag: in}, hold: {min_stay: 1mo}}")

    assert held_until(of, True, at("2026-03-01T08:00:00Z")) == at("2026-04-01T07:00:00Z")
    assert held_until(of, False, at("2026-03-01T08:00:00Z")) == at("2026-03-01T08:00:00Z")


@pytest.mark.parametrize("member", BOOLS)
def test_a_list_has_members_by_hand_only(member: bool) -> None:
    of = segment("{id: a, list: true}")
    profile = new_profile("ana")
    assert wanted(of, profile, NOW) == (False, NEVER)

    profile.overrides = {"a": override("add" if member else "remove")}
    assert wanted(of, profile, NOW)[0] is member
