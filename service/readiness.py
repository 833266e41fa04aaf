"""Whether a process can do its work, why not, and what is wrong elsewhere without stopping this one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from consumers.delivery.worker import Worker
from consumers.evaluator import Evaluator
from consumers.state.reads import PartitionStatus, Reads
from rules.errors import Unavailable
from service.wording import named

SILENT_MS = 30_000
"""An owner says every 2 s that it is alive; 15 s after the last time another may have its partitions. Twice that."""


class Readiness(NamedTuple):
    """`reasons`: why this process cannot do its work ([]: it can). `warnings`: what a person should look at although
    this process is of use. `partitions`: where they stand; None where the store is away, or none was asked."""

    reasons: list[str]
    warnings: Sequence[str] = ()
    partitions: list[PartitionStatus] | None = None

    @property
    def without_owner(self) -> int:
        """Partitions that no living evaluator owns, as far as is known."""
        found = self.partitions or []
        return len(nobodys(found)) + len(silent(found, _now_ms()))


def _now_ms() -> int:
    return int(time.time() * 1000)


def nobodys(partitions: Sequence[PartitionStatus]) -> list[int]:
    """The partitions that nobody owns."""
    return [each.partition for each in partitions if not each.owner]


def silent(partitions: Sequence[PartitionStatus], now_ms: int) -> list[int]:
    """The partitions whose owner seems to be dead."""
    return [each.partition for each in partitions if each.owner and now_ms - each.seen > SILENT_MS]


async def readiness_of(
    reads: Reads,
    evaluator: Evaluator | None,
    worker: Worker | None = None,
    *,
    evaluator_failed: bool,
    deliveries_failed: bool = False,
) -> Readiness:
    """Of a process with a store.

    One that only answers HTTP works as long as the store does: it goes on answering reads while no evaluator runs and
    while the log is away (sending events is 503 then), so neither takes it out of a load balancer; both are warnings.
    """
    try:
        partitions = await reads.status()
    except Unavailable:
        return Readiness(["the store is away"])
    reasons: list[str] = []
    if evaluator_failed:
        reasons.append("the evaluator of this process has ended")
    elif evaluator is not None and not evaluator.ready:
        reasons.append(f"the evaluator: {evaluator.reason}")
    if deliveries_failed:
        reasons.append("the deliveries of this process have ended")
    elif worker is not None:
        reasons += worker.troubles
    return Readiness(reasons, warnings_about(partitions, _now_ms()), partitions)


def warnings_about(partitions: Sequence[PartitionStatus], now_ms: int) -> list[str]:
    """What the partitions tell, a line for each thing that is wrong."""
    found: list[str] = []
    if any(each.log_end is None for each in partitions):
        found.append("the log is away: events cannot be sent, reads are answered")
    if without := nobodys(partitions):
        found.append(f"no evaluator owns {named(without)}")
    if unheard := silent(partitions, now_ms):
        found.append(f"the owner of {named(unheard)} has not been heard of for {SILENT_MS // 1000} s and more")
    found += [each.trouble for each in partitions if each.trouble]  # each names its partition
    return found
