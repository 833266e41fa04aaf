"""What tests of deliveries share: a feed written by hand, targets in the process, a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.delivery.jobs import END, Jobs, Open
from consumers.delivery.metrics import Metrics
from consumers.delivery.port import Call, Done, Item, Outcome, Target, Turn
from consumers.delivery.settings import Settings
from consumers.delivery.worker import Worker
from consumers.state.commit import Commit, apply, take_over
from consumers.state.deliveries import Bounds, Draft, Fenced, Owner, claim, say_alive, write
from consumers.state.keys import DELIVERY_UP, SHOWN_CHANNEL, PartitionKeys
from consumers.state.store import Store
from rules.transitions import Transition, render

PARTITIONS = 2
BEGIN_MS = 1_767_225_600_000  # 2026-01-01
DEADLINE_S = 20.0

QUICK = Settings(flush_ms=5, nap_ms=20, jobs_ms=20, gather_ms=5, heartbeat_ms=50, lease_ms=10_000, let_go_ms=1_000)


class HandClock:
    """Stands still until it is moved; the steady clock moves along."""

    def __init__(self) -> None:
        self.ms = BEGIN_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class LeapClock:
    """Goes on as the machine's does, and leaps where a test adds to `leap_ms`."""

    def __init__(self) -> None:
        self.leap_ms = 0
        self._began_s = time.monotonic()

    def now_ms(self) -> int:
        return BEGIN_MS + int(self.monotonic() * 1000)

    def monotonic(self) -> float:
        return time.monotonic() - self._began_s + self.leap_ms / 1000


class FeedWriter:
    """An evaluator that commits what a test says."""

    def __init__(self, store: Store, partitions: int = PARTITIONS) -> None:
        self.store = store
        self.keys = [PartitionKeys(partition) for partition in range(partitions)]
        self.commits, self.numbered = [0] * partitions, [0] * partitions
        self.triggered = [0] * partitions
        self.sequences: dict[tuple[str, str], int] = {}

    async def own(self) -> None:
        for keys in self.keys:
            await take_over(self.store, keys, "writer", 1_000, force=True)

    def partition_of(self, customer: str) -> int:
        return sum(customer.encode()) % len(self.keys)

    def change(self, customer: str, segment: str = "vip", at_ms: int = BEGIN_MS) -> Transition:
        """The customer's next transition."""
        sequence = self.sequences[(segment, customer)] = self.sequences.get((segment, customer), 0) + 1
        return Transition(segment, 1, customer, sequence, at_ms, "event")

    async def say(self, *customers: str, segment: str = "vip", at_ms: int = BEGIN_MS) -> list[str]:
        """One transition each, a commit for each partition concerned; their ids."""
        changes = [self.change(customer, segment, at_ms) for customer in customers]
        for partition in range(len(self.keys)):
            mine = [change for change in changes if self.partition_of(change.customer_id) == partition]
            if mine:
                await self.commit(partition, [render(change) for change in mine], at_ms=at_ms)
        return [change.id for change in changes]

    async def commit(
        self,
        partition: int,
        transitions: Sequence[bytes] = (),
        triggers: Sequence[bytes] = (),
        members: Mapping[str, Mapping[str, int]] | None = None,
        at_ms: int = BEGIN_MS,
    ) -> None:
        self.commits[partition] += 1
        number = self.commits[partition]
        commit = Commit(
            epoch=1,
            commit=number,
            token=str(number),
            position=number,
            clock=at_ms,
            numbered=self.numbered[partition],
            edition=0,
            cursor="",
            profiles={},
            members={segment: (dict(some), []) for segment, some in (members or {}).items()},
            timers={},
            timers_off=[],
            judged={},
            transitions=list(transitions),
            dead=[],
            definitions=None,
            triggers=list(triggers),
            triggered=self.triggered[partition],
        )
        self.triggered[partition] += len(triggers)
        self.numbered[partition] += len(transitions)
        await apply(self.store, self.keys[partition], commit, show_as=partition)
        await self.store.call("PUBLISH", SHOWN_CHANNEL, partition)


Answer = Callable[[Call], Outcome | Awaitable[Outcome]]


@dataclass
class FakeTarget:
    """Remembers every call; `answer` says how one ends. By default it wants all, in order per customer."""

    id: str = "sub/a"
    answer: Answer = lambda call: Done()
    active: bool = True
    begin: str = "start"
    concurrency: int = 10
    per_second: float | None = None
    batch_max: int = 1
    remembers_done: bool = False
    wait_ms: int = 0
    ordered: bool = True
    wants: Callable[[Item], bool] = lambda item: True
    calls: list[Call] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def key(self, item: Item) -> str:
        return f"{self.id}:{item.id}"

    def turn(self, item: Item) -> Turn | None:
        return Turn(item.customer_id if self.ordered else "", self.wait_ms) if self.wants(item) else None

    async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        self.calls += calls
        self.sizes.append(len(calls))
        outcomes = []
        for call in calls:
            outcome = self.answer(call)
            if isinstance(outcome, Awaitable):
                outcome = await outcome
            if isinstance(outcome, Done):
                self.done.append(call.item.id)
            outcomes.append(outcome)
        return outcomes

    @property
    def called(self) -> list[str]:
        return [call.item.id for call in self.calls]


class FakeTargets:
    """Those that a test gives."""

    def __init__(self, *targets: Target) -> None:
        self.changed = asyncio.Event()
        self.current: dict[str, Target] = {target.id: target for target in targets}
        self.endings: list[tuple[str, Outcome]] = []

    def set(self, *targets: Target) -> None:
        self.current = {target.id: target for target in targets}
        self.changed.set()

    async def start(self) -> None:
        self.changed.set()

    async def close(self) -> None: ...

    async def ended(self, target_id: str, outcome: Outcome) -> None:
        self.endings.append((target_id, outcome))


class World:
    """A worker, running; `crash()` ends it as if its process had been killed."""

    def __init__(self, worker: Worker, clock: Clock) -> None:
        self.worker, self.clock = worker, clock
        self.task = asyncio.create_task(worker.run())

    async def crash(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for it; a deadline that is far off says that it never will."""
        end = time.monotonic() + DEADLINE_S
        while not holds():
            if self.task.done():
                self.task.result()
            assert time.monotonic() < end, "it does not come to that"
            self.worker.nudge()
            await asyncio.sleep(0.005)

    async def until_true(self, holds: Callable[[], Awaitable[bool]]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not await holds():
            if self.task.done():
                self.task.result()
            assert time.monotonic() < end, "it does not come to that"
            self.worker.nudge()
            await asyncio.sleep(0.005)

    async def rest(self, rounds: int = 8) -> None:
        """Let it do what it has to do at this instant: so many times, all that it has said by then is written. (By a
        worker that writes hardly ever: some time.)"""
        for _ in range(rounds):
            self.worker.nudge()
            await asyncio.sleep(0.01)
            if self.worker._settings.flush_ms > 1_000:
                continue
            for holding in list(self.worker._holdings.values()):
                with contextlib.suppress(Fenced):
                    await asyncio.wait_for(holding.written(), DEADLINE_S)


@contextlib.asynccontextmanager
async def working(
    store: Store,
    targets: FakeTargets,
    *,
    settings: Settings = QUICK,
    clock: Clock = SYSTEM_CLOCK,
    metrics: Metrics | None = None,
    partitions: int = PARTITIONS,
    seed: int = 1,
) -> AsyncIterator[World]:
    """A worker for as long as the block runs, stopped (or crashed already) in the end."""
    worker = Worker(store, partitions, targets, settings=settings, clock=clock, metrics=metrics, random=Random(seed))
    world = World(worker, clock)
    try:
        yield world
    finally:
        if not world.task.done():
            await worker.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await world.task


async def write_every_key(store: Store) -> None:
    """What a worker leaves that is killed, with something of everything that it keeps."""
    keys = PartitionKeys(0)
    taken = await claim(store, keys, "worker", 60_000, 1)
    draft = Draft(Bounds(10, 10, 10, 1_000))
    draft.cursors["act/vip/a"] = "1.1.0"
    draft.park("act/vip/a", "ana", "w", 5, b"record")
    draft.park("act/vip/a", "bob", "r", 5, b"record")
    draft.dead("act/vip/a", "vip:eve:1", 5, b"record")
    draft.log("act/vip/a", b"entry")
    draft.done("act/vip/a", "key", 5)
    draft.job("job", "1")
    await write(store, keys, Owner("worker", taken.epoch, 60_000), taken.write + 1, draft, 5, slowest=None)
    await say_alive(store, "worker", 60_000)
    await store.call("HSET", DELIVERY_UP, "act/vip/a", 5)  # by a worker whose target is up again
    jobs = Jobs(store, 1)
    await jobs.start("resend", "act/vip/a")
    ended = await jobs.start("resend", "act/vip/a", job_id="ended")
    await store.call("HSET", keys.delivery_jobs, "ended at", END)
    await jobs.end([Open(ended)])
