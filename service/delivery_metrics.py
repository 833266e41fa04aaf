"""What deliveries (webhooks and actions) count for Prometheus. Labels: the kind, how a call ended; never an id."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from consumers.delivery.metrics import Ending, TargetKind

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)


class DeliveryMetrics:
    """Implements `consumers.delivery.metrics.Metrics`. Gauges speak of the partitions that this process delivers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"segmentd_delivery_{name}", about, ("kind",), registry=registry)

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"segmentd_{name}", about, ("kind", *labels), registry=registry)

        self._ended = counter("deliveries_total", "Items called, by how it ended", "outcome")
        self._lost = counter("deliveries_lost_total", "Transitions that had left the feed before they were delivered")
        self._dropped = counter("delivery_dead_letters_dropped_total", "Given up long ago, let go of for newer ones")
        self._seconds = Histogram(
            "segmentd_delivery_call_seconds", "Time of one call", ("kind",), buckets=_SECONDS, registry=registry
        )
        self._lag = gauge("lag_transitions", "How far the slowest active target is behind the feed")
        self._parked = gauge("parked_items", "Items that wait, failed, or are behind such")
        self._down = gauge("down_targets", "Targets whose calls all fail")
        self._owned = Gauge(
            "segmentd_delivery_partitions", "Partitions whose deliveries this process makes", registry=registry
        )
        self._fenced = Counter(
            "segmentd_delivery_fenced_total", "Writes refused, for another process has the partition", registry=registry
        )

    def ended(self, kind: TargetKind, ending: Ending, count: int) -> None:
        self._ended.labels(kind, ending).inc(count)

    def call_seconds(self, kind: TargetKind, seconds: float) -> None:
        self._seconds.labels(kind).observe(seconds)

    def lag(self, kind: TargetKind, transitions: int) -> None:
        self._lag.labels(kind).set(transitions)

    def parked(self, kind: TargetKind, items: int) -> None:
        self._parked.labels(kind).set(items)

    def down(self, kind: TargetKind, targets: int) -> None:
        self._down.labels(kind).set(targets)

    def lost(self, kind: TargetKind, transitions: int) -> None:
        self._lost.labels(kind).inc(transitions)

    def dead_letters_dropped(self, kind: TargetKind, count: int) -> None:
        self._dropped.labels(kind).inc(count)

    def owned(self, partitions: int) -> None:
        self._owned.set(partitions)

    def fenced(self) -> None:
        self._fenced.inc()
