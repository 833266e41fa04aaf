"""A group of evaluators that share the partitions: members come, go, sleep past their session, and learn of it late."""

from __future__ import annotations

import asyncio
import contextvars
import random

from tests.simulation.loop import PROCESS, Process, VirtualLoop

SESSION_S = 3.0


class SimGroup:
    """The coordinator's side. Call `look` now and then."""

    def __init__(self, partitions: int, loop: VirtualLoop, rng: random.Random) -> None:
        self._partitions, self._loop, self._rng = partitions, loop, rng
        self._members: dict[SimSharing, float] = {}  # when last heard of
        self._outsiders: list[SimSharing] = []  # thrown out; they do not know it yet
        self._turns = 0
        self._since: dict[int, tuple[SimSharing, int]] = {}  # who has a partition, and since which turn

    def join(self, member: SimSharing) -> None:
        self._members[member] = self._loop.seconds
        self.rebalance()

    def leave(self, member: SimSharing) -> None:
        if self._members.pop(member, None) is not None:
            self.rebalance()

    def holds(self, member: SimSharing, partition: int, turn: int) -> bool:
        """Whether a partition is this member's since that turn, whatever it believes."""
        return self._since.get(partition) == (member, turn)

    def look(self) -> None:
        """Who has not been heard of for a session's length is out; who is back joins again."""
        now = self._loop.seconds
        for member in [*self._members, *self._outsiders]:
            if member.process.alive and not member.process.paused:
                if member in self._outsiders:
                    self._outsiders.remove(member)
                    self.join(member)
                self._members[member] = now
        gone = [member for member, heard in self._members.items() if now - heard > SESSION_S]
        for member in gone:
            del self._members[member]
            self._outsiders.append(member)
        if gone:
            self.rebalance()

    def rebalance(self) -> None:
        """Everybody gets partitions, mostly as even as can be; each learns of it in its own time."""
        members = list(self._members)
        if not members:
            self._since = {}
            return
        self._rng.shuffle(members)
        shares: dict[SimSharing, set[int]] = {member: set() for member in members}
        for partition in range(self._partitions):
            member = members[partition % len(members)] if self._rng.random() < 0.8 else self._rng.choice(members)
            shares[member].add(partition)
        self._turns += 1
        for member, share in shares.items():
            for partition in share:
                if partition not in self._since or self._since[partition][0] is not member:
                    self._since[partition] = member, self._turns
            turns = {partition: self._since[partition][1] for partition in share}
            member.tell(turns, self._rng.choice((0.0, 0.05, 0.5, 2.0)) * self._rng.random())


class SimSharing:
    """A member's side: a `Sharing`."""

    exclusive = False

    def __init__(self, group: SimGroup, loop: VirtualLoop) -> None:
        process = PROCESS.get()
        assert process is not None, "a member is a process"
        self.process: Process = process
        self.wanted: frozenset[int] = frozenset()
        self.since: dict[int, int] = {}
        self.changed = asyncio.Event()
        self._group, self._loop = group, loop
        self._told = 0
        self._context = contextvars.copy_context()

    async def start(self) -> None:
        await asyncio.sleep(0.01)
        self._group.join(self)

    async def stop(self) -> None:
        await asyncio.sleep(0.01)
        self._group.leave(self)

    def tell(self, share: dict[int, int], seconds: float) -> None:
        """It comes to know of its share then (partition -> since which turn), but not while it sleeps."""
        self._told += 1
        self._loop.call_later(seconds, self._learn, share, self._told, context=self._context)

    def _learn(self, share: dict[int, int], told: int) -> None:
        if told == self._told:
            self.wanted, self.since = frozenset(share), share
            self.changed.set()
