"""What a record of the log turns out to be."""

from __future__ import annotations

from consumers.log.port import Record
from rules.errors import EventRejected
from rules.events import Event
from rules.records import DefinitionRecord, Tick, decode_record

Item = Event | Tick | DefinitionRecord | EventRejected
"""A rejection is an item too: it has its place in the order, and ends in the dead letters."""


def decode(record: Record) -> Item:
    try:
        return decode_record(record.payload, record.timestamp_ms)
    except EventRejected as error:
        return error
