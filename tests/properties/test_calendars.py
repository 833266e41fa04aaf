"""Two independent calendars and two independent arithmetics agree: the evaluator's and the oracle's."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules import numbers, times
from rules.compare import predicate
from rules.language import parse_document
from rules.language.documents import AttributeNode, Duration
from tests.oracle import amounts, calendars, values
from tests.properties.chooser import Drawn
from tests.properties.documents import values as comparisons

ZONES = (
    "UTC", "America/Sao_Paulo", "Europe/Bucharest", "Pacific/Apia", "Australia/Lord_Howe", "America/Havana",
    "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Kiritimati", "America/New_York",
)  # fmt: skip
LEAST, MOST = calendars.read_instant("1975-01-01T00:00:00Z"), calendars.read_instant("2037-12-01T00:00:00Z")

zones = st.sampled_from(ZONES)
# Near the changes of the clocks, which come at full or half hours, as well as anywhere.
instants = st.one_of(
    st.integers((LEAST or 0) // 1_800_000, (MOST or 0) // 1_800_000).map(lambda half_hours: half_hours * 1_800_000),
    st.integers(LEAST, MOST),
)
durations = st.builds(
    lambda count, unit: Duration(*calendars.length(Duration(text=f"{count}{unit}")), text=f"{count}{unit}"),
    st.integers(1, 40),
    st.sampled_from(("mo", "d", "y", "w", "h", "m", "s")),
)


@given(instants, durations, zones, st.sampled_from((1, -1)))
@example(1541214000000, Duration(months=1, text="1mo"), "America/Sao_Paulo", -1)
def test_both_add_durations_alike(ms: int, duration: Duration, tz: str, sign: int) -> None:
    assert times.add(ms, duration, tz, sign) == calendars.shift(ms, duration, tz, sign)


@given(st.dates(date(1975, 1, 1), date(2037, 12, 1)), zones)
@example(date(2011, 12, 30), "Pacific/Apia")
@example(date(2018, 11, 4), "America/Sao_Paulo")
def test_both_know_when_a_day_begins(day: date, tz: str) -> None:
    assert times.midnight(day, tz) == calendars.midnight(day, tz)


@given(instants, zones)
def test_both_know_the_local_date(ms: int, tz: str) -> None:
    assert times.local_date(ms, tz) == calendars.local_day(ms, tz)


@given(instants, st.sampled_from(times.PERIODS), zones, st.integers(-70 * 24, 70 * 24))
def test_an_event_lies_in_a_period_when_its_local_date_does(ms: int, period: str, tz: str, hours: int) -> None:
    now = ms + hours * calendars.HOUR
    begins, ends = times.period_stay(ms, period, tz)
    by_definition = ms <= now and calendars.in_period(ms, now, period, tz)
    assert (begins <= now < ends) == by_definition


@given(st.dates(date(1900, 1, 1), date(2030, 1, 1)), st.dates(date(1990, 1, 1), date(2037, 1, 1)), st.integers(1, 400))
@example(date(2004, 2, 29), date(2026, 2, 28), 1)
def test_both_keep_birthdays_alike(born: date, today: date, days: int) -> None:
    assert times.age(born, today) == calendars.age(born, today)
    assert ((times.next_anniversary(born, today) - today).days < days) == calendars.anniversary_within(
        born, today, days
    )


MOMENTS = (
    "2026-05-20T12:00:00Z",
    "2026-05-20T12:00:00.5Z",
    "2026-05-20t12:00:00z",
    "2026-05-20T12:00:00.123456+03:00",
    "1969-12-31T23:59:59.9999Z",
    "2026-05-20T23:59:59-00:30",
    "2026-05-20",
    "2026-02-30",
    "2026-13-01",
    "2026-05-20T12:00:00",
    "2026-05-20T12:00Z",
    "2026-5-2",
    "",
    "soon",
    "20260520",
    "2026-05-20T25:00:00Z",
    "2026-05-20T12:00:00+0300",
    "2026-W20-3",
    "2026-05-20T12:00:00,5Z",
    "2026-05-20T12:00:00+03:00:30",
    "2026-05-20T12:00:00+03",
    "2026-05-20T12:00:00.Z",
    "２０２６-05-20",
)


@pytest.mark.parametrize("text", MOMENTS)
@pytest.mark.parametrize("tz", ["UTC", "America/Sao_Paulo"])
def test_both_read_dates_and_instants_alike(text: str, tz: str) -> None:
    assert times.parse_moment(text, tz) == calendars.moment_of(text, tz)
    assert times.parse_local_date(text, tz) == calendars.day_of(text, tz)


@given(st.one_of(st.floats(-1e13, 1e13), st.integers(-(10**14), 10**14), st.decimals(-9, 9, places=7).map(float)))
@example(0.0000005)
@example(0.0000015)
@example(1e12)
@example(1000000000000.0001)
@example(-2.5e-7)
def test_both_round_amounts_alike(value: float) -> None:
    exact = amounts.amount(value)
    assert numbers.micros(value) == (None if exact is None else exact * 10**6)


@given(st.floats(-1e7, 1e7) | st.integers(-1000, 1000), st.floats(-1e4, 1e4) | st.integers(-1000, 1000))
@example(33.3333335, 0.5)
def test_both_multiply_price_by_quantity_alike(price: float, quantity: float) -> None:
    exact = amounts.items_total({"price": price, "quantity": quantity})
    assert numbers.product_micros(price, quantity) == (None if exact is None else exact * 10**6)


VALUES: tuple[Any, ...] = (
    None, "", "red", "Red", "blue", "1", 1, 1.0, 2, 2.5, 50, 0, -1, True, False, [], ["red"], ["a", 1], [True], {},
    {"a": 1}, "\U0001f600", "\uffff", 10**18, 1e18, 0.1,
)  # fmt: skip


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    return comparisons(Drawn(draw))


@given(questions(), st.sampled_from(VALUES))
def test_both_compare_values_alike(asked: dict[str, Any], value: Any) -> None:
    node = parse_document({"id": "a", "enter": {"attribute": "x", **asked}}).enter
    assert isinstance(node, AttributeNode)

    assert predicate(node.comparison)(value) == values.satisfies(value, node.comparison)
