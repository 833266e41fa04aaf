"""A partition as its owner holds it, and the two steps that write: (4) commit, (5) publish.

Everything here is true as long as nobody else commits, which the commit's fence makes sure. After any exception from a
call the partition is taken over anew.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from consumers.clock import Clock
from consumers.evaluator.draft import Draft
from consumers.evaluator.editions import Editions
from consumers.evaluator.hot import HotProfiles
from consumers.evaluator.metrics import Metrics
from consumers.evaluator.settings import Settings
from consumers.failpoints import reach
from consumers.log.port import Log, Offset
from consumers.relay.relay import Relay
from consumers.state.commit import (
    Commit,
    Committed,
    DeadLetter,
    Meta,
    Reload,
    Timers,
    apply,
    release,
    show,
    take_over,
    trim_out,
    trim_triggers,
)
from consumers.state.deliveries import slowest_target
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.errors import Unavailable

_EPOCH_STRIDE_MAX = 1_000_000
_COMMIT_PAUSES_S = (0.05, 0.5)  # before the commit is sent again; then the partition is taken over anew
_NEAREST_MIN, _NEAREST_MAX = 2, 32  # timers that a commit tells: those due by the next batch, but in a storm not all


class Letters(Protocol):
    """Where records that cannot be taken go, when not into the commit itself."""

    async def put(self, partition: int, letters: Sequence[DeadLetter]) -> None:
        """Durably, before it returns; the same letter again is harmless. Raises Unavailable."""
        ...


class Tools(msgspec.Struct, frozen=True):
    """What all partitions of a process share. `dead_letters` None: they are part of the commit.

    `durably`: whether a commit waits for the store's disk. Where the log lies elsewhere it need not: a store that loses
    its last second does it again.
    """

    store: Store
    log: Log
    settings: Settings
    metrics: Metrics
    clock: Clock
    durably: bool = True
    relay: Relay | None = None
    dead_letters: Letters | None = None


class Owned:
    """Raises Reload, Unavailable. `nearest`: the earliest timers; `customers`: how many there are."""

    def __init__(self, number: int, tools: Tools) -> None:
        self.number = number
        self.keys = PartitionKeys(number)
        self.store, self.log = tools.store, tools.log
        self.settings, self.metrics, self.clock_now = tools.settings, tools.metrics, tools.clock
        self.meta = Meta()
        self.customers = 0
        self.nearest = Timers()
        self._nearest_asked = _NEAREST_MIN
        self.editions = Editions(None)
        hot_max = max(1, self.settings.hot_profiles_max // self.log.partitions)
        self.hot = HotProfiles(self.store, self.keys, hot_max)
        self.relay = tools.relay
        self._dead_letters, self._durably = tools.dead_letters, tools.durably

    @property
    def due(self) -> int | None:
        """The earliest timer (ms), None without any."""
        return self.nearest.first

    def due_before(self, clock: int) -> list[str]:
        """Whose timers come before `clock`, as far as the last commit told; the next one tells more, if need be."""
        found = self.nearest.before(clock)
        self._nearest_asked = min(_NEAREST_MAX, max(2 * len(found), self._nearest_asked - 1, _NEAREST_MIN))
        return found

    @property
    def position(self) -> Offset:
        return self.meta.position

    async def raise_epoch(self, owner: str, relay: str, *, force: bool) -> None:
        """(T1) Fence the former owner. Raises Held while another is alive, unless forced."""
        stride = 1 + secrets.randbelow(_EPOCH_STRIDE_MAX)
        self.meta = await take_over(self.store, self.keys, owner, self.settings.lease_ms, force, relay, stride)
        reach("T1.after")

    async def load(self) -> None:
        """Read where the partition stands, and show the last commit, which its owner may not have got to."""
        flat, definitions, self.customers, nearest = await self.store.calls(
            [
                ("HGETALL", self.keys.meta),
                ("GET", self.keys.definitions),
                ("ZCARD", self.keys.judged),
                ("ZRANGE", self.keys.timers, 0, _NEAREST_MIN - 1, "WITHSCORES"),
            ]
        )
        known, self.meta = self.meta, Meta.parse(flat)
        if (self.meta.epoch, self.meta.commit) != (known.epoch, known.commit):
            raise Reload("somebody else wrote while the partition was taken over")
        self.nearest = Timers(nearest)
        self.editions = Editions(definitions)
        await self.publish()

    async def publish(self) -> None:
        """(5) Let the feed's readers see what is durable; says as well that the owner is alive."""
        await show(self.store, self.keys, self.number, self.meta)
        reach("5.after")

    async def release(self) -> None:
        """Give the partition back: the next owner need not wait."""
        await release(self.store, self.keys, self.meta.epoch)

    async def undelivered(self) -> int:
        """How many transitions the slowest target of the deliveries has yet to read."""
        slowest = await slowest_target(self.store, self.keys)
        return 0 if slowest is None else max(0, self.meta.numbered - slowest)

    async def trim_feed(self, oldest_number: int) -> None:
        """Let go of transitions before this number of the outbox."""
        if oldest_number > 1:
            await trim_out(self.store, self.keys, oldest_number)

    async def trim_triggers(self, triggers_max: int, needed_number: int) -> None:
        """Keep so many triggers, and all transitions from this number on."""
        if self.meta.triggered > triggers_max:
            await trim_triggers(self.store, self.keys, self.meta.triggered - triggers_max + 1, needed_number)

    async def have_profiles(self, customer_ids: Iterable[str]) -> list[str]:
        """(2) Have the profiles at hand; answers the customers of whom the store has none."""
        unheard = await self.hot.load(customer_ids)
        reach("2.after")
        return unheard

    def begin_commit(self, draft: Draft) -> Commit:
        """The commit after the last one, whose position, clock and cursor the caller may set."""
        commit = draft.commit(self.meta, self.editions.take_unwritten(), self.editions.state.newest)
        commit.nearest = self._nearest_asked
        return commit

    async def commit(self, draft: Draft, commit: Commit) -> None:
        """(3b) what belongs elsewhere, (4) all of it or nothing, durably; then (5)."""
        began = self.clock_now.monotonic()
        await self._send_on(draft, commit)
        reach("4.before")
        done = await self._apply(commit)
        reach("4.after")
        draft.stored()
        meta = self.meta
        meta.commit, meta.position, meta.clock = commit.commit, commit.position, commit.clock
        meta.edition, meta.cursor = commit.edition, commit.cursor
        meta.numbered += len(commit.transitions)
        meta.triggered += len(commit.triggers)
        if self.relay is not None:
            self.relay.offer(self.number, commit.commit, commit.position, commit.transitions)
        self.nearest, self.customers = done.nearest, done.customers
        self.hot.shrink()
        committed = self.clock_now.monotonic()
        if self._durably:
            await self.publish()
        self.metrics.step_seconds("commit", committed - began)
        self.metrics.step_seconds("publish", self.clock_now.monotonic() - committed)
        draft.report(self.metrics)
        self.metrics.hot_profiles(self.number, len(self.hot))

    async def _send_on(self, draft: Draft, commit: Commit) -> None:
        """(3b) Records of other partitions and dead letters, durably, before the position moves past them."""
        if draft.moved:
            await self.log.append(draft.moved)
            reach("3b.moved")
        if draft.dead and self._dead_letters is not None:
            await self._dead_letters.put(self.number, draft.dead)
            commit.dead = []
            reach("3b.dead")

    async def _apply(self, commit: Commit) -> Committed:
        """The very same commit again where its answer got lost: once it stands, again changes nothing."""
        show_as = None if self._durably else self.number
        for pause_s in _COMMIT_PAUSES_S:
            try:
                return await apply(self.store, self.keys, commit, show_as=show_as)
            except Unavailable:
                await asyncio.sleep(pause_s)
        return await apply(self.store, self.keys, commit, show_as=show_as)
