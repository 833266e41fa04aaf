"""Dead letters taken back in: the bytes as they came, through the same check, by what their source's map says now.

    1 read     letters, oldest first, that were not taken back before
    2 check    each as at its first coming; what is still bad stays where it is, with the reason it has now
    3 append   the good ones to the log, durably
    4 mark     these as taken back

A replay that dies between 3 and 4 does these again; their ids make them count once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from consumers.intake.mapping import Times, event_of_record, payload_of
from consumers.intake.port import SourceRecord
from consumers.intake.sources import Source
from consumers.log.dead_letters import DeadLetter, DeadLetterBox
from consumers.log.partition import partition_of
from consumers.log.port import Log, NewRecord
from rules.errors import EventRejected
from rules.events import EventLimits

BATCH_LETTERS = 500
BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """Which letters. `ids` None: all. `reason`: a part of theirs."""

    ids: Collection[str] | None = None
    reason: str = ""

    def __call__(self, letter: DeadLetter) -> bool:
        return (self.ids is None or letter.id in self.ids) and self.reason in letter.reason


@dataclass(slots=True)
class Replayed:
    """What became of the letters. `bad`: those that stay, with why, as long as few enough to be told."""

    looked_at: int = 0
    taken: int = 0
    skipped: int = 0  # their source's `where` does not want them any more: they stay, too
    still_bad: int = 0
    bad: list[tuple[DeadLetter, str]] = field(default_factory=list)


BAD_TOLD_MAX = 20


class Replay:
    """`own`: the names that stand for the log itself, whose records are in native form."""

    def __init__(
        self, box: DeadLetterBox, log: Log, sources: Mapping[str, Source], own: Collection[str], limits: EventLimits
    ) -> None:
        self._box, self._log, self._limits = box, log, limits
        self._sources = {**{name: Source(name) for name in own}, **sources}

    async def run(self, wish: Wish, now_ms: int, told: Callable[[Replayed], None]) -> Replayed:
        """Takes back what the wish names; `told` is called now and then with what was done so far. Raises Unavailable:
        what was done until then stands."""
        done = Replayed()
        batch: list[tuple[DeadLetter, NewRecord]] = []
        size = 0
        async for letter in self._box.oldest_first():  # 1
            if not wish(letter):
                continue
            done.looked_at += 1
            try:
                record = self._record(letter, now_ms)  # 2
            except EventRejected as error:
                done.still_bad += 1
                if len(done.bad) < BAD_TOLD_MAX:
                    done.bad.append((letter, str(error)))
                continue
            if record is None:
                done.skipped += 1
                continue
            batch.append((letter, record))
            size += len(record.payload)
            if len(batch) >= BATCH_LETTERS or size >= BATCH_BYTES:
                await self._take_back(batch, done)
                batch, size = [], 0
                told(done)
        await self._take_back(batch, done)
        told(done)
        return done

    async def _take_back(self, batch: list[tuple[DeadLetter, NewRecord]], done: Replayed) -> None:
        if batch:
            await self._log.append([record for _, record in batch])  # 3
            await self._box.taken_back([letter for letter, _ in batch])  # 4
            done.taken += len(batch)

    def _record(self, letter: DeadLetter, now_ms: int) -> NewRecord | None:
        source = self._sources.get(letter.source)
        if source is None:
            raise EventRejected(f"its source `{letter.source}` is not in the sources file")
        if letter.cut_bytes:
            raise EventRejected(f"was too large to be kept whole ({letter.cut_bytes} bytes)")
        at = letter.origin
        record = SourceRecord(
            at.topic, at.partition, at.offset, at.timestamp_ms, letter.key, letter.raw, letter.traceparent
        )
        received = at.timestamp_ms if 0 <= at.timestamp_ms <= now_ms else now_ms
        event = event_of_record(source, record, self._limits, Times(received, now_ms))
        if event is None:
            return None
        return NewRecord(partition_of(event.customer_id, self._log.partitions), payload_of(event), event.customer_id)
