"""How far behind each source is, as far as this process's share of its partitions goes."""

from __future__ import annotations

from collections.abc import Iterable

from consumers.intake.merge import Merge
from consumers.intake.metrics import IntakeMetrics
from consumers.intake.port import SourceRecord


def tell_lag(
    merge: Merge, in_hand: Iterable[SourceRecord], sources: Iterable[str], metrics: IntakeMetrics, now_ms: int
) -> None:
    """`in_hand`: taken from the merge, and not written yet.

    A source none of whose partitions is this process's is behind by nothing here. Where a partition's lag was never
    known (its broker is away), the source's is not told.
    """
    records = dict.fromkeys(sources, 0)
    oldest: dict[str, int] = {}
    for record in in_hand:
        records[record.topic] += 1
        if record.timestamp_ms > 0:
            oldest[record.topic] = min(record.timestamp_ms, oldest.get(record.topic, record.timestamp_ms))
    unknown: set[str] = set()
    for place in merge.places:
        behind = merge.behind(place)
        if behind is None:
            unknown.add(place.topic)
            continue
        records[place.topic] += behind
        ms = merge.oldest_ms(place)
        if ms is not None and ms > 0:  # -1: its topic does not tell
            oldest[place.topic] = min(ms, oldest.get(place.topic, ms))
    for topic, count in records.items():
        if topic not in unknown:
            seconds = max(0, now_ms - oldest[topic]) / 1000 if topic in oldest else 0.0
            metrics.lag(topic, count, seconds)
