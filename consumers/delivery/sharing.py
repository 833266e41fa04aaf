"""Which partitions a worker should have: each goes to the live worker that scores highest for it (rendezvous hashing),
so that one that comes or goes moves only what it must."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from consumers.state.deliveries import say_alive
from consumers.state.store import Store


def share_of(worker: str, workers: Collection[str], partitions: int) -> frozenset[int]:
    """The partitions of one of the live workers.

    >>> sorted(share_of("a", ["a"], 3))
    [0, 1, 2]
    >>> both = [share_of(each, ["a", "b"], 8) for each in ("a", "b")]
    >>> (sorted(both[0] | both[1]) == list(range(8)), both[0] & both[1], min(map(len, both)))
    (True, frozenset(), 4)
    """
    fair = -(-partitions // max(1, len(workers)))  # so that none has more than its part
    counts = dict.fromkeys(workers, 0)
    mine = set()
    for partition in range(partitions):
        free = [each for each in counts if counts[each] < fair]
        chosen = max(free, key=lambda each: _score(each, partition))
        counts[chosen] += 1
        if chosen == worker:
            mine.add(partition)
    return frozenset(mine)


def _score(worker: str, partition: int) -> bytes:
    return hashlib.blake2b(f"{partition}:{worker}".encode(), digest_size=8).digest()


class Sharing:
    """Says that a worker is alive, and what it should have. `wanted` None: not known yet."""

    def __init__(self, store: Store, name: str, partitions: int, lease_ms: int) -> None:
        self.wanted: frozenset[int] | None = None
        self.workers: list[str] = []
        self._store, self._name, self._partitions = store, name, partitions
        self._lease_ms = lease_ms

    async def beat(self) -> None:
        """Raises Unavailable."""
        workers = await say_alive(self._store, self._name, self._lease_ms)
        if workers != self.workers or self.wanted is None:
            self.workers = workers
            self.wanted = share_of(self._name, workers, self._partitions)

    async def leave(self) -> None:
        """The others need not wait. Raises Unavailable."""
        await say_alive(self._store, self._name, self._lease_ms, leaving=True)
