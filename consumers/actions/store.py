"""What actions keep in the store: calls about a customer that a limit counts, and which runs have begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from consumers.log.partition import partition_of
from consumers.state.keys import ACTION_RUNS, PartitionKeys
from consumers.state.store import Argument, Script, Store

_COUNT = Script("action_count")
_RUN = Script("action_run")


class Reservation(NamedTuple):
    """One call that is to count: `since_ms`: from when on calls count; `keep_ms`: how long they may."""

    customer_id: str
    key: str
    at_ms: int
    since_ms: int
    keep_ms: int
    calls_max: int


class Counts:
    """Calls counted per target and customer, in the customer's partition. All calls may raise Unavailable."""

    def __init__(self, store: Store, partitions: int) -> None:
        self._store = store
        self._keys = [PartitionKeys(p) for p in range(partitions)]

    def _key(self, target: str, customer_id: str) -> str:
        keys = self._keys[partition_of(customer_id, len(self._keys))]
        return keys.action_count(target, customer_id)

    async def reserve(self, target: str, one: Reservation) -> bool:
        """Count the call, unless as many are counted already; one that was counted before stays so."""
        args: list[Argument] = [one.key, one.at_ms, one.since_ms, one.keep_ms, one.calls_max]
        found: int = await self._store.run(_COUNT, [self._key(target, one.customer_id)], args)
        return found == 1

    async def release(self, target: str, customer_id: str, key: str) -> None:
        """The call was not made after all."""
        await self._store.call("ZREM", self._key(target, customer_id), key)


class RunTimes:
    """Up to when each `on: {every: ...}` action has been run."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def last(self, targets: Sequence[str]) -> list[int]:
        """The instant (ms) of the newest run of each, 0 for none."""
        if not targets:
            return []
        found = await self._store.call("HMGET", ACTION_RUNS, *targets)
        return [int(value or 0) for value in found]

    async def begun(self, target: str, at_ms: int) -> None:
        """The run of that instant has begun; an older one is not noted."""
        await self._store.run(_RUN, [ACTION_RUNS], [target, at_ms])

    async def forget(self, target: str) -> None:
        await self._store.call("HDEL", ACTION_RUNS, target)
