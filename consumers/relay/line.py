"""What waits to be published of one partition, in the order of its commits; pure, nothing is read or written here.

```
  outbox:  ... done | handled by a transaction under way | in memory (`pieces`) | only in the store | numbered
```
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from consumers.log.port import Offset
from consumers.relay.headers import NOWHERE
from consumers.relay.port import Outgoing, Place
from consumers.state.commit import Meta, OutboxEntry
from consumers.state.keys import PartitionKeys
from consumers.state.relaying import Holder


class _Named(msgspec.Struct):
    """What the relay wants to know of a CloudEvent; the rest is skipped over."""

    id: str
    subject: str
    traceparent: str = ""


_NAMED = msgspec.json.Decoder(_Named)


class Piece:
    """What one commit said; `at`: the first transition not yet handled."""

    __slots__ = ("at", "commit", "position", "transitions")

    def __init__(self, commit: int, position: Offset, transitions: Sequence[bytes], at: int = 0) -> None:
        self.commit, self.position, self.transitions, self.at = commit, position, transitions, at

    def __len__(self) -> int:
        return len(self.transitions) - self.at


class Cut(NamedTuple):
    """The next transitions of a line: `outgoing` to publish; of the `handled` the others are left out.

    `place`, `skips`: the line's after it. `size`: bytes to publish.
    """

    outgoing: list[Outgoing]
    handled: int
    place: Place
    skips: int
    size: int


class Line:
    """One partition of a relay.

    `place`: up to there all is published or left out; `done`: the same as a number of the outbox. `known`: the newest
    durable commit; `numbered`: the number of its newest transition. `lost`: ids that the topic holds already, and
    `skips`: how many more it held that retention dropped (see `takeover`).
    """

    def __init__(self, partition: int, holder: Holder, meta: Meta) -> None:
        self.partition = partition
        self.keys = PartitionKeys(partition)
        self.holder = holder
        self.known, self.known_position, self.numbered = meta.commit, meta.position, meta.numbered
        self.tried: Place | None = None  # the last place of a transaction whose outcome may not be known
        self.lost: Collection[str] = frozenset()
        self.skips = 0
        self.noted: Place | None = None  # what the store's note says
        self.noted_at = self.moved_at = float("-inf")  # steady seconds
        self.place, self.done = NOWHERE, 0
        self._pieces: deque[Piece] = deque()
        self.held = 0  # transitions in memory
        self._loaded, self._loaded_nth = -1, -1  # commits in memory or done, and so many transitions of the next
        self._entry_size = 1.0  # transitions an entry of the outbox, lately

    def resume(self, place: Place, done: int) -> None:
        """Go on after `place`; what is in memory is forgotten, the outbox has it."""
        self.place, self.done = place, done
        self._pieces.clear()
        self.held = 0
        if self.backlog:
            self._loaded, self._loaded_nth = place.commit - 1, place.nth
        else:
            self._loaded, self._loaded_nth = self.known, -1

    @property
    def backlog(self) -> int:
        """Committed and not published."""
        return self.numbered - self.done

    def may_end_at(self, tail: Place) -> bool:
        """Whether the topic may end there if nobody but us has published since `place`."""
        return tail.number <= self.place.number or tail == self.tried

    # -- what comes in ------------------------------------------------------------------------------------------------

    def offer(self, commit: int, position: Offset, transitions: Sequence[bytes], *, room: bool) -> None:
        """A durable commit. Without `room` in memory it is read from the outbox when its turn comes."""
        complete = self._loaded >= self.known
        self.known, self.known_position = commit, position
        self.numbered += len(transitions)
        if not complete or not room:
            return
        self._loaded, self._loaded_nth = commit, -1
        if transitions:
            self._pieces.append(Piece(commit, position, transitions))
            self.held += len(transitions)

    @property
    def wants_reading(self) -> bool:
        """Whether nothing is in memory and the outbox has more."""
        return not self._pieces and self._loaded < self.known

    def entries_wanted(self, transitions_max: int) -> int:
        """How many entries of the outbox hold about so many transitions."""
        return max(1, min(500, int(transitions_max / max(self._entry_size, 0.01))))  # an entry may have none

    @property
    def first_wanted(self) -> int:
        return self._loaded + 1

    def read(self, entries: Iterable[tuple[int, OutboxEntry]], asked: int, last: int) -> int:
        """Entries from `first_wanted` on, up to commit `last`; fewer than `asked`: there are no more.

        Answers how many transitions are missing that the outbox let go of too early.
        """
        missing, count = 0, 0
        for commit, entry in entries:
            at = self._loaded_nth + 1 if commit == self._loaded + 1 else 0
            number = entry.first_number + at
            if not count:  # the first one shows whether there is a hole
                missing = number - 1 - self.done
                self.done += missing
            if at < len(entry.transitions):
                self._pieces.append(Piece(commit, self.known_position, entry.transitions, at))
                self.held += len(entry.transitions) - at
            self._entry_size += (len(entry.transitions) - self._entry_size) / 4
            self._loaded, self._loaded_nth = commit, -1
            count += 1
        if count < asked:
            self._loaded, self._loaded_nth = last, -1
        return missing + self._close(last)

    def _close(self, last: int) -> int:
        """All that the outbox has is in memory: whatever else was counted is not there any more."""
        if self._loaded < self.known or last < self.known:
            return 0
        missing = self.backlog - self.held
        self.done += missing
        return missing

    # -- what goes out ------------------------------------------------------------------------------------------------

    def cut(self, transitions_max: int, bytes_max: int) -> Cut:
        """The next transitions, at least one where there are any. Changes nothing: see `advance`."""
        outgoing: list[Outgoing] = []
        handled, size = 0, 0
        place, skips = self.place, self.skips
        for piece in self._pieces:
            for nth in range(piece.at, len(piece.transitions)):
                if handled >= transitions_max or size >= bytes_max:
                    return Cut(outgoing, handled, place, skips, size)
                value = piece.transitions[nth]
                named = _NAMED.decode(value)
                handled += 1
                new = named.id not in self.lost
                place = Place(piece.commit, nth, piece.position, place.number + (new and not skips))
                if new and skips:
                    skips -= 1
                elif new:
                    outgoing.append(Outgoing(named.subject.encode(), value, place, named.traceparent))
                    size += len(value)
        return Cut(outgoing, handled, place, skips, size)

    def advance(self, cut: Cut, now: float) -> None:
        """What was cut is published, or left out."""
        left = cut.handled
        while left:
            piece = self._pieces[0]
            taken = min(left, len(piece))
            piece.at += taken
            left -= taken
            if not len(piece):
                self._pieces.popleft()
        self.held -= cut.handled
        self.done += cut.handled
        self.place, self.skips, self.moved_at = cut.place, cut.skips, now
