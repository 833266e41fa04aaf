"""A worker: follows the feed of the partitions it has for every target, and makes the calls."""

from __future__ import annotations

import asyncio
import contextlib
import random as random_module
import secrets
from collections.abc import Iterable
from random import Random

import structlog

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.delivery.endings import Endings
from consumers.delivery.enqueuing import Enqueuing
from consumers.delivery.following import SHOWN_FIELDS, Page, Pages, read_shown
from consumers.delivery.gauges import report
from consumers.delivery.holding import Holding, Tools
from consumers.delivery.metrics import Metrics, NullMetrics
from consumers.delivery.port import Targets
from consumers.delivery.roster import Roster
from consumers.delivery.settings import Settings
from consumers.delivery.sharing import Sharing
from consumers.delivery.waiting import cancel_all
from consumers.failpoints import reach
from consumers.relay.waiting import heed_cancellation, set_or_time
from consumers.state.commit import Held
from consumers.state.deliveries import Fenced, claim
from consumers.state.keys import DELIVERY_UP, PartitionKeys
from consumers.state.shown import Shown
from consumers.state.store import Store
from rules.errors import Unavailable

_log = structlog.get_logger("deliveries")

_EPOCH_STRIDE_MAX = 1_000_000
_HELD_S = 0.1  # between two looks at whether the former worker has let go


class Worker:
    """`run()` until `stop()`. Several of them, in any number of processes, share the partitions."""

    def __init__(
        self,
        store: Store,
        partitions: int,
        targets: Targets,
        *,
        name: str = "",
        settings: Settings | None = None,
        metrics: Metrics | None = None,
        clock: Clock = SYSTEM_CLOCK,
        random: Random | None = None,
    ) -> None:
        self._store, self._targets, self._clock = store, targets, clock
        self._settings, self._metrics = settings or Settings(), metrics or NullMetrics()
        self._name = f"{name or 'deliveries'}-{secrets.token_hex(4)}"  # one that starts again is another one
        pages = Pages(self._settings.pages_bytes_max)
        self._tools = Tools(self._name, store, partitions, self._settings, self._metrics, clock, pages)
        endings = Endings(self._settings, random or random_module.SystemRandom())
        self._roster = Roster(self._tools, endings, targets, self._came_up)
        self._sharing = Sharing(store, self._name, partitions, self._settings.lease_ms)
        self._shown = Shown(store)
        self._holdings: dict[int, Holding] = {}
        self._writers: dict[int, asyncio.Task[None]] = {}
        self._leaving: dict[int, asyncio.Task[None]] = {}
        self._why: dict[int, str] = {}
        self._away = "not started yet"
        self._enqueuing = Enqueuing(self._tools, self._roster, self._holdings)
        self._bell = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._ups: dict[str, int] = {}
        self._beat_s = float("-inf")

    @property
    def troubles(self) -> list[str]:
        """Why not all is delivered that is this worker's to deliver; empty when it is."""
        if self._away:
            return [self._away]
        return [f"deliveries of partition {number}: {why}" for number, why in sorted(self._why.items())]

    @property
    def partitions(self) -> list[int]:
        """Those it has now."""
        return sorted(self._holdings)

    def nudge(self) -> None:
        """Look at the clock, the feed and the jobs now (for tests with a clock of their own)."""
        self._bell.set()
        self._enqueuing.bell.set()
        for runner in self._roster.runners.values():
            runner.ring()

    async def run(self) -> None:
        """Deliver until `stop`; starts and closes the targets. Waits while the store is away."""
        tasks: list[asyncio.Task[None]] = []
        self._running = True
        try:
            if not await self._start():
                return
            loops = (self._keep_house(), self._watch(), self._enqueuing.run())
            tasks = [asyncio.create_task(loop, name="deliveries") for loop in loops]
            stopping = asyncio.create_task(self._stopping.wait())
            tasks.append(asyncio.ensure_future(_nothing(stopping)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await cancel_all(tasks)
            await self._give_back()
        finally:
            await cancel_all([*tasks, *self._writers.values(), *self._leaving.values()])
            await self._roster.close()
            for holding in self._holdings.values():
                await holding.close()
            await self._shown.close()
            await self._targets.close()
            self._ended.set()

    async def stop(self) -> None:
        """Begin no more calls, wait shortly for those that are open, write, and give the partitions back."""
        self._stopping.set()
        if self._running:
            await self._ended.wait()

    async def _start(self) -> bool:
        while not self._stopping.is_set():
            try:
                await self._targets.start()
                self._away = ""
                return True
            except Unavailable as error:
                self._away = str(error)
                await asyncio.sleep(_HELD_S)
        return False

    # -- house-keeping: who has what, which targets there are ---------------------------------------------------------

    async def _keep_house(self) -> None:
        while True:
            heed_cancellation()
            self._bell.clear()
            try:
                await self._house()
                self._away = ""
            except Unavailable as error:
                if not self._away:
                    _log.warning("deliveries wait for the store", reason=str(error))
                self._away = str(error)
            lacking = self._sharing.wanted is None or not self._sharing.wanted <= self._holdings.keys()
            wait_s = _HELD_S if lacking or self._away else min(self._settings.nap_ms / 1000, 0.5)
            await set_or_time(self._bell, wait_s)

    async def _house(self) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._beat_s >= self._settings.heartbeat_ms / 1000:
            await self._sharing.beat()
            self._beat_s = now_s
            await self._hear_ups()
            report(self._metrics, self._roster.runners.values(), self._holdings.values())
        healed = await self._roster.heal()
        if self._targets.changed.is_set() or healed or not self._roster.runners:
            self._targets.changed.clear()
            await self._roster.sync(self._targets.current)
        await self._tell_ups()
        await self._adjust()
        await asyncio.gather(*[self._join(holding) for holding in self._holdings.values() if not holding.closing])
        removed = self._roster.sweep(self._holdings.values())
        if removed:
            await self._store.call("HDEL", DELIVERY_UP, *removed)

    async def _join(self, holding: Holding) -> None:
        with contextlib.suppress(Fenced, Unavailable):  # it is dropped, or joined, in the next round
            await self._roster.join(holding)

    async def _adjust(self) -> None:
        """Have what we should, as far as that is possible now."""
        wanted = self._sharing.wanted or frozenset()
        for number, holding in list(self._holdings.items()):
            if holding.fenced:
                self._metrics.fenced()
                _log.warning("deliveries lost", partition=number, reason=holding.fenced)
                await self._forget(number)
            elif number not in wanted and number not in self._leaving:
                holding.closing = True
                self._leaving[number] = asyncio.create_task(self._let_go(holding), name="let go")
        for number in [number for number in self._why if number not in wanted]:
            del self._why[number]
        await asyncio.gather(*[self._claim(number) for number in sorted(wanted - self._holdings.keys())])

    async def _claim(self, number: int) -> None:
        claimed_s = self._clock.monotonic()
        stride = 1 + secrets.randbelow(_EPOCH_STRIDE_MAX)
        keys = PartitionKeys(number)
        try:
            taken = await claim(self._store, keys, self._name, self._settings.lease_ms, stride)
            holding = Holding(number, taken, self._tools, claimed_s)
            await self._see([holding])
        except (Held, Unavailable) as error:
            self._why[number] = str(error)
            return
        reach("deliveries.claimed")
        self._why.pop(number, None)
        self._holdings[number] = holding
        self._writers[number] = asyncio.create_task(holding.keep_writing(), name=f"writes {number}")
        await self._join(holding)
        _log.info("deliveries taken over", partition=number)

    async def _let_go(self, holding: Holding) -> None:
        """Calls that are open may end; then another worker may have it."""
        number = holding.number
        open_calls = [task for runner in self._roster.runners.values() for task in runner.open_calls(number)]
        if open_calls:
            await asyncio.wait(open_calls, timeout=self._settings.let_go_ms / 1000)
        try:
            await holding.flush(release=True)
        except (Unavailable, Fenced) as error:
            _log.warning("deliveries let go without a word", partition=number, reason=str(error))
        await self._forget(number)
        self._leaving.pop(number, None)
        self._bell.set()
        _log.info("deliveries let go", partition=number)

    async def _forget(self, number: int) -> None:
        holding = self._holdings.pop(number)
        self._roster.leave(number)
        await cancel_all([self._writers.pop(number)])
        await holding.close()

    async def _give_back(self) -> None:
        await asyncio.gather(*self._leaving.values())
        for holding in self._holdings.values():
            holding.closing = True
        await asyncio.gather(*[self._let_go(holding) for holding in self._holdings.values()])
        with contextlib.suppress(Unavailable):
            await self._sharing.leave()

    # -- the tail of the feed -----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Notice what is shown, in all partitions at once."""
        while True:
            heed_cancellation()
            seen = self._shown.count
            with contextlib.suppress(Unavailable):
                await self._see(self._holdings.values())
            await self._shown.after(seen, self._settings.nap_ms / 1000)

    async def _see(self, holdings: Iterable[Holding]) -> None:
        some = list(holdings)
        if not some:
            return
        answers = await self._store.call_each([("HMGET", each.keys.meta, *SHOWN_FIELDS) for each in some])
        news: list[tuple[Holding, int]] = []
        failed: Exception | None = None
        for holding, answer in zip(some, answers, strict=True):
            if isinstance(answer, Exception):
                failed = failed if isinstance(answer, Unavailable) and len(some) > 1 else answer
                continue
            before = holding.following.shown
            if holding.following.see(*read_shown(answer)):
                news.append((holding, before))
        await asyncio.gather(*[self._spread(*each) for each in news])
        if failed is not None:
            raise failed

    async def _spread(self, holding: Holding, shown_before: int) -> None:
        """Wake the targets that want something of what is new in a partition."""
        page: Page | None = None
        with contextlib.suppress(Unavailable):
            page = await holding.following.news(shown_before)
        for name, branch in list(holding.branches.items()):
            runner = self._roster.runners.get(name)
            if page is None or runner is None:
                branch.ring()
            else:
                runner.hear(holding.number, page)

    # -- targets that are up again ------------------------------------------------------------------------------------

    def _came_up(self, target: str) -> None:
        self._ups[target] = self._clock.now_ms()
        self._bell.set()

    async def _tell_ups(self) -> None:
        """Let the other workers know: they need not wait for tries of their own."""
        if self._ups:
            ups, self._ups = self._ups, {}
            try:
                await self._store.call("HSET", DELIVERY_UP, *[part for pair in ups.items() for part in pair])
            except Unavailable:
                self._ups = ups | self._ups
                raise

    async def _hear_ups(self) -> None:
        down = [runner for runner in self._roster.runners.values() if runner.down_since_ms]
        if down:
            found = await self._store.call("HMGET", DELIVERY_UP, *[runner.target.id for runner in down])
            for runner, at_ms in zip(down, found, strict=True):
                if runner.down_since_ms and int(at_ms or 0) > runner.down_since_ms:
                    runner.up()


async def _nothing(waiting: asyncio.Task[bool]) -> None:
    await waiting
