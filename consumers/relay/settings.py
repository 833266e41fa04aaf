"""The bounds of one relay."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """Every bound with its reason."""

    gather_ms: int = 40  # from the end of one transaction to the next: one costs 1 to 2 ms of CPU, whatever it carries
    gap_ms: int = 3  # ... when a full one waits: begun sooner, aiokafka often sleeps 20 ms for the last one's markers
    transaction_transitions_max: int = 2_000  # some 10 ms of this process's time to write down
    transaction_bytes_max: int = 4_000_000
    memory_transitions_max: int = 50_000  # waiting in memory (some 30 MB); what is more is read from the outbox again
    read_transitions_max: int = 2_000  # about so many a partition and read of the outbox
    outbox_transitions_max: int = 500_000  # not yet published, all partitions; then evaluation waits (some 250 MB)
    note_ms: int = 5_000  # how far the topic is, is written down so often while it moves on
    note_idle_ms: int = 1_000  # ... and once nothing has moved for so long
