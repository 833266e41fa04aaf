"""What a record of the log turns out to be."""

from __future__ import annotations

from consumers.log.port import Record
from rules.errors import EventRejected
from rules.events import FROM_THE_LOG, Event, EventLimits, with_traceparent
from rules.records import DefinitionRecord, Tick, decode_record

Item = Event | Tick | DefinitionRecord | EventRejected
"""A rejection is an item too: it has its place in the order, and ends in the dead letters."""


def decode(record: Record, limits: EventLimits = FROM_THE_LOG) -> Item:
    try:
        item = decode_record(record.payload, record.timestamp_ms, limits)
    except EventRejected as error:
        return error
    if record.traceparent and type(item) is Event and not item.traceparent:
        return with_traceparent(item, record.traceparent)
    return item
