"""What the deliveries of a worker look like from outside, now and then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from consumers.delivery.holding import Holding
from consumers.delivery.metrics import Metrics, TargetKind, kind_of
from consumers.delivery.runner import Runner


def report(metrics: Metrics, runners: Iterable[Runner], holdings: Iterable[Holding]) -> None:
    """By kind of target: lag of the slowest active one, what is parked, how many are down."""
    metrics.owned(len(list(holdings)))
    some = list(runners)
    kinds: tuple[TargetKind, ...] = get_args(TargetKind)
    for kind in kinds:
        mine = [runner for runner in some if kind_of(runner.target.id) == kind]
        metrics.lag(kind, max((_lag(runner) for runner in mine if runner.target.active), default=0))
        metrics.parked(kind, sum(branch.parked for runner in mine for branch in runner.branches.values()))
        metrics.down(kind, sum(runner.down_since_ms > 0 for runner in mine))


def _lag(runner: Runner) -> int:
    return sum(max(0, branch.holding.following.numbered - branch.cursor.number) for branch in runner.branches.values())
