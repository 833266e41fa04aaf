"""What the deliveries count. The service gives an implementation; the default counts nothing."""

from __future__ import annotations

from typing import Literal, Protocol

TargetKind = Literal["webhook", "action"]
Ending = Literal["done", "dropped", "later", "failed", "refused", "gone", "given_up", "known"]


def kind_of(target_id: str) -> TargetKind:
    """The kind of a target by its name: `act/...` is an action."""
    return "action" if target_id.startswith("act/") else "webhook"


class Metrics(Protocol):
    """Hooks. Labels are the kind of target and how a call ended: never an id, for there may be very many."""

    def ended(self, kind: TargetKind, ending: Ending, count: int) -> None:
        """How items' calls ended; `known`: not called, for it is remembered as done; `given_up`: after `failed`."""

    def call_seconds(self, kind: TargetKind, seconds: float) -> None:
        """How long one call took."""

    def lag(self, kind: TargetKind, transitions: int) -> None:
        """How far the slowest active target of this kind is behind the feed, over all partitions owned here."""

    def parked(self, kind: TargetKind, items: int) -> None:
        """Failed, waiting, or behind such: of all targets in the partitions owned here."""

    def down(self, kind: TargetKind, targets: int) -> None:
        """Targets whose calls all fail, as this process sees it."""

    def lost(self, kind: TargetKind, transitions: int) -> None:
        """Transitions that the feed had let go of before a target had them."""

    def dead_letters_dropped(self, kind: TargetKind, count: int) -> None:
        """Given up long ago and let go of, as newer ones needed their place."""

    def owned(self, partitions: int) -> None:
        """Partitions whose deliveries this process makes."""

    def fenced(self) -> None:
        """A write was refused: another worker has the partition."""


class NullMetrics:
    """Counts nothing."""

    def ended(self, kind: TargetKind, ending: Ending, count: int) -> None: ...
    def call_seconds(self, kind: TargetKind, seconds: float) -> None: ...
    def lag(self, kind: TargetKind, transitions: int) -> None: ...
    def parked(self, kind: TargetKind, items: int) -> None: ...
    def down(self, kind: TargetKind, targets: int) -> None: ...
    def lost(self, kind: TargetKind, transitions: int) -> None: ...
    def dead_letters_dropped(self, kind: TargetKind, count: int) -> None: ...
    def owned(self, partitions: int) -> None: ...
    def fenced(self) -> None: ...
