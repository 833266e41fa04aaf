"""Windows: which events count at an instant, when that changes, and how far back one can count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.language.documents import Duration, Window
from rules.times import NEVER, PERIODS
from rules.windows import ALL, AnyWindow, Calendar, Range, compile_window
from tests.rules.building import DAY, HOUR, at, exact, months

SAO_PAULO, BUCHAREST = "America/Sao_Paulo", "Europe/Bucharest"


def rolling(within: Duration | None, before: Duration | None, tz: str = "UTC") -> AnyWindow:
    return compile_window(Window("rolling", within, before), tz)


def counted(window: AnyWindow, ts: list[int], now: int) -> list[int]:
    """The instants that count, as the meters ask for them."""
    if isinstance(window, Range):
        low, high = window.select(ts, now)
        assert ts[low:high] == [t for t in ts if window.counts(t, now)]
        return ts[low:high]
    return [t for t in ts if window.counts(t, now)]


tiny = st.integers(0, 12)
series = st.lists(st.integers(0, 30), max_size=8).map(sorted)


@given(series, tiny, tiny, st.integers(0, 40))
def test_a_rolling_window_counts_what_the_contract_says(ts: list[int], within: int, before: int, now: int) -> None:
    window = rolling(exact(within) if within else None, exact(before) if before else None)
    seen = [t for t in ts if (not within or now - within < t) and t <= now - before]

    assert counted(window, ts, now) == seen


def between_changes(window: AnyWindow, ts: list[int], now: int, horizon: int, step: int = 1) -> None:
    """What counts stays the same from one announced change to the next; all are after now, ascending, different."""
    announced = list(window.changes(ts, now))
    assert announced == sorted(set(announced))
    assert all(instant > now for instant in announced)
    coming = [*announced, NEVER]
    held = counted(window, ts, now)
    for instant in range(now, horizon, step):
        if coming[0] <= instant:
            coming.pop(0)
            held = counted(window, ts, instant)
        assert counted(window, ts, instant) == held, instant


@given(series, tiny, tiny, st.integers(30, 40))
def test_a_rolling_window_announces_every_change(ts: list[int], within: int, before: int, now: int) -> None:
    between_changes(rolling(exact(within) if within else None, exact(before) if before else None), ts, now, 60)


hours = st.lists(st.integers(0, 70 * 24).map(lambda n: at("2018-01-10") + n * HOUR), max_size=4).map(sorted)


@settings(max_examples=60)
@given(hours, st.sampled_from(PERIODS), st.sampled_from(["UTC", SAO_PAULO]))
def test_a_period_announces_every_change(ts: list[int], period: str, tz: str) -> None:
    now = max(ts, default=at("2018-02-17"))
    horizon = now + (80 if period.endswith("month") else 17) * DAY
    between_changes(compile_window(Window("period", period=period), tz), ts, now, horizon, HOUR)


@settings(max_examples=60)
@given(hours, st.sampled_from([None, months(2), exact(45 * DAY)]), st.sampled_from([None, exact(DAY), months(1)]))
def test_a_calendar_window_announces_every_change(
    ts: list[int], within: Duration | None, before: Duration | None
) -> None:
    assume(within or before)
    now = max(ts, default=at("2018-02-17"))
    between_changes(Calendar(within, before, SAO_PAULO), ts, now, now + 65 * DAY, HOUR)


@given(hours, st.integers(0, 80 * 24), st.sampled_from([*PERIODS, "1mo", "2mo", "30d"]))
def test_beyond_its_span_nothing_counts(ts: list[int], later: int, asked: str) -> None:
    if asked in PERIODS:
        window = compile_window(Window("period", period=asked), SAO_PAULO)
    else:
        window = rolling(months(int(asked[0])) if asked.endswith("mo") else exact(30 * DAY), None, SAO_PAULO)
    now = max(ts, default=at("2018-02-17")) + later * HOUR

    assert all(now - t < window.span() for t in counted(window, ts, now))


@pytest.mark.parametrize("year", range(2023, 2030))
@pytest.mark.parametrize("period", PERIODS)
def test_a_periods_span_reaches_back_to_its_begin_on_every_day(period: str, year: int) -> None:
    window = compile_window(Window("period", period=period), "UTC")
    assert isinstance(window, Range)

    for day in range(366):
        now = at(f"{year}-01-01") + (day + 1) * DAY - 1
        assert now - window.bounds(now)[0] < window.span()


def test_bounds_of_a_window_between_two_days_are_from_inclusive_to_exclusive() -> None:
    start, end = at("2026-01-01"), at("2026-02-01")
    ts = [start - 1, start, end - 1, end]
    late = end + DAY

    assert counted(compile_window(Window("between", start_ms=start, end_ms=end), "UTC"), ts, late) == ts[1:3]
    assert counted(compile_window(Window("between", start_ms=start), "UTC"), ts, late) == ts[1:]
    assert counted(compile_window(Window("between", end_ms=end), "UTC"), ts, late) == ts[:3]
    assert counted(compile_window(Window("between", start_ms=start), "UTC"), ts, start) == [start]  # not yet the rest


def test_a_calendar_month_may_let_the_later_of_two_events_go_first() -> None:
    """31 January and 30 January both count until 28 February, at their own hours."""
    earlier, later = at("2026-01-30T18:00:00Z"), at("2026-01-31T06:00:00Z")
    window = rolling(months(1), None)

    assert list(window.changes([earlier, later], later)) == [at("2026-02-28T06:00:00Z"), at("2026-02-28T18:00:00Z")]
    assert counted(window, [earlier, later], at("2026-02-28T12:00:00Z")) == [earlier]


def test_a_band_in_calendar_units_opens_and_closes_in_local_time() -> None:
    """One to two months after 10:00 in Bucharest: the clocks moved in between."""
    bought = at("2026-03-01T08:00:00Z")
    window = rolling(months(2), months(1), BUCHAREST)
    opens, closes = at("2026-04-01T07:00:00Z"), at("2026-05-01T07:00:00Z")

    assert list(window.changes([bought], bought)) == [opens, closes]
    assert [window.counts(bought, now) for now in (opens - 1, opens, closes - 1, closes)] == [False, True, True, False]


def test_windows_open_to_the_past_keep_everything() -> None:
    assert rolling(None, exact(DAY)).span() == ALL
    assert rolling(None, months(1)).span() == ALL
    assert compile_window(Window(), "UTC").span() == ALL
    assert compile_window(Window("between", start_ms=0), "UTC").span() == ALL
    assert rolling(exact(30 * DAY), exact(DAY)).span() == 30 * DAY


def test_a_month_is_never_longer_than_its_span() -> None:
    begin = datetime(2023, 1, 1, tzinfo=UTC)
    for days in range(3 * 366):
        ts = int((begin + timedelta(days=days)).timestamp() * 1000)
        for n in (1, 2, 6, 12):
            window = Calendar(months(n), None, "Pacific/Apia")
            assert window.stay(ts)[1] - ts <= window.span()
