"""A partition whose deliveries this worker makes: its lease, its part of every target, and its writes."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import structlog
from redis.exceptions import ResponseError

from consumers.clock import Clock
from consumers.delivery.branch import Branch
from consumers.delivery.following import Following, Pages
from consumers.delivery.metrics import Metrics
from consumers.delivery.mistakes import where
from consumers.delivery.settings import Settings
from consumers.failpoints import reach
from consumers.relay.waiting import heed_cancellation
from consumers.state.deliveries import WAKE_MAX, Bounds, Draft, Fenced, Owner, Parked, Taken, write
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.errors import Unavailable

_log = structlog.get_logger("deliveries")

_AWAY_S = 0.2  # before a write is tried again
_REFUSED_S = 1.0


class Tools(NamedTuple):
    """What all partitions of a worker share."""

    name: str
    store: Store
    partitions: int
    settings: Settings
    metrics: Metrics
    clock: Clock
    pages: Pages


class Holding:
    """Its targets' branches by id. `fenced`: another worker has it, nothing here counts any more.

    `cursors`: what the store had of targets when it was taken over, without those that have a branch.
    """

    def __init__(self, number: int, taken: Taken, tools: Tools, claimed_s: float) -> None:
        self.number = number
        self.keys = PartitionKeys(number)
        self.branches: dict[str, Branch] = {}
        self.cursors = taken.cursors
        self.fenced = ""
        self.closing = False
        self.stopped_jobs: frozenset[str] = frozenset()
        settings = tools.settings
        bounds = (settings.log_entries_max, settings.dead_letters_max, settings.done_keys_max, settings.done_keys_ms)
        self._bounds = Bounds(*bounds)
        self.draft = Draft(self._bounds)
        self.following = Following(tools.store, self.keys, number, tools.pages, settings.page_entries_max)
        self._tools = tools
        self._owner = Owner(tools.name, taken.epoch, settings.lease_ms)
        self._writes = taken.write
        self._sent: Draft | None = None  # it may stand or not: it is sent again until the store says
        self._slowest: int | None = None
        self._active: frozenset[str] = frozenset()
        self._valid_until_s = claimed_s + settings.lease_ms / 1000
        self._written_s = claimed_s
        self._lock = asyncio.Lock()
        self._waiters: list[asyncio.Future[None]] = []
        self._sent_waiters: list[asyncio.Future[None]] = []
        self.dirty = True  # a cursor may have moved
        self.left: set[str] = set()  # targets that went, and may come back

    @property
    def valid(self) -> bool:
        """Whether calls may be begun: nobody else can have it yet."""
        return not (self.fenced or self.closing) and self._tools.clock.monotonic() < self._valid_until_s

    def says_done(self, target: str, key: str) -> bool:
        """Whether a key is done by what is not written yet."""
        drafts = (self.draft, self._sent)
        return any(draft is not None and draft.is_done(target, key) for draft in drafts)

    def set_active(self, targets: frozenset[str]) -> None:
        """Which targets the feed is kept for."""
        self._active = targets

    async def written(self) -> None:
        """Back when all that is in the draft now is written. Raises Fenced."""
        if self.fenced:
            raise Fenced(self.fenced)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    # -- writing ------------------------------------------------------------------------------------------------------

    async def keep_writing(self) -> None:
        """Write every `flush_ms` what there is, and renew the lease; ends when fenced."""
        settings, clock = self._tools.settings, self._tools.clock
        told = False
        while not self.fenced:
            heed_cancellation()
            await asyncio.sleep(settings.flush_ms / 1000)
            late = clock.monotonic() - self._written_s >= settings.heartbeat_ms / 1000
            try:
                await self.flush(always=late or self._sent is not None)
                told = False
            except Unavailable as error:
                if not told:
                    _log.warning("deliveries not written", partition=self.number, reason=str(error))
                told = True
                await asyncio.sleep(_AWAY_S)
            except Fenced:
                return
            except ResponseError as error:  # a mistake of ours: what was to be written is done again, from what is
                _log.error("deliveries refused by the store", partition=self.number, error=where(error))
                await asyncio.sleep(_REFUSED_S)
                self.lose(str(error))

    async def flush(self, *, always: bool = False, release: bool = False) -> None:
        """Write what there is. Raises Unavailable (the same is written next time), Fenced."""
        async with self._lock:
            if self._sent is not None:
                await self._send(release=False)
            if not (self.dirty or always or release or self._waiters):
                return
            self._begin()
            assert self._sent is not None
            if self._sent.empty and not (always or release or self._sent_waiters):
                self._unsend()
                return
            await self._send(release=release)

    def _begin(self) -> None:
        """The draft and every cursor, as of one moment, are what is sent."""
        self.dirty = False
        slowest: int | None = None
        for branch in self.branches.values():
            position = branch.position
            text = position.write()
            if text != branch.written:
                branch.written = text
                self.draft.cursors[branch.target] = text
            if branch.target in self._active and (slowest is None or position.cursor.number < slowest):
                slowest = position.cursor.number
            branch.writing()
        self._slowest = slowest
        self._sent, self.draft = self.draft, Draft(self._bounds)
        self._sent_waiters, self._waiters = self._waiters, []

    def _unsend(self) -> None:
        for branch in self.branches.values():
            branch.confirmed(None)
        self._sent = None

    async def _send(self, *, release: bool) -> None:
        assert self._sent is not None
        began_s = self._tools.clock.monotonic()
        reach("deliveries.write.before")
        try:
            parked = await write(
                self._tools.store,
                self.keys,
                self._owner,
                self._writes + 1,
                self._sent,
                self._tools.clock.now_ms(),
                slowest=self._slowest,
                release=release,
            )
        except Fenced as error:
            self.lose(str(error))
            raise
        reach("deliveries.write.after")
        self._writes += 1
        self._written_s = began_s
        self._valid_until_s = began_s + self._tools.settings.lease_ms / 1000
        self._sent = None
        self._confirm(parked)
        if release:
            self.lose("given back")  # another may have it from now on

    def _confirm(self, parked: dict[str, Parked]) -> None:
        for branch in list(self.branches.values()):
            answer = parked.get(branch.target)
            branch.confirmed(answer)
            if answer is not None and answer.woken == WAKE_MAX and branch.wakes:
                branch.wakes -= 1
                self.draft.wake(branch.target)
        for waiter in self._sent_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._sent_waiters = []

    def lose(self, why: str) -> None:
        """Nothing here counts any more."""
        if self.fenced:
            return
        self.fenced = why
        for branch in self.branches.values():
            branch.lost = True
        for waiter in self._waiters + self._sent_waiters:
            if not waiter.done():
                waiter.set_exception(Fenced(why))
                waiter.exception()  # somebody may have ceased to wait
        self._waiters, self._sent_waiters = [], []

    async def close(self) -> None:
        self.lose("let go")
        await self.following.close()
