"""A profile is one compact value with a format; what is empty is not there."""

from __future__ import annotations

import msgspec
import pytest

from rules.profile import FORMAT, NEW, decode, encode, new_profile
from rules.times import NEVER
from tests.rules.building import DAY, HOUR, attributed, by_hand, event, plan_of, played, state, tagged

PLAN = plan_of(
    "{id: often, enter: {event: purchase, within: 30d, count: {gte: 2}}, hold: {min_stay: 1h}}",
    "{id: rich, enter: {event: purchase, sum: {of: amount, gte: 100}}, exit: {tag: poor}}",
    "{id: many, enter: {event: purchase, within: 30d, distinct: {of: items.id, gte: 2}}}",
    "{id: red, enter: {event: purchase, within: 30d, last: {of: color, eq: red}}}",
    "{id: left, enter: {event: cart, not_followed_by: {event: purchase, within: 1h, match: color}}}",
    "{id: here, enter: {attribute: home.city, eq: Iasi}}",
)
LOG = [
    event("purchase", 0, id="p1", amount=60.5, color="red", items=[{"id": "a"}, {"id": 5}]),
    event("cart", HOUR, id="c1", color="red"),
    attributed(HOUR, home={"city": "Iasi", "since": [2001, None, 1.5, True]}, name="Ana Țepeș"),
    tagged(HOUR, "x", removed=["poor"]),
    by_hand(2 * HOUR, "rich", "add", until="1970-02-01T00:00:00Z"),
    event("purchase", 3 * HOUR, id="p2", amount=-1, color="blue"),
]


def test_a_full_profile_reads_back_as_it_was_written() -> None:
    partition, _ = played(PLAN, LOG)
    partition.feed(event("purchase", 4 * HOUR, id="p3", amount=5), 4 * HOUR - 1000)  # waits for its time
    profile = partition.profiles["ana"]
    for name in ("features", "levels", "wakes", "members", "attributes", "tags", "overrides", "recent", "waiting"):
        assert getattr(profile, name), name

    again = decode(encode(profile))

    assert state(again) == state(profile)
    assert encode(again) == encode(profile)
    assert again.waiting == profile.waiting


def test_a_new_profile_reads_back_too() -> None:
    assert state(decode(encode(new_profile("ana")))) == state(new_profile("ana"))


def test_a_profile_of_another_format_is_refused() -> None:
    values = msgspec.msgpack.decode(encode(new_profile("ana")), strict=False)
    values["v"] = FORMAT + 1
    written_otherwise = {**values, "t": "noon"}
    an_array_as_once = [1, "ana", 5, 0, 0]

    for written, which in ((values, FORMAT + 1), (written_otherwise, FORMAT + 1), (an_array_as_once, 1)):
        with pytest.raises(ValueError, match=f"profile format {which}, this version reads {FORMAT}"):
            decode(msgspec.msgpack.encode(written))


@pytest.mark.parametrize("data", [b"", b"x", b"\x81\x01\x02\x03", b"\x90", encode(new_profile("ana"))[:-1]])
def test_what_is_no_profile_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(data)


def test_nobody_has_heard_of_a_new_customer() -> None:
    profile = new_profile("ana")

    assert profile.edition == NEW
    assert profile.wake == NEVER
    assert not profile.is_member("rich")
    assert len(encode(profile)) < 60


def test_odd_sequences_are_members() -> None:
    profile = new_profile("ana")
    profile.members = {"in": [3, 0], "out": [4, 0]}

    assert profile.is_member("in")
    assert not profile.is_member("out")


def test_only_what_is_asked_for_is_kept() -> None:
    partition, _ = played(PLAN, [event("refund", 0), event("page_view", 0, color="red", amount=5)])
    profile = partition.profiles["ana"]

    assert (profile.features, profile.levels, profile.wakes, profile.members) == ({}, {}, {}, {})


def test_an_event_of_one_count_costs_few_bytes() -> None:
    plan = plan_of("{id: often, enter: {event: purchase, within: 30d, count: {gte: 2}}}")
    few, _ = played(plan, [event("purchase", 20_000 * DAY)])
    more, _ = played(plan, [event("purchase", 20_000 * DAY + n) for n in range(11)])

    assert len(encode(more.profiles["ana"])) - len(encode(few.profiles["ana"])) < 10 * 10 + 40
