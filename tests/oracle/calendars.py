"""Calendars by definition (contract §2, Durations): local times are looked for, never computed from a formula.

An instant is an integer of milliseconds since 1970 UTC.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from rules.language.documents import Duration

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_ZERO = datetime(1970, 1, 1)
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)


class Unreachable(Exception):
    """The calendar ends (year 1 or 9999) before the instant asked for."""


def length(duration: Duration) -> tuple[int, int]:
    """(milliseconds, months) of a duration, read from the author's text where there is one."""
    return _length(duration.text) if duration.text else (duration.ms, duration.months)


@cache
def _length(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(s|m|h|d|w|mo|y)", text)
    assert match is not None, text
    count, unit = int(match[1]), match[2]
    if unit in _UNITS:
        return count * _UNITS[unit], 0
    return 0, count * (12 if unit == "y" else 1)


def whole_days(duration: Duration) -> int:
    return length(duration)[0] // DAY


def local(ms: int, tz: str) -> datetime:
    """The wall-clock time at an instant, without zone."""
    try:
        seconds, rest = divmod(ms, SECOND)
        utc = datetime.fromtimestamp(seconds, UTC)
        return utc.astimezone(ZoneInfo(tz)).replace(tzinfo=None, fold=0) + timedelta(milliseconds=rest)
    except (OverflowError, ValueError, OSError) as error:
        raise Unreachable from error


def instant(wall: datetime, tz: str) -> int:
    """The first instant at which the wall clock shows that time; one that never shows moves on by the gap."""
    as_utc = (wall - _ZERO) // timedelta(milliseconds=1)
    offsets = {_offset(as_utc + shift * HOUR, tz) for shift in (-16, 16)}
    shown = [as_utc - offset for offset in offsets if local(as_utc - offset, tz) == wall]
    return min(shown) if shown else max(as_utc - offset for offset in offsets)


def _offset(ms: int, tz: str) -> int:
    return (local(ms, tz) - _ZERO) // timedelta(milliseconds=1) - ms


def shift(ms: int, duration: Duration, tz: str, sign: int = 1) -> int:
    """The instant `duration` after (or before) another. Raises Unreachable beyond the calendar."""
    exact, months = length(duration)
    return _shift_months(ms, sign * months, tz) if months else ms + sign * exact


@cache
def _shift_months(ms: int, months: int, tz: str) -> int:
    wall = local(ms, tz)
    year, month0 = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    if not 2 <= year <= 9998:
        raise Unreachable
    day = min(wall.day, monthrange(year, month0 + 1)[1])
    return instant(wall.replace(year=year, month=month0 + 1, day=day), tz)


def after(ms: int, duration: Duration, tz: str) -> int | None:
    """`shift` forward, None where the calendar ends before."""
    try:
        return shift(ms, duration, tz)
    except Unreachable:
        return None


@cache
def local_day(ms: int, tz: str) -> date:
    return local(ms, tz).date()


@cache
def midnight(day: date, tz: str) -> int:
    return instant(datetime(day.year, day.month, day.day), tz)


def in_period(ts: int, now: int, period: str, tz: str) -> bool:
    """Whether the local date of `ts` lies in the named period around the local date of `now`."""
    day, today = local_day(ts, tz), local_day(now, tz)
    monday, this_monday = day - timedelta(day.weekday()), today - timedelta(today.weekday())
    month, this_month = day.year * 12 + day.month, today.year * 12 + today.month
    return {
        "today": day == today,
        "yesterday": day == today - timedelta(1),
        "this_week": monday == this_monday,
        "last_week": monday == this_monday - timedelta(7),
        "this_month": month == this_month,
        "last_month": month == this_month - 1,
        "this_year": day.year == today.year,
    }[period]


def period_edges(ts: int, tz: str) -> set[int]:
    """Every instant at which any period's answer about an event at `ts` may change."""
    day = local_day(ts, tz)
    monday = day - timedelta(day.weekday())
    first = day.replace(day=1)
    second = (first + timedelta(31)).replace(day=1)
    third = (second + timedelta(31)).replace(day=1)
    days = {day + timedelta(1), day + timedelta(2), monday + timedelta(7), monday + timedelta(14)}
    return {midnight(each, tz) for each in days | {second, third, date(day.year + 1, 1, 1)}}


def read_instant(text: str) -> int | None:
    """RFC 3339 with an offset as ms (finer fractions cut off)."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    numbers = [int(match[group]) for group in range(1, 7)]
    try:
        wall = datetime(*numbers)  # type: ignore[arg-type]
    except ValueError:
        return None
    ms = (wall - _ZERO) // timedelta(milliseconds=1) + int(((match[7] or "") + "000")[:3])
    if match[8]:
        return ms
    east = int(match[10]) * HOUR + int(match[11]) * MINUTE
    return ms - east if match[9] == "+" else ms + east


def read_date(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return None
    try:
        return date(int(text[:4]), int(text[5:7]), int(text[8:]))
    except ValueError:
        return None


def moment_of(value: object, tz: str) -> int | None:
    """The instant that a date operator sees in a value: an instant, or a date's local midnight."""
    if not isinstance(value, str):
        return None
    day = read_date(value)
    return midnight(day, tz) if day is not None else read_instant(value)


def day_of(value: object, tz: str) -> date | None:
    """The local date that ages and anniversaries see in a value."""
    if not isinstance(value, str):
        return None
    moment = read_instant(value)
    return read_date(value) if moment is None else local_day(moment, tz)


def birthday(born: date, year: int) -> date:
    """29 February is kept on the 28th in common years."""
    if (born.month, born.day) == (2, 29) and monthrange(year, 2)[1] == 28:
        return date(year, 2, 28)
    return date(year, born.month, born.day)


def age(born: date, today: date) -> int:
    """Whole years: how many birthdays have been reached."""
    years = today.year - born.year
    return years if birthday(born, today.year) <= today else years - 1


def anniversary_within(born: date, today: date, days: int) -> bool:
    """Whether an anniversary is one of the `days` days that begin with today."""
    return any(
        today <= birthday(born, year) < today + timedelta(days)
        for year in range(today.year, today.year + days // 365 + 2)
    )
