"""A backlog: the floor under it, and the whole service over it, events in -> transitions on the topic."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.evaluator import Sizes, define, sizes
from benchmarks.kafka import floor, service
from benchmarks.kafka.children import Child, child
from benchmarks.kafka.guard import KEYS, check, check_by_rules
from benchmarks.kafka.loading import drop_topics, load, log_settings, make_topic
from benchmarks.kafka.machine import Fsync, Machine, unique
from benchmarks.progress import Advance, track
from consumers.evaluator import Settings
from consumers.log.kafka.log import KafkaLog
from consumers.state.status import PartitionStatus, read_status
from rules.plan import Definition

Documents = Sequence[dict[str, Any]]
_POLL_S = 0.25


@dataclass(frozen=True)
class Cost:
    """µs of CPU an event: the service's processes, and Valkey."""

    ours_us: float
    store_us: float

    @property
    def us(self) -> float:
        return self.ours_us + self.store_us


@dataclass(frozen=True, kw_only=True)
class Backlog(Cost):
    """`transitions`, `trips` (Redis round trips), `transactions`: how many in all.

    `rate`: events a second, while all processes were at it; `busy_s` how long that was.
    """

    label: str
    segments: int
    processes: int
    fsync: Fsync
    events: int
    transitions: int
    commits: int
    trips: int
    transactions: int
    rate: float
    sizes: Sizes
    memory_bytes: int  # of the server, less what the feed takes
    profile: str = field(default="", repr=False)


@contextlib.asynccontextmanager
async def filled_topic(
    machine: Machine, what: str, records: Iterable[tuple[str, int, bytes]], n: int
) -> AsyncIterator[str]:
    """A topic with recorded events, their own time on them; it is gone afterwards."""
    topic = unique("log")
    await make_topic(machine.bootstrap, topic, stamped=False)
    try:
        with track(f"loading {what}", n) as advance:
            await load(machine.bootstrap, topic, records, advance)
        gc.collect()
        yield topic
    finally:
        await drop_topics(machine.bootstrap, [topic])


async def measure_floor(machine: Machine, topic: str, fsync: Fsync = "everysec") -> Cost:
    """One pass over the topic, in batches as large as the evaluator's commits."""
    await machine.empty_store(fsync)
    asked = floor.Asked(machine.bootstrap, topic, machine.store_url, Settings().batch_records_max)
    async with child("floor", asked) as process:
        before = machine.store_cpu_s()
        answer = await process.ask("go")
        store_s = machine.store_cpu_s() - before
        await process.stop()
    await machine.empty_store()
    return Cost(answer["cpu_s"] / answer["events"] * 1e6, store_s / answer["events"] * 1e6)


@dataclass(frozen=True)
class Asked:
    """`begun`: the store has what an earlier run over this topic has left, and goes on from there."""

    label: str
    topic: str
    documents: Documents
    events: int
    fsync: Fsync = "everysec"
    processes: int = 1
    begun: bool = False
    keep: bool = False
    profile: bool = False
    verify: bool = False


async def measure_backlog(machine: Machine, asked: Asked, out_topic: str = "") -> Backlog:
    """From the first take-over until everything is judged, nothing is due and all of it is published."""
    out = out_topic or unique("out")
    if not asked.begun:
        await machine.empty_store(asked.fsync)
        await define(machine.store, [Definition(each["id"], document=each) for each in asked.documents], KEYS)
    options = {"durably": asked.fsync == "always", "profile": asked.profile}
    settings = [
        service_asked(machine, asked.topic, out, stamped=False, number=number, **options)
        for number in range(asked.processes)
    ]
    async with contextlib.AsyncExitStack() as stack:
        children = [await stack.enter_async_context(child("service", each)) for each in settings]
        before = await asyncio.gather(*(each.ask("mark") for each in children))
        store_before = machine.store_cpu_s()
        await asyncio.gather(*(each.ask("go") for each in children))
        with track(asked.label, asked.events) as advance:
            await drained(machine, asked.topic, children, advance)
        after = await asyncio.gather(*(each.ask("mark") for each in children))
        store_s = machine.store_cpu_s() - store_before
        last = await asyncio.gather(*(each.stop() for each in children))
    transitions = await check(machine.bootstrap, out, machine.store)
    if asked.verify:
        await check_by_rules(machine.bootstrap, asked.topic, out, asked.documents)
    feed = sum([int(await machine.store.call("MEMORY", "USAGE", each.out) or 0) for each in KEYS])
    memory, found = await machine.used_memory() - feed, await sizes(machine.store, KEYS)
    if not asked.keep:
        await drop_topics(machine.bootstrap, [out])
        await machine.empty_store()

    def used(what: str) -> Any:
        return sum(b[what] - a[what] for a, b in zip(before, after, strict=True))

    events = used("records")
    assert events >= asked.events, f"{events} records were evaluated, not {asked.events}"
    assert used("trips"), "round trips are not counted any more"
    return Backlog(
        label=asked.label,
        segments=len(asked.documents),
        processes=asked.processes,
        fsync=asked.fsync,
        events=events,
        ours_us=used("cpu_s") / events * 1e6,
        store_us=store_s / events * 1e6,
        transitions=transitions,
        commits=used("batches"),
        trips=used("trips"),
        transactions=used("transactions"),
        rate=_rate([mark["timeline"] for mark in after]),
        sizes=found,
        memory_bytes=memory,
        profile="\n".join(each["profile"] for each in last).strip(),
    )


def service_asked(
    machine: Machine,
    events: str,
    out: str,
    *,
    stamped: bool,
    durably: bool,
    profile: bool,
    number: int = 0,
    gather_ms: int = 0,
) -> service.Asked:
    """One of the evaluators that share `events` and say what comes of it to `out`."""
    return service.Asked(
        machine.bootstrap,
        events,
        out,
        machine.store_url,
        group=f"{out}-group",
        name=f"evaluator-{number}",
        stamped=stamped,
        durably=durably,
        gather_ms=gather_ms,
        profile=profile,
    )


def _rate(timelines: Sequence[Sequence[tuple[float, int]]]) -> float:
    """Events a second from when the last process had its first batch until the first had its last."""
    begins, ends = max(each[0][0] for each in timelines), min(each[-1][0] for each in timelines)
    if ends <= begins:
        return 0.0
    return sum(_at(each, ends) - _at(each, begins) for each in timelines) / (ends - begins)


def _at(timeline: Sequence[tuple[float, int]], instant: float) -> int:
    return max((records for at, records in timeline if at <= instant), default=0)


async def drained(machine: Machine, topic: str, children: Sequence[Child], advance: Advance | None = None) -> None:
    """Back when all of the topic is judged, nothing is due by the log's clock, and all transitions are published."""

    def done(status: Sequence[PartitionStatus]) -> bool:
        return all(not (each.lag_records or each.timers_due or each.relay_lag) for each in status)

    await until(machine, topic, children, done, advance)


async def until(
    machine: Machine,
    topic: str,
    children: Sequence[Child],
    holds: Callable[[Sequence[PartitionStatus]], bool],
    advance: Advance | None = None,
) -> None:
    """Back when the partitions stand so. Raises what ended a child."""
    log = KafkaLog(log_settings(machine.bootstrap, topic, stamped=False))
    read = 0
    try:
        while True:
            status = await read_status(machine.store, log, KEYS)
            if advance is not None:
                now = sum(each.position + 1 for each in status)
                advance(now - read)
                read = now
            if all(each.log_end is not None for each in status) and holds(status):
                return
            await asyncio.sleep(_POLL_S)
            for each in children:
                await each.ask("alive")
    finally:
        await log.close()
