"""Actions delivered by a worker, on a clock that leaps: waits, quiet hours, both directions, runs by calendar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consumers.actions.runs import calendar_run_id
from consumers.actions.settings import Settings
from consumers.actions.targets import ActionTargets
from consumers.connectors.port import Connectors
from consumers.delivery.jobs import Jobs
from consumers.delivery.port import Failed, Refused
from consumers.delivery.worker import Worker
from consumers.log.redis_streams import RedisLog
from consumers.state.registry import Registry
from consumers.state.store import Store
from rules.actions import Every
from rules.language.documents import Duration
from rules.schedules import following_run
from rules.transitions import render
from tests.consumers.actions.worlds import Known, Recorder
from tests.consumers.delivery.worlds import BEGIN_MS, QUICK, FeedWriter, LeapClock

DAY, HOUR = 86_400_000, 3_600_000
DEADLINE_S = 60.0


class World:
    """BEGIN_MS is midnight, 1 January 2026 in UTC; the segment `vip` is in UTC too."""

    def __init__(self, store: Store, log: RedisLog) -> None:
        self.clock, self.known, self.connector = LeapClock(), Known(), Recorder()
        self.registry, self.writer = Registry(store, log), FeedWriter(store)
        self.jobs = Jobs(store, 2, self.clock, QUICK)
        targets = ActionTargets(
            store, self.registry, self.known, Connectors([self.connector]), self.jobs, 2,
            settings=Settings(poll_s=0.02, runs_s=0.0), clock=self.clock,
        )  # fmt: skip
        self.worker = Worker(store, 2, targets, settings=QUICK, clock=self.clock)

    async def put(self, **action: Any) -> None:
        document = {"id": "vip", "enter": {"tag": "x"}, "actions": [{"id": "a", "use": "mail.send"} | action]}
        await self.registry.put("vip", document, repr(document), "application/json")

    async def change(self, customer: str) -> None:
        """The customer's next transition, as an evaluator commits it (whoever has left stays in the index: of a run,
        the profile decides)."""
        change = self.writer.change(customer, at_ms=self.clock.now_ms())
        self.known.member(customer, change.sequence)
        partition = self.writer.partition_of(customer)
        await self.writer.commit(
            partition, [render(change)], members={"vip": {customer: change.time}}, at_ms=self.clock.now_ms()
        )

    async def leap(self, milliseconds: int) -> None:
        self.clock.leap_ms += milliseconds
        self.worker.nudge()

    async def keys(self, *expected: str) -> None:
        """Until exactly these calls have been made, in this order."""
        await self._until(lambda: self.connector.keys == list(expected))

    async def until_called(self, *customers: str) -> None:
        """Until exactly these customers have been called about, in any order."""
        await self._until(lambda: sorted(self.connector.customers) == list(customers))

    async def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline, f"called: {self.connector.keys}"
            self.worker.nudge()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def working(store: Store, log: RedisLog) -> AsyncIterator[World]:
    world = World(store, log)
    await world.writer.own()
    running = asyncio.create_task(world.worker.run())
    try:
        yield world
    finally:
        await world.worker.stop()
        await running


@pytest.fixture
async def world(store: Store, log: RedisLog) -> AsyncIterator[World]:
    async with working(store, log) as world:
        yield world


async def test_a_call_waits_and_is_dropped_if_the_customer_has_left_by_then(world: World) -> None:
    await world.put(on="entered", wait="2d")
    for customer in ("ana", "bea"):
        await world.change(customer)
    await world.leap(DAY)
    await world.change("bea")
    await world.leap(2 * DAY)
    await world.keys("a:vip:ana:1")
    await world.change("bea")
    await world.leap(2 * DAY + HOUR)
    await world.keys("a:vip:ana:1", "a:vip:bea:3")


async def test_calls_of_the_night_are_made_in_the_morning(world: World) -> None:
    await world.put(on="entered", quiet_hours=["22:00", "08:00"])
    await world.change("ana")
    await world.leap(7 * HOUR)
    await world.change("bea")
    await world.leap(HOUR)
    await world.until_called("ana", "bea")
    assert world.clock.now_ms() >= BEGIN_MS + 8 * HOUR


async def test_both_directions_come_in_order_and_the_newest_state_wins(world: World) -> None:
    await world.put(on="member")
    world.connector.answers["ana"] = Failed("away")
    await world.change("ana")
    await world.keys("a:vip:ana:1")
    for _ in range(3):
        await world.change("ana")
    world.connector.answers.clear()
    await world.leap(HOUR)
    await world.keys("a:vip:ana:1", "a:vip:ana:4")
    assert [subject.direction for _, _, [subject], _ in world.connector.said] == ["add", "remove"]


async def test_a_call_that_is_given_up_is_a_dead_letter_and_others_go_on(world: World) -> None:
    await world.put(on="entered")
    world.connector.answers["ana"] = Refused("no such contact")
    await world.change("ana")
    await world.change("bea")
    await world.until_called("ana", "bea")


async def test_a_run_by_calendar_calls_each_present_member_once(world: World) -> None:
    world.clock.leap_ms += time.time_ns() // 1_000_000 - BEGIN_MS  # the registry says when an action came
    await world.put(on={"every": "1mo", "at": "09:00"})
    for customer in ("ana", "bea", "bea", "zoe"):
        await world.change(customer)
    due = following_run(world.clock.now_ms(), Every(Duration(months=1), 9 * 60), "UTC")
    await world.leap(due - HOUR - world.clock.now_ms())
    assert world.connector.keys == []
    await world.leap(2 * HOUR)
    run = calendar_run_id("vip", "a", due)
    await world.until_called("ana", "zoe")
    assert sorted(world.connector.keys) == [f"a:run:{run}:{customer}" for customer in ("ana", "zoe")]
    report = await world.jobs.get(run)
    assert report is not None
    assert report.job.by == "calendar"
