"""The evaluator process: reads the log of its partitions, steps profiles, commits, shows what is durable.

Per round: (1) read what is new in all partitions; each partition takes its records through (2) load, (3) step,
(4) commit and (5) publish; then one bounded chunk of what is due; now and then (6) report. When nothing comes, it
sleeps in (1) until the next timer is due by the log's clock, and appends a `tick`: what the log stamps on that is what
time it is. An error in one partition is that partition's: it is taken over anew, the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.evaluator.garbage import seldom_collected
from consumers.evaluator.holdings import Holdings
from consumers.evaluator.metrics import Metrics, NullMetrics
from consumers.evaluator.owned import Letters, Tools
from consumers.evaluator.partition import Partition
from consumers.evaluator.settings import Settings
from consumers.evaluator.sharing import Everything, Sharing
from consumers.evaluator.ticks import Ticks
from consumers.failpoints import reach
from consumers.log.port import Log, PositionOutside, Record
from consumers.relay.relay import Relay
from consumers.state.store import Store
from consumers.state.together import Together
from rules.errors import SegmentdError, Unavailable

_log = structlog.get_logger("evaluator")

_IDLE_MS_MAX = 1_000  # asleep at most so long, for the reports
_REPORT_S = 2.0
_TRIM_S = 30.0
_LOG_AWAY_S = 0.5  # between two tries to read a log that is away
_QUIET_RATE = 1.0  # records a second; below, nobody waits for a chunk of what is due
_STOPPED_MS = 5_000  # between two looks at whether a partition that had to stop can go on
_ROOM_MS = 50  # between two looks at whether the relay has caught up


class Evaluator:
    """`run()` until `stop()`; `ready` and `reason` for /readyz. `sharing` None: all partitions are this process's (it
    takes them from a living evaluator when it starts: the newest wins)."""

    def __init__(
        self,
        store: Store,
        log: Log,
        settings: Settings | None = None,
        metrics: Metrics | None = None,
        name: str = "",
        *,
        clock: Clock = SYSTEM_CLOCK,
        sharing: Sharing | None = None,
        durably: bool = True,
        relay: Relay | None = None,
        dead_letters: Letters | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.metrics: Metrics = metrics or NullMetrics()
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._store = Together(store)
        tools = Tools(self._store, log, self.settings, self.metrics, clock, durably, relay, dead_letters)
        self._log, self._clock, self._relay = log, clock, relay
        self._sharing: Sharing = sharing or Everything(log.partitions)
        self._holdings = Holdings(tools, self.name, self._sharing)
        self._ticks = Ticks(log, clock)
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._away = "starting"  # why nothing at all is evaluated, "" for nothing
        self._reported = self._trimmed = float("-inf")
        self._rate = 0.0  # records a second, lately
        self._rounded = 0.0

    @property
    def ready(self) -> bool:
        return not self._reasons

    @property
    def reason(self) -> str:
        return "; ".join(self._reasons) or "evaluating"

    @property
    def _reasons(self) -> list[str]:
        if self._away:
            return [self._away]
        full = [
            f"partition {partition.number}: evaluation waits, for the topic of transitions is behind"
            for partition in self._holdings.owned.values()
            if not self._room(partition)
        ]
        if self._relay is not None and self._relay.reason:
            full.append(self._relay.reason)
        return [*self._holdings.troubles, *full]

    async def run(self) -> None:
        """Evaluate until `stop()`. Waits (and says so once) while the log or the store is away."""
        self._running = True
        relaying = asyncio.create_task(self._relay.run(), name="relay") if self._relay is not None else None
        try:
            with seldom_collected():
                await self._join()
                await self._rounds()
                await self._leave()
        except Exception:
            await self._close()  # nothing is given back: what we believe to hold may be what is wrong
            raise
        finally:
            self._away = "stopped"
            if relaying is not None:
                relaying.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await relaying
            self._ended.set()

    async def stop(self) -> None:
        """Finish the batch in hand and return when `run` has ended."""
        self._stopping.set()
        if self._running:
            await self._ended.wait()

    async def _join(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._relay is not None:
                    await self._relay.open()
                await self._sharing.start()
                self._away = ""
                return
            except Unavailable as error:
                self._say_away(error)
                await self._pause(_LOG_AWAY_S)

    async def _leave(self) -> None:
        with contextlib.suppress(Unavailable):
            await self._holdings.let_go(list(self._holdings.owned))
        await self._close()

    async def _close(self) -> None:
        with contextlib.suppress(Unavailable):
            await self._sharing.stop()
        if self._relay is not None:
            await self._relay.close()

    def _say_away(self, error: Exception) -> None:
        """Once per reason, not per try."""
        if self._away != str(error):
            _log.warning("not evaluating", reason=str(error))
        self._away = str(error)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def _rounds(self) -> None:
        while not self._stopping.is_set():
            await self._holdings.settle()
            records = await self._read()
            await self._take(records)
            await self._tick({record.partition for record in records})
            await self._chore()
            await self._report()

    async def _read(self) -> Sequence[Record]:
        """(1) What is new. Asleep when there is nothing to do, until there is or the next timer is due."""
        await self._gather()
        now_ms = self._clock.now_ms()
        reading = [
            partition
            for partition in self._holdings.owned.values()
            if partition.held_until_ms <= now_ms and self._room(partition)
        ]
        wait_ms = self._idle_ms()
        began = self._clock.monotonic()
        try:
            records = await self._interruptible({each.number: each.position for each in reading}, wait_ms)
            self._away = ""
        except PositionOutside as outside:
            partition = self._holdings.owned[outside.partition]
            await self._of(partition.number, partition.stop(_gap(outside), now_ms + _STOPPED_MS))
            return []
        except SegmentdError as error:  # away, or not as it must be (somebody changed the topic): then it says so
            self._say_away(error)
            await self._pause(_LOG_AWAY_S)
            return []
        reach("1.after")
        if records or not wait_ms:
            self.metrics.step_seconds("read", self._clock.monotonic() - began)
        self._measure(len(records))
        return records

    async def _interruptible(self, positions: dict[int, int], wait_ms: int) -> Sequence[Record]:
        """A read that `stop`, or a change of what we should own, ends when it only sleeps."""
        if not positions:
            await self._sleep(wait_ms / 1000)
            return []
        reading = self._log.read(positions, self.settings.batch_records_max, wait_ms)
        if not wait_ms:
            return await reading
        task = asyncio.ensure_future(reading)
        await self._first(task)
        if not task.done():
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
            return []

    async def _sleep(self, seconds: float) -> None:
        task = asyncio.ensure_future(asyncio.sleep(seconds))
        await self._first(task)
        task.cancel()

    async def _first(self, task: asyncio.Future[Any]) -> None:
        """Until the task is done, we are to stop, or the partitions to own have changed."""
        bells = [asyncio.ensure_future(bell.wait()) for bell in (self._stopping, self._sharing.changed)]
        try:
            await asyncio.wait({task, *bells}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for bell in bells:
                bell.cancel()

    async def _gather(self) -> None:
        """While much comes in small pieces, let it gather: a commit costs the same whatever it carries.

        What is due is done meanwhile.
        """
        until = self._rounded + self.settings.gather_ms / 1000
        while self._rate >= self.settings.gather_records_min and not self._stopping.is_set():
            left_s = until - self._clock.monotonic()
            if left_s <= 0:
                return
            if not await self._chore():
                await asyncio.sleep(left_s)

    def _measure(self, records: int) -> None:
        """Keep the recent rate of records (a moving average over about a quarter of a second)."""
        now = self._clock.monotonic()
        elapsed = max(1e-4, now - self._rounded)
        weight = min(1.0, elapsed / 0.25)
        self._rate += weight * (records / elapsed - self._rate)
        self._rounded = now

    async def _take(self, records: Sequence[Record]) -> None:
        """Each partition its records, side by side: they wait for the store, not for one another."""
        found: dict[int, list[Record]] = {}
        for record in records:
            found.setdefault(record.partition, []).append(record)
        takes = [self._of(number, self._take_one(self._holdings.owned[number], mine)) for number, mine in found.items()]
        if takes:
            await self._store.round(takes)

    async def _take_one(self, partition: Partition, records: list[Record]) -> None:
        ready = await self._not_ahead(partition, records)
        if ready:
            await partition.take(ready)

    async def _not_ahead(self, partition: Partition, records: list[Record]) -> list[Record]:
        """The records before the first one that is stamped ahead of our own clock: either it or ours is wrong."""
        now_ms = self._clock.now_ms()
        ahead_ms_max = self.settings.ahead_ms_max
        if not self._log.stamps or max(record.timestamp_ms for record in records) <= now_ms + ahead_ms_max:
            return records
        at = next(nth for nth, record in enumerate(records) if record.timestamp_ms > now_ms + ahead_ms_max)
        ahead_ms = records[at].timestamp_ms - now_ms
        if ahead_ms <= self.settings.stop_ahead_ms:
            partition.held_until_ms = records[at].timestamp_ms - ahead_ms_max
        elif at == 0:
            trouble = (
                f"partition {partition.number}: the log stamped record {records[0].offset} {ahead_ms // 60_000} min "
                "ahead of this machine's clock: set right whichever is wrong (the broker's or this one's)"
            )
            await partition.stop(trouble, now_ms + _STOPPED_MS)
        return records[:at]

    async def _of(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Work in one partition; what goes wrong there is its own."""
        try:
            await work
        except SegmentdError as error:
            await self._holdings.lose(number, str(error))

    def _room(self, partition: Partition) -> bool:
        return self._relay is None or self._relay.room(partition.number)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _idle_ms(self) -> int:
        """How long there is nothing to do unless a record comes."""
        owned = self._holdings.owned.values()
        if any(partition.busy and self._room(partition) for partition in owned):
            return 0
        until = _IDLE_MS_MAX if not self._holdings.waiting else _ROOM_MS
        if any(not self._room(partition) for partition in owned):
            until = _ROOM_MS
        due = min((p.due for p in owned if p.due is not None and not p.trouble), default=None)
        if due is None:
            return until
        return max(1, min(until, due + 1 - self._ticks.now_ms()))

    async def _tick(self, active: set[int]) -> None:
        try:
            healthy = [each for each in self._holdings.owned.values() if not each.trouble and self._room(each)]
            await self._ticks.write(healthy, active)
        except Unavailable as error:
            self._say_away(error)

    async def _chore(self) -> bool:
        """One chunk of what is due, of all partitions together: the next records wait no longer than that.

        False: nothing was due.
        """
        milliseconds = self.settings.drain_idle_ms if self._rate < _QUIET_RATE else self.settings.drain_ms
        busy = [each for each in self._holdings.owned.values() if each.busy and self._room(each)]
        if not busy:
            return False
        share = max(1, milliseconds // len(busy))
        await self._store.round([self._of(each.number, each.chore(share)) for each in busy])
        return True

    # -- reports ------------------------------------------------------------------------------------------------------

    async def _report(self) -> None:
        """(6) Say that the owner is alive, how far it is, and drop what nobody needs any more."""
        now = self._clock.monotonic()
        if now - self._reported < _REPORT_S:
            return
        self._reported = now
        owned = list(self._holdings.owned.values())
        for partition in owned:
            self.metrics.owned(partition.number, True, bool(partition.trouble))
        if owned:
            await self._store.round([self._of(each.number, each.alive()) for each in owned])
        try:
            await self._lags()
            if now - self._trimmed >= _TRIM_S:
                self._trimmed = now
                await self._trim()
        except Unavailable as error:
            self._say_away(error)
        self.metrics.step_seconds("report", self._clock.monotonic() - now)
        reach("6.after")

    async def _lags(self) -> None:
        now_ms = self._ticks.now_ms()
        partitions = list(self._holdings.owned.values())
        positions = {partition.number: partition.position for partition in partitions}
        lags = await self._log.lags(positions, records_max=1)  # whether there are any: counting a backlog is dear
        for partition in partitions:
            lag = lags[partition.number]
            behind_ms = lag.newest_ms - partition.clock if lag.records else 0
            self.metrics.clock_lag(partition.number, max(0, behind_ms) / 1000)
            late_ms = now_ms - partition.due if partition.due is not None else 0
            self.metrics.due_lag(partition.number, max(0, late_ms) / 1000)

    async def _trim(self) -> None:
        owned = self._holdings.owned
        behind = {partition.number: partition.trim_behind for partition in owned.values()}
        await self._log.trim({number: at for number, at in behind.items() if at is not None})
        for partition in list(owned.values()):
            settings = self.settings
            bounds = (settings.feed_transitions_max, settings.feed_undelivered_max, settings.feed_triggers_max)
            shares = (bound // self._log.partitions for bound in bounds)
            await self._of(partition.number, partition.trim_feed(*shares))


def _gap(outside: PositionOutside) -> str:
    return f"{outside}; `segmentd repair --accept-gap` goes on without what is gone"
