"""The evaluator process: owns every partition, reads the log, steps profiles, commits, shows what is durable.

Per round: (1) read what is new in all partitions; each partition takes its records through (2) load, (3) step,
(4) commit and (5) publish; then one bounded chunk of what is due; now and then (6) report. When nothing comes, it
sleeps in (1) until the next timer is due by the log's clock, and appends a `tick`: what the log stamps on that is what
time it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Sequence

import structlog

from consumers.evaluator.garbage import seldom_collected
from consumers.evaluator.metrics import Metrics, NullMetrics
from consumers.evaluator.partition import Partition
from consumers.evaluator.settings import Settings
from consumers.log.port import Log, NewRecord, Record
from consumers.state.commit import Held, Reload
from consumers.state.store import Store
from rules.errors import Unavailable
from rules.records import encode_tick

_log = structlog.get_logger("evaluator")

_IDLE_MS_MAX = 1_000  # asleep at most so long, for the reports
_REPORT_S = 2.0
_TRIM_S = 30.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_QUIET_RATE = 1.0  # records a second; below, nobody waits for a chunk of what is due
_TICK_AGAIN_S = 1.0  # a tick that has not come back by then is written again


class Evaluator:
    """`run()` until `stop()`; `ready` and `reason` for /readyz. Takes the partitions from a living evaluator when it
    starts (the newest process wins); one that lost them waits until their owner is gone."""

    def __init__(
        self, store: Store, log: Log, settings: Settings | None = None, metrics: Metrics | None = None, name: str = ""
    ) -> None:
        self.ready = False
        self.reason = "starting"
        self.settings = settings or Settings()
        self.metrics: Metrics = metrics or NullMetrics()
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._store, self._log = store, log
        self._partitions = [Partition(p, store, log, self.settings, self.metrics) for p in range(log.partitions)]
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._reported = self._trimmed = 0.0
        self._log_ahead_ms = 0  # the log's clock less ours
        self._ticked: dict[int, tuple[int, float]] = {}  # partition -> (for which due, when)
        self._turn = 0
        self._rate = 0.0  # records a second, lately
        self._rounded = 0.0

    async def run(self) -> None:
        """Take all partitions over and evaluate until `stop()`. Waits (and says so once) while the store is away."""
        self._running = True
        try:
            with seldom_collected():
                await self._run()
        finally:
            self.ready, self.reason = False, "stopped"
            self._ended.set()

    async def _run(self) -> None:
        failures, force = 0, True
        while not self._stopping.is_set():
            try:
                await self._take_over(force)
                failures, force = 0, False
                await self._rounds()
            except (Unavailable, Held, Reload) as error:
                self._say_why(error)
                failures += 1
                await self._pause(_RETRY_S[min(failures, len(_RETRY_S)) - 1])
        await self._release()

    async def stop(self) -> None:
        """Finish the batch in hand and return when `run` has ended."""
        self._stopping.set()
        if self._running:
            await self._ended.wait()

    def _say_why(self, error: Exception) -> None:
        """Once per reason, not per try."""
        if self.reason != str(error):
            _log.warning("not evaluating", reason=str(error))
        self.ready, self.reason = False, str(error)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _take_over(self, force: bool) -> None:
        for partition in self._partitions:
            await partition.load(self.name, force)
        self._ticked.clear()
        self.ready, self.reason = True, "evaluating"
        _log.info("evaluating", partitions=len(self._partitions))

    async def _release(self) -> None:
        if self.ready:
            with contextlib.suppress(Unavailable):
                for partition in self._partitions:
                    await partition.release()

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def _rounds(self) -> None:
        while not self._stopping.is_set():
            records = await self._read()
            for partition, mine in self._by_partition(records):
                await partition.take(mine)
            await self._tick({record.partition for record in records})
            await self._chore()
            await self._report()

    async def _read(self) -> Sequence[Record]:
        """(1) What is new. Asleep when there is nothing to do, until there is or the next timer is due."""
        await self._gather()
        positions = {partition.number: partition.position for partition in self._partitions}
        wait_ms = self._idle_ms()
        began = time.perf_counter()
        records = await self._interruptible(positions, wait_ms)
        if records or not wait_ms:
            self.metrics.step_seconds("read", time.perf_counter() - began)
        self._measure(len(records))
        return records

    async def _interruptible(self, positions: dict[int, int], wait_ms: int) -> Sequence[Record]:
        """A read that `stop` ends when it only sleeps."""
        reading = self._log.read(positions, self.settings.batch_records_max, wait_ms)
        if not wait_ms:
            return await reading
        task, stopping = asyncio.ensure_future(reading), asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for each in (task, stopping):
            if not each.done():
                each.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await each
        return [] if task.cancelled() else task.result()

    async def _gather(self) -> None:
        """While much comes in small pieces, let it gather: a commit costs the same whatever it carries."""
        if self._rate >= self.settings.gather_records_min and not self._stopping.is_set():
            spent_ms = (time.monotonic() - self._rounded) * 1000
            await asyncio.sleep(max(0.0, self.settings.gather_ms - spent_ms) / 1000)

    def _measure(self, records: int) -> None:
        """Keep the recent rate of records (a moving average over about a quarter of a second)."""
        now = time.monotonic()
        elapsed = max(1e-4, now - self._rounded)
        weight = min(1.0, elapsed / 0.25)
        self._rate += weight * (records / elapsed - self._rate)
        self._rounded = now

    def _by_partition(self, records: Sequence[Record]) -> list[tuple[Partition, list[Record]]]:
        found: dict[int, list[Record]] = {}
        for record in records:
            found.setdefault(record.partition, []).append(record)
        return [(self._partitions[number], mine) for number, mine in found.items()]

    # -- time ---------------------------------------------------------------------------------------------------------

    def _log_now_ms(self) -> int:
        """What time it is by the log's clock, as far as we know: only used to know when to ask it."""
        return time.time_ns() // 1_000_000 + self._log_ahead_ms

    def _idle_ms(self) -> int:
        """How long there is nothing to do unless a record comes."""
        if any(partition.busy for partition in self._partitions):
            return 0
        due = min((p.due for p in self._partitions if p.due is not None), default=None)
        if due is None:
            return _IDLE_MS_MAX
        return max(1, min(_IDLE_MS_MAX, due + 1 - self._log_now_ms()))

    async def _tick(self, active: set[int]) -> None:
        """Ask the log what time it is, in partitions where something is due and nothing came."""
        now_ms, now_s = self._log_now_ms(), time.monotonic()
        wanting = []
        for partition in self._partitions:
            due = partition.due
            if due is None or partition.number in active or not partition.clock <= due < now_ms:
                continue
            asked_for, asked_at = self._ticked.get(partition.number, (-1, 0.0))
            if asked_for != due or now_s - asked_at > _TICK_AGAIN_S:
                wanting.append(partition)
        if not wanting:
            return
        ticks = await self._log.append_own([NewRecord(partition.number, encode_tick()) for partition in wanting])
        for partition, tick in zip(wanting, ticks, strict=True):
            self._log_ahead_ms = tick.timestamp_ms - time.time_ns() // 1_000_000
            if partition.due is not None and tick.timestamp_ms > partition.due:
                self._ticked[partition.number] = (partition.due, now_s)

    async def _chore(self) -> None:
        """One chunk of what is due, each partition in its turn: the next records wait no longer than that."""
        milliseconds = self.settings.drain_idle_ms if self._rate < _QUIET_RATE else self.settings.drain_ms
        count = len(self._partitions)
        for offset in range(count):
            partition = self._partitions[(self._turn + offset) % count]
            if partition.busy:
                self._turn = partition.number + 1
                await partition.chore(milliseconds)
                return

    # -- reports ------------------------------------------------------------------------------------------------------

    async def _report(self) -> None:
        """(6) Say that the owner is alive, how far it is, and drop what nobody needs any more."""
        now = time.monotonic()
        if now - self._reported < _REPORT_S:
            return
        self._reported = now
        began = time.perf_counter()
        for partition in self._partitions:
            await partition.alive()
        now_ms = self._log_now_ms()
        positions = {partition.number: partition.position for partition in self._partitions}
        lags = await self._log.lags(positions, records_max=1)  # whether there are any: counting a backlog is dear
        for partition in self._partitions:
            lag = lags[partition.number]
            behind_ms = lag.newest_ms - partition.clock if lag.records else 0
            self.metrics.clock_lag(partition.number, max(0, behind_ms) / 1000)
            late_ms = now_ms - partition.due if partition.due is not None else 0
            self.metrics.due_lag(partition.number, max(0, late_ms) / 1000)
        if now - self._trimmed >= _TRIM_S:
            self._trimmed = now
            behind = {p.number: p.trim_behind for p in self._partitions}
            await self._log.trim({number: at for number, at in behind.items() if at is not None})
            for partition in self._partitions:
                await partition.trim_feed(self.settings.feed_transitions_max // len(self._partitions))
        self.metrics.step_seconds("report", time.perf_counter() - began)
