"""The bounds of the deliveries of one process."""

from __future__ import annotations

import msgspec

DAY_MS = 86_400_000


class Settings(msgspec.Struct, frozen=True):
    """Every bound with its reason. "A share" is a target's part in one partition."""

    # What is kept in the store
    parked_max: int = 250_000  # a share: failed, waiting, or behind such; at that the target reads the feed no further
    dead_letters_max: int = 10_000  # a share: given up, to be sent again by hand; the oldest go first, and are counted
    log_entries_max: int = 1_000  # a share: the newest attempts
    done_keys_max: int = 1_000_000  # a share, for targets that remember; the oldest go first, and are counted
    done_keys_ms: int = 30 * DAY_MS  # how long a key that is done is remembered
    jobs_max: int = 1_000  # finished jobs that are remembered
    # What is kept in memory
    in_hand_max: int = 500  # items of a target that are read and not settled, all partitions together; or two batches
    span_max: int = 5_000  # items of a share between the first that is not settled and the last that is read
    page_entries_max: int = 50  # commits in one read of the feed; one may have thousands of transitions
    pages_bytes_max: int = 32 * 1024 * 1024  # of the feed, decoded, for all targets together; at least one page each
    # How failures are met
    down_failures: int = 3  # one after the other, nothing done in between: the target is down
    probes_max: int = 3  # parked failures of a target that is down; with so many it reads the feed no further
    retry_after_ms_max: int = DAY_MS  # what the other side may ask for
    pause_ms_max: int = 3_600_000  # ... that holds up the other items too
    # How often
    gather_ms: int = 50  # how long a batch gathers
    flush_ms: int = 100  # between two writes of a partition: a crash repeats the calls of that time
    nap_ms: int = 500  # the longest wait without a look at the clock
    jobs_ms: int = 1_000  # between two looks for jobs that others began
    job_chunk: int = 500  # items that a job enqueues at once
    job_parked_max: int = 2_000  # a share: with so many parked a job enqueues no more for now
    # Who has what
    lease_ms: int = 10_000  # a worker silent for so long is gone
    heartbeat_ms: int = 2_000
    let_go_ms: int = 2_000  # how long calls that are open may take when a partition is given to another worker
    remove_ms: int = 60_000  # a target that is not there for so long is removed with all its state
