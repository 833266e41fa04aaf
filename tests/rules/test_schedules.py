"""Quiet hours and runs by calendar, in local time: also when the clocks change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.actions import Every, QuietHours
from rules.language.documents import Duration
from rules.limits import DAY_MS
from rules.schedules import following_run, latest_run, quiet_until
from rules.times import format_instant, parse_instant

NIGHT = QuietHours(22 * 60, 8 * 60)
NOON = QuietHours(12 * 60, 13 * 60)
BUCHAREST = "Europe/Bucharest"  # +2, in summer +3: from 29 March 2026 03:00 to 25 October 2026 04:00
HOUR = 3_600_000


def at(text: str) -> int:
    found = parse_instant(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("now", "hours", "until"),
    [
        ("2026-01-10T19:59:59+00:00", NIGHT, None),
        ("2026-01-10T22:00:00+02:00", NIGHT, "2026-01-11T08:00:00+02:00"),
        ("2026-01-11T03:00:00+02:00", NIGHT, "2026-01-11T08:00:00+02:00"),
        ("2026-01-11T07:59:59+02:00", NIGHT, "2026-01-11T08:00:00+02:00"),
        ("2026-01-11T08:00:00+02:00", NIGHT, None),
        ("2026-01-11T12:30:00+02:00", NOON, "2026-01-11T13:00:00+02:00"),
        ("2026-01-11T13:00:00+02:00", NOON, None),
        ("2026-03-28T23:00:00+02:00", NIGHT, "2026-03-29T08:00:00+03:00"),
        ("2026-10-24T23:00:00+03:00", NIGHT, "2026-10-25T08:00:00+02:00"),
        ("2026-03-29T01:00:00+02:00", QuietHours(30, 3 * 60 + 30), "2026-03-29T04:30:00+03:00"),
        ("2026-12-31T23:30:00+02:00", NIGHT, "2027-01-01T08:00:00+02:00"),
    ],
)
def test_quiet_hours_end_when_the_clock_on_the_wall_says_so(now: str, hours: QuietHours, until: str | None) -> None:
    found = quiet_until(at(now), hours, BUCHAREST)
    assert found == (None if until is None else at(until))


ZONES = st.sampled_from(["UTC", BUCHAREST, "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"])
INSTANTS = st.integers(at("2025-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"))


@given(INSTANTS, st.integers(0, 1439), st.integers(0, 1439), ZONES)
def test_quiet_hours_end_later_than_now_and_within_a_day(now: int, begin: int, end: int, tz: str) -> None:
    until = quiet_until(now, QuietHours(begin, end), tz)
    assert until is None or now < until <= now + DAY_MS + 2 * HOUR


EVERY = {
    "15m": Every(Duration(ms=15 * 60_000)),
    "6h": Every(Duration(ms=6 * HOUR), 30),
    "1d": Every(Duration(ms=DAY_MS), 9 * 60),
    "2d": Every(Duration(ms=2 * DAY_MS)),
    "1w": Every(Duration(ms=7 * DAY_MS), 9 * 60),
    "1mo": Every(Duration(months=1), 9 * 60),
    "3mo": Every(Duration(months=3)),
    "1y": Every(Duration(months=12)),
}


@pytest.mark.parametrize(
    ("every", "now", "latest"),
    [
        ("15m", "2026-06-10T10:14:59+03:00", "2026-06-10T10:00:00+03:00"),
        ("6h", "2026-06-10T00:29:59+03:00", "2026-06-09T18:30:00+03:00"),
        ("6h", "2026-06-10T00:30:00+03:00", "2026-06-10T00:30:00+03:00"),
        ("1d", "2026-06-10T08:59:59+03:00", "2026-06-09T09:00:00+03:00"),
        ("1d", "2026-06-10T09:00:00+03:00", "2026-06-10T09:00:00+03:00"),
        ("1w", "2026-06-10T12:00:00+03:00", "2026-06-08T09:00:00+03:00"),
        ("1w", "2026-06-08T08:00:00+03:00", "2026-06-01T09:00:00+03:00"),
        ("1mo", "2026-06-01T08:59:00+03:00", "2026-05-01T09:00:00+03:00"),
        ("1mo", "2026-11-30T12:00:00+02:00", "2026-11-01T09:00:00+02:00"),
        ("3mo", "2026-06-10T12:00:00+03:00", "2026-04-01T00:00:00+03:00"),
        ("1y", "2026-06-10T12:00:00+03:00", "2026-01-01T00:00:00+02:00"),
    ],
)
def test_runs_are_due_by_the_local_calendar(every: str, now: str, latest: str) -> None:
    assert format_instant(latest_run(at(now), EVERY[every], BUCHAREST)) == format_instant(at(latest))


@given(INSTANTS, st.sampled_from(sorted(EVERY)), ZONES)
def test_a_run_that_is_due_stays_the_latest_until_the_next(now: int, name: str, tz: str) -> None:
    every = EVERY[name]
    latest = latest_run(now, every, tz)
    assert latest <= now
    assert latest_run(latest, every, tz) == latest
    assert latest_run(now - 1, every, tz) <= latest


@given(INSTANTS, st.sampled_from(sorted(EVERY)), ZONES)
def test_the_following_run_is_the_next_one_that_is_the_latest(now: int, name: str, tz: str) -> None:
    every = EVERY[name]
    following = following_run(now, every, tz)
    assert following > now
    assert latest_run(following, every, tz) == following
    assert latest_run(following - 1, every, tz) <= now
