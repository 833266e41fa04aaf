"""Instants and calendars. An instant is an integer of milliseconds since 1970 UTC; text is RFC 3339.

Calendar arithmetic follows the contract: months are added to the local time; a day that does not exist is the
month's last; a local time that does not exist moves on by the gap, of two the first counts (`fold=0` gives both).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rules.limits import DAY_MS

if TYPE_CHECKING:  # the parser of durations needs this module
    from rules.language.documents import Duration

NEVER = 1 << 62
"""Later than every instant: "does not change by the clock alone"."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# What `fromisoformat` takes beyond RFC 3339 (no offset, +03, a comma, week dates) is refused before it.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
PERIODS = ("today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_year")


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises KeyError/ValueError (ZoneInfoNotFoundError) for what is none."""
    return ZoneInfo(name)


def parse_instant(text: str) -> int | None:
    """RFC 3339 with any offset as milliseconds, finer fractions cut off; None for what is not that.

    >>> parse_instant("1970-01-01T01:00:00.5+01:00"), parse_instant("1970-01-01"), parse_instant("yesterday")
    (500, None, None)
    """
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return (moment - _EPOCH) // _MS


def parse_date(text: str) -> date | None:
    """`2026-01-31` as a date; None for anything else."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_moment(value: object, tz: str) -> int | None:
    """A date operator's value: an RFC 3339 instant, or a date (local midnight); None for what is no date."""
    if not isinstance(value, str):
        return None
    day = parse_date(value)
    return parse_instant(value) if day is None else midnight(day, tz)


def parse_local_date(value: object, tz: str) -> date | None:
    """The local calendar date of a date or instant, for ages and anniversaries."""
    if not isinstance(value, str):
        return None
    day = parse_date(value)
    if day is not None:
        return day
    instant = parse_instant(value)
    return None if instant is None else local_date(instant, tz)


def format_instant(ms: int) -> str:
    """RFC 3339 in UTC; milliseconds only where there are some.

    >>> format_instant(0), format_instant(250)
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:00.250Z')
    """
    rest = ms % DAY_MS
    return _day_text(ms // DAY_MS) + _MINUTES[rest // 60_000] + _SECONDS[rest // 1000 % 60] + _FRACTIONS[rest % 1000]


# Every transition has its instants written: the parts of a text are made once.
_MINUTES = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60))
_SECONDS = tuple(f"{second:02d}" for second in range(60))
_FRACTIONS = ("Z", *(f".{fraction:03d}Z" for fraction in range(1, 1000)))


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def add(ms: int, duration: Duration, tz: str, sign: int = 1) -> int:
    """The instant a duration after (`sign` 1) or before (-1) another; NEVER or -NEVER beyond the calendar."""
    if duration.months:
        return _add_months(ms, sign * duration.months, tz)
    return ms + sign * duration.ms


@lru_cache(maxsize=65536)
def _add_months(ms: int, months: int, tz: str) -> int:
    try:
        local = (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone(tz))
        year, month0 = divmod(local.year * 12 + local.month - 1 + months, 12)
        day = min(local.day, days_in_month(year, month0 + 1))
        return _instant(local.replace(year=year, month=month0 + 1, day=day, fold=0))
    except (OverflowError, ValueError):
        return NEVER if months > 0 else -NEVER


def span_ms(duration: Duration) -> int:
    """An upper bound of a duration's length in ms."""
    return duration.ms or (duration.months * 31 + 3) * DAY_MS


def shortest_ms(duration: Duration) -> int:
    """A lower bound of a duration's length in ms."""
    return duration.ms or (duration.months * 28 - 1) * DAY_MS


def days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _instant(local: datetime) -> int:
    return (local.astimezone(UTC) - _EPOCH) // _MS


def local_date(ms: int, tz: str) -> date:
    if tz == "UTC":
        return date.fromordinal(_EPOCH_DAY + ms // DAY_MS)
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone(tz)).date()


def local_minute(ms: int, tz: str) -> int:
    """Minutes since local midnight, as the clock on the wall shows them."""
    local = (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone(tz))
    return local.hour * 60 + local.minute


def instant_of(day: date, minute: int, tz: str) -> int:
    """The instant at which the clock on the wall shows that minute of a local day."""
    hour, rest = divmod(minute, 60)
    return _instant(datetime(day.year, day.month, day.day, hour, rest, tzinfo=zone(tz)))


def midnight(day: date, tz: str) -> int:
    """The first instant of a local day (01:00 where the clocks skip midnight)."""
    if tz == "UTC":
        return (day.toordinal() - _EPOCH_DAY) * DAY_MS
    return _instant(datetime(day.year, day.month, day.day, tzinfo=zone(tz)))


@lru_cache(maxsize=65536)
def period_stay(ms: int, period: str, tz: str) -> tuple[int, int]:
    """From when until when (exclusive) an event of that instant lies in `period`: the stay of a calendar window."""
    day = local_date(ms, tz)
    start = _period_start(day, period)
    begins = _next_start(start, period)
    if period in ("yesterday", "last_week", "last_month"):
        return midnight(begins, tz), midnight(_next_start(begins, period), tz)
    return ms, midnight(begins, tz)


def _period_start(day: date, period: str) -> date:
    if period in ("today", "yesterday"):
        return day
    if period in ("this_week", "last_week"):
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period != "this_year" else day.replace(month=1, day=1)


def _next_start(start: date, period: str) -> date:
    if period in ("today", "yesterday"):
        return start + timedelta(days=1)
    if period in ("this_week", "last_week"):
        return start + timedelta(days=7)
    if period == "this_year":
        return start.replace(year=start.year + 1)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def anniversary(born: date, year: int) -> date:
    """The anniversary in that year; 29 February counts as the 28th in common years."""
    return date(year, born.month, min(born.day, days_in_month(year, born.month)))


def age(born: date, today: date) -> int:
    """Whole years at a local date (negative before birth)."""
    return today.year - born.year - (today < anniversary(born, today.year))


def next_anniversary(born: date, today: date) -> date:
    """The first anniversary that is not before `today`."""
    this = anniversary(born, today.year)
    return this if this >= today else anniversary(born, today.year + 1)


def period_bounds(now: int, period: str, tz: str) -> tuple[int, int, int]:
    """The period around `now` as (start, end exclusive, next instant at which it changes).

    >>> [b // 86_400_000 for b in period_bounds(10 * 86_400_000, "yesterday", "UTC")]
    [9, 10, 11]
    """
    start = _period_start(local_date(now, tz), period)
    after = midnight(_next_start(start, period), tz)
    begins = midnight(start, tz)
    if period in ("yesterday", "last_week", "last_month"):
        return midnight(_period_start(start - timedelta(days=1), period), tz), begins, after
    return begins, after, after
