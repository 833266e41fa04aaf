"""Reads windows: which events count, by their time."""

from __future__ import annotations

from datetime import date
from typing import Any

from rules.language import mistakes
from rules.language.documents import Duration, Window
from rules.language.draft import Draft, join
from rules.language.parse_values import duration
from rules.limits import DAY_MS
from rules.times import PERIODS, midnight, parse_moment

_CALENDAR_BEGINS = midnight(date.min, "UTC")
_CALENDAR_ENDS = midnight(date.max, "UTC") + DAY_MS
WINDOW_KEYS = ("within", "before", "between", "period")


def window(draft: Draft, raw: dict[str, Any], at: str) -> Window | None:
    """The window of an event node; all that stands there is checked, also where it does not combine."""
    keys = [key for key in WINDOW_KEYS if key in raw]
    found = [_READERS[key](draft, raw, at) for key in keys if key != "before" or "within" not in raw]
    if len(keys) > 1 and keys != ["within", "before"]:
        draft.wrong(at, mistakes.windows_clash(keys))
        return None
    return found[0] if found else Window()


def _rolling(draft: Draft, raw: dict[str, Any], at: str) -> Window | None:
    """`within: 30d`, `before: 30d`, or both: a band."""
    lengths = {key: duration(draft, raw[key], join(at, key)) for key in ("within", "before") if key in raw}
    within, before = lengths.get("within"), lengths.get("before")
    if within and before and _never_longer(within, before):
        draft.wrong(join(at, "before"), mistakes.band_empty(within.text, before.text))
    return None if None in lengths.values() else Window("rolling", within=within, before=before)


def _never_longer(within: Duration, before: Duration) -> bool:
    """Whether the band is empty on every day of the calendar (`1mo` is longer than `30d` on some)."""
    if bool(within.months) == bool(before.months):
        return (within.ms, within.months) <= (before.ms, before.months)
    return _length_ms(within, 31, 366) <= _length_ms(before, 28, 365)


def _length_ms(length: Duration, month_days: int, year_days: int) -> int:
    years, months = divmod(length.months, 12)
    return length.ms + (years * year_days + months * month_days) * DAY_MS


def _between(draft: Draft, raw: dict[str, Any], at: str) -> Window | None:
    dates, here = raw["between"], join(at, "between")
    if not isinstance(dates, list | tuple) or len(dates) != 2:
        draft.wrong(here, mistakes.not_two_dates(dates))
        return None
    if dates[0] is None and dates[1] is None:
        draft.wrong(here, mistakes.both_open())
        return None
    ends = [_moment(draft, end, f"{here}[{index}]") for index, end in enumerate(dates)]
    start, end = ends
    if start is not None and end is not None and start >= end:
        draft.wrong(here, mistakes.ends_before_begin(dates[0], dates[1]))
    return Window("between", start_ms=start, end_ms=end)


def _moment(draft: Draft, raw: Any, at: str) -> int | None:
    """An instant in ms; a date begins at midnight of the segment's timezone. None where it is open or wrong."""
    if raw is None:
        return None
    try:
        found = parse_moment(raw, draft.timezone)
    except (ValueError, OverflowError):  # the calendar's first and last days, shifted out of it by the timezone
        found = None
    if found is None or not _CALENDAR_BEGINS <= found < _CALENDAR_ENDS:
        draft.wrong(at, mistakes.not_a_date(raw))
        return None
    return found


def _period(draft: Draft, raw: dict[str, Any], at: str) -> Window | None:
    name = raw["period"]
    if isinstance(name, str) and name in PERIODS:
        return Window("period", period=name)
    draft.wrong(join(at, "period"), mistakes.no_such_period(name, PERIODS))
    return None


_READERS = {"within": _rolling, "before": _rolling, "between": _between, "period": _period}
