"""The oracle: a log in, every transition out, by definition."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rules.language.documents import Condition, Duration, Segment, SegmentNode
from tests.oracle import calendars
from tests.oracle.conditions import EventLike, World, holds, world
from tests.oracle.instants import Instants, parts_of

REMEMBERED_MS = 72 * calendars.HOUR
REMEMBERED_IDS = 512


class Change(NamedTuple):
    time: int
    customer_id: str
    what: str  # "entered" or "exited"
    segment: str
    cause: str
    event_id: str
    sequence: int


class Outcome(NamedTuple):
    transitions: list[Change]  # in order of time, customer, segment, sequence
    memberships: dict[str, dict[str, int]]  # segment -> customer -> since


@dataclass
class Stay:
    """A customer's announced standing in one segment."""

    member: bool = False
    changed_at: int | None = None
    sequence: int = 0
    overridden: bool = False


@dataclass
class Customer:
    """One customer: every raw event, and what was announced."""

    id: str
    segments: Sequence[Segment]  # in order of dependency
    instants: Instants
    until: int
    events: list[EventLike] = field(default_factory=list)
    stays: dict[str, Stay] = field(default_factory=dict)
    first_read: dict[tuple[str, str], int] = field(default_factory=dict)
    pending: list[int] = field(default_factory=list)  # instants to judge at, ascending
    settled: int = 0  # every instant before this one has been judged
    changes: list[Change] = field(default_factory=list)
    judged: list[int] = field(default_factory=list)

    def read(self, event: EventLike, clock: int) -> None:
        """One record, `clock` being the highest log timestamp including its own."""
        self.pass_time(clock)
        if self._again(event, clock):
            return
        self.events.append(event)
        self._await(self.instants.of_event(event, self.until))
        self.judge(clock, event)
        self.settled = clock + 1

    def _again(self, event: EventLike, clock: int) -> bool:
        if not event.id:
            return False
        key = event.type, event.id
        if key in self.first_read and clock - self.first_read[key] < REMEMBERED_MS:
            return True
        self.first_read.pop(key, None)
        self.first_read[key] = clock
        if len(self.first_read) > REMEMBERED_IDS:
            del self.first_read[next(iter(self.first_read))]
        return False

    def pass_time(self, end: int) -> None:
        """Judge at every instant before `end` that has not been judged."""
        while self.pending:
            place = bisect_left(self.pending, self.settled)
            if place == len(self.pending) or self.pending[place] >= end:
                break
            now = self.pending[place]
            del self.pending[: place + 1]
            self.judge(now, None)
            self.settled = now + 1
        self.settled = max(self.settled, end)

    def _await(self, instants: Iterable[int]) -> None:
        known = set(self.pending)
        for each in set(instants) - known:
            if each >= self.settled:
                insort(self.pending, each)

    def judge(self, now: int, event: EventLike | None) -> None:
        """Every segment, once, at `now`; because of a record, or of the clock (None)."""
        self.judged.append(now)
        seen = world(now, self.id, self.events, {})
        for segment in self.segments:
            stay = self.stays.setdefault(segment.id, Stay())
            member = self._verdict(segment, stay, replace(seen, since=self.since()))
            if member != stay.member:
                stay.member, stay.changed_at, stay.sequence = member, now, stay.sequence + 1
                what = "entered" if member else "exited"
                cause = _cause(event, segment.id)
                identity = "" if event is None else event.id
                self.changes.append(Change(now, self.id, what, segment.id, cause, identity, stay.sequence))
                self._await(self.instants.of_moment(now))

    def since(self) -> dict[str, int]:
        """The segments the customer is announced to be in, and from when."""
        return {
            name: stay.changed_at for name, stay in self.stays.items() if stay.member and stay.changed_at is not None
        }

    def _verdict(self, segment: Segment, stay: Stay, seen: World) -> bool:
        order = self._override(segment.id, seen)
        was_overridden, stay.overridden = stay.overridden, order is not None
        if order is not None:
            return order == "add"
        enter = _holds(segment.enter, seen, segment.timezone)
        leave = _holds(segment.exit, seen, segment.timezone)
        if was_overridden:
            return enter and not leave
        if stay.member:
            leaving = leave if segment.exit is not None else not enter
            return not (leaving and self._free(stay, segment.hold.min_stay, seen.now, segment.timezone))
        entering = enter and not leave
        return entering and self._free(stay, segment.hold.cooldown, seen.now, segment.timezone)

    def _free(self, stay: Stay, hold: Duration | None, now: int, tz: str) -> bool:
        """Whether the hold after the last change is over."""
        if hold is None or stay.changed_at is None:
            return True
        ends = calendars.after(stay.changed_at, hold, tz)
        return ends is not None and now >= ends

    def _override(self, segment: str, seen: World) -> str | None:
        """`add` or `remove` while the newest manual change is in force."""
        newest = [e for e in seen.events if e.type == "membership" and e.properties.get("segment") == segment][-1:]
        if not newest or newest[0].properties["action"] == "clear":
            return None
        text = newest[0].properties.get("until")
        until = None if text is None else calendars.read_instant(text)
        return newest[0].properties["action"] if until is None or seen.now < until else None


class Oracle:
    """`segments` exist from the start. `extra`: further instants to judge at (the dense mode of its own tests)."""

    def __init__(self, segments: Sequence[Segment], extra: Iterable[int] = ()) -> None:
        self.segments = in_order_of_dependency(segments)
        self.instants = Instants(segments)
        self.extra = sorted(extra)
        self.customers: dict[str, Customer] = {}  # of the last run

    def run(self, log: Sequence[tuple[EventLike, int | None]], until: int | None = None) -> Outcome:
        """Every record with its log timestamp (None: its `ts`), then the clock up to `until`, included."""
        stamps = [event.ts if stamp is None else stamp for event, stamp in log]
        end = max([*stamps, until if until is not None else 0])
        customers = self.customers = self.play(log, end)
        for customer in customers.values():
            customer.pass_time(end + 1)
        changes = [change for customer in customers.values() for change in customer.changes]
        members: dict[str, dict[str, int]] = {}
        for customer in customers.values():
            for segment, since in customer.since().items():
                members.setdefault(segment, {})[customer.id] = since
        changes.sort(key=lambda change: (change.time, change.customer_id, change.segment, change.sequence))
        return Outcome(changes, members)

    def play(self, log: Sequence[tuple[EventLike, int | None]], horizon: int) -> dict[str, Customer]:
        """The customers after the last record. Calendar dates are watched as far as `horizon`."""
        customers: dict[str, Customer] = {}
        clock = -(1 << 60)
        for event, stamp in log:
            clock = max(clock, event.ts if stamp is None else stamp)
            if event.customer_id not in customers:
                fresh = Customer(event.customer_id, self.segments, self.instants, horizon, settled=clock)
                fresh.pending = [each for each in self.extra if each >= clock]
                customers[event.customer_id] = fresh
            customers[event.customer_id].read(event, clock)
        return customers


def in_order_of_dependency(segments: Sequence[Segment]) -> list[Segment]:
    """Each after every segment that it names."""
    ordered: list[Segment] = []
    left = sorted(segments, key=lambda segment: segment.id)
    while left:
        waiting = {segment.id for segment in left}
        ready = [segment for segment in left if not waiting & named_by(segment)]
        assert ready, "a cycle"
        ordered.extend(ready)
        left = [segment for segment in left if segment not in ready]
    return ordered


def named_by(segment: Segment) -> set[str]:
    return {part.segment for part in parts_of(segment) if isinstance(part, SegmentNode)}


def _holds(condition: Condition | None, seen: World, tz: str) -> bool:
    return condition is not None and holds(condition, seen, tz)


def _cause(event: EventLike | None, segment: str) -> str:
    if event is None:
        return "clock"
    by_hand = event.type == "membership" and event.properties.get("segment") == segment
    return "manual" if by_hand else "event"
