"""How far behind each source is, as far as this process's share of its partitions goes."""

from __future__ import annotations

from collections.abc import Iterable

from consumers.intake.merge import Merge
from consumers.intake.metrics import IntakeMetrics


def tell_lag(merge: Merge, sources: Iterable[str], metrics: IntakeMetrics, now_ms: int) -> None:
    """A source none of whose partitions is this process's is behind by nothing here. Where a partition's lag is not
    known (its broker is away), the source's is left as it was last told."""
    records = dict.fromkeys(sources, 0)
    oldest: dict[str, int] = {}
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
