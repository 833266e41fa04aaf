"""Which ids a customer has sent lately: one byte string of 14-byte records, oldest first (contract §1).

A record is the 8-byte hash of type and id, then the clock (ms, 6 bytes) at the first reading.
"""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct

from rules.limits import DEDUP_IDS_MAX, DEDUP_MS

_RECORD = 14
_HASH = 8
_TIME = Struct(">hI")  # 6 bytes, signed: the high 16 bits and the low 32
_WHOLE = Struct(">8shI")


def seen(recent: bytes, event_type: str, event_id: str, clock: int) -> bytes | None:
    """`recent` with the id added, or None for a duplicate: read less than 72 h of clock ago, among the newest 512."""
    digest = blake2b(f"{event_type}\0{event_id}".encode("utf-8", "surrogatepass"), digest_size=_HASH).digest()
    record = _WHOLE.pack(digest, clock >> 32, clock & 0xFFFFFFFF)
    if not recent or clock - _time(recent, len(recent) - _RECORD) >= DEDUP_MS:
        return record  # none, or the newest has expired and so have all
    if clock - _time(recent, 0) >= DEDUP_MS:
        recent = _without_expired(recent, clock)
    at = recent.find(digest)
    while at >= 0:
        if at % _RECORD == 0:
            return None
        at = recent.find(digest, at + 1)
    if len(recent) >= DEDUP_IDS_MAX * _RECORD:
        recent = recent[len(recent) - (DEDUP_IDS_MAX - 1) * _RECORD :]
    return recent + record


def _time(recent: bytes, at: int) -> int:
    high, low = _TIME.unpack_from(recent, at + _HASH)
    return int(high << 32 | low)


def _without_expired(recent: bytes, clock: int) -> bytes:
    at = _RECORD
    while at < len(recent) and clock - _time(recent, at) >= DEDUP_MS:
        at += _RECORD
    return recent[at:]
