"""The loop of the intake, over its ports alone: no Kafka, no Redis, no clock of its own.

    1 read     what the sources have, as far as there is room
    2 merge    the oldest of all that is at hand, a batch of them
    3 take     each becomes an event, or a dead letter with the reason
    4 letters  the dead letters are put where they are kept, durably
    5 append   the events are written to the log, durably
    6 commit   the sources' offsets move behind the batch

A process that dies before 6 has its successor do the batch again: each event has an id and counts once, a dead letter
may stand twice. What is away is waited for, in `reason`; nothing is dropped for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import structlog

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.failpoints import reach
from consumers.intake.lag import tell_lag
from consumers.intake.mapping import event_of_record, payload_of, times_of
from consumers.intake.merge import Merge
from consumers.intake.metrics import IntakeMetrics, NullMetrics, Outcome
from consumers.intake.port import Place, SourceReader, SourceRecord
from consumers.intake.settings import IntakeSettings
from consumers.intake.sources import Source
from consumers.log.dead_letters import REASON_CHARS_MAX, DeadLetter, DeadLetterSink, Origin
from consumers.log.partition import partition_of
from consumers.log.port import Log, NewRecord, Offset
from rules.errors import EventRejected, Unavailable
from rules.events import EventLimits

_log = structlog.get_logger("intake")


class _Stopped(Exception):
    """`stop()` came while a batch waited for something that is away: its offsets stay where they were."""


class Intake:
    """`run()` until `stop()`; `ready` and `reason` for /readyz."""

    def __init__(
        self,
        sources: Sequence[Source],
        reader: SourceReader,
        log: Log,
        letters: DeadLetterSink,
        *,
        clock: Clock = SYSTEM_CLOCK,
        settings: IntakeSettings | None = None,
        metrics: IntakeMetrics | None = None,
    ) -> None:
        self.ready = False
        self.reason = "starting"
        self._sources = {source.topic: source for source in sources}
        self._reader, self._records_log, self._letters = reader, log, letters
        self._clock, self._settings = clock, settings or IntakeSettings()
        self._metrics: IntakeMetrics = metrics or NullMetrics()
        self._limits = EventLimits(age_ms=self._settings.event_age_ms_max)
        self._merge = Merge(self._settings)
        self._uncommitted: dict[Place, Offset] = {}
        self._in_hand: Sequence[SourceRecord] = ()
        self._stopping = asyncio.Event()
        self._lag_told_s = clock.monotonic() - self._settings.lag_s

    async def run(self) -> None:
        """Returns after `stop()`; anything that is raised is a mistake of this program."""
        try:
            while not self._stopping.is_set():
                try:
                    await self._round()
                except Unavailable as error:
                    self._say_why(error)
                    await self._pause(error.retry_after_s)
        except _Stopped:
            pass
        finally:
            self.ready, self.reason = False, "stopped"
            await self._reader.close()

    async def stop(self) -> None:
        """Ends `run` after the batch in hand; at once, without having committed it, where that waits for the log."""
        self._stopping.set()

    async def _round(self) -> None:
        polled = await self._reader.poll(self._merge.wanted(), self._settings.poll_ms)  # 1
        reach("intake.1.after")
        for place, count in sorted(polled.missed.items()):
            _log.warning("retention dropped records unread", source=place.topic, partition=place.partition, count=count)
            self._metrics.records(place.topic, "missed", count)
        for place in self._merge.update(polled):
            self._uncommitted.pop(place, None)  # another may have read on from there
        records, given_up = self._merge.take(self._clock.monotonic())  # 2
        for place in given_up:
            _log.warning("a partition brings nothing: on without it", source=place.topic, partition=place.partition)
        if records:
            self._in_hand = records
            await self._deliver(records)
            self._in_hand = ()
        if self._uncommitted:
            await self._commit()
        self.ready, self.reason = True, "reading"
        self._tell_lag()

    async def _deliver(self, records: Sequence[SourceRecord]) -> None:
        good, letters, counts = self._taken(records)  # 3
        reach("intake.3.after")
        for chunk in self._chunks(letters):
            await self._insist(lambda chunk=chunk: self._letters.put(chunk))  # type: ignore[misc]  # 4
        reach("intake.4.after")
        await self._append(good)  # 5
        reach("intake.5.after")
        for record in records:
            self._uncommitted[Place(record.topic, record.partition)] = record.offset + 1
        for (topic, outcome), count in counts.items():
            self._metrics.records(topic, outcome, count)
        if letters:
            self._metrics.dead_letters(len(letters))

    async def _append(self, records: Sequence[NewRecord]) -> None:
        """In smaller pieces where the log is too slow for large ones: it must get on, however slowly."""
        at, size = 0, max(1, len(records))
        while at < len(records):
            try:
                await self._records_log.append(records[at : at + size])
                at += size
            except Unavailable as error:
                size = max(self._settings.piece_records_min, size // 2)
                await self._wait_after(error)

    async def _commit(self) -> None:
        """6: an error here costs nothing but doing something again, so the next batch need not wait for it."""
        await self._reader.commit(self._uncommitted)
        self._uncommitted = {}
        reach("intake.6.after")

    # -- one record -------------------------------------------------------------------------------------------------

    def _taken(
        self, records: Sequence[SourceRecord]
    ) -> tuple[list[NewRecord], list[DeadLetter], Counter[tuple[str, Outcome]]]:
        good: list[NewRecord] = []
        letters: list[DeadLetter] = []
        counts: Counter[tuple[str, Outcome]] = Counter()
        now_ms = self._clock.now_ms()
        for record in records:
            try:
                found = self._new_record(record, now_ms)
            except EventRejected as error:
                letters.append(dead_letter_of(record, str(error)))
                counts[record.topic, "rejected"] += 1
                continue
            counts[record.topic, "skipped" if found is None else "accepted"] += 1
            if found is not None:
                good.append(found)
        return good, letters, counts

    def _new_record(self, record: SourceRecord, now_ms: int) -> NewRecord | None:
        source = self._sources[record.topic]
        event = event_of_record(source, record, self._limits, times_of(record, now_ms))
        if event is None:
            return None
        partition = partition_of(event.customer_id, self._records_log.partitions)
        return NewRecord(partition, payload_of(event), event.customer_id)

    def _chunks(self, letters: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
        """Of `letters_bytes_max` or a little more: a letter may be as large as its topic allows."""
        found: list[list[DeadLetter]] = []
        size = self._settings.letters_bytes_max
        for letter in letters:
            if size >= self._settings.letters_bytes_max:
                found.append([])
                size = 0
            found[-1].append(letter)
            size += len(letter.raw or b"")
        return found

    # -- waiting ----------------------------------------------------------------------------------------------------

    async def _insist(self, do: Callable[[], Awaitable[object]]) -> None:
        """Until it is done. Raises _Stopped."""
        while True:
            try:
                await do()
                return
            except Unavailable as error:
                await self._wait_after(error)

    async def _wait_after(self, error: Unavailable) -> None:
        """With a batch in hand. Raises _Stopped."""
        self._say_why(error)
        self._tell_lag()
        await self._pause(max(error.retry_after_s, self._settings.retry_s))
        if self._stopping.is_set():
            raise _Stopped

    def _say_why(self, error: Unavailable) -> None:
        """Once per reason, not per try."""
        if self.reason != error.why:
            _log.warning("waiting", reason=error.why)
        self.ready, self.reason = False, error.why

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _tell_lag(self) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._lag_told_s >= self._settings.lag_s:
            self._lag_told_s = now_s
            tell_lag(self._merge, self._in_hand, self._sources, self._metrics, self._clock.now_ms())


def dead_letter_of(record: SourceRecord, reason: str) -> DeadLetter:
    origin = Origin(record.topic, record.partition, record.offset, record.timestamp_ms)
    return DeadLetter(record.topic, origin, reason[:REASON_CHARS_MAX], record.value, record.key, record.traceparent)
