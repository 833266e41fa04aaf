"""One partition and its owner: the numbered list of `docs/architecture.md`, one function a step.

(1) read a batch (`evaluator`)  (2) load profiles  (3) step (`batches`)  (4) commit  (5) publish (`owned`)
(6) report (`evaluator`). Between batches the same steps 2 to 5 do what is due, bounded (`chores`).
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from consumers.evaluator.batches import Batches
from consumers.evaluator.chores import Chores
from consumers.evaluator.owned import Owned, Tools
from consumers.evaluator.restoring import Restoring
from consumers.log.port import Offset, Record

_log = structlog.get_logger("evaluator")


class Partition:
    """`await open(...)` before anything else. After any exception from a call: a new one, or none."""

    def __init__(self, number: int, tools: Tools) -> None:
        self.number = number
        self.held_until_ms = 0  # not read before, by our own clock
        self._owned = Owned(number, tools)
        self._relay = tools.relay
        self._restoring: Restoring | None = None
        self._chores: Chores  # both once it is known whether something is to be restored
        self._batches: Batches

    async def open(self, owner: str, *, force: bool) -> None:
        """Take the partition over, (T1) to (T4), and read where it stands. Raises Held, Reload, Unavailable."""
        owned, relay = self._owned, self._relay
        await owned.raise_epoch(owner, relay.name if relay is not None else "", force=force)
        if relay is not None:
            lost = await relay.take(self.number, owned.meta, owned.meta.epoch)
            if lost is not None:
                owned.metrics.rolled_back()
                self._restoring = Restoring(owned, lost, relay.value)
            owned.meta.commit = relay.known(self.number)  # a recovery numbers on above what was published
        await owned.load()
        self._chores = Chores(owned, self._restoring)
        self._batches = Batches(owned, self._chores, self._restoring)

    @property
    def position(self) -> Offset:
        return self._owned.meta.position

    @property
    def clock(self) -> int:
        return self._owned.meta.clock

    @property
    def due(self) -> int | None:
        return self._owned.due

    @property
    def trouble(self) -> str:
        """Why records of this partition are not read, "" for nothing."""
        return self._owned.meta.trouble

    @property
    def trim_behind(self) -> Offset | None:
        """The position that trimming must stay behind; None while the log is being read again."""
        return None if self._owned.editions.collecting is not None else self.position

    @property
    def busy(self) -> bool:
        """Whether a chunk of work waits that needs no record."""
        return self._chores.busy or self._restoring_waits

    @property
    def _restoring_waits(self) -> bool:
        restoring, relay = self._restoring, self._relay
        if restoring is None or relay is None or not restoring.read:
            return False
        return not restoring.complete or relay.backlog(self.number) == 0

    async def take(self, records: Sequence[Record]) -> None:
        """Records of this partition, in log order, from its position on. Cut anywhere, they give the same."""
        self._owned.meta.trouble = ""
        await self._batches.take(records)

    async def chore(self, milliseconds_max: int | None = None) -> None:
        """One bounded chunk of what is due."""
        if self._chores.busy:
            settings = self._owned.settings
            await self._chores.do(settings.drain_ms if milliseconds_max is None else milliseconds_max)
        elif self._restoring is not None and self._restoring_waits:
            await self._finish_restoring(self._restoring)

    async def _finish_restoring(self, restoring: Restoring) -> None:
        if not restoring.complete:
            await restoring.finish_some()
        elif self._relay is not None:
            await self._relay.recovered(self.number)
            self._restoring = None

    async def stop(self, trouble: str, until_ms: int) -> None:
        """Do not read on before then, and say why; the owner stays."""
        self.held_until_ms = until_ms
        if self.trouble != trouble:
            _log.error("partition stopped", partition=self.number, reason=trouble)
            self._owned.meta.trouble = trouble
            await self.alive()

    async def alive(self) -> None:
        """Say that the owner is alive, and its trouble; raises Reload when it is not the owner any more."""
        await self._owned.publish()

    async def trim_feed(self, transitions_max: int, undelivered_max: int, triggers_max: int = 1 << 62) -> None:
        """Keep so many transitions for subscribers to resume from, all that is not published yet, and what is not
        delivered yet up to `undelivered_max`; but no more than `triggers_max` triggers."""
        numbered = self._owned.meta.numbered
        backlog = self._relay.backlog(self.number) if self._relay is not None else 0
        oldest = numbered - max(transitions_max, backlog + 1) + 1
        if oldest > 1:
            behind = await self._owned.undelivered()
            oldest = numbered - max(transitions_max, backlog + 1, min(behind, undelivered_max)) + 1
        await self._owned.trim_feed(oldest)
        await self._owned.trim_triggers(triggers_max, numbered - backlog + 1)

    async def release(self) -> None:
        await self._owned.release()
