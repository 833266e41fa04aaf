"""The bounds of one evaluator."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """Every bound with its reason."""

    batch_records_max: int = 5_000  # a partition and commit: small commits are the dearest mistake
    hot_profiles_max: int = 100_000  # decoded and kept in memory, all partitions together (a few KB each)
    drain_customers_max: int = 500  # a chunk of due timers, of a sweep, of a merge
    drain_ms: int = 5  # ... or as many as that takes: live events wait no longer for them
    drain_idle_ms: int = 25  # ... while none come
    collect_records_max: int = 500  # a chunk of the log read again
    gather_ms: int = 10  # how long a busy evaluator lets records gather
    gather_records_min: int = 300  # a second, from which on it counts as busy: 10 ms more, a fraction of the CPU
    feed_transitions_max: int = 1_000_000  # kept for subscribers to resume from, all partitions together (some 500 MB)
    feed_triggers_max: int = 500_000  # events that actions wait for, all partitions together (some 500 MB)
    feed_undelivered_max: int = 2_000_000  # ... and so many while an active target of the deliveries is that far behind
    lease_ms: int = 15_000  # an owner silent for so long is gone
    let_go_ms: int = 2_000  # how long a new owner waits for the former one to finish its batch
    ahead_ms_max: int = 5_000  # a record stamped later than that by our own clock waits
    stop_ahead_ms: int = 300_000  # ... and one later than that stops its partition: a clock is wrong
    outbox_transitions_max: int = 500_000  # not yet published, all partitions together; then evaluation waits
    event_age_ms_max: int | None = None  # asked of events that came straight into the log; None: not asked
