"""The newest part of the feed, kept in memory for all who follow it: one read of the store serves every reader there.

Readers that are within it or ahead of it are served from here, by their transitions' numbers; who is further back reads
the store. It is dropped whenever it might not be what the store says (a store that was rolled back, or nobody asked for
some time): then it begins anew where a reader has found the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """Where a reader is in one partition: transitions up to `number` are read, the rest is in `commit` or later."""

    commit: int
    number: int


class Entry(NamedTuple):
    """One commit's transitions; the first has the number `first` in its partition."""

    commit: int
    first: int
    transitions: Sequence[bytes]

    @property
    def last(self) -> int:
        return self.first + len(self.transitions) - 1


class Tail:
    """Per partition: entries after `starts` up to `ends`. At most `bytes_max` of transitions, the oldest go first."""

    def __init__(self, bytes_max: int) -> None:
        self.starts: list[Place] = []
        self.ends: list[Place] = []
        self.shown: list[int] = []
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: list[deque[Entry]] = []
        self._order: deque[int] = deque()  # the partitions of all entries, oldest first

    def begin(self, places: Sequence[Place]) -> None:
        """From here on, with nothing in it yet."""
        self.starts, self.ends = list(places), list(places)
        self.shown = [0] * len(places)
        self._entries = [deque() for _ in places]
        self._order.clear()
        self._bytes = 0

    def drop(self) -> None:
        self.begin([])

    def __bool__(self) -> bool:
        return bool(self.ends)

    def covers(self, places: Sequence[Place]) -> bool:
        """Whether what follows these places begins here (or is not known here yet)."""
        return bool(self.ends) and all(
            place.number >= start.number for place, start in zip(places, self.starts, strict=True)
        )

    def add(self, partition: int, entry: Entry) -> None:
        """The partition's next commit."""
        self.ends[partition] = Place(entry.commit + 1, entry.last)
        self._entries[partition].append(entry)
        self._order.append(partition)
        self._bytes += sum(map(len, entry.transitions))
        while self._bytes > self._bytes_max:
            oldest = self._order.popleft()
            gone = self._entries[oldest].popleft()
            self.starts[oldest] = Place(gone.commit + 1, gone.last)
            self._bytes -= sum(map(len, gone.transitions))

    def after(self, partition: int, place: Place) -> list[Entry]:
        """The partition's entries that have anything after `place`, oldest first."""
        found: list[Entry] = []
        for entry in reversed(self._entries[partition]):
            if entry.last <= place.number:
                break
            found.append(entry)
        found.reverse()
        return found
