"""A transition as it is written to the feed, to the byte (contract §3)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rules.times import NEVER
from rules.transitions import Transition, render
from tests.rules.building import at, attributed, event, plan_of, played

WHY: tuple[dict[str, Any], ...] = ({"at": "enter", "holds": True, "value": 1204.5, "asked": {"gte": 1000}},)
ENTERED = Transition(
    "big-spenders",
    3,
    "13748",
    5,
    at("2026-11-20T09:00:00.123Z"),
    "event",
    "o-536371",
    WHY,
    at("2027-05-19T09:00:00.123Z"),
)


def test_the_contracts_example_is_written_so() -> None:
    assert render(ENTERED) == (
        b'{"specversion":"1.0","id":"big-spenders:13748:5","source":"/segmentd","type":"segment.entered",'
        b'"subject":"13748","time":"2026-11-20T09:00:00.123Z","datacontenttype":"application/json",'
        b'"data":{"segment":"big-spenders","segment_version":3,"customer_id":"13748","sequence":5,"cause":"event",'
        b'"event_id":"o-536371","leaves_at":"2027-05-19T09:00:00.123Z",'
        b'"why":[{"at":"enter","holds":true,"value":1204.5,"asked":{"gte":1000}}]}}'
    )


def data(sequence: int, forecast: int | None, event_id: str = "") -> dict[str, Any]:
    change = Transition("a", 1, "ana", sequence, 0, "clock", event_id, (), forecast)
    found: dict[str, Any] = orjson.loads(render(change))
    return {**found["data"], "type": found["type"]}


@pytest.mark.parametrize(
    ("sequence", "forecast", "told"),
    [
        (1, 5000, {"leaves_at": "1970-01-01T00:00:05Z"}),
        (2, 5000, {"enters_at": "1970-01-01T00:00:05Z"}),
        (1, NEVER, {"leaves_at": None}),
        (2, NEVER, {"enters_at": None}),
        (1, None, {}),
        (2, None, {}),
    ],
)
def test_the_forecast_is_an_instant_null_or_absent(sequence: int, forecast: int | None, told: dict[str, Any]) -> None:
    found = data(sequence, forecast)

    assert {name: found[name] for name in ("leaves_at", "enters_at") if name in found} == told


def test_odd_sequences_entered_and_even_ones_exited() -> None:
    assert [data(n, None)["type"] for n in (1, 2, 3, 4)] == ["segment.entered", "segment.exited"] * 2


def test_what_no_event_caused_names_none() -> None:
    assert "event_id" not in data(1, None)
    assert data(1, None, "e1")["event_id"] == "e1"


def test_whole_seconds_are_written_without_a_fraction() -> None:
    assert orjson.loads(render(Transition("a", 1, "ana", 1, 0, "clock")))["time"] == "1970-01-01T00:00:00Z"


def test_ids_and_values_of_any_script_are_written_as_utf_8() -> None:
    plan = plan_of("{id: a, enter: {attribute: name, exists: true}}")
    _, (entered,) = played(plan, [attributed(0, name='Ană "Țepeș" \u2028')])

    found = orjson.loads(render(entered))
    assert found["data"]["why"][0]["value"] == 'Ană "Țepeș" \u2028'


def test_the_same_log_gives_the_same_bytes() -> None:
    plan = plan_of("{id: a, enter: {event: purchase, within: 30d, sum: {of: amount, gte: 1}}}")
    log = [event("purchase", "2026-01-01", id=f"e{n}", amount=0.1) for n in range(20)]

    once = [render(change) for change in played(plan, log, "2026-06-01")[1]]
    again = [render(change) for change in played(plan, log, "2026-06-01")[1]]
    assert once == again
    assert len(once) == 2
