"""The evaluator process: owns every partition, reads the log, steps profiles, commits, shows what is durable."""

from __future__ import annotations

import msgspec

from consumers.evaluator.metrics import Metrics, NullMetrics
from consumers.log.port import Log
from consumers.state.store import Store


class Settings(msgspec.Struct, frozen=True):
    """Bounds of one evaluator."""

    batch_records_max: int = 5_000  # a partition and commit; gathered only while busy
    hot_profiles_max: int = 100_000  # decoded and kept in memory, all partitions together
    drain_customers_max: int = 500  # a chunk of due timers or of a sweep
    drain_ms: int = 5  # ... or as many as that takes
    lease_ms: int = 15_000  # an owner silent for so long is gone


class Evaluator:
    """`run()` until `stop()`; `ready` and `reason` for /readyz."""

    def __init__(
        self, store: Store, log: Log, settings: Settings | None = None, metrics: Metrics | None = None, name: str = ""
    ) -> None:
        self.ready = False
        self.reason = "starting"
        self.settings = settings or Settings()
        self.metrics = metrics or NullMetrics()

    async def run(self) -> None:
        """Take all partitions over and evaluate until `stop()`. Waits (and says so once) while the store is away."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Finish the batch in hand and return when `run` has ended."""
        raise NotImplementedError
