"""What the evaluator counts. The service gives an implementation; the default counts nothing."""

from __future__ import annotations

from typing import Literal, Protocol

Step = Literal["read", "load", "step", "commit", "publish", "report"]
Outcome = Literal["applied", "duplicate", "late", "waiting", "capped", "rejected"]


class Metrics(Protocol):
    """Hooks, called per batch (never per event). No customer ids, so no personal data."""

    def events(self, event_type: str, outcome: Outcome, count: int) -> None:
        """`applied` by type; the others ("late" etc. are also applied) over all types: `event_type` is then ""."""

    def batch(self, records: int) -> None:
        """A committed batch of log records (drained timers and sweeps are none)."""

    def step_seconds(self, step: Step, seconds: float) -> None: ...

    def clock_lag(self, partition: int, seconds: float) -> None:
        """How long ago the newest record read was written; 0 when caught up."""

    def due_lag(self, partition: int, seconds: float) -> None:
        """How long the earliest pending change has been due; 0 when none is."""

    def transitions(self, segment: str, kind: Literal["entered", "exited"], count: int) -> None: ...

    def hot_profiles(self, partition: int, count: int) -> None: ...

    def moved(self, records: int) -> None:
        """Records found on another partition than their customer's, and written to the right one."""

    def owned(self, partition: int, owned: bool, stopped: bool) -> None:
        """Whether this process owns a partition, and whether it had to stop evaluating it."""

    def rolled_back(self) -> None:
        """A store was found to be behind what was published: it had lost commits."""

    def adopted(self, why: Literal["differs", "absent"], count: int) -> None:
        """Published transitions that stand although doing the log again gave another one, or none."""


class NullMetrics:
    """Counts nothing."""

    def events(self, event_type: str, outcome: Outcome, count: int) -> None: ...
    def batch(self, records: int) -> None: ...
    def step_seconds(self, step: Step, seconds: float) -> None: ...
    def clock_lag(self, partition: int, seconds: float) -> None: ...
    def due_lag(self, partition: int, seconds: float) -> None: ...
    def transitions(self, segment: str, kind: Literal["entered", "exited"], count: int) -> None: ...
    def hot_profiles(self, partition: int, count: int) -> None: ...
    def moved(self, records: int) -> None: ...
    def owned(self, partition: int, owned: bool, stopped: bool) -> None: ...
    def rolled_back(self) -> None: ...
    def adopted(self, why: Literal["differs", "absent"], count: int) -> None: ...
