"""A worker: follows the feed of the partitions it has for every target, and makes the calls."""

from __future__ import annotations

import random as random_module
from random import Random

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.delivery.metrics import Metrics, NullMetrics
from consumers.delivery.port import Targets
from consumers.delivery.settings import Settings
from consumers.state.store import Store


class Worker:
    """`run()` until `stop()`. Several of them, in any number of processes, share the partitions."""

    def __init__(
        self,
        store: Store,
        partitions: int,
        targets: Targets,
        *,
        name: str = "",
        settings: Settings | None = None,
        metrics: Metrics | None = None,
        clock: Clock = SYSTEM_CLOCK,
        random: Random | None = None,
    ) -> None:
        self._store, self._targets, self._clock = store, targets, clock
        self._settings, self._metrics = settings or Settings(), metrics or NullMetrics()
        self._random = random or random_module.SystemRandom()

    @property
    def troubles(self) -> list[str]:
        """Why not all is delivered that is this worker's to deliver; empty when it is."""
        raise NotImplementedError

    @property
    def partitions(self) -> list[int]:
        """Those it has now."""
        raise NotImplementedError

    async def run(self) -> None:
        """Deliver until `stop`; starts and closes the targets. Waits while the store is away."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Begin no more calls, wait shortly for those that are open, write, and give the partitions back."""
        raise NotImplementedError

    def nudge(self) -> None:
        """Look at the clock, the feed and the jobs now (for tests with a clock of their own)."""
        raise NotImplementedError
