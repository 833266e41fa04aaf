"""Which ids a customer has sent lately: one byte string of 14-byte records, oldest first (contract §1).

A record is the 8-byte hash of type and id, then the clock (ms, 6 bytes) at the first reading.
"""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct

from rules.limits import DEDUP_IDS_MAX, DEDUP_MS

_RECORD = 14
_HASH = 8
_TIME = 6  # signed, big-endian
_BLANK = blake2b(digest_size=_HASH)  # copying it costs less than making one
# A time is read with the two bytes of hash before it. In the difference to the clock, which is neither negative nor
# that long, only the low 48 bits count: neither those two bytes nor a sign matter.
_WORD = Struct(">Q").unpack_from
_WIDTH = 8
_AGE = (1 << 48) - 1


def seen(recent: bytes, event_type: str, event_id: str, clock: int) -> bytes | None:
    """`recent` with the id added, or None for a duplicate: read less than 72 h of clock ago, among the newest 512."""
    hashed = _BLANK.copy()
    hashed.update(f"{event_type}\0{event_id}".encode())
    digest = hashed.digest()
    record = digest + clock.to_bytes(_TIME, "big", signed=True)
    if not recent:
        return record
    if (clock - _WORD(recent, _RECORD - _WIDTH)[0]) & _AGE >= DEDUP_MS:
        recent = _without_expired(recent, clock)
    at = recent.find(digest)  # `in` would first try whether the digest is a number, by an exception
    while at >= 0:
        if at % _RECORD == 0:
            return None
        at = recent.find(digest, at + 1)
    if len(recent) >= DEDUP_IDS_MAX * _RECORD:
        recent = recent[len(recent) - (DEDUP_IDS_MAX - 1) * _RECORD :]
    return recent + record


def _without_expired(recent: bytes, clock: int) -> bytes:
    if (clock - _WORD(recent, len(recent) - _WIDTH)[0]) & _AGE >= DEDUP_MS:
        return b""  # the newest has, and so have all
    at = _RECORD
    while (clock - _WORD(recent, at + _RECORD - _WIDTH)[0]) & _AGE >= DEDUP_MS:
        at += _RECORD
    return recent[at:]
