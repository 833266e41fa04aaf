"""Positions outside the log: found, told, and, when a person accepts the gap, moved to where the log goes on.

Records between a position and what the log keeps were dropped before they were evaluated (retention), or a position is
beyond the newest record (the log was truncated or made anew). Nobody goes on by itself then: counts and memberships
would be wrong in silence.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from consumers.log.port import Appended, Log, Offset
from consumers.state.commit import Meta
from consumers.state.keys import PartitionKeys
from consumers.state.store import Argument, Script, Store

GAPS_MAX = 10
"""Gaps that a partition remembers, the newest."""

_REPAIR = Script("repair")
_GAP = re.compile(r"(-?\d+)-(-?\d+)@(\d+)")


class Outside(NamedTuple):
    """A partition whose `position` is not in its log. `clock` (ms): of the last record evaluated, 0 for none.

    `first`: the oldest record kept, None for none; `last`: the newest offset there ever was, START for none.
    """

    partition: int
    position: Offset
    clock: int
    first: Appended | None
    last: Offset

    @property
    def beyond(self) -> bool:
        """Whether the position is after the end: a log that was truncated or made anew."""
        return self.position > self.last

    @property
    def oldest(self) -> Offset:
        """The position from which everything that is kept is read."""
        return self.last if self.first is None else self.first.offset - 1

    @property
    def missing(self) -> int:
        """How many offsets were dropped before they were read; on Kafka that many records at most."""
        return 0 if self.beyond else self.oldest - self.position


class Gap(NamedTuple):
    """A gap that a person accepted at `at_ms`: evaluation went on after `to` instead of `position`."""

    position: Offset
    to: Offset
    at_ms: int


async def find_outside(store: Store, log: Log, partitions: Collection[int] | None = None) -> list[Outside]:
    """The partitions (None: of all) whose position is outside the log. Raises Unavailable."""
    flats = await store.calls([("HGETALL", PartitionKeys(partition).meta) for partition in range(log.partitions)])
    metas = [Meta.parse(flat) for flat in flats]  # before the log's ends: what a position was read from is in them
    found = []
    for partition, (meta, bounds) in enumerate(zip(metas, await log.bounds(), strict=True)):
        if (partitions is None or partition in partitions) and bounds.miss(meta.position):
            found.append(Outside(partition, meta.position, meta.clock, bounds.first, bounds.last))
    return found


def position_after(outside: Outside, *, from_start: bool = False) -> Offset:
    """Where evaluation goes on: with the oldest record kept, and beyond the end with what comes next, unless
    `from_start`."""
    return outside.last if outside.beyond and not from_start else outside.oldest


async def accept_gap(store: Store, outside: Outside, *, from_start: bool = False) -> str:
    """Move the position; answers "", or why nothing was changed (it had moved by itself). Raises Unavailable.

    A running owner loses the partition by this, and takes it over anew.
    """
    to = position_after(outside, from_start=from_start)
    args: list[Argument] = [outside.position, to, outside.last, GAPS_MAX]
    why: bytes = await store.run(_REPAIR, [PartitionKeys(outside.partition).meta], args)
    return why.decode()


async def read_gaps(store: Store, partition: int) -> list[Gap]:
    """The gaps that were accepted, the newest last."""
    return parse_gaps(await store.call("HGET", PartitionKeys(partition).meta, "gaps") or b"")


def parse_gaps(text: bytes) -> list[Gap]:
    """As the partition's meta has them."""
    return [Gap(*map(int, found)) for found in _GAP.findall(text.decode())]
