"""When actions may call, and when they run over all members: local times of day, whatever the clocks do.

A local time that does not exist moves on by the gap, of two the first counts (as everywhere, see `rules.times`).
"""

from __future__ import annotations

from datetime import date, timedelta

from rules.actions import Every, QuietHours
from rules.limits import DAY_MS
from rules.times import instant_of, local_date, local_minute

_DAY_MINUTES = 24 * 60
_MONDAY = date(1970, 1, 5)  # days and weeks are counted from it


def quiet_until(now: int, hours: QuietHours, tz: str) -> int | None:
    """The instant (ms) at which the quiet hours around `now` end; None outside of them."""
    minute, day = local_minute(now, tz), local_date(now, tz)
    spans_midnight = hours.end < hours.begin
    inside = minute >= hours.begin or minute < hours.end if spans_midnight else hours.begin <= minute < hours.end
    if not inside:
        return None
    end = day + timedelta(days=1) if spans_midnight and minute >= hours.begin else day
    until = instant_of(end, hours.end, tz)
    return until if until > now else None  # the hour that comes twice: its end has been


def latest_run(now: int, every: Every, tz: str) -> int:
    """The newest instant (ms) at or before `now` at which a run is due.

    Months count from January 1970 and begin on their first day, weeks on Monday, days from a Monday; what is shorter
    divides the local day, from minute `at` on.
    """
    if 0 < every.every.ms < DAY_MS:
        return _latest_of_day(now, every, tz)
    day = local_date(now, tz)
    if instant_of(_first_day(day, every), every.at, tz) <= now:
        return instant_of(_first_day(day, every), every.at, tz)
    before = _first_day(day, every) - timedelta(days=1)
    return instant_of(_first_day(before, every), every.at, tz)


def following_run(now: int, every: Every, tz: str) -> int:
    """The first instant (ms) after `now` at which a run is due."""
    if 0 < every.every.ms < DAY_MS:
        step, today = every.every.ms // 60_000, local_date(now, tz)
        days = (today, today + timedelta(days=1))
        minutes = range(every.at % step, _DAY_MINUTES, step)
        return min(instant for day in days for minute in minutes if (instant := instant_of(day, minute, tz)) > now)
    first = _first_day(local_date(now, tz), every)
    if (due := instant_of(first, every.at, tz)) > now:
        return due
    following = first + timedelta(days=every.every.ms // DAY_MS) if every.every.ms else _months_on(first, every)
    return instant_of(following, every.at, tz)


def _months_on(first: date, every: Every) -> date:
    year, month0 = divmod(first.year * 12 + first.month - 1 + every.every.months, 12)
    return date(year, month0 + 1, 1)


def _first_day(day: date, every: Every) -> date:
    """The first day of the period around a day."""
    if every.every.months:
        month = (day.year - 1970) * 12 + day.month - 1
        year, month0 = divmod(month - month % every.every.months, 12)
        return date(1970 + year, month0 + 1, 1)
    return day - timedelta(days=(day - _MONDAY).days % (every.every.ms // DAY_MS))


def _latest_of_day(now: int, every: Every, tz: str) -> int:
    """Of the instants of a local day, those of the day before included, the newest that is not after `now`."""
    step, today = every.every.ms // 60_000, local_date(now, tz)
    minutes = range(every.at % step, _DAY_MINUTES, step)
    for day in (today, today - timedelta(days=1)):
        past = [instant for minute in minutes if (instant := instant_of(day, minute, tz)) <= now]
        if past:
            return max(past)
    raise AssertionError("a day has an instant every 24 hours")
