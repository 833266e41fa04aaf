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


@dataclass(frozen=True)
class Edit:
    """A definition record: a new version of a segment, a paused one (`document` as it was), or its deletion (None)."""

    segment: str
    document: Segment | None
    paused: bool = False


Entry = tuple["EventLike | Edit | None", int | None]
"""A record with its log timestamp (None: the event's `ts`); a record None is a tick: the clock alone moves."""


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
    passed: dict[tuple[int, int], bool] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()
    forgotten: dict[str, Sequence[EventLike]] = field(default_factory=dict)  # deleted segments: the events till then

    def read(self, event: EventLike, clock: int) -> None:
        """One record, `clock` being the highest log timestamp including its own."""
        self.pass_time(clock)
        if self._again(event, clock):
            return
        self.events.append(event)
        self._await(self.instants.of_event(event, self.until))
        self.judge(clock, event)
        self.settled = clock + 1

    def edit(
        self, edit: Edit, clock: int, segments: Sequence[Segment], instants: Instants, paused: frozenset[str]
    ) -> None:
        """A definition takes effect: everyone is judged once, and watched at the instants the new documents make."""
        self.pass_time(clock)
        self.segments, self.instants, self.paused = segments, instants, paused
        self.passed.clear()
        for event in self.events:
            self._await(instants.of_event(event, self.until))
        for stay in self.stays.values():
            if stay.changed_at is not None:
                self._await(instants.of_moment(stay.changed_at))
        self.judge(clock, edit)
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

    def judge(self, now: int, reason: EventLike | Edit | None) -> None:
        """Every segment, once, at `now`; because of a record, or of the clock (None)."""
        self.judged.append(now)
        seen = replace(world(now, self.id, self.events, {}), passed=self.passed)
        edited = reason.segment if isinstance(reason, Edit) else ""
        if isinstance(reason, Edit) and reason.document is None:
            self._announce(edited, False, now, reason)
            self.forgotten[edited] = seen.events  # changes by hand go with the segment; what waits is still to come
            self.stays[edited].overridden = False
        for segment in self.segments:
            if segment.id not in self.paused:
                stay = self.stays.setdefault(segment.id, Stay())
                member = self._verdict(segment, stay, replace(seen, since=self.since()), free=segment.id == edited)
                self._announce(segment.id, member, now, reason)

    def _announce(self, segment: str, member: bool, now: int, reason: EventLike | Edit | None) -> None:
        stay = self.stays.setdefault(segment, Stay())
        if member == stay.member:
            return
        stay.member, stay.changed_at, stay.sequence = member, now, stay.sequence + 1
        what = "entered" if member else "exited"
        identity = "" if reason is None or isinstance(reason, Edit) else reason.id
        self.changes.append(Change(now, self.id, what, segment, _cause(reason, segment), identity, stay.sequence))
        self._await(self.instants.of_moment(now))

    def since(self) -> dict[str, int]:
        """The segments the customer is announced to be in, and from when."""
        return {
            name: stay.changed_at for name, stay in self.stays.items() if stay.member and stay.changed_at is not None
        }

    def _verdict(self, segment: Segment, stay: Stay, seen: World, free: bool) -> bool:
        """Whether the customer should be a member. `free`: hold delays nothing."""
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
            return not (leaving and (free or self._over(stay, segment.hold.min_stay, seen.now, segment.timezone)))
        entering = enter and not leave
        return entering and (free or self._over(stay, segment.hold.cooldown, seen.now, segment.timezone))

    def _over(self, stay: Stay, hold: Duration | None, now: int, tz: str) -> bool:
        """Whether the hold after the last change is over."""
        if hold is None or stay.changed_at is None:
            return True
        ends = calendars.after(stay.changed_at, hold, tz)
        return ends is not None and now >= ends

    def _override(self, segment: str, seen: World) -> str | None:
        """`add` or `remove` while the newest manual change is in force."""
        gone = self.forgotten.get(segment, ())
        orders = [e for e in seen.events if e.type == "membership" and e.properties.get("segment") == segment]
        newest = [e for e in orders if not any(e is each for each in gone)][-1:]
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

    def run(self, log: Sequence[Entry], until: int | None = None) -> Outcome:
        """Every record with its log timestamp (None: its `ts`), then the clock up to `until`, included."""
        stamps = [_stamp(entry) for entry in log]
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

    def play(self, log: Sequence[Entry], horizon: int) -> dict[str, Customer]:
        """The customers after the last record. Calendar dates are watched as far as `horizon`."""
        customers: dict[str, Customer] = {}
        segments, instants, paused = self.segments, self.instants, frozenset[str]()
        clock = -(1 << 60)
        for entry in log:
            record, clock = entry[0], max(clock, _stamp(entry))
            if isinstance(record, Edit):
                segments, instants = edited(segments, record)
                paused = paused - {record.segment} | ({record.segment} if record.paused else set())
                for customer in customers.values():
                    customer.edit(record, clock, segments, instants, paused)
                continue
            if record is None:
                continue
            if record.customer_id not in customers:
                fresh = Customer(record.customer_id, segments, instants, horizon, settled=clock, paused=paused)
                fresh.pending = [each for each in self.extra if each >= clock]
                customers[record.customer_id] = fresh
            customers[record.customer_id].read(record, clock)
        return customers


def _stamp(entry: Entry) -> int:
    record, stamp = entry
    if stamp is None:
        assert record is not None, "a tick has no `ts` of its own"
        assert not isinstance(record, Edit), "a definition has no `ts` of its own"
        return record.ts
    return stamp


def edited(segments: Sequence[Segment], edit: Edit) -> tuple[list[Segment], Instants]:
    """The documents after an edit, and the instants they make."""
    others = [segment for segment in segments if segment.id != edit.segment]
    found = in_order_of_dependency([*others, edit.document] if edit.document is not None else others)
    return found, Instants(found)


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


def _cause(reason: EventLike | Edit | None, segment: str) -> str:
    if reason is None:
        return "clock"
    if isinstance(reason, Edit):
        return "definition"
    by_hand = reason.type == "membership" and reason.properties.get("segment") == segment
    return "manual" if by_hand else "event"
