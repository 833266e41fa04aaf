"""One target: takes what comes in every partition, makes its calls, and notices when it is down. Shares nothing that
another target's calls could use up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from consumers.delivery.branch import Branch, Work
from consumers.delivery.endings import Endings
from consumers.delivery.following import Page, Position
from consumers.delivery.holding import Holding, Tools
from consumers.delivery.intake import Intake
from consumers.delivery.metrics import Ending, kind_of
from consumers.delivery.mistakes import where
from consumers.delivery.pace import Pace
from consumers.delivery.port import Call, Done, Failed, Gone, Outcome, Target, Targets
from consumers.delivery.waiting import cancel_all
from consumers.failpoints import reach
from consumers.relay.waiting import heed_cancellation, set_or_time
from consumers.state.deliveries import Parked
from rules.errors import Unavailable

_log = structlog.get_logger("deliveries")

_GONE_MS = 60_000  # a target that wants no more has this time to be made inactive before it is asked again
_AWAY_S = 0.2


class Runner:
    """`run()` until cancelled. `ring()` makes it look again. `down_since_ms` 0: the target is not down.

    `came_up` is called when it was down and is not any more.
    """

    def __init__(
        self, target: Target, tools: Tools, endings: Endings, targets: Targets, came_up: Callable[[str], None]
    ) -> None:
        self.target = target
        self.branches: dict[int, Branch] = {}
        self.down_since_ms = 0
        self._tools, self._endings, self._targets, self._came_up = tools, endings, targets, came_up
        self._intake = Intake(tools)
        self._bell = asyncio.Event()
        self._ready: deque[Work] = deque()
        self._calls: dict[asyncio.Task[None], Sequence[Work]] = {}
        self._pace = Pace(tools.clock.monotonic())
        self._kind = kind_of(target.id)
        self._streak = 0
        self._active = target.active
        self._pause_until_ms = 0
        self._nap_s = 0.0
        self._stuck = False  # nothing of what is ready may be called now, whatever the time

    # -- what is whose ------------------------------------------------------------------------------------------------

    def add(self, holding: Holding, position: Position, parked: Parked) -> Branch:
        """Its part in a partition."""
        branch = Branch(self.target.id, holding, position.cursor, parked, self._make_ready, self.ring)
        branch.skips.extend(position.spans)
        branch.triggered = position.triggered
        self.branches[holding.number] = branch
        holding.branches[self.target.id] = branch
        holding.dirty = True
        self.ring()
        return branch

    def drop(self, number: int) -> None:
        """A partition is not ours any more: what is in hand of it is forgotten."""
        branch = self.branches.pop(number, None)
        if branch is not None:
            branch.lost = True
            branch.holding.branches.pop(self.target.id, None)
            self._ready = deque(work for work in self._ready if work.branch is not branch)

    def ring(self) -> None:
        self._bell.set()

    def hear(self, number: int, page: Page) -> None:
        """What is new in a partition: the page that begins where those who had read all of it stood."""
        branch = self.branches.get(number)
        if branch is None:
            return
        at_the_end = branch.read.commit == page.commit
        if not (at_the_end and self._intake.pass_over(branch, self.target, page)):
            self.ring()
        elif page.next_commit <= branch.holding.following.shown:
            self.ring()  # there is more than this page

    def open_calls(self, number: int) -> list[asyncio.Task[None]]:
        """Of one partition."""
        return [task for task, works in self._calls.items() if any(w.branch.holding.number == number for w in works)]

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take, call, wait; for ever."""
        try:
            while True:
                heed_cancellation()
                self._bell.clear()
                more = False
                for branch in list(self.branches.values()):
                    try:
                        more = await self._round(branch) or more
                    except Unavailable:
                        self._nap_s = _AWAY_S
                self._dispatch()
                if more:
                    await asyncio.sleep(0)
                else:
                    await self._rest()
        finally:
            await cancel_all(self._calls)

    async def _round(self, branch: Branch) -> bool:
        """Take what has come in one partition; whether there may be more."""
        if branch.lost or branch.holding.closing or not self.target.active:
            return False
        await self._intake.check(branch)
        more = False
        now_ms = self._tools.clock.now_ms()
        due = branch.look or (branch.next_due_ms is not None and branch.next_due_ms <= now_ms)
        room = self._room(branch)
        if due and room > 0:
            more = await self._intake.load_due(branch, room, self._holds_back)
        room = self._room(branch)
        if room > 0 and not self._holds_back and branch.parked < self._tools.settings.parked_max:
            more = await self._intake.fill(branch, self.target, room) or more
        return more

    def _room(self, branch: Branch) -> int:
        """How many more items of a partition may be in hand."""
        settings = self._tools.settings
        if len(branch.slots) >= settings.span_max:
            return 0
        most = max(settings.in_hand_max, 2 * self.target.batch_max)  # one batch is called, another one gathers
        return max(1, most // max(1, len(self.branches))) - branch.works

    @property
    def _holds_back(self) -> bool:
        """Whether the target is down and enough of its items are tried already."""
        return self.down_since_ms > 0 and self._probing >= self._tools.settings.probes_max

    @property
    def _probing(self) -> int:
        return sum(branch.retried + branch.failures for branch in self.branches.values()) + len(self._calls)

    async def _rest(self) -> None:
        """Until something happens, or may be due."""
        now_ms, clock = self._tools.clock.now_ms(), self._tools.clock
        waits = [self._tools.settings.nap_ms / 1000]
        if self._nap_s:
            waits.append(self._nap_s)
            self._nap_s = 0.0
        dues = [b.next_due_ms for b in self.branches.values() if b.next_due_ms is not None]
        waits += [max(0.0, (due - now_ms) / 1000) for due in dues if due > now_ms]
        if self._ready and not self._stuck and len(self._calls) < self.target.concurrency and self.target.active:
            waits.append(self._patience_s(clock.monotonic()))
        await set_or_time(self._bell, max(0.001, min(waits)))

    # -- calling ------------------------------------------------------------------------------------------------------

    def _make_ready(self, work: Work) -> None:
        work.ready_s = self._tools.clock.monotonic()
        self._ready.append(work)
        self._bell.set()

    def _patience_s(self, now_s: float) -> float:
        """How long what is ready has to wait: for the pace, for a pause to end, for a batch to gather."""
        paused_s = max(0.0, (self._pause_until_ms - self._tools.clock.now_ms()) / 1000)
        wait_s = max(paused_s, self._pace.wait_s(self._rate(), now_s))
        if self.target.batch_max > 1 and len(self._ready) < self.target.batch_max:
            gathered_s = now_s - self._ready[0].ready_s
            wait_s = max(wait_s, self._tools.settings.gather_ms / 1000 - gathered_s)
        return wait_s

    def _rate(self) -> float | None:
        """This process's part of the calls a second that all may make."""
        rate = self.target.per_second
        return None if rate is None else rate * len(self.branches) / self._tools.partitions

    def _dispatch(self) -> None:
        target, self._stuck = self.target, False
        if not target.active:
            return
        while self._ready and len(self._calls) < target.concurrency:
            if self._patience_s(self._tools.clock.monotonic()) > 0:
                return
            works = self._next_works(max(1, target.batch_max))
            self._stuck = not works
            if self._stuck:
                return
            self._pace.begin()
            task = asyncio.create_task(self._call(works), name="call")
            self._calls[task] = works
            task.add_done_callback(self._called)

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.pop(task, None)
        self._bell.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a call was not accounted for", target=self.target.id, error=where(error))

    def _next_works(self, count: int) -> list[Work]:
        """Those of the ready that may be called now, in order."""
        works: list[Work] = []
        aside: list[Work] = []
        down = self.down_since_ms > 0
        while self._ready and len(works) < count:
            work = self._ready.popleft()
            holding = work.branch.holding
            if work.branch.lost:
                continue
            if work.kept.job in holding.stopped_jobs:
                self._count(self._endings.stopped(work, self._tools.clock.now_ms()))
            elif not holding.valid or (down and (works or self._holds_back) and not work.kept.step):
                aside.append(work)
            else:
                works.append(work)
        self._ready.extendleft(reversed(aside))
        return works

    async def _call(self, works: list[Work]) -> None:
        """One call, to its end."""
        tools, target = self._tools, self.target
        keys = [target.key(work.item) for work in works]
        if target.remembers_done:
            try:
                works, keys = await self._without_known(works, keys)
            except Unavailable:
                self._ready.extendleft(reversed([work for work in works if not work.branch.lost]))
                self._pause_until_ms = max(self._pause_until_ms, tools.clock.now_ms() + int(_AWAY_S * 1000))
                return
        works, keys = self._still_ours(works, keys)
        if not works:
            return
        now_ms, began_s = tools.clock.now_ms(), tools.clock.monotonic()
        calls = [
            Call(work.item, key, work.kept.tries + 1, work.kept.first_ms or now_ms)
            for work, key in zip(works, keys, strict=True)
        ]
        reach("deliveries.call.before")
        outcomes = await self._outcomes(calls)
        reach("deliveries.call.after")
        took_s = tools.clock.monotonic() - began_s
        tools.metrics.call_seconds(self._kind, took_s)
        now_ms = tools.clock.now_ms()
        self._judge(works, outcomes, now_ms)
        for work, key, outcome in zip(works, keys, outcomes, strict=True):
            if not work.branch.lost:
                took_ms = int(took_s * 1000)
                ending = self._endings.ended(work, key, outcome, now_ms, took_ms, target.remembers_done)
                self._count(ending)
        for outcome in outcomes:
            await self._targets.ended(target.id, outcome)

    def _still_ours(self, works: list[Work], keys: list[str]) -> tuple[list[Work], list[str]]:
        """The lease may have ended while the store was asked."""
        kept: list[tuple[Work, str]] = []
        waiting: list[Work] = []
        for work, key in zip(works, keys, strict=True):
            if work.branch.holding.valid:
                kept.append((work, key))
            elif not work.branch.lost:
                waiting.append(work)
        self._ready.extendleft(reversed(waiting))
        return [work for work, _ in kept], [key for _, key in kept]

    async def _without_known(self, works: list[Work], keys: list[str]) -> tuple[list[Work], list[str]]:
        """Those whose keys are not remembered as done; the others are settled."""
        store = self._tools.store
        commands = [
            ("ZSCORE", work.branch.holding.keys.delivery("k", self.target.id), key)
            for work, key in zip(works, keys, strict=True)
        ]
        answers = await store.calls(commands)
        left: list[tuple[Work, str]] = []
        now_ms = self._tools.clock.now_ms()
        for work, key, answer in zip(works, keys, answers, strict=True):
            if answer is None and not work.branch.holding.says_done(self.target.id, key):
                left.append((work, key))
            elif not work.branch.lost:
                self._count(self._endings.known(work, now_ms))
        return [work for work, _ in left], [key for _, key in left]

    async def _outcomes(self, calls: list[Call]) -> list[Outcome]:
        try:
            outcomes = list(await self.target.call(calls))
        except Exception as error:
            _log.warning("a call ended in an error", target=self.target.id, error=where(error))
            outcomes = [Failed(f"{type(error).__name__}") for _ in calls]
        if len(outcomes) != len(calls):
            outcomes = [Failed(f"{len(outcomes)} outcomes for {len(calls)} items") for _ in calls]
        return outcomes

    # -- whether it is down -------------------------------------------------------------------------------------------

    def _judge(self, works: Sequence[Work], outcomes: Sequence[Outcome], now_ms: int) -> None:
        """Calls that fail one after the other mean that the target is down; one that does not, that it is up."""
        settings = self._tools.settings
        for outcome in outcomes:
            if isinstance(outcome, Gone):
                self._pause_until_ms = now_ms + _GONE_MS
            elif isinstance(outcome, Failed) and outcome.retry_after_s is not None and outcome.retry_after_s > 0:
                pause_ms = int(min(outcome.retry_after_s * 1000, settings.pause_ms_max))
                self._pause_until_ms = max(self._pause_until_ms, now_ms + pause_ms)
        if any(isinstance(outcome, Done) for outcome in outcomes):
            if self.down_since_ms:
                self._came_up(self.target.id)
                self.up()
            self._streak = 0
        elif any(
            isinstance(outcome, Failed | Gone) and not work.early for work, outcome in zip(works, outcomes, strict=True)
        ):
            self._streak += 1
            if self._streak >= settings.down_failures and not self.down_since_ms:
                self.down_since_ms = now_ms
                _log.warning("a target is down", target=self.target.id)

    def up(self) -> None:
        """It was down and is not."""
        self._wake()
        _log.info("a target is up again", target=self.target.id)

    def replace(self, target: Target) -> None:
        """The target as it is now. One that was not active and is: a person wants to see it called."""
        self.target = target
        if target.active and not self._active:
            self._pause_until_ms = 0
            self._wake()
        self._active = target.active
        self.ring()

    def _wake(self) -> None:
        """What waits to be tried again is due."""
        self.down_since_ms, self._streak = 0, 0
        for branch in self.branches.values():
            branch.wake()
            branch.look = True
        self.ring()

    def _count(self, ending: Ending) -> None:
        self._tools.metrics.ended(self._kind, ending, 1)
