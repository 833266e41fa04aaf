"""A target's part in one partition: where it is in the feed, what is in hand, and the order within lanes.

Pure bookkeeping: what changes in the store goes into the partition's draft, and counts as written when `confirmed`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from consumers.delivery.following import SPANS_MAX, Place, Position, Span
from consumers.delivery.port import Item
from consumers.delivery.records import Kept, encode
from consumers.state.deliveries import WAKE_MAX, Draft, Flag, Parked

if TYPE_CHECKING:
    from consumers.delivery.holding import Holding


class Slot:
    """A wanted item of the feed. `before`: the place before it; `settled`: done, or parked in the draft."""

    __slots__ = ("before", "settled")

    def __init__(self, before: Place, *, settled: bool = False) -> None:
        self.before, self.settled = before, settled


class Work:
    """An item in hand. `n`: its number where it is parked, 0 where it came from the feed; `not_before` in ms.

    `early`: the target has come back, and it is called before its time.
    """

    __slots__ = ("branch", "early", "kept", "lane", "n", "not_before", "ready_s", "slot")

    def __init__(self, branch: Branch, kept: Kept, slot: Slot | None, n: int = 0) -> None:
        self.branch, self.kept, self.slot, self.n = branch, kept, slot, n
        self.lane: Lane | None = None
        self.not_before = kept.due_ms
        self.ready_s = 0.0
        self.early = False

    @property
    def item(self) -> Item:
        return self.kept.item


class Lane:
    """Items of one lane that are in hand; the first is ready or being called. `stored`: others of it are parked, so
    what comes is parked behind them. `checking`: whether that is so is being asked. `unwritten`: operations."""

    __slots__ = ("checking", "name", "queue", "stored", "unwritten")

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue: deque[Work] = deque()
        self.stored = self.checking = False
        self.unwritten = 0


class Branch:
    """`ready` is called with each work whose turn it is, `ring` when parked items may be due. `works`: how many are in
    hand. `retried`: parked to be tried again, `failures` of them not written yet."""

    def __init__(
        self,
        target: str,
        holding: Holding,
        place: Place,
        parked: Parked,
        ready: Callable[[Work], None],
        ring: Callable[[], None],
    ) -> None:
        self.target, self.holding = target, holding
        self.read = place
        self.skips: deque[Span] = deque()  # what was settled beyond the cursor when the partition was taken over
        self.triggered = 0  # as of `read`, see Position
        self.written = ""  # the position as the store has it
        self.parked, self.retried = parked.parked, parked.retried
        self.look = self.parked > 0  # whether something may be due that was not when the store was last asked
        self.next_due_ms: int | None = None
        self.in_hand: set[int] = set()
        self.confirms = 0
        self.works = 0
        self.wakes = 0  # writes that shall wake some more of what is to be tried again
        self.lost = False
        self.unchecked: list[Lane] = []
        self.slots: deque[Slot] = deque()
        self.lanes: dict[str, Lane] = {}
        self.failures = 0
        self._make_ready, self.ring = ready, ring
        self._writing_failures = 0
        self._touched: list[Lane] = []
        self._released: list[int] = []
        self._writing: tuple[list[Lane], list[int]] = ([], [])

    @property
    def draft(self) -> Draft:
        """Asked for only to change it."""
        self.holding.dirty = True
        return self.holding.draft

    @property
    def cursor(self) -> Place:
        """Everything before it is settled or parked."""
        slots = self.slots
        while slots and slots[0].settled:
            slots.popleft()
        return slots[0].before if slots else self.read

    @property
    def position(self) -> Position:
        """The cursor, and what is settled beyond it: of that nothing comes again, whoever goes on from here."""
        cursor, spans = self.cursor, list[Span]()
        begin: Slot | None = None
        for slot in self.slots:
            if slot.settled:
                begin = begin or slot
            elif begin is not None:
                spans.append(Span(begin.before, slot.before))
                begin = None
                if len(spans) == SPANS_MAX:
                    break
        else:
            if begin is not None:
                spans.append(Span(begin.before, self.read))
        while self.skips and self.skips[0].end <= self.read:
            self.skips.popleft()
        return Position(cursor, [*spans, *self.skips][:SPANS_MAX], self.triggered)

    def skip(self, before: Place, after: Place) -> bool:
        """Whether the item between these places was settled by whoever had the partition before; then it is passed."""
        while self.skips and self.skips[0].end < after:
            self.skips.popleft()
        if not self.skips or after <= self.skips[0].begin:
            return False
        if self.slots and not self.slots[-1].settled:
            self.slots.append(Slot(before, settled=True))
        return True

    # -- what comes ---------------------------------------------------------------------------------------------------

    def take(self, work: Work, now_ms: int) -> None:
        """An item of the feed, in its order."""
        if work.slot is not None:
            self.slots.append(work.slot)
        self.works += 1
        name = work.kept.lane
        if not name:
            self._begin(work, now_ms)
            return
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane(name)
            lane.stored = work.not_before > now_ms  # it is parked: the store knows its place in the lane
            lane.checking = self.parked > 0 and not lane.stored
            if lane.checking:
                self.unchecked.append(lane)
        work.lane = lane
        if lane.stored:
            self._park(work, "w")
            return
        lane.queue.append(work)
        if len(lane.queue) == 1 and not lane.checking:
            self._begin(work, now_ms)

    def checked(self, lane: Lane, stored: bool, now_ms: int) -> None:
        """Whether a lane has parked items: then those in hand are parked behind them."""
        lane.checking = False
        if not stored:
            if lane.queue:
                self._begin(lane.queue[0], now_ms)
            return
        lane.stored = True
        while lane.queue:
            self._park(lane.queue.popleft(), "w")
        self._forget(lane)

    def take_parked(self, work: Work, now_ms: int) -> None:
        """A parked item whose time has come; the first of its lane."""
        self.works += 1
        self.in_hand.add(work.n)
        name = work.kept.lane
        if not name:
            self._make_ready(work)
            return
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane(name)
            lane.stored = True
        work.lane = lane
        work.not_before = now_ms
        lane.queue.append(work)
        if len(lane.queue) == 1 and not lane.checking:
            self._make_ready(work)

    def _begin(self, work: Work, now_ms: int) -> None:
        """The first of its lane: it is called, or parked until its time, and what is behind it with it."""
        if work.not_before > now_ms:
            self.postpone(work, "w", work.kept)
        else:
            self._make_ready(work)

    # -- how it ends --------------------------------------------------------------------------------------------------

    def finish(self, work: Work, now_ms: int) -> None:
        """It is done with, whichever way: the next of its lane has its turn."""
        if work.n:
            self.draft.settle(self.target, work.n, work.kept.lane)
            self._released.append(work.n)
        self._leave(work)
        lane = work.lane
        if lane is None:
            return
        assert lane.queue[0] is work, "only the first of a lane is called"
        lane.queue.popleft()
        if work.n:
            self._touch(lane)
        if lane.queue:
            self._begin(lane.queue[0], now_ms)
        else:
            self._forget(lane)

    def postpone(self, work: Work, flag: Flag, kept: Kept) -> None:
        """It is called again at `kept.due_ms`; what is behind it in its lane waits for it, in the store."""
        work.kept = kept
        lane = work.lane
        if lane is None:
            self._park(work, flag)
            return
        assert lane.queue[0] is work, "only the first of a lane is called"
        lane.stored = True
        self._park(lane.queue.popleft(), flag)
        while lane.queue:
            behind = lane.queue.popleft()
            if behind.n:  # it is parked already, and stays due
                self._leave(behind)
                self._released.append(behind.n)
                self._touch(lane)
            else:
                self._park(behind, "w")
        self._forget(lane)

    def _park(self, work: Work, flag: Flag) -> None:
        kept, lane = work.kept, work.lane
        if work.n:
            self.draft.again(self.target, work.n, kept.lane, flag, kept.due_ms, encode(kept))
            self._released.append(work.n)
        else:
            self.draft.park(self.target, kept.lane, flag, kept.due_ms, encode(kept))
            self.failures += flag == "r"
        if lane is not None:
            self._touch(lane)
        self._leave(work)

    def _leave(self, work: Work) -> None:
        self.works -= 1
        if work.slot is not None:
            work.slot.settled = True
            self.holding.dirty = True

    def wake(self) -> None:
        """What is to be tried again is due now."""
        self.wakes = self.retried // WAKE_MAX
        self.draft.wake(self.target)

    # -- what is written ----------------------------------------------------------------------------------------------

    def _touch(self, lane: Lane) -> None:
        lane.unwritten += 1
        self._touched.append(lane)

    def _forget(self, lane: Lane) -> None:
        """A lane with nothing in hand need not be known, once the store knows what was said of it."""
        if not (lane.queue or lane.unwritten or lane.checking):
            self.lanes.pop(lane.name, None)

    def writing(self) -> None:
        """The draft as it stands is being written."""
        assert self._writing == ([], []), "one write at a time"
        self._writing = (self._touched, self._released)
        self._touched, self._released = [], []
        self._writing_failures = self.failures

    def confirmed(self, parked: Parked | None) -> None:
        """It is written. `parked`: what the store has now, None where that was not touched."""
        touched, released = self._writing
        self._writing = ([], [])
        self.failures -= self._writing_failures
        self._writing_failures = 0
        self.in_hand.difference_update(released)
        for lane in touched:
            lane.unwritten -= 1
            self._forget(lane)
        if parked is not None:
            self.parked, self.retried = parked.parked, parked.retried
            self.confirms += 1
            self.look = self.parked > 0
            self.ring()
