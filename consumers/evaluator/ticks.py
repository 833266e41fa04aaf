"""Asking the log what time it is, in partitions where something is due and nothing comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consumers.clock import Clock
from consumers.evaluator.partition import Partition
from consumers.log.port import Log, NewRecord
from rules.records import encode_tick

_TICK_AGAIN_S = 1.0  # a tick that has not come back by then is written again


class Ticks:
    """What the log stamps on a tick is what time it is; it counts when it is read."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log, self._clock = log, clock
        self._ahead_ms = 0  # the log's clock less ours
        self._asked: dict[int, tuple[int, float]] = {}  # partition -> (for which due, when)

    def now_ms(self) -> int:
        """What time it is by the log's clock, as far as we know: only used to know when to ask it."""
        return self._clock.now_ms() + self._ahead_ms

    async def write(self, partitions: Iterable[Partition], active: set[int]) -> None:
        """A tick where something is due and nothing came. Raises Unavailable."""
        if not self._log.stamps:
            return
        wanting = self._wanting(partitions, active)
        if not wanting:
            return
        asked_s = self._clock.monotonic()
        ticks = await self._log.append_own([NewRecord(partition.number, encode_tick()) for partition in wanting])
        for partition, tick in zip(wanting, ticks, strict=True):
            self._ahead_ms = tick.timestamp_ms - self._clock.now_ms()
            if partition.due is not None and tick.timestamp_ms > partition.due:
                self._asked[partition.number] = (partition.due, asked_s)

    def _wanting(self, partitions: Iterable[Partition], active: set[int]) -> Sequence[Partition]:
        now_ms, now_s = self.now_ms(), self._clock.monotonic()
        wanting = []
        for partition in partitions:
            due = partition.due
            if due is None or partition.number in active or not partition.clock <= due < now_ms:
                continue
            asked_for, asked_at = self._asked.get(partition.number, (-1, 0.0))
            if asked_for != due or now_s - asked_at > _TICK_AGAIN_S:
                wanting.append(partition)
        return wanting
