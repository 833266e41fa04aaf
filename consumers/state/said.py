"""What one segment's members did, newest first: the outboxes read backwards, bounded, from anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from consumers.state.commit import OutboxEntry
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store

_ENTRIES_A_READ = 200
_DECODER = msgspec.msgpack.Decoder(OutboxEntry)


class Said(NamedTuple):
    """One transition. `clock`: of its commit (ms), which only grows in a partition; `data`: its CloudEvent."""

    clock: int
    partition: int
    number: int
    commit: int
    data: bytes


class Found(NamedTuple):
    """Newest first in each partition. `ends`: by partition, the clock and the number before which nothing was looked
    at, None where all was; `commits`: the oldest commit that was looked at."""

    said: list[Said]
    ends: list[tuple[int, int] | None]
    commits: list[int]


async def read_said(
    store: Store, partitions: int, segment: str, limit: int, before: Sequence[int] | None, bytes_max: int
) -> Found:
    """At least `limit` of each partition's newest transitions of a segment, as far as `bytes_max` reaches.

    `before`: by partition, the commit to begin with (None: the newest). Raises Unavailable.
    """
    share = bytes_max // partitions
    found = await asyncio.gather(
        *(
            _of_partition(store, partition, segment, limit, before[partition] if before else None, share)
            for partition in range(partitions)
        )
    )
    said = [each for mine, _, _ in found for each in mine]
    return Found(said, [end for _, end, _ in found], [commit for _, _, commit in found])


async def _of_partition(
    store: Store, partition: int, segment: str, limit: int, before: int | None, bytes_max: int
) -> tuple[list[Said], tuple[int, int] | None, int]:
    needle = f'"segment":"{segment}"'.encode()
    said: list[Said] = []
    size, following = 0, before
    while True:
        end = "+" if following is None else f"{following}-0"
        out = PartitionKeys(partition).out
        entries: list[Any] = await store.call("XREVRANGE", out, end, "-", "COUNT", _ENTRIES_A_READ)
        for key, fields in entries:
            following = int(key[: key.index(b"-")])
            size += len(fields[1])
            if needle in fields[1]:
                said += _matching(_DECODER.decode(fields[1]), partition, following, needle)
        if len(entries) < _ENTRIES_A_READ:
            return said, None, following or 0
        if len(said) >= limit or size >= bytes_max:
            oldest = _DECODER.decode(entries[-1][1][1])
            return said, (oldest.clock, oldest.first_number), following or 0
        following = (following or 1) - 1


def _matching(entry: OutboxEntry, partition: int, commit: int, needle: bytes) -> list[Said]:
    found = [
        Said(entry.clock, partition, entry.first_number + place, commit, data)
        for place, data in enumerate(entry.transitions)
        if needle in data
    ]
    return found[::-1]
