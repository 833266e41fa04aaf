"""Helpers of the tests to read first: a log played into one partition, and what it says, as lines of text."""

from __future__ import annotations

from typing import Any

from rules.events import Event
from rules.plan import Definition, compile_plan
from rules.play import Partition
from rules.times import format_instant, parse_instant
from rules.transitions import Transition


class Shop:
    """One partition of the log, in memory, and the segments that watch it.

    Every call returns the transitions it caused, written as in case files: time, customer, what, segment, cause.
    """

    def __init__(self, *documents: dict[str, Any]) -> None:
        plan = compile_plan([Definition(document["id"], document=document) for document in documents])
        self.partition = Partition(plan)
        self._lines = 0

    def event(self, ts: str, type: str, *, id: str = "", log_ts: str | None = None, **properties: Any) -> list[str]:
        """One event of Ana's. The log stamps it with its own `ts`, unless `log_ts` says otherwise."""
        self._lines += 1
        rank = id or f"\U0010ffff{self._lines:012d}"
        event = Event(type, "ana", at(ts), id, properties, rank)
        return lines(self.partition.feed(event, None if log_ts is None else at(log_ts)))

    def wait(self, until: str) -> list[str]:
        """Nothing comes; the clock runs on."""
        return lines(self.partition.run_to(at(until)))

    def members(self, segment: str) -> list[str]:
        return [customer for customer, name, _ in self.partition.memberships() if name == segment]


def at(text: str) -> int:
    """`01-31 10:00`: a day of 2026 and a time of day (none: midnight), in UTC, as ms."""
    day, _, time = text.partition(" ")
    ms = parse_instant(f"2026-{day}T{time or '00:00'}{':00' if len(time) < 6 else ''}Z")
    assert ms is not None, text
    return ms


def lines(changes: list[Transition]) -> list[str]:
    found = []
    for change in changes:
        what = "entered" if change.entered else "exited"
        time = format_instant(change.time).removeprefix("2026-").removesuffix("Z").replace("T", " ")
        found.append(f"{time.removesuffix(':00')} {change.customer_id} {what} {change.segment} {change.cause}")
    return found
