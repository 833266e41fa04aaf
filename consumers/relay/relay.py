"""The relay of one evaluator process: what its partitions commit goes to the topic, once, in order.

One transaction at a time carries what all partitions said in the last few tens of ms. Whatever goes wrong with one, it
may stand or not: the outlet is opened again (which ends it), THEN the store says which partitions are still ours, and
the tails of these say what is published. How a partition is taken over: `takeover`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

import structlog

from consumers.clock import Clock
from consumers.failpoints import reach
from consumers.log.port import Offset
from consumers.relay.headers import write_note
from consumers.relay.line import Cut, Line
from consumers.relay.lines import Lines
from consumers.relay.metrics import Metrics, NullMetrics
from consumers.relay.notes import note_places
from consumers.relay.port import Fenced, Outlet
from consumers.relay.settings import Settings
from consumers.relay.takeover import Recovery, fence_others, find_place, resume
from consumers.relay.waiting import heed_cancellation, set_or_time
from consumers.state.commit import Meta, Reload
from consumers.state.relaying import Holder, end_recovery, leave, read_outbox
from consumers.state.store import Store
from rules.errors import Unavailable

_log = structlog.get_logger("relay")

_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Relay:
    """`open()`, `run()` as a task, `take()` a partition, `offer()` its commits; `close()`. Nothing here reads a clock
    of its own, starts a thread or draws lots. `reason`: why nothing is published at the moment, "" for nothing."""

    def __init__(
        self,
        outlet: Outlet,
        store: Store,
        clock: Clock,
        settings: Settings | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.reason = ""
        self.settings = settings or Settings()
        self._outlet, self._store, self._clock = outlet, store, clock
        self._metrics: Metrics = metrics or NullMetrics()
        self._lines = Lines(self._metrics)
        self._turn = asyncio.Lock()  # one transaction at a time; a tail is read between two
        self._broken = True  # what the last transaction came to is not known: open, look, go on
        self._wake, self._hurry, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._running, self._stopping = False, False
        self._ended = asyncio.Event()
        self._flushing = 0
        self._ended_at = float("-inf")  # when the last transaction ended (steady seconds)

    # -- what the evaluator asks --------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """This process's transactional id."""
        return self._outlet.name

    async def open(self) -> None:
        """Before the first `take`. Raises Unavailable."""
        async with self._turn:
            if self._broken:
                await self._mend()

    async def take(self, partition: int, meta: Meta, epoch: int) -> Recovery | None:
        """(T2) to (T4), once the epoch is raised and our name stands in `relays`. A Recovery: the store lost commits.

        Raises Reload, Unavailable, StoreEmptied; then the partition is not taken.
        """
        self.drop([partition])
        self._lines.forget_lost(partition)
        holder = Holder(epoch, self.name)
        await fence_others(self._outlet, self._store, partition, meta, holder)
        async with self._turn:  # a transaction of our own may hold what the partition said before we lost it
            if self._broken:
                await self._mend()
            tail = await self._outlet.tail(partition)
        reach("T3.after")
        line, recovery = await resume(self._outlet, self._store, partition, meta, holder, tail)
        self._lines.put(line)
        self._wake.set()
        return recovery

    def offer(self, partition: int, commit: int, position: Offset, transitions: Sequence[bytes]) -> None:
        """What a commit that stands has said; `position`: the log's as of that commit."""
        self._lines.offer(partition, commit, position, transitions, self.settings.memory_transitions_max)
        if transitions:
            self._wake.set()

    def known(self, partition: int) -> int:
        """The newest commit that the relay knows of; 0 for a partition that is not its own."""
        line = self._lines.get(partition)
        return line.known if line is not None else 0

    def backlog(self, partition: int) -> int:
        """Transitions committed and not yet published."""
        line = self._lines.get(partition)
        return line.backlog if line is not None else 0

    def room(self, partition: int) -> bool:
        """Whether evaluation of this partition may go on: the outboxes of all partitions together are not full."""
        return self._lines.backlog < self.settings.outbox_transitions_max

    async def value(self, partition: int, offset: Offset) -> bytes:
        """One published transition (see `Recovery.ids`). Raises Unavailable."""
        return await self._outlet.value(partition, offset)

    async def recovered(self, partition: int) -> None:
        """All that the store had lost has come again or was adopted, and is left out. Raises Reload, Unavailable."""
        line = self._lines.get(partition)
        if line is None:
            raise Reload("the relay does not hold the partition")
        if line.backlog:
            raise Unavailable(f"partition {partition}: the relay is not past what was lost")
        await end_recovery(self._store, line.keys, line.holder, write_note(line.place, 0), line.known)
        line.lost, line.skips, line.noted = frozenset(), 0, line.place

    def take_lost(self) -> list[int]:
        """Partitions that turned out to be another's since the last call; they are dropped."""
        return self._lines.take_lost()

    async def flush(self, partitions: Iterable[int], seconds: float) -> bool:
        """Publish all that these have said, and tell the store that none of it is under way: the next owner need not
        fence us. They are not offered again before a new `take`. False: there was no time, or a server is away.
        """
        wanted = list(partitions)
        lines = [line for each in wanted if (line := self._lines.get(each)) is not None]
        if not await self._published(lines, seconds):
            return False
        lines = [line for line in lines if self._lines.holds(line)]  # what was lost meanwhile may not be published
        try:
            for line in lines:
                with contextlib.suppress(Reload):  # not ours any more: whoever has it has fenced us
                    await leave(
                        self._store, line.keys, line.holder, write_note(line.place, line.skips), line.place.commit
                    )
                self.drop([line.partition])
        except Unavailable:
            return False
        return len(lines) == len(wanted)

    async def _published(self, lines: Sequence[Line], seconds: float) -> bool:
        until = self._clock.monotonic() + seconds
        self._flushing += 1
        self._wake.set()
        self._hurry.set()
        try:
            while any(line.backlog and self._lines.holds(line) for line in lines):
                left = until - self._clock.monotonic()
                if left <= 0:
                    return False
                self._moved.clear()
                await set_or_time(self._moved, left)
            return True
        finally:
            self._flushing -= 1

    def drop(self, partitions: Iterable[int]) -> None:
        """Publish nothing more of these."""
        self._lines.drop(partitions)

    async def close(self) -> None:
        """Publish nothing more, and let go of the outlet."""
        self._stopping = True
        self._wake.set()
        self._hurry.set()
        if self._running:
            await self._ended.wait()
        await self._outlet.close()

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Publish until `close()`. While the topic or the store is away it waits, says so once, and tries again."""
        self._running = True
        failures = 0
        try:
            while not self._stopping:
                try:
                    await self._round()
                    failures, self.reason = 0, ""
                except (Fenced, Unavailable, TimeoutError) as error:
                    self._say_why(error)
                    failures = 0 if self._flushing else min(failures, len(_RETRY_S) - 1)
                    await self._pause(_RETRY_S[failures])
                    failures += 1
                finally:
                    self._moved.set()
                    self._lines.report()
        finally:
            if not self._stopping:
                self.reason = "transitions are not published: the relay has ended"
            self._running = False
            self._ended.set()

    async def _round(self) -> None:
        heed_cancellation()
        await self._wait()
        async with self._turn:
            if self._broken:
                await self._mend()
            for line in self._lines:
                if line.wants_reading:
                    await self._read(line)
            bounds = self.settings
            await self._publish(self._lines.cut(bounds.transaction_transitions_max, bounds.transaction_bytes_max))
        await note_places(self._store, self._lines, self.settings, self._clock.monotonic())

    async def _wait(self) -> None:
        """Until there is something to publish or to note, and the last transaction is over for some ms."""
        if not self._work:
            self._wake.clear()
            noting = any(line.place != line.noted for line in self._lines)
            idle_s = self.settings.note_idle_ms / 1000 if noting else None
            await set_or_time(self._wake, idle_s)
        full = self._lines.held >= self.settings.transaction_transitions_max
        gap_ms = self.settings.gap_ms if full or self._flushing else self.settings.gather_ms
        left_s = gap_ms / 1000 - (self._clock.monotonic() - self._ended_at)
        if left_s > 0:
            await self._pause(left_s)

    @property
    def _work(self) -> bool:
        return self._broken or self._stopping or self._lines.backlog > 0

    async def _pause(self, seconds: float) -> None:
        """Nobody waits longer than need be who flushes or closes."""
        if not self._stopping:
            self._hurry.clear()
            await set_or_time(self._hurry, seconds)

    async def _read(self, line: Line) -> None:
        """What of a line is not in memory, from the outbox."""
        asked, last = line.entries_wanted(self.settings.read_transitions_max), line.known
        chunk = await read_outbox(self._store, line.keys, line.holder, line.first_wanted, last, asked)
        if not self._lines.holds(line):
            return
        if not chunk.ours:
            self._lines.lose(line)
            return
        missing = self._lines.read(line, chunk.entries, asked, last)
        if missing:
            _log.error("the outbox has lost transitions not yet published", partition=line.partition, count=missing)

    async def _publish(self, cuts: Sequence[tuple[Line, Cut]]) -> None:
        """One transaction, unless all of it is left out."""
        batches = {line.partition: cut.outgoing for line, cut in cuts if cut.outgoing}
        began = self._clock.monotonic()
        if batches:
            reach("relay.begin")
            self._broken = True  # until we know what came of it, also when this task is cancelled
            for line, cut in cuts:
                line.tried = cut.outgoing[-1].place if cut.outgoing else None
            await self._outlet.publish(batches)
            self._broken = False
            reach("relay.committed")
        now = self._clock.monotonic()
        self._lines.advance(cuts, now)
        if batches:
            self._ended_at = now
            self._metrics.relay_transaction(now - began)
            self._metrics.relay_published(sum(len(outgoing) for outgoing in batches.values()))

    # -- when something went wrong ------------------------------------------------------------------------------------

    async def _mend(self) -> None:
        """End what we have open, drop what is not ours any more, and go on where the topic ends."""
        await self._outlet.open()
        reach("relay.opened")
        try:
            for line in self._lines:
                if not await find_place(self._outlet, self._store, line):
                    self._lines.lose(line)
        finally:
            self._lines.recount()
        self._broken = False

    def _say_why(self, error: Exception) -> None:
        """Once per reason, not per try."""
        why = str(error) or type(error).__name__
        reason = f"transitions are not published: {why}"
        if self.reason != reason:
            _log.warning("transitions are not published", reason=why)
        self.reason = reason
