"""What Prometheus reads at /metrics. Units stand in the names; labels are few and never a customer's.

Event types and reasons come from senders, so only the first ones seen get a label of their own (`Labels`).
"""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from consumers.delivery import metrics as delivery
from consumers.evaluator import metrics as evaluator
from consumers.intake import metrics as intake
from consumers.relay import metrics as relay
from service.delivery_metrics import DeliveryMetrics

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_RECORDS = (1, 10, 50, 100, 500, 1000, 2500, 5000, 10_000)


class Labels:
    """The first `most` different values keep their name, later ones are `other`.

    >>> few = Labels(1)
    >>> few("purchase"), few("refund"), few("purchase")
    ('purchase', 'other', 'purchase')
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value


class HttpMetrics:
    """What the HTTP edge counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ("method", "route", "status")
        self._requests = Counter("segmentd_http_requests_total", "HTTP requests answered", names, registry=registry)
        self._seconds = Histogram(
            "segmentd_http_request_seconds",
            "Time to the end of an answer (streams left out)",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.streams = Gauge("segmentd_feed_streams", "Open streams of transitions", registry=registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        known = method if method in ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS") else OTHER
        self._requests.labels(known, route, str(status)).inc()
        if route != "/v1/transitions":
            self._seconds.labels(route).observe(seconds)


class ReadyMetrics:
    """What /readyz says, as numbers: set anew whenever metrics are asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ready = Gauge("segmentd_ready", "1 where this process can do its work", registry=registry)
        self._warnings = Gauge("segmentd_warnings", "What is wrong, though this process works", registry=registry)
        self._nobodys = Gauge(
            "segmentd_partitions_without_owner", "Partitions that no living evaluator owns", registry=registry
        )

    def ready(self, ready: bool, warnings: int, partitions_without_owner: int) -> None:
        self._ready.set(ready)
        self._warnings.set(warnings)
        self._nobodys.set(partitions_without_owner)


class IngestMetrics:
    """What POST /v1/events counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accepted = Counter("segmentd_events_accepted_total", "Events the log has durably", registry=registry)
        self._rejected = Counter(
            "segmentd_events_rejected_total", "Events refused, by the field at fault", ("reason",), registry=registry
        )
        self._bytes = Counter("segmentd_ingest_bytes_total", "Bytes of event bodies, unpacked", registry=registry)
        self._reasons = Labels(30)
        self.accepted_events = 0  # the same number for the terminal's view

    def accepted(self, count: int) -> None:
        self._accepted.inc(count)
        self.accepted_events += count

    def rejected(self, reason: str) -> None:
        self._rejected.labels(self._reasons(reason)).inc()

    def received(self, size_bytes: int) -> None:
        self._bytes.inc(size_bytes)


class EvaluatorMetrics:
    """Implements `consumers.evaluator.Metrics`: called once a batch."""

    def __init__(
        self, registry: CollectorRegistry, types_max: int, segments_max: int, letters: DeadLetterMetrics | None = None
    ) -> None:
        self._types = Labels(types_max)
        self._letters = letters
        self._segments = Labels(segments_max)
        self._events = Counter(
            "segmentd_events_total",
            "Events evaluated; outcomes other than `applied` are over all types (type `all`)",
            ("type", "outcome"),
            registry=registry,
        )
        self._batch = Histogram(
            "segmentd_batch_records", "Log records in one commit", buckets=_RECORDS, registry=registry
        )
        self._step = Histogram(
            "segmentd_step_seconds", "Time of each step of a batch", ("step",), buckets=_SECONDS, registry=registry
        )
        self._transitions = Counter(
            "segmentd_transitions_total", "Members entered and exited", ("segment", "kind"), registry=registry
        )
        self._clock_lag = _by_partition(registry, "segmentd_clock_lag_seconds", "Age of the newest record read")
        self._due_lag = _by_partition(registry, "segmentd_due_timer_lag_seconds", "How long the next change is overdue")
        self._hot = _by_partition(registry, "segmentd_hot_profiles", "Decoded profiles kept in memory")
        self._owned = _by_partition(registry, "segmentd_partition_owned", "1 where this process evaluates a partition")
        self._stopped = _by_partition(registry, "segmentd_partition_stopped", "1 where it had to stop: see the status")
        self._moved = Counter(
            "segmentd_records_moved_total", "Log records written on to their customer's partition", registry=registry
        )
        self._rollbacks = Counter(
            "segmentd_store_rollbacks_total", "Partitions whose store had lost published commits", registry=registry
        )
        self._adopted = Counter(
            "segmentd_transitions_adopted_total",
            "Published transitions that stand although they came again differently, or not",
            ("why",),
            registry=registry,
        )

    def events(self, event_type: str, outcome: evaluator.Outcome, count: int) -> None:
        self._events.labels(self._types(event_type) if event_type else "all", outcome).inc(count)
        if outcome == "rejected" and self._letters is not None:
            self._letters.put("evaluator", count)

    def batch(self, records: int) -> None:
        self._batch.observe(records)

    def step_seconds(self, step: evaluator.Step, seconds: float) -> None:
        self._step.labels(step).observe(seconds)

    def clock_lag(self, partition: int, seconds: float) -> None:
        self._clock_lag.labels(str(partition)).set(seconds)

    def due_lag(self, partition: int, seconds: float) -> None:
        self._due_lag.labels(str(partition)).set(seconds)

    def transitions(self, segment: str, kind: Literal["entered", "exited"], count: int) -> None:
        self._transitions.labels(self._segments(segment), kind).inc(count)

    def hot_profiles(self, partition: int, count: int) -> None:
        self._hot.labels(str(partition)).set(count)

    def moved(self, records: int) -> None:
        self._moved.inc(records)

    def owned(self, partition: int, owned: bool, stopped: bool) -> None:
        self._owned.labels(str(partition)).set(owned)
        self._stopped.labels(str(partition)).set(stopped)

    def rolled_back(self) -> None:
        self._rollbacks.inc()

    def adopted(self, why: Literal["differs", "absent"], count: int) -> None:
        self._adopted.labels(why).inc(count)


class DeadLetterMetrics:
    """Dead letters, by who put them away."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._letters = Counter(
            "segmentd_dead_letters_total", "Records that could not be taken", ("from",), registry=registry
        )

    def put(self, by: Literal["evaluator", "intake"], count: int) -> None:
        self._letters.labels(by).inc(count)


class IntakeMetrics:
    """Implements `consumers.intake.metrics.IntakeMetrics`. Sources are named by their file: few."""

    def __init__(self, registry: CollectorRegistry, letters: DeadLetterMetrics) -> None:
        self._letters = letters
        self._records = Counter(
            "segmentd_intake_records_total", "Records read of sources", ("source", "outcome"), registry=registry
        )
        self._lag = Gauge(
            "segmentd_intake_lag_records", "Records of a source yet to be written on", ("source",), registry=registry
        )
        self._behind = Gauge(
            "segmentd_intake_behind_seconds", "Age of a source's oldest such record", ("source",), registry=registry
        )

    def records(self, source: str, outcome: intake.Outcome, count: int) -> None:
        self._records.labels(source, outcome).inc(count)

    def lag(self, source: str, records: int, seconds: float) -> None:
        self._lag.labels(source).set(records)
        self._behind.labels(source).set(seconds)

    def dead_letters(self, count: int) -> None:
        self._letters.put("intake", count)


class RelayMetrics:
    """Implements `consumers.relay.metrics.Metrics`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = _by_partition(registry, "segmentd_relay_lag_transitions", "Transitions not published yet")
        self._published = Counter("segmentd_relay_published_total", "Transitions published", registry=registry)
        self._seconds = Histogram(
            "segmentd_relay_transaction_seconds", "Time of one transaction", buckets=_SECONDS, registry=registry
        )

    def relay_lag(self, partition: int, transitions: int) -> None:
        self._lag.labels(str(partition)).set(transitions)

    def relay_published(self, transitions: int) -> None:
        self._published.inc(transitions)

    def relay_transaction(self, seconds: float) -> None:
        self._seconds.observe(seconds)


def _by_partition(registry: CollectorRegistry, name: str, about: str) -> Gauge:
    return Gauge(name, about, ("partition",), registry=registry)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self, types_max: int = 100, segments_max: int = 1000) -> None:
        self._registry = CollectorRegistry()
        self.http = HttpMetrics(self._registry)
        self.readiness = ReadyMetrics(self._registry)
        self.ingest = IngestMetrics(self._registry)
        self.relay: relay.Metrics = RelayMetrics(self._registry)
        self.dead_letters = DeadLetterMetrics(self._registry)
        self.evaluator: evaluator.Metrics = EvaluatorMetrics(self._registry, types_max, segments_max, self.dead_letters)
        self.intake: intake.IntakeMetrics = IntakeMetrics(self._registry, self.dead_letters)
        self.deliveries: delivery.Metrics = DeliveryMetrics(self._registry)

    def text(self) -> bytes:
        """The exposition in Prometheus's text format."""
        return generate_latest(self._registry)
