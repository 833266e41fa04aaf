"""Live traffic: what an event costs when it comes alone, how long its transition takes, and what a storm does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from benchmarks.evaluator import define
from benchmarks.kafka import bare, traffic
from benchmarks.kafka.children import Child, child
from benchmarks.kafka.guard import KEYS, check, times_of
from benchmarks.kafka.loading import drop_topics, load, make_topic
from benchmarks.kafka.machine import Fsync, Machine, unique
from benchmarks.kafka.parts import Cost, drained, service_asked, until
from benchmarks.progress import track
from benchmarks.workload import live_documents
from consumers.relay.settings import Settings as RelaySettings
from consumers.state.status import PartitionStatus
from rules.plan import Definition
from rules.times import format_instant
from service.wiring import GATHER_MS_ON_KAFKA

WARM_S = 20.0  # then as many customers come into the windows as leave them
ONE_IN = 40  # of the bare loop's events make a record: as many as the rules' by event
_HOUR_MS = 3_600_000
_STORM_DOCUMENTS = [
    {"id": "fading", "enter": {"event": "page_view", "within": "1h"}},
    {"id": "buyers", "enter": {"event": "purchase"}},
]
_NORMAL_S, _STORM_S = 15.0, 20.0
_READY_S = 30.0


@dataclass(frozen=True)
class Latencies:
    """Milliseconds; `n` of how many."""

    n: int
    p50: float
    p99: float
    most: float


@dataclass(frozen=True)
class LiveAsked:
    """`gather_ms` 0: the default on Kafka."""

    rate: int
    seconds: float
    fsync: Fsync = "everysec"
    gather_ms: int = 0
    profile: bool = False


@dataclass(frozen=True, kw_only=True)
class Live(Cost):
    """At `rate` events a second (as reached, not as asked). `clock`: of transitions that were due by time."""

    what: Literal["service", "bare"]
    asked_rate: int
    rate: float
    fsync: Fsync
    event: Latencies
    clock: Latencies
    transitions: float  # an event
    trips: float  # Redis round trips an event
    commit_events: float  # events a commit
    profile: str = field(default="", repr=False)


@dataclass(frozen=True)
class Storm:
    """`early`, `lost`, `wrong`: exits before their time, never, or with another time on them."""

    customers: int
    rate: float
    normal: Latencies
    storm: Latencies
    drained_s: float
    early: int
    lost: int
    wrong: int


def _customers(rate: int) -> int:
    """So many that each sends as much as 47,000 do at 5,000 events a second: `live_documents` hang on that."""
    return rate * 47 // 5


@contextlib.asynccontextmanager
async def _topics(machine: Machine) -> AsyncIterator[tuple[str, str]]:
    """An empty log that stamps its records, and an empty topic for what comes of them."""
    events, out = unique("live"), unique("out")
    await make_topic(machine.bootstrap, events, stamped=True)
    await make_topic(machine.bootstrap, out, stamped=False)
    try:
        yield events, out
    finally:
        await drop_topics(machine.bootstrap, [events, out])


async def live(machine: Machine, asked: LiveAsked) -> Live:
    """The service at so many events a second, once its windows are in their steady state."""
    rate, documents = asked.rate, live_documents()
    await machine.empty_store(asked.fsync)
    await define(machine.store, [Definition(each["id"], document=each) for each in documents], KEYS)
    async with _topics(machine) as (events, out), _service(machine, events, out, asked) as process:
        settings = traffic.Asked(machine.bootstrap, events, out, unique("e"), _customers(rate))
        async with child("traffic", settings) as sender:
            with track(f"live, {rate:,} a second", int((WARM_S + asked.seconds) * rate)):
                await sender.ask("go", seconds=WARM_S, rate=rate)
                before, store_before = await process.ask("mark"), machine.store_cpu_s()
                answer = await sender.ask("go", seconds=asked.seconds, rate=rate)
                after, store_s = await process.ask("mark"), machine.store_cpu_s() - store_before
            await _quiet(machine, events, process)
            await sender.stop()
        last = await process.stop()
        await check(machine.bootstrap, out, machine.store)
    await machine.empty_store()
    measured = _live("service", rate, asked.fsync, before, after, store_s, answer)
    return replace(measured, profile=last["profile"])


async def bare_loop(machine: Machine, rate: int, seconds: float) -> Live:
    """The same traffic through the bare loop."""
    async with _topics(machine) as (events, out):
        gathers = GATHER_MS_ON_KAFKA, RelaySettings().gather_ms
        loop = bare.Asked(machine.bootstrap, events, out, unique("bare"), *gathers, ONE_IN)
        traffic_asked = traffic.Asked(machine.bootstrap, events, out, unique("e"), _customers(rate))
        async with child("bare", loop) as process, child("traffic", traffic_asked) as sender:
            await process.ask("go")
            with track(f"bare loop, {rate:,} a second", int(seconds * rate)):
                await sender.ask("go", seconds=min(5.0, seconds), rate=rate)
                before = await process.ask("mark")
                answer = await sender.ask("go", seconds=seconds, rate=rate)
                after = await process.ask("mark")
            await process.ask("alive")
            await sender.stop()
            await process.stop()
    assert after["records"] - before["records"] == answer["sent"], "the bare loop has not read all"
    return _live("bare", rate, "everysec", before, after, 0.0, answer)


def _live(
    what: Literal["service", "bare"],
    asked: int,
    fsync: Fsync,
    before: dict[str, Any],
    after: dict[str, Any],
    store_s: float,
    answer: dict[str, Any],
) -> Live:
    def used(name: str) -> float:
        return float(after.get(name, 0) - before.get(name, 0))

    events = used("records")
    assert what == "bare" or used("trips"), "round trips are not counted any more"
    return Live(
        what=what,
        asked_rate=asked,
        rate=answer["rate"],
        fsync=fsync,
        ours_us=used("cpu_s") / events * 1e6,
        store_us=store_s / events * 1e6,
        event=_latencies(answer["event"]),
        clock=_latencies(answer["clock"]),
        transitions=used("published") / events,
        trips=used("trips") / events,
        commit_events=events / max(1.0, used("batches")),
    )


def _latencies(told: dict[str, float]) -> Latencies:
    return Latencies(int(told["n"]), told["p50"], told["p99"], told["most"])


@contextlib.asynccontextmanager
async def _service(machine: Machine, events: str, out: str, asked: LiveAsked) -> AsyncIterator[Child]:
    """One evaluator that has all partitions."""
    options = {"durably": asked.fsync == "always", "profile": asked.profile}
    settings = service_asked(machine, events, out, stamped=True, gather_ms=asked.gather_ms, **options)
    async with child("service", settings) as process:
        await process.ask("go")

        def owned(status: Sequence[PartitionStatus]) -> bool:
            return all(each.owner for each in status)

        async with asyncio.timeout(_READY_S):
            await until(machine, events, [process], owned)
        yield process


async def _quiet(machine: Machine, events: str, process: Child) -> None:
    """All is read, nothing more will be due, all is published."""

    def done(status: Sequence[PartitionStatus]) -> bool:
        return all(not (each.lag_records or each.timers or each.relay_lag) for each in status)

    await until(machine, events, [process], done)


async def storm(machine: Machine, customers: int, rate: int) -> Storm:
    """So many customers expire at one instant; the latency of live events before it and during it."""
    await machine.empty_store()
    await define(machine.store, [Definition(str(each["id"]), document=each) for each in _STORM_DOCUMENTS], KEYS)
    lead_ms = 30_000 + int(_NORMAL_S * 1000) + customers // 5  # to load and read them all and to measure the normal
    due = time.time_ns() // 1_000_000 + lead_ms
    asked = LiveAsked(rate, _STORM_S)
    async with _topics(machine) as (events, out), _service(machine, events, out, asked) as process:
        with track("storm: the customers", customers) as advance:
            await load(machine.bootstrap, events, _fading(customers, due - _HOUR_MS), lambda count: None)
            await drained(machine, events, [process], advance)
        newcomers = traffic.Asked(machine.bootstrap, events, out, unique("e"), kind="newcomers")
        async with child("traffic", newcomers) as sender:
            with track("storm: the normal", int(_NORMAL_S * rate)):
                normal = await sender.ask("go", seconds=_NORMAL_S, rate=rate)
            before_s = due / 1000 - time.time()
            assert before_s > 0, "the machine is too slow: the instant came before the normal was measured"
            await asyncio.sleep(max(0.0, before_s - 1.0))
            with track("storm: the storm", int(_STORM_S * rate)):
                during = await sender.ask("go", seconds=_STORM_S, rate=rate)
            await drained(machine, events, [process])
            await sender.stop()
        await process.stop()
        await check(machine.bootstrap, out, machine.store)
        exits = await times_of(machine.bootstrap, out, "fading", "segment.exited")
    await machine.empty_store()
    return Storm(
        customers,
        during["rate"],
        _latencies(normal["event"]),
        _latencies(during["event"]),
        drained_s=(max((each.published_ms for each in exits), default=0) - due) / 1000,
        early=sum(each.published_ms <= due for each in exits),
        lost=customers - len({each.subject for each in exits}),
        wrong=sum(each.time != format_instant(due) for each in exits),
    )


def _fading(customers: int, ts: int) -> Iterator[tuple[str, int, bytes]]:
    instant = format_instant(ts)
    for number in range(customers):
        customer = f"fading-{number:07d}"
        event = {"id": f"view-{number}", "type": "page_view", "customer_id": customer, "ts": instant}
        yield customer, ts, orjson.dumps(event)
