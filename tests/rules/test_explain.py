"""Why somebody is, or is not, in a segment, and what comes next: as a reader gets it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rules.events import Event
from rules.explain import aggregates, explain, instant
from rules.play import Partition
from rules.profile import new_profile
from rules.times import NEVER
from tests.rules.building import DAY, HOUR, at, attributed, by_hand, definition, edition, event, plan_of, played, state

SPENDERS = "{id: a, enter: {all: [{event: purchase, within: 30d, sum: {of: amount, gte: 100}}, {not: {tag: staff}}]}}"


def told(document: str, log: list[Event], now: str | int, *others: str) -> dict[str, Any]:
    partition, _ = played(plan_of(document, *others), log, now)
    found = explain(partition.profiles["ana"], partition.plan, "a", at(now))
    assert orjson.loads(orjson.dumps(found)) == found  # nothing but JSON
    return found


def test_a_member_is_explained_with_the_evaluated_tree() -> None:
    log = [event("purchase", "2026-01-01", amount=150.5)]

    assert told(SPENDERS, log, "2026-01-02") == {
        "segment": "a",
        "segment_version": 1,
        "member": True,
        "sequence": 1,
        "since": "2026-01-01T00:00:00Z",
        "leaves_at": "2026-01-31T00:00:00Z",
        "enter": {
            "at": "enter",
            "kind": "all",
            "holds": True,
            "until": "2026-01-31T00:00:00Z",
            "of": [
                {
                    "at": "enter.all[0]",
                    "kind": "event",
                    "holds": True,
                    "value": 150.5,
                    "asked": {"gte": 100},
                    "until": "2026-01-31T00:00:00Z",
                },
                {
                    "at": "enter.all[1]",
                    "kind": "not",
                    "holds": True,
                    "until": None,
                    "of": [
                        {
                            "at": "enter.all[1].not",
                            "kind": "tag",
                            "holds": False,
                            "value": [],
                            "asked": {"all": ["staff"]},
                            "until": None,
                        }
                    ],
                },
            ],
        },
    }


def test_one_who_never_was_a_member_has_no_sequence() -> None:
    found = told(SPENDERS, [event("purchase", "2026-01-01", amount=5)], "2026-01-02")

    assert found["member"] is False
    assert found["enters_at"] is None
    assert {"sequence", "since", "left", "leaves_at"}.isdisjoint(found)


def test_one_who_left_has_the_instant_at_which() -> None:
    found = told(SPENDERS, [event("purchase", "2026-01-01", amount=150)], "2026-03-01")

    assert (found["member"], found["sequence"], found["left"]) == (False, 2, "2026-01-31T00:00:00Z")
    assert found["enters_at"] is None


def test_an_exit_of_its_own_is_a_tree_of_its_own() -> None:
    document = "{id: a, enter: {event: purchase}, exit: {event: refund, within: 2d}}"
    found = told(document, [event("refund", 0), event("purchase", HOUR)], 2 * HOUR)

    assert (found["enter"]["holds"], found["exit"]["holds"]) == (True, True)
    assert found["exit"]["until"] == "1970-01-03T00:00:00Z"
    assert found["enters_at"] == "1970-01-03T00:00:00Z"


def test_a_hold_says_until_when_it_holds() -> None:
    document = "{id: a, enter: {event: purchase, within: 1d}, hold: {min_stay: 3d}}"
    found = told(document, [event("purchase", 0)], 2 * DAY)

    assert (found["member"], found["enter"]["holds"]) == (True, False)
    assert found["held_until"] == found["leaves_at"] == "1970-01-04T00:00:00Z"


@pytest.mark.parametrize(
    ("until", "now", "override"),
    [
        (None, DAY, {"action": "add", "until": None}),
        ("1970-01-05T00:00:00Z", DAY, {"action": "add", "until": "1970-01-05T00:00:00Z"}),
        ("1970-01-05T00:00:00Z", 4 * DAY, None),
    ],
)
def test_an_override_is_told_while_it_is_in_force(until: str | None, now: int, override: Any) -> None:
    found = told("{id: a, enter: {tag: x}}", [by_hand(0, "a", "add", until)], now)

    assert found.get("override") == override
    assert found["member"] == (override is not None)


def test_a_cleared_override_is_not_told() -> None:
    assert "override" not in told("{id: a, list: true}", [by_hand(0, "a", "add"), by_hand(1, "a", "clear")], DAY)


def test_a_list_has_no_tree() -> None:
    assert told("{id: a, list: true}", [by_hand(0, "a", "add")], DAY)["enter"] is None


LEAVES: list[tuple[str, dict[str, Any]]] = [
    ("{event: purchase, within: 30d, count: {gte: 2}}", {"kind": "event", "value": 1, "holds": False}),
    ("{attribute: city, in: [Iasi]}", {"kind": "attribute", "value": "Iasi", "holds": True}),
    ("{segment: b}", {"kind": "segment", "value": True, "holds": True}),
    ("{sample: {percent: 12.5}}", {"kind": "sample", "asked": {"percent": 12.5}}),
    (
        "{difference: [{event: purchase, count: {}}, {event: refund, count: {}}], gt: 0}",
        {"kind": "pair", "value": 1, "holds": True},
    ),
    ("{event: purchase, since_last: {gt: 1d}}", {"value": "12h", "holds": False, "until": "1970-01-02T00:00:00.001Z"}),
    ("{event: purchase, last: {of: color, in: [red, blue]}}", {"value": "red", "asked": {"in": ["red", "blue"]}}),
    ("{event: refund, avg: {of: amount, gt: 0}}", {"value": None, "holds": False}),
    ("{attribute: born, age: {gte: 18}}", {"value": "2000-01-01", "asked": {"age": {"gte": 18}}, "holds": False}),
]


@pytest.mark.parametrize(("enter", "expected"), LEAVES)
def test_each_kind_of_leaf_says_what_it_asks_and_finds(enter: str, expected: dict[str, Any]) -> None:
    log = [attributed(0, city="Iasi", born="2000-01-01"), event("purchase", 0, amount=5, color="red")]
    leaf = told(f"{{id: a, enter: {enter}}}", log, 12 * HOUR, "{id: b, enter: {event: purchase}}")["enter"]

    assert leaf | expected == leaf
    assert leaf["at"] == "enter"


def test_at_least_says_how_many() -> None:
    found = told("{id: a, enter: {at_least: {n: 2, of: [{tag: x}, {tag: y}]}}}", [event("purchase", 0)], 0)

    assert (found["enter"]["kind"], found["enter"]["n"], len(found["enter"]["of"])) == ("at_least", 2, 2)


def test_beyond_a_cap_a_leaf_and_its_aggregate_say_so() -> None:
    document = "{id: a, enter: {event: purchase, within: 365d, count: {gte: 2}}}"
    partition, _ = played(plan_of(document), [event("purchase", n) for n in range(4100)])
    profile = partition.profiles["ana"]

    assert explain(profile, partition.plan, "a", DAY)["enter"]["approximate"] is True
    assert aggregates(profile, partition.plan, DAY)[0]["approximate"] is True


def test_an_unknown_segment_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        explain(new_profile("ana"), plan_of(SPENDERS), "nobody", 0)


def test_somebody_unknown_is_explained_too() -> None:
    found = explain(new_profile("ana"), plan_of(SPENDERS), "a", 0)

    assert (found["member"], found["enter"]["holds"]) == (False, False)


def test_explaining_changes_nothing() -> None:
    log = [event("purchase", 0, amount=500), by_hand(0, "a", "remove", "1970-01-05T00:00:00Z")]
    partition, _ = played(plan_of(SPENDERS), log)
    before = state(partition.profiles["ana"])
    explain(partition.profiles["ana"], partition.plan, "a", DAY)
    aggregates(partition.profiles["ana"], partition.plan, DAY)

    assert state(partition.profiles["ana"]) == before


def test_a_profile_of_an_older_edition_is_explained_by_the_newest() -> None:
    """Its levels are another plan's; its series are what counts."""
    partition, _ = played(plan_of(SPENDERS), [event("purchase", 0, amount=50)])
    newest = edition(
        partition.plan,
        HOUR,
        definition("{id: a0, enter: {tag: x}}"),
        definition(SPENDERS.replace("100", "40"), 2),
    )

    found = explain(partition.profiles["ana"], newest, "a", DAY)
    assert (found["segment_version"], found["enter"]["holds"], found["member"]) == (2, True, False)


def test_aggregates_are_told_once_with_the_segments_that_ask() -> None:
    plan = plan_of(
        "{id: a, enter: {event: purchase, within: 30d, sum: {of: amount, gte: 10}}}",
        "{id: b, enter: {all: [{event: purchase, within: 30d, sum: {of: amount, gte: 99}}, {tag: x}]}}",
        "{id: c, enter: {event: refund}}",
        "{id: d, enter: {ratio: [{event: purchase, count: {}}, {event: refund, count: {}}], gt: 1}}",
    )
    partition, _ = played(plan, [event("purchase", 0, amount=10.25)])

    assert aggregates(partition.profiles["ana"], plan, DAY) == [
        {
            "segments": ["a", "b"],
            "at": "enter",
            "event": ["purchase"],
            "measure": "sum",
            "of": "amount",
            "value": 10.25,
        }
    ]
    assert aggregates(partition.profiles["ana"], plan, 31 * DAY)[0]["value"] == 0
    assert aggregates(new_profile("ana"), plan, 0) == []


def test_never_is_null() -> None:
    assert instant(NEVER) is None
    assert instant(0) == "1970-01-01T00:00:00Z"


def test_what_is_explained_of_a_member_is_what_was_announced() -> None:
    partition = Partition(plan_of(SPENDERS))
    (entered,) = partition.feed(event("purchase", 0, amount=150))
    found = explain(partition.profiles["ana"], partition.plan, "a", 0)

    assert found["leaves_at"] == instant(entered.forecast or 0)
    assert [reason["value"] for reason in entered.why] == [150, []]
