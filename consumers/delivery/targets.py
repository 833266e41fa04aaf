"""Targets of several sources (subscriptions, actions) as one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from consumers.delivery.port import Outcome, Target, Targets


class AllTargets:
    """`Targets` over several; the first one's are told the ends of what it has. Their ids do not meet."""

    def __init__(self, sources: Sequence[Targets]) -> None:
        self.changed = asyncio.Event()
        self._sources = sources
        self._watching: list[asyncio.Task[None]] = []

    @property
    def current(self) -> Mapping[str, Target]:
        return {name: target for source in self._sources for name, target in source.current.items()}

    async def start(self) -> None:
        """Raises Unavailable."""
        for source in self._sources[len(self._watching) :]:  # those that are started already go on
            await source.start()
            self._watching.append(asyncio.create_task(self._watch(source), name="targets"))
        self.changed.set()

    async def close(self) -> None:
        for task in self._watching:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._watching = []
        for source in self._sources:
            await source.close()

    async def ended(self, target_id: str, outcome: Outcome) -> None:
        for source in self._sources:
            if target_id in source.current:
                await source.ended(target_id, outcome)
                return

    async def _watch(self, source: Targets) -> None:
        while True:
            await source.changed.wait()
            source.changed.clear()
            self.changed.set()
