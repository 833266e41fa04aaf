"""What became of events, counted for metrics."""

from __future__ import annotations


class Tally:
    """`capped`: met a cap of entries; `waiting`: of the future; `late`: read long after their time."""

    __slots__ = ("capped", "duplicates", "events", "late", "waiting")

    def __init__(self) -> None:
        self.events = self.duplicates = self.late = self.waiting = self.capped = 0
