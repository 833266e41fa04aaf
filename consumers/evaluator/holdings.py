"""Which partitions this process holds: takes over what it should own, lets go of what it should not, tries again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog

from consumers.evaluator.owned import Tools
from consumers.evaluator.partition import Partition
from consumers.evaluator.sharing import Sharing
from consumers.failpoints import reach
from consumers.state.commit import Held
from rules.errors import SegmentdError, Unavailable

_log = structlog.get_logger("evaluator")

_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_HELD_S = 0.05  # between two looks at whether the former owner has let go
_FLUSH_S = 2.0  # for the relay to publish what a partition has said, before it is let go


class _Try(msgspec.Struct):
    """A partition that we should own and do not: from when to try, and to take it by force (steady seconds)."""

    at_s: float
    force_at_s: float
    failures: int = 0
    why: str = "not taken over yet"


class Holdings:
    """`owned` by number. `settle()` between rounds; `lose()` after any error in a partition."""

    def __init__(self, tools: Tools, name: str, sharing: Sharing) -> None:
        self.owned: dict[int, Partition] = {}
        self._tools, self._name = tools, name
        self._sharing, self._relay = sharing, tools.relay
        self._tries: dict[int, _Try] = {}
        self._told = False

    @property
    def waiting(self) -> bool:
        """Whether some partition that should be ours is not."""
        return bool(self._tries)

    @property
    def troubles(self) -> list[str]:
        """Why not all partitions that are ours to evaluate are evaluated; empty when they are."""
        if not self._told:
            return ["the group has not said yet which partitions are ours"]
        waiting = [f"partition {number}: {each.why}" for number, each in sorted(self._tries.items())]
        stopped = [each.trouble for each in self.owned.values() if each.trouble]
        return waiting + stopped

    async def settle(self) -> None:
        """Hold what we should, as far as that is possible now."""
        now = self._tools.clock.monotonic()
        if self._sharing.changed.is_set():
            self._told = True
            self._sharing.changed.clear()
            await self._adjust(now)
        if self._relay is not None:
            for number in self._relay.take_lost():
                await self.lose(number, "the relay was fenced: another process took the partition over")
        for number in [number for number, each in self._tries.items() if each.at_s <= now]:
            await self._try(number, now)

    async def _adjust(self, now: float) -> None:
        wanted = self._sharing.wanted
        await self.let_go([number for number in self.owned if number not in wanted])
        for number in [number for number in self._tries if number not in wanted]:
            del self._tries[number]
        patience_s = 0.0 if self._sharing.exclusive else self._tools.settings.let_go_ms / 1000
        for number in sorted(wanted):
            if number not in self.owned:
                self._tries[number] = _Try(now, now + patience_s)

    async def _try(self, number: int, now: float) -> None:
        each = self._tries[number]
        partition = Partition(number, self._tools)
        try:
            await partition.open(self._name, force=now >= each.force_at_s)
        except Held as error:
            each.why = str(error)
            each.at_s = now + (_HELD_S if now < each.force_at_s < now + 60 else _RETRY_S[each.failures])
            each.failures = min(each.failures + 1, len(_RETRY_S) - 1)
        except SegmentdError as error:
            self._failed(number, each, str(error), now)
        else:
            del self._tries[number]
            self.owned[number] = partition
            self._tools.metrics.owned(number, True, False)
            _log.info("partition taken over", partition=number)

    def _failed(self, number: int, each: _Try, why: str, now: float) -> None:
        if each.why != why:
            _log.warning("partition not evaluated", partition=number, reason=why)
        each.why, each.at_s = why, now + _RETRY_S[each.failures]
        each.failures = min(each.failures + 1, len(_RETRY_S) - 1)
        if self._relay is not None:
            self._relay.drop([number])

    async def lose(self, number: int, why: str) -> None:
        """What we know of a partition may not be true: it is taken over anew, if nobody else has it."""
        if self.owned.pop(number, None) is None:
            return
        now = self._tools.clock.monotonic()
        self._tools.metrics.owned(number, False, False)
        self._tries[number] = each = _Try(now, float("inf"))
        self._failed(number, each, why, now)

    async def let_go(self, numbers: Iterable[int]) -> None:
        """Nothing is in hand: publish what they said, and give them back."""
        going = [number for number in numbers if number in self.owned]
        if not going:
            return
        flushed = self._relay is None or await self._relay.flush(going, _FLUSH_S)
        for number in going:
            partition = self.owned.pop(number)
            self._tools.metrics.owned(number, False, False)
            try:
                if flushed:
                    await partition.release()
                reach("released")
            except Unavailable as error:
                _log.warning("partition let go without a word", partition=number, reason=str(error))
        if self._relay is not None:
            self._relay.drop(going)
        _log.info("partitions let go", partitions=going)
