"""Comparisons that the clock can change say when they may change their mind, never too late."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.dates import Since, Timed
from rules.times import NEVER
from tests.rules.building import DAY, HOUR, at, comparison, measured

BUCHAREST, APIA = "Europe/Bucharest", "Pacific/Apia"

# operators, zone, value, first instant at which it holds, first at which it does not any more
STAYS = [
    ("in_last: 30d", "UTC", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-31T00:00:00Z"),
    ("in_last: 1mo", "UTC", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"),
    ("in_last: 1d", BUCHAREST, "2026-03-29", "2026-03-28T22:00:00Z", "2026-03-29T22:00:00Z"),
    ("in_next: 7d", "UTC", "2026-01-08", "2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z"),
    ("in_next: 1mo", "UTC", "2026-03-31", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
    ("in_next: 1mo", BUCHAREST, "2026-04-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-04-29T00:30:00Z"),
    ("anniversary_in_next: 1d", "UTC", "1990-05-01", "2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z"),
    ("anniversary_in_next: 7d", "UTC", "1990-05-01", "2026-04-25T00:00:00Z", "2026-05-02T00:00:00Z"),
    ("anniversary_in_next: 2w", BUCHAREST, "1990-05-01", "2026-04-17T21:00:00Z", "2026-05-01T21:00:00Z"),
    ("anniversary_in_next: 7d", "UTC", "2008-02-29", "2026-02-22T00:00:00Z", "2026-03-01T00:00:00Z"),
    ("anniversary_in_next: 1d", "UTC", "1990-05-01T23:00:00-02:00", "2026-05-02T00:00:00Z", "2026-05-03T00:00:00Z"),
    ("age: {gte: 18, lt: 19}", "UTC", "2008-02-29", "2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z"),
    ("age: {eq: 18}", BUCHAREST, "2008-07-01", "2026-06-30T21:00:00Z", "2027-06-30T21:00:00Z"),
    ("age: {eq: 0}", "UTC", "2026-07-01", "2026-07-01T00:00:00Z", "2027-07-01T00:00:00Z"),
    ("in_last: 30d, in_next: 30d", "UTC", "2026-01-01", None, None),
    ("in_last: 30d", "UTC", "2026-02-30", None, None),
    ("in_last: 30d", "UTC", 5, None, None),
    ("in_last: 30d", "UTC", None, None, None),
    ("age: {gte: 0}", "UTC", "someday", None, None),
    ("anniversary_in_next: 7d", "UTC", None, None, None),
]


@pytest.mark.parametrize(("text", "tz", "value", "opens", "closes"), STAYS)
def test_a_date_holds_from_one_instant_to_another(
    text: str, tz: str, value: Any, opens: str | None, closes: str | None
) -> None:
    asked = Timed(comparison(text), tz)
    if opens is None or closes is None:
        assert not any(asked.holds(value, at("2025-12-01") + n * DAY) for n in range(200))
        return
    begin, end = at(opens), at(closes)

    assert [asked.holds(value, now) for now in (begin - 1, begin, end - 1, end)] == [False, True, True, False]
    assert asked.until(value, begin - 1) == begin
    assert asked.until(value, begin) == end


def test_what_a_plain_comparison_refuses_the_clock_does_not_change() -> None:
    asked = Timed(comparison("in_last: 30d, starts_with: '2027'"), "UTC")

    assert not asked.holds("2026-01-01", at("2026-01-02"))
    assert asked.until("2026-01-01", at("2026-01-02")) == NEVER


def test_a_comparison_without_dates_stands_still() -> None:
    assert Timed(comparison("eq: red"), "UTC").still
    assert Timed(comparison("eq: red"), "UTC").until("red", 0) == NEVER
    assert not Timed(comparison("ne: red, in_last: 1d"), "UTC").still


def test_an_age_nobody_reaches_is_never() -> None:
    """As is one the calendar does not have any more."""
    assert Timed(comparison("age: {gte: 400}"), "UTC").until("2000-01-01", at("2026-01-01")) == NEVER
    assert Timed(comparison("age: {gte: 18}"), "UTC").until("9990-01-01", at("9998-01-01")) == NEVER
    assert Timed(comparison("age: {gte: 18}"), "UTC").until("1990-01-01", at("2026-01-01")) == NEVER


DATES = ("2011-12-30", "2011-12-31", "2012-01-02", "2011-12-30T10:00:00Z", "1993-12-30", "2008-02-29", "1994-01-01")
values = st.sampled_from([*DATES, "x", None])
dated = st.sampled_from(
    [
        "in_last: 2d",
        "in_last: 1mo",
        "in_next: 1d",
        "in_next: 1mo",
        "anniversary_in_next: 1d",
        "anniversary_in_next: 30d",
        "age: {gte: 18}",
        "age: {lt: 4}",
        "in_last: 1mo, age: {lt: 1}",
        "in_next: 2d, anniversary_in_next: 7d",
    ]
)


@given(dated, values, st.integers(0, 40 * 48), st.sampled_from(["UTC", APIA, BUCHAREST, "Australia/Lord_Howe"]))
def test_it_stands_until_the_instant_it_names(text: str, value: Any, half_hours: int, tz: str) -> None:
    """Looked at every half hour: no zone here begins a day otherwise."""
    asked, now = Timed(comparison(text), tz), at("2011-12-10") + half_hours * HOUR // 2
    held, until = asked.holds(value, now), asked.until(value, now)
    assert until > now

    for instant in range(now, min(until, now + 40 * DAY), HOUR // 2):
        assert asked.holds(value, instant) == held, instant


SINCE = [
    # operators, ages in days (30 is 31 January to 2 March) at which they hold of 31 January, in months
    ("gt: 1mo", [(at("2026-02-28"), False), (at("2026-02-28") + 1, True)]),
    ("gte: 1mo", [(at("2026-02-28") - 1, False), (at("2026-02-28"), True)]),
    ("lt: 1mo", [(at("2026-02-28") - 1, True), (at("2026-02-28"), False)]),
    ("lte: 1mo", [(at("2026-02-28"), True), (at("2026-02-28") + 1, False)]),
    ("gte: 1mo, lt: 2mo", [(at("2026-02-28"), True), (at("2026-03-31") - 1, True), (at("2026-03-31"), False)]),
    ("gt: 1d, lte: 1y", [(at("2026-02-01"), False), (at("2026-02-01") + 1, True), (at("2027-01-31") + 1, False)]),
]


@pytest.mark.parametrize(("text", "expected"), SINCE)
def test_an_age_in_calendar_units_is_counted_from_the_event(text: str, expected: list[tuple[int, bool]]) -> None:
    asked = Since(measured("since_last", text), "UTC")

    assert [asked.holds(at("2026-01-31"), now) for now, _ in expected] == [holds for _, holds in expected]


@given(st.sampled_from([text for text, _ in SINCE]), st.integers(0, 400 * 24), st.sampled_from([0, 1, -1]))
def test_an_age_stands_until_the_instant_it_names(text: str, hours: int, off: int) -> None:
    asked, born = Since(measured("since_last", text), BUCHAREST), at("2026-01-31")
    now = max(born, born + hours * HOUR + off)
    until = asked.until(born, now)
    assert until > now

    held = asked.holds(born, now)
    looked_at = {until - 1, *range(now, min(until, now + 400 * DAY), 6 * HOUR)}
    assert all(asked.holds(born, instant) == held for instant in looked_at if now <= instant < until)


def test_the_age_of_nothing_is_none() -> None:
    asked = Since(measured("since_last", "gt: 1mo"), "UTC")

    assert not asked.holds(None, 0)
    assert asked.until(None, 0) == NEVER
