"""The bounds of one intake."""

from __future__ import annotations

import msgspec

from rules.limits import EVENT_AGE_MS_MAX


class IntakeSettings(msgspec.Struct, frozen=True):
    """Every bound with its reason."""

    batch_records_max: int = 2_000  # written to the log at a time: one wait for all of them
    batch_bytes_max: int = 2 * 1024 * 1024  # ... or as many bytes: written well within the time that the log allows
    piece_records_min: int = 50  # a batch that the log did not take in time is halved, down to this
    held_records_min: int = 1_000  # of a partition: with fewer in hand more are asked for, so that merging seldom waits
    held_bytes_max: int = 64 * 1024 * 1024  # over all partitions: with more, only those that hold nothing are read
    poll_ms: int = 100  # how long to wait for records when there are none
    wait_s: float = 10.0  # for a partition that is behind and brings nothing, before the others go on without it
    letters_bytes_max: int = 8 * 1024 * 1024  # of dead letters at a time; one may be as large as its topic allows
    retry_s: float = 1.0  # between two tries while the log is away
    lag_s: float = 1.0  # between two measurements of how far behind the sources are
    event_age_ms_max: int = EVENT_AGE_MS_MAX  # as at the HTTP edge
