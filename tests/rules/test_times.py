"""Calendars: months are added to local time; a gap moves a time on, of two ambiguous hours the first counts."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.times import (
    NEVER,
    PERIODS,
    add,
    age,
    anniversary,
    days_in_month,
    format_instant,
    local_date,
    midnight,
    next_anniversary,
    parse_date,
    parse_instant,
    parse_local_date,
    parse_moment,
    period_bounds,
    period_stay,
)
from tests.rules.building import DAY, HOUR, MINUTE, at, exact, months

APIA, BUCHAREST, LORD_HOWE, SAO_PAULO = "Pacific/Apia", "Europe/Bucharest", "Australia/Lord_Howe", "America/Sao_Paulo"
KATHMANDU = "Asia/Kathmandu"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00z", 0),
        ("1970-01-01t00:00:00Z", 0),
        ("1970-01-01 00:00:00Z", 0),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T20:30:00.001-03:30", 1),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T00:00:00.123999Z", 123),
        ("1969-12-31T23:59:59.9999Z", -1),  # cut off towards the past, as every finer fraction
        ("1970-01-01", None),
        ("1970-01-01T00:00:00", None),
        ("1970-01-01T00:00Z", None),
        ("1970-02-30T00:00:00Z", None),
        ("1970-01-01T25:00:00Z", None),
        ("19700101T000000Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_an_instant_is_rfc_3339_with_an_offset(text: str, ms: int | None) -> None:
    assert parse_instant(text) == ms


@given(st.integers(at("0001-01-02"), at("9999-12-31")))
def test_an_instant_comes_back_from_its_text(ms: int) -> None:
    assert parse_instant(format_instant(ms)) == ms


@pytest.mark.parametrize("text", ["2026-1-1", "2026-02-30", "20260101", "2026-W01-1", "x", "2026-01-01T00:00:00Z"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


ADDED = [
    # from, months, zone, to
    ("2026-01-31T10:00:00Z", 1, "UTC", "2026-02-28T10:00:00Z"),
    ("2024-01-31T10:00:00Z", 1, "UTC", "2024-02-29T10:00:00Z"),
    ("2024-02-29T12:00:00Z", 12, "UTC", "2025-02-28T12:00:00Z"),
    ("2024-02-29T12:00:00Z", 48, "UTC", "2028-02-29T12:00:00Z"),
    ("2026-12-15T00:00:00.001Z", 1, "UTC", "2027-01-15T00:00:00.001Z"),
    # the clocks of Bucharest skip 03:00 to 04:00 on 29 March and repeat 03:00 to 04:00 on 25 October 2026
    ("2026-02-28T01:30:00Z", 1, BUCHAREST, "2026-03-28T01:30:00Z"),
    ("2026-01-29T01:30:00Z", 2, BUCHAREST, "2026-03-29T01:30:00Z"),  # 03:30 is missing: 04:30
    ("2026-01-29T00:59:59.999Z", 2, BUCHAREST, "2026-03-29T00:59:59.999Z"),  # 02:59 is there
    ("2026-09-25T00:30:00Z", 1, BUCHAREST, "2026-10-25T00:30:00Z"),  # 03:30 comes twice: the first
    ("2026-10-25T01:30:00Z", 1, BUCHAREST, "2026-11-25T01:30:00Z"),  # the second 03:30 is a 03:30 too
    # Sao Paulo had no midnight on 4 November 2018, and 23:00 to 24:00 of 17 February 2018 twice
    ("2018-10-04T03:00:00Z", 1, SAO_PAULO, "2018-11-04T03:00:00Z"),
    ("2018-01-18T01:30:00Z", 1, SAO_PAULO, "2018-02-18T01:30:00Z"),
    # Apia had no 30 December 2011: the hours of that day move on by 24
    ("2011-11-30T22:00:00Z", 1, APIA, "2011-12-30T22:00:00Z"),
    ("2011-12-01T08:00:00Z", 1, APIA, "2011-12-31T08:00:00Z"),
    # Lord Howe's clocks move by half an hour: on 5 April 2026 01:30 to 02:00 comes twice, on 4 October 02:00 is 02:30
    ("2026-03-04T14:45:00Z", 1, LORD_HOWE, "2026-04-04T14:45:00Z"),
    ("2026-09-03T15:45:00Z", 1, LORD_HOWE, "2026-10-03T15:45:00Z"),
]


@pytest.mark.parametrize(("start", "n", "tz", "end"), ADDED)
def test_months_are_added_to_the_local_time(start: str, n: int, tz: str, end: str) -> None:
    assert format_instant(add(at(start), months(n), tz)) == format_instant(at(end))


@pytest.mark.parametrize(
    ("start", "n", "tz", "end"),
    [
        ("2026-03-31T10:00:00Z", 1, "UTC", "2026-02-28T10:00:00Z"),
        ("2028-02-29T10:00:00Z", 12, "UTC", "2027-02-28T10:00:00Z"),
        ("2026-04-29T00:30:00Z", 1, BUCHAREST, "2026-03-29T01:30:00Z"),  # back into the gap: on by it
        ("2026-11-25T01:30:00Z", 1, BUCHAREST, "2026-10-25T00:30:00Z"),  # back into the two: the first
    ],
)
def test_months_are_taken_from_the_local_time_backwards(start: str, n: int, tz: str, end: str) -> None:
    assert format_instant(add(at(start), months(n), tz, -1)) == format_instant(at(end))


def test_days_are_exact_whatever_the_clocks_do() -> None:
    assert add(0, exact(DAY), BUCHAREST) == DAY
    assert add(0, exact(DAY), BUCHAREST, -1) == -DAY


def test_beyond_the_calendar_is_never() -> None:
    assert add(at("9999-06-01"), months(12), "UTC") == NEVER
    assert add(at("0001-06-01"), months(12), "UTC", -1) == -NEVER


@pytest.mark.parametrize(
    ("ms", "tz", "day"),
    [
        (at("2026-01-01T21:59:59.999Z"), BUCHAREST, "2026-01-01"),
        (at("2026-01-01T22:00:00Z"), BUCHAREST, "2026-01-02"),
        (at("2011-12-30T09:59:59.999Z"), APIA, "2011-12-29"),
        (at("2011-12-30T10:00:00Z"), APIA, "2011-12-31"),
        (-1, "UTC", "1969-12-31"),
        (0, KATHMANDU, "1970-01-01"),
    ],
)
def test_a_local_date_is_that_of_the_zone(ms: int, tz: str, day: str) -> None:
    assert local_date(ms, tz).isoformat() == day


MIDNIGHTS = [
    ("2026-01-01", "UTC", "2026-01-01T00:00:00Z"),
    ("2018-11-04", SAO_PAULO, "2018-11-04T03:00:00Z"),  # no midnight: 01:00
    ("2018-02-18", SAO_PAULO, "2018-02-18T03:00:00Z"),
    ("2011-12-31", APIA, "2011-12-30T10:00:00Z"),
    ("2011-12-30", APIA, "2011-12-30T10:00:00Z"),  # never was: the day that came instead
    ("2026-04-05", LORD_HOWE, "2026-04-04T13:00:00Z"),
    ("2026-10-05", LORD_HOWE, "2026-10-04T13:00:00Z"),
    ("2026-10-04", LORD_HOWE, "2026-10-03T13:30:00Z"),
]


@pytest.mark.parametrize(("day", "tz", "instant"), MIDNIGHTS)
def test_a_day_begins_at_its_first_instant(day: str, tz: str, instant: str) -> None:
    begin = midnight(date.fromisoformat(day), tz)

    assert format_instant(begin) == instant
    assert local_date(begin - 1, tz) < local_date(begin, tz)


def test_of_two_midnights_the_first_begins_the_day() -> None:
    """Havana's clocks went back from 01:00 to 00:00."""
    first = midnight(date(2026, 11, 1), "America/Havana")

    assert format_instant(first) == "2026-11-01T04:00:00Z"
    assert local_date(first + HOUR, "America/Havana") == date(2026, 11, 1)


PERIOD_BOUNDS = [
    # now (a Thursday), period, zone, from, to
    ("2026-01-01T00:00:00Z", "today", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    ("2026-01-01T00:00:00Z", "yesterday", "UTC", "2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("2026-01-01T00:00:00Z", "this_week", "UTC", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
    ("2026-01-01T00:00:00Z", "last_week", "UTC", "2025-12-22T00:00:00Z", "2025-12-29T00:00:00Z"),
    ("2026-01-01T00:00:00Z", "this_month", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    ("2026-01-01T00:00:00Z", "last_month", "UTC", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("2026-01-01T00:00:00Z", "this_year", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ("2025-12-31T23:59:59.999Z", "this_year", "UTC", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("2026-03-29T12:00:00Z", "today", BUCHAREST, "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"),  # 23 hours
    ("2026-10-25T12:00:00Z", "today", BUCHAREST, "2026-10-24T21:00:00Z", "2026-10-25T22:00:00Z"),  # 25 hours
    ("2026-04-04T15:00:00Z", "today", LORD_HOWE, "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"),  # 24.5 hours
    ("2011-12-31T10:30:00Z", "yesterday", APIA, "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
    ("2011-12-30T10:30:00Z", "this_week", APIA, "2011-12-26T10:00:00Z", "2012-01-01T10:00:00Z"),
]


@pytest.mark.parametrize(("now", "period", "tz", "start", "end"), PERIOD_BOUNDS)
def test_a_period_is_of_local_days(now: str, period: str, tz: str, start: str, end: str) -> None:
    found = period_bounds(at(now), period, tz)

    assert [format_instant(ms) for ms in found[:2]] == [start, end]


@given(
    st.integers(at("2017-12-01"), at("2019-03-01")),
    st.integers(0, 400 * DAY),
    st.sampled_from(PERIODS),
    st.sampled_from(["UTC", SAO_PAULO, LORD_HOWE, "America/Havana"]),
)
def test_an_events_stay_in_a_period_is_when_the_period_holds_it(ts: int, later: int, period: str, tz: str) -> None:
    now = ts + later
    low, high, _ = period_bounds(now, period, tz)
    begin, end = period_stay(ts, period, tz)

    assert (begin <= now < end) == (low <= ts < high)


@given(st.integers(at("2018-01-01"), at("2019-03-01")), st.sampled_from(PERIODS), st.sampled_from([SAO_PAULO, APIA]))
def test_a_period_is_the_same_until_it_is_said_to_change(now: int, period: str, tz: str) -> None:
    low, high, changes = period_bounds(now, period, tz)

    assert changes > now
    assert period_bounds(changes - 1, period, tz)[:2] == (low, high)
    assert period_bounds(changes, period, tz)[:2] != (low, high)


@pytest.mark.parametrize(
    ("born", "year", "day"),
    [("2008-02-29", 2025, "2025-02-28"), ("2008-02-29", 2028, "2028-02-29"), ("1990-05-01", 2026, "2026-05-01")],
)
def test_an_anniversary_of_29_february_is_the_28th_in_common_years(born: str, year: int, day: str) -> None:
    assert anniversary(date.fromisoformat(born), year).isoformat() == day


@pytest.mark.parametrize(
    ("born", "today", "years"),
    [
        ("2008-02-29", "2026-02-27", 17),
        ("2008-02-29", "2026-02-28", 18),
        ("2008-02-29", "2028-02-28", 19),
        ("2008-02-29", "2028-02-29", 20),
        ("1990-05-01", "2026-04-30", 35),
        ("1990-05-01", "2026-05-01", 36),
        ("2026-05-01", "2026-05-01", 0),
        ("2027-05-01", "2026-05-01", -1),
    ],
)
def test_age_is_in_whole_years(born: str, today: str, years: int) -> None:
    assert age(date.fromisoformat(born), date.fromisoformat(today)) == years


@pytest.mark.parametrize(
    ("today", "coming"),
    [("2026-05-01", "2026-05-01"), ("2026-05-02", "2027-05-01"), ("2026-04-30", "2026-05-01")],
)
def test_the_next_anniversary_may_be_today(today: str, coming: str) -> None:
    assert next_anniversary(date(1990, 5, 1), date.fromisoformat(today)).isoformat() == coming


def test_a_date_stands_at_local_midnight_and_an_instant_at_itself() -> None:
    assert parse_moment("2026-01-02", BUCHAREST) == at("2026-01-01T22:00:00Z")
    assert parse_moment("2026-01-02T00:00:00Z", BUCHAREST) == at("2026-01-02")
    assert parse_local_date("2026-01-01T22:30:00Z", BUCHAREST) == date(2026, 1, 2)
    assert [parse_moment(value, "UTC") for value in (None, 5, "soon", ["2026-01-02"])] == [None] * 4
    assert [parse_local_date(value, "UTC") for value in (None, 5, "soon")] == [None] * 3


@given(st.integers(1, 9999), st.integers(1, 12))
def test_months_have_the_days_they_have(year: int, month: int) -> None:
    first = date(year, month, 1).toordinal()
    after = date(year + month // 12, month % 12 + 1, 1).toordinal() if (year, month) != (9999, 12) else first + 31

    assert days_in_month(year, month) == after - first


def test_half_an_hour_of_lord_howe_is_missing_and_moves_a_time_on() -> None:
    """02:15 on 4 October 2026 does not exist there; a month after 4 September 02:15 it is 02:45."""
    start = at("2026-09-03T15:45:00Z")

    assert local_date(start, LORD_HOWE) == date(2026, 9, 4)
    assert add(start, months(1), LORD_HOWE) - at("2026-10-03T15:30:00Z") == 15 * MINUTE
