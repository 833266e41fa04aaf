"""Which record goes next: of all that are at hand, the oldest. No I/O.

Each partition keeps its own order; between partitions the record with the lowest timestamp goes first. So a partition
of which nothing is at hand holds the others up, unless it is known to have no more: what it brings may be older than
anything of theirs. It is waited for within bounds, then the others go on without it until it brings something.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from consumers.intake.port import Place, Polled, SourceRecord
from consumers.intake.settings import IntakeSettings

_RECORD_BYTES = 200  # what a record costs beyond its value: its object, its key, its headers


class _Held:
    """What is at hand of one partition. `behind`: how many records it has after these, None: not known; `last_behind`:
    as of when it was known."""

    __slots__ = ("assignment", "behind", "bytes", "given_up", "last_behind", "records", "waited_from")

    def __init__(self, assignment: int) -> None:
        self.assignment = assignment
        self.records: deque[SourceRecord] = deque()
        self.bytes = 0
        self.behind: int | None = None
        self.last_behind: int | None = None
        self.waited_from: float | None = None
        self.given_up = False

    @property
    def holds_up(self) -> bool:
        return not self.records and self.behind != 0 and not self.given_up


class Merge:
    """`update` with what came, `take` what goes next, `wanted` says of which partitions more should be read."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._settings = settings
        self._held: dict[Place, _Held] = {}
        self._bytes = 0

    def update(self, polled: Polled) -> list[Place]:
        """Adds the records; what is held of partitions that went or were assigned anew is dropped. Returns these."""
        dropped = [place for place, held in self._held.items() if polled.assigned.get(place) != held.assignment]
        for place in dropped:
            self._bytes -= self._held.pop(place).bytes
        for place, assignment in polled.assigned.items():
            held = self._held.get(place)
            if held is None:
                held = self._held[place] = _Held(assignment)
            added = polled.records.get(place, ())
            self._add(held, added)
            held.behind = polled.behind.get(place)
            if held.behind is not None:
                held.last_behind = held.behind
            elif held.last_behind is not None:
                held.last_behind = max(0, held.last_behind - len(added))
        return dropped

    def _add(self, held: _Held, records: Sequence[SourceRecord]) -> None:
        if records:
            held.records.extend(records)
            size = sum(map(_size, records))
            held.bytes += size
            self._bytes += size
            held.given_up, held.waited_from = False, None

    def wanted(self) -> list[Place]:
        """In order of their names: the same state asks the same."""
        room = self._bytes < self._settings.held_bytes_max
        few = self._settings.held_records_min
        return sorted(
            place for place, held in self._held.items() if not held.records or (room and len(held.records) < few)
        )

    def take(self, now_s: float) -> tuple[list[SourceRecord], list[Place]]:
        """The next records in order, as far as it is certain; and the partitions that are no longer waited for.

        `now_s`: of a steady clock.
        """
        given_up = self._wait(now_s)
        if any(held.holds_up for held in self._held.values()):
            return [], given_up
        return self._oldest(), given_up

    def _wait(self, now_s: float) -> list[Place]:
        given_up: list[Place] = []
        for place, held in self._held.items():
            if not held.holds_up:
                held.waited_from = None
                held.given_up = held.given_up and held.behind != 0
            elif held.waited_from is None:
                held.waited_from = now_s
            elif now_s - held.waited_from >= self._settings.wait_s:
                held.given_up = True
                given_up.append(place)
        return given_up

    def _oldest(self) -> list[SourceRecord]:
        taken: list[SourceRecord] = []
        size = 0
        heads = [(held.records[0].timestamp_ms, place) for place, held in self._held.items() if held.records]
        heapq.heapify(heads)
        while heads and len(taken) < self._settings.batch_records_max and size < self._settings.batch_bytes_max:
            place = heads[0][1]
            held = self._held[place]
            record = held.records.popleft()
            taken.append(record)
            size += _size(record)
            held.bytes -= _size(record)
            if held.records:
                heapq.heapreplace(heads, (held.records[0].timestamp_ms, place))
                continue
            heapq.heappop(heads)
            if held.behind != 0:  # what it brings next may be older than the others' heads
                break
        self._bytes -= size
        return taken

    @property
    def places(self) -> list[Place]:
        return sorted(self._held)

    def behind(self, place: Place) -> int | None:
        """How many records of a partition are yet to go, with those at hand, as far as was last known; None: never."""
        held = self._held.get(place)
        return None if held is None or held.last_behind is None else held.last_behind + len(held.records)

    def oldest_ms(self, place: Place) -> int | None:
        """The timestamp of the next record; None where none is at hand."""
        held = self._held.get(place)
        return held.records[0].timestamp_ms if held is not None and held.records else None


def _size(record: SourceRecord) -> int:
    return len(record.value or b"") + _RECORD_BYTES
