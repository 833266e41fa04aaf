"""What is stored of an item that is not done, and of every attempt. (Msgpack arrays: a field more goes at the end.)"""

from __future__ import annotations

from typing import Literal

import msgspec

from consumers.delivery.port import Item, Kind

LogOutcome = Literal["done", "dropped", "later", "failed", "refused", "gone", "given_up", "known", "lost"]


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """An item that is parked, or was given up. Instants in ms, 0: none.

    `tries`: calls made; `step`: how many of them count (one that was made early, as the target had come back, does
    not). `due_ms`: when it is to be called by the schedule. `commit`: of the feed, 0: it does not come from there.
    """

    item: Item
    lane: str
    tries: int
    step: int
    first_ms: int
    last_ms: int
    due_ms: int
    error: str
    status: int
    job: str
    commit: int


class LogEntry(msgspec.Struct, frozen=True, array_like=True):
    """One attempt, or what else happened to an item. Instants in ms.

    `failed`: it is tried again at `next_ms`; `given_up`: it is a dead letter, as after `refused`; `known`: not called,
    it was done before; `lost`: `count` transitions had left the feed before they were read (there is no item then).
    """

    at_ms: int
    outcome: LogOutcome
    item_id: str = ""
    kind: Kind = "entered"
    customer_id: str = ""
    segment: str = ""
    number: int = 0
    attempt: int = 0
    status: int = 0
    detail: str = ""
    took_ms: int = 0
    next_ms: int = 0
    job: str = ""
    count: int = 1
    partition: int = 0
    commit: int = 0  # of the feed, where the item is found again; 0: none


_ENCODER = msgspec.msgpack.Encoder()
_KEPT = msgspec.msgpack.Decoder(Kept)
_LOG = msgspec.msgpack.Decoder(LogEntry)
_HEAD_BYTES = 17  # of a parked item: flag and due time, which the store's script reads (see deliver.lua)


def encode(record: Kept | LogEntry) -> bytes:
    return _ENCODER.encode(record)


def decode_kept(packed: bytes) -> Kept:
    """A dead letter."""
    return _KEPT.decode(packed)


def decode_parked(packed: bytes) -> Kept:
    """A parked item as the store has it."""
    return _KEPT.decode(packed[_HEAD_BYTES:])


def decode_log(packed: bytes) -> LogEntry:
    return _LOG.decode(packed)
