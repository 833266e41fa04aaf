"""Which partitions this process should own: the port, and the answer where nobody shares them."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Sharing(Protocol):
    """A group of evaluators that share the partitions. Only advice: the store's epoch is what fences an owner.

    `wanted` may change at any time; `changed` is set then (the evaluator clears it when it has looked). The evaluator
    finishes its batch, gives back what it no longer should own, and takes the new over.
    """

    @property
    def exclusive(self) -> bool:
        """True where another process never evaluates meanwhile: then a newly started one takes all at once, by force.
        False in a group: a former owner is given a moment to let go first."""
        ...

    @property
    def wanted(self) -> frozenset[int]: ...

    @property
    def changed(self) -> asyncio.Event: ...

    async def start(self) -> None:
        """Join. Raises Unavailable."""
        ...

    async def stop(self) -> None: ...


class Everything:
    """All partitions are this process's: the newest process wins."""

    exclusive = True

    def __init__(self, partitions: int) -> None:
        self.wanted = frozenset(range(partitions))
        self.changed = asyncio.Event()

    async def start(self) -> None:
        self.changed.set()

    async def stop(self) -> None: ...
