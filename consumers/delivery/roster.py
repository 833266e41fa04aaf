"""The targets of a worker, each with its runner, and their places in the partitions that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from consumers.delivery import following
from consumers.delivery.endings import Endings
from consumers.delivery.following import Place, Position
from consumers.delivery.holding import Holding, Tools
from consumers.delivery.mistakes import where
from consumers.delivery.port import Target, Targets
from consumers.delivery.runner import Runner
from consumers.delivery.waiting import cancel_all
from consumers.state.deliveries import Parked
from consumers.state.feed import PositionInvalid, read_position
from consumers.state.store import Argument

_log = structlog.get_logger("deliveries")

_AGAIN_S = 5.0


class Roster:
    """`runners` by target. What a target that is not there any more has in the store is removed after `remove_ms`."""

    def __init__(self, tools: Tools, endings: Endings, targets: Targets, came_up: Callable[[str], None]) -> None:
        self.runners: dict[str, Runner] = {}
        self._tools, self._endings, self._targets, self._came_up = tools, endings, targets, came_up
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._missing_since: dict[tuple[int, str], int] = {}
        self._again_s: dict[str, float] = {}  # runners that ended with an error: when they begin anew

    # -- which targets there are --------------------------------------------------------------------------------------

    async def sync(self, current: Mapping[str, Target]) -> None:
        """Runners for those that are there, and only for them."""
        for name in [name for name in self.runners if name not in current]:
            await self._end(name)
        self._again_s = {name: again_s for name, again_s in self._again_s.items() if name in current}
        for name, target in current.items():
            runner = self.runners.get(name)
            if runner is None:
                if self._again_s.get(name, 0.0) > self._tools.clock.monotonic():
                    continue
                self._again_s.pop(name, None)
                runner = Runner(target, self._tools, self._endings, self._targets, self._came_up)
                self.runners[name] = runner
                self._tasks[name] = asyncio.create_task(runner.run(), name=f"target {name}")
            runner.replace(target)

    async def heal(self) -> bool:
        """One that ended with an error, which it never should, begins anew after a while: from what is written, and
        alone. Whether the time of one has come."""
        for name, task in list(self._tasks.items()):
            if task.done():
                error = None if task.cancelled() else task.exception()
                told = "cancelled" if error is None else where(error)
                _log.error("deliveries to a target ended with an error", target=name, error=told)
                await self._end(name)
                self._again_s[name] = self._tools.clock.monotonic() + _AGAIN_S
        now_s = self._tools.clock.monotonic()
        return any(again_s <= now_s for again_s in self._again_s.values())

    async def _end(self, name: str) -> None:
        runner = self.runners.pop(name)
        await cancel_all([self._tasks.pop(name)])
        for branch in list(runner.branches.values()):
            holding = branch.holding
            holding.draft.cursors[name] = holding.cursors[name] = branch.position.write()
            holding.dirty = True
            holding.left.add(name)
            runner.drop(holding.number)

    async def close(self) -> None:
        """End all runners; what they have in hand is as if it had not begun."""
        await cancel_all(self._tasks.values())
        self._tasks.clear()

    # -- their places in partitions -----------------------------------------------------------------------------------

    async def join(self, holding: Holding) -> None:
        """Every target gets its part in a partition, if it has none there yet. Raises Unavailable, Fenced."""
        current = frozenset(name for name, runner in self.runners.items() if runner.target.active)
        holding.set_active(current)
        lacking = [runner for name, runner in self.runners.items() if name not in holding.branches]
        if not lacking:
            return
        if any(runner.target.id in holding.left for runner in lacking):
            await holding.written()  # what it had said before it was gone
            holding.left.clear()
        parked = await self._parked(holding, [runner.target.id for runner in lacking])
        for runner, each in zip(lacking, parked, strict=True):
            name = runner.target.id
            known = holding.cursors.get(name)
            begin = None if known else await self._begin(runner.target, holding)
            position = Position(begin, []) if begin is not None else Position.read(known or "")
            if self.runners.get(name) is runner and not holding.fenced:
                holding.cursors.pop(name, None)
                runner.add(holding, position, each)

    async def _parked(self, holding: Holding, names: Sequence[str]) -> list[Parked]:
        commands: list[Sequence[Argument]] = []
        for name in names:
            commands += [
                ("HLEN", holding.keys.delivery("p", name)),
                ("ZCARD", holding.keys.delivery("r", name)),
            ]
        answers = await self._tools.store.calls(commands)
        return [Parked(*pair, 0) for pair in zip(answers[::2], answers[1::2], strict=True)]

    async def _begin(self, target: Target, holding: Holding) -> Place:
        """Where a target that is met for the first time begins in a partition."""
        store = self._tools.store
        if target.begin == "start":
            return await following.oldest(store, holding.keys)
        if target.begin != "now":
            try:
                place = read_position(target.begin, self._tools.partitions)[holding.number]
                return Place(place.commit, place.number)
            except PositionInvalid as error:
                _log.error("a target begins now, for its position is none", target=target.id, reason=str(error))
        return await following.now(store, holding.keys)

    def leave(self, number: int) -> None:
        """A partition is not ours any more."""
        for runner in self.runners.values():
            runner.drop(number)

    # -- targets that are no more -------------------------------------------------------------------------------------

    def sweep(self, holdings: Iterable[Holding]) -> list[str]:
        """Remove what targets have in the store that have not been there for long; which these are."""
        now_ms = self._tools.clock.now_ms()
        missing = {
            (holding.number, name): holding
            for holding in holdings
            for name in holding.cursors
            if not (name in self.runners or name in self._again_s or holding.fenced or holding.closing)
        }
        self._missing_since = {key: self._missing_since.get(key, now_ms) for key in missing}
        removed = set()
        for (number, name), holding in missing.items():
            if now_ms - self._missing_since[(number, name)] >= self._tools.settings.remove_ms:
                holding.draft.remove(name)
                holding.dirty = True
                del holding.cursors[name]
                removed.add(name)
        return sorted(removed)
