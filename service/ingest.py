"""The way of events into the log: encode, find the partition, append durably, and wait for the evaluators if asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consumers.log.partition import partition_of
from consumers.log.port import NewRecord, Offset
from rules.events import Event
from rules.records import encode_event
from service.wiring import Services


async def append(parts: Services, events: Sequence[Event]) -> dict[int, Offset]:
    """Writes events to the log; returns when they are durable, with the last offset in each partition.

    Raises Unavailable: some may have been written all the same, and sending again is harmless (they have ids).
    """
    count = parts.log.partitions
    records = [
        NewRecord(partition_of(event.customer_id, count), encode_event(event), event.customer_id) for event in events
    ]
    last: dict[int, Offset] = {}
    for place in await parts.log.append(records):
        last[place.partition] = max(place.offset, last.get(place.partition, place.offset))
    parts.metrics.ingest.accepted(len(records))
    return last


async def applied(
    parts: Services, offsets: dict[int, Offset], wait_s: float | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """What `Prefer: wait` adds to an answer: (members, headers). `wait_s` None: nobody asked."""
    if wait_s is None:
        return {}, {}
    done = await parts.reads.wait_applied(offsets, round(wait_s * 1000)) if offsets else True
    return {"applied": done}, {"Preference-Applied": "wait"} if done else {}
