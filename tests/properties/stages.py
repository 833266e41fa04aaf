"""Where and when a random example plays: a zone, a day that is special there, and durations that meet its edges.

Small worlds, so that windows, events and holds end at the same instants again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rules.language.documents import Duration
from tests.oracle import calendars
from tests.properties.chooser import Chooser, pick


@dataclass(frozen=True)
class Stage:
    zone: str
    base: int  # ms; events are placed around it
    durations: tuple[str, ...]


def _at(text: str) -> int:
    ms = calendars.read_instant(text)
    assert ms is not None
    return ms


SHORT = ("1s", "2s", "1m")
DAYS = ("1d", "2d", "3d", "1h")
MONTHS = ("1mo", "1d", "30d", "2mo", "1w")
YEARS = ("1y", "365d", "1mo", "12mo", "28d")

STAGES = (
    Stage("UTC", _at("2026-01-01T00:00:00Z"), SHORT),
    Stage("UTC", _at("2026-01-05T12:00:00Z"), DAYS),
    Stage("UTC", _at("2026-01-31T10:00:00Z"), MONTHS),
    Stage("UTC", _at("2024-02-29T12:00:00Z"), YEARS),
    Stage("America/Sao_Paulo", _at("2018-11-03T15:00:00Z"), DAYS),  # 4 November has no midnight
    Stage("America/Sao_Paulo", _at("2018-02-17T02:30:00Z"), DAYS),  # 23:00 to 24:00 happens twice
    Stage("America/Sao_Paulo", _at("2018-10-04T03:00:00Z"), MONTHS),
    Stage("Europe/Bucharest", _at("2026-03-28T01:30:00Z"), ("1d", "24h", "1h", "1mo")),  # 03:30 missing a day on
    Stage("Europe/Bucharest", _at("2026-10-25T00:30:00Z"), ("1d", "1h", "1mo", "3d")),  # 03:30 twice
    Stage("Europe/Bucharest", _at("2026-01-29T22:00:00Z"), MONTHS),
    Stage("Pacific/Apia", _at("2011-12-29T10:00:00Z"), ("1d", "2d", "1mo", "1w")),  # 30 December never was
    Stage("Australia/Lord_Howe", _at("2026-04-04T14:45:00Z"), ("1d", "15m", "30m", "1mo")),  # half an hour, twice
    Stage("Australia/Lord_Howe", _at("2026-10-02T15:45:00Z"), ("1d", "30m", "2d", "1mo")),
)


@cache
def duration(text: str) -> Duration:
    """A duration as the oracle reads it from its text."""
    return Duration(*calendars.length(Duration(text=text)), text=text)


@dataclass(frozen=True)
class Step:
    """How far one instant lies from another: a duration forward or back, or the next local midnight; and ±1 ms."""

    text: str = "0s"  # or "midnight"
    sign: int = 1
    jitter: int = 0

    def from_(self, ms: int, zone: str) -> int:
        if self.text == "midnight":
            there = min(edge for edge in calendars.period_edges(ms, zone) if edge > ms)
        else:
            there = calendars.shift(ms, duration(self.text), zone, self.sign)
        return there + self.jitter


def step(c: Chooser, stage: Stage) -> Step:
    return Step(pick(c, "0s", *stage.durations, "midnight"), pick(c, 1, 1, -1), pick(c, 0, 0, 0, 1, -1))


@cache
def _days(stage: Stage) -> tuple[str, ...]:
    base = calendars.local(stage.base, stage.zone).date()
    near = [base.fromordinal(base.toordinal() + days) for days in (0, 1, -1, 2, 7)]
    years = [(base.year - 18, base.month, min(base.day + 1, 28)), (2008, 2, 29), (base.year - 30, 1, 1)]
    return (*(day.isoformat() for day in near), *(f"{y:04}-{m:02}-{d:02}" for y, m, d in years))


def day(c: Chooser, stage: Stage) -> str:
    """A date around the base (in its zone), or of an earlier year, for birthdays and renewals."""
    return pick(c, *_days(stage))


def instant(c: Chooser, stage: Stage) -> str:
    """An instant near the base, as an RFC 3339 text."""
    return written(step(c, stage).from_(stage.base, stage.zone))


def written(ms: int) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    wall = calendars.local(ms, "UTC")
    return f"{wall.isoformat(timespec='milliseconds')}Z"
