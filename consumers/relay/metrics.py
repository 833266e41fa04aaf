"""What a relay counts, as a port: the composition root says where it goes."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    def relay_lag(self, partition: int, transitions: int) -> None:
        """How many of a partition's transitions are committed and not yet published."""

    def relay_published(self, transitions: int) -> None: ...

    def relay_transaction(self, seconds: float) -> None:
        """One transaction, from its beginning to the answer to its commit."""


class NullMetrics:
    """Counts nothing."""

    def relay_lag(self, partition: int, transitions: int) -> None: ...
    def relay_published(self, transitions: int) -> None: ...
    def relay_transaction(self, seconds: float) -> None: ...
