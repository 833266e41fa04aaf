"""Where an answer may change by the clock alone: a superset of those instants, from raw values and durations.

Judging at an instant where nothing changes changes nothing, so too many cost only time. Too few are found by the
dense mode of the oracle's own tests, which judges every millisecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

from rules.language.documents import Duration, Segment, Test
from tests.oracle import calendars
from tests.oracle.conditions import EventLike


class Instants:
    """The instants that the documents can make of an event, or of a change of membership."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.zones = sorted({segment.timezone for segment in segments})
        self.durations = {
            (each, segment.timezone) for segment in segments for each in parts_of(segment) if isinstance(each, Duration)
        }
        parts = [part for segment in segments for part in parts_of(segment)]
        self.periods = any(getattr(part, "period", None) for part in parts)
        self.ages = [part for part in parts if isinstance(part, Test) and part.op in ("age", "anniversary_in_next")]

    def of_event(self, event: EventLike, until: int) -> set[int]:
        found = {event.ts, *self.of_moment(event.ts)}
        if self.periods:
            found.update(edge for tz in self.zones for edge in calendars.period_edges(event.ts, tz))
        for text in _texts(event.properties):
            found.update(self._of_text(text, event.ts, until))
        return found

    def of_moment(self, ms: int) -> set[int]:
        """Every duration before and after an instant, and the millisecond after (for `gt` and `lte`)."""
        found: set[int] = {ms, ms + 1}
        for duration, tz in self.durations:
            for sign in (1, -1):
                try:
                    there = calendars.shift(ms, duration, tz, sign)
                except calendars.Unreachable:
                    continue
                found.update((there, there + 1))
        return found

    def _of_text(self, text: str, start: int, until: int) -> Iterator[int]:
        for tz in self.zones:
            moment = calendars.moment_of(text, tz)
            if moment is None:
                continue
            yield from self.of_moment(moment)
            born = calendars.day_of(text, tz)
            if self.ages and born is not None:
                shown = range(calendars.local_day(start, tz).year - 1, calendars.local_day(until, tz).year + 2)
                for year in shown:
                    day = calendars.birthday(born, year)
                    for shift in {0, 1} | {1 - calendars.whole_days(each) for each in self._day_counts()}:
                        yield calendars.midnight(day + timedelta(shift), tz)

    def _day_counts(self) -> list[Duration]:
        return [test.operand for test in self.ages if isinstance(test.operand, Duration)]


def parts_of(node: Any) -> Iterator[Any]:
    """A document's dataclasses, at any depth."""
    if isinstance(node, tuple):
        for each in node:
            yield from parts_of(each)
    elif is_dataclass(node):
        yield node
        for field in fields(node):
            yield from parts_of(getattr(node, field.name))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
        for each in inner:
            yield from _texts(each)
