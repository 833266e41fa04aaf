"""What the intake counts. The service gives an implementation; the default counts nothing."""

from __future__ import annotations

from typing import Literal, Protocol

Outcome = Literal["accepted", "rejected", "skipped", "missed"]
"""`accepted`: written to the log. `rejected`: a dead letter. `skipped`: the source's `where` does not want it.
`missed`: the topic's retention dropped it before it was read."""


class IntakeMetrics(Protocol):
    """Hooks, called per batch (never per record). A source is told by its topic."""

    def records(self, source: str, outcome: Outcome, count: int) -> None: ...

    def lag(self, source: str, records: int, seconds: float) -> None:
        """Records that this process has yet to write on, of its share of the source's partitions; and how long ago the
        oldest of them was written (0: none)."""

    def dead_letters(self, count: int) -> None: ...


class NullMetrics:
    """Counts nothing."""

    def records(self, source: str, outcome: Outcome, count: int) -> None: ...
    def lag(self, source: str, records: int, seconds: float) -> None: ...
    def dead_letters(self, count: int) -> None: ...
