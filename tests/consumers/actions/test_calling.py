"""What speaks against a call when it is made: quiet hours, membership, `unless`, limits."""

from __future__ import annotations

import pytest

from consumers.delivery.port import Done, Dropped, Failed, Gone, Item, Later, Outcome, Refused
from consumers.state.store import Store
from rules.limits import DAY_MS
from tests.consumers.actions.worlds import NOW, World, at, entered, exited, happened, run

LEFT = Dropped("has left meanwhile")
NEWER = Dropped("a newer change of the membership is on its way")


@pytest.mark.parametrize(
    ("action", "item", "sequence", "outcome"),
    [
        ("{on: entered, wait: 2d}", entered(), 1, Done()),
        ("{on: entered, wait: 2d}", entered(), 2, LEFT),
        ("{on: entered, wait: 2d}", entered(), 3, LEFT),
        ("on: entered", entered(), 2, Done()),
        ("{on: exited, wait: 2d}", exited(), 2, Done()),
        ("{on: exited, wait: 2d}", exited(), 3, Dropped("has come back meanwhile")),
        ("{on: {event: refund}, wait: 2d}", happened(), 2, LEFT),
        ("on: {event: refund}", happened(), 2, Done()),
        ("on: member", entered(), 1, Done()),
        ("on: member", entered(), 2, NEWER),
        ("on: member", exited(), 3, NEWER),
        ("on: member", exited(), 2, Done()),
        ("on: {every: 1d}", run(), 1, Done()),
        ("on: {every: 1d}", run(), 2, Dropped("not a member any more")),
    ],
)
async def test_the_membership_of_now_decides(
    store: Store, action: str, item: Item, sequence: int, outcome: Outcome
) -> None:
    world = World(store, action)
    world.known.member("ana", sequence)
    assert await world.call(item) == [outcome]
    assert world.connector.customers == (["ana"] if outcome == Done() else [])


async def test_templates_may_speak_of_the_customer_the_segment_and_the_event(store: Store) -> None:
    world = World(store, "{on: {event: refund}, with: {template: t}}")
    profile = world.known.member("ana", 1)
    profile.attributes = {"name": ["Ana", 1, ""], "gone": [None, 2, ""]}
    profile.tags = {"vip": [True, 1, ""], "old": [False, 1, ""]}
    await world.call(happened())
    [(call, with_, [subject], keys)] = world.connector.said
    assert (call, with_, keys) == ("send", {"template": "t"}, ["a:vip:ana:event:refund:r1"])
    assert subject.customer == {"id": "ana", "name": "Ana", "tags": ["vip"], "attributes": {"name": "Ana"}}
    assert subject.segment == {"id": "vip", "name": "VIPs", "about": "", "timezone": "Europe/Bucharest"}
    assert subject.event == {"id": "r1", "type": "refund", "properties": {"amount": 5}}
    assert subject.direction is None


async def test_member_says_in_which_direction(store: Store) -> None:
    world = World(store, "on: member")
    world.known.member("ana", 1)
    world.known.member("zoe", 2)
    world.known.member("eva", 1)
    await world.call(entered("ana"), exited("zoe"), run("eva"))
    assert [subject.direction for subject in world.connector.said[0][2]] == ["add", "remove", "add"]


async def test_quiet_hours_put_a_call_off_until_they_end(store: Store) -> None:
    world = World(store, '{on: entered, quiet_hours: ["22:00", "08:00"]}')
    world.clock.ms = at("2026-03-28T23:30:00+02:00")
    assert await world.call(entered()) == [Later(at("2026-03-29T08:00:00+03:00"), "quiet hours")]
    world.clock.ms = at("2026-03-29T08:00:00+03:00")
    assert await world.call(entered()) == [Done()]


OVER = Dropped("the limit: 2 per 7d")


async def test_a_limit_counts_the_calls_about_one_customer_within_its_window(store: Store) -> None:
    world = World(store, "{on: entered, limit: {per_customer: 2, per: 7d}}")
    items = [entered("ana", n) for n in (1, 3, 5, 7)]
    assert await world.call(items[0]) == [Done()]
    assert await world.call(items[0]) == [Done()]  # the same again (its answer was lost) counts once
    world.clock.ms += DAY_MS
    assert await world.call(items[1], entered("zoe")) == [Done(), Done()]
    assert await world.call(items[2]) == [OVER]
    world.clock.ms = NOW + 7 * DAY_MS - 1
    assert await world.call(items[3]) == [OVER]
    world.clock.ms = NOW + 7 * DAY_MS
    assert await world.call(items[3]) == [Done()]


async def test_what_was_refused_counts_toward_no_limit_and_what_failed_may_have_been_done(store: Store) -> None:
    world = World(store, "{on: entered, limit: {per_customer: 1, per: 7d}}")
    world.connector.answers = {"ana": Refused("no address"), "zoe": Failed("timed out")}
    assert await world.call(entered("ana"), entered("zoe")) == [Refused("no address"), Failed("timed out")]
    world.connector.answers = {}
    assert await world.call(entered("ana", 3)) == [Done()]
    assert await world.call(entered("zoe", 3)) == [Dropped("the limit: 1 per 7d")]
    assert await world.call(entered("zoe", 1)) == [Done()]


async def test_counted_calls_leave_the_store_when_they_count_no_more(store: Store) -> None:
    world = World(store, "{on: entered, limit: {per_customer: 1, per: 7d}}")
    await world.call(entered())
    [key] = [key for _, keys in await store.on_every("KEYS", "*:ac:*") for key in keys]
    assert 0 < await store.call("PTTL", key) <= 7 * DAY_MS


async def test_what_is_gone_is_gone_for_this_customer(store: Store) -> None:
    world = World(store, "on: entered")
    world.connector.answers = {"ana": Gone("HTTP 410")}
    assert await world.call(entered("ana"), entered("zoe")) == [Refused("HTTP 410", 410), Done()]


async def test_each_of_a_batch_is_judged_by_itself(store: Store) -> None:
    world = World(store, "on: member")
    world.known.member("ana", 2)
    world.known.member("zoe", 1)
    world.connector.answers = {"eva": Failed("full")}
    assert await world.call(entered("ana"), entered("zoe"), entered("eva")) == [NEWER, Done(), Failed("full")]
    assert world.connector.customers == ["zoe", "eva"]
