"""Which partition a customer belongs to: Kafka's default partitioner, so publishers may write to the log directly."""

from __future__ import annotations

from functools import lru_cache

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Kafka's 32-bit murmur2 as an unsigned number (Java's is the same bits, signed).

    >>> murmur2(b"21") - (1 << 32), murmur2(b"abc")
    (-973932308, 479470107)
    """
    length = len(key)
    h = _SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length != whole:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=65_536)
def partition_of(customer_id: str, partitions: int) -> int:
    """The partition of a customer among `partitions`, as Kafka's default partitioner gives it for the UTF-8 key."""
    return (murmur2(customer_id.encode()) & 0x7FFFFFFF) % partitions
