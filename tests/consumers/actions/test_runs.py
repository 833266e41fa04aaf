"""Runs by calendar: each due instant once, the newest made up for, none for before the action came."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.actions.runs import Runs
from consumers.actions.store import RunTimes
from consumers.delivery.jobs import Job, Jobs
from consumers.state.store import Store
from rules.errors import Unavailable
from rules.limits import DAY_MS
from tests.consumers.actions.worlds import HandClock, at, spec

MONTHLY = '{on: {every: 1mo, at: "09:00"}}'
CAME = at("2026-11-20T09:00:00+02:00")


class Begun(Jobs):
    """Jobs that are only noted; one that was begun is not begun again."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, 2)
        self.begun: list[str] = []
        self.away = False

    async def start(self, kind: Any, target: str, *, job_id: str = "", segment: str = "", **more: Any) -> Job:
        assert (kind, target, segment) == ("run", "act/vip/a", "vip")
        if self.away:
            raise Unavailable("the store is away")
        if job_id not in self.begun:
            self.begun.append(job_id)
        return Job(job_id, kind, target, 0)


class World:
    def __init__(self, store: Store) -> None:
        self.clock, self.jobs = HandClock(), Begun(store)
        self.runs = Runs(self.jobs, RunTimes(store), self.clock)

    async def look(self, when: str, **changes: Any) -> list[str]:
        """What has been begun by then."""
        self.clock.ms = at(when)
        await self.runs.look([spec(MONTHLY, since_ms=CAME, **changes), spec("on: entered")])
        return self.jobs.begun


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


async def test_a_run_is_begun_once_when_it_is_due(store: Store, world: World) -> None:
    assert await world.look("2026-11-20T09:00:00+02:00") == []
    assert await world.look("2026-12-01T08:59:59+02:00") == []
    assert await world.look("2026-12-01T09:00:00+02:00") == ["vip.a.20261201T070000Z"]
    assert await world.look("2026-12-31T09:00:00+02:00") == ["vip.a.20261201T070000Z"]
    other = World(store)
    assert await other.look("2026-12-31T09:00:00+02:00") == []
    assert await other.look("2027-01-01T09:00:00+02:00") == ["vip.a.20270101T070000Z"]


async def test_of_runs_that_were_missed_only_the_newest_is_made_up_for(world: World) -> None:
    assert await world.look("2027-04-20T12:00:00+03:00") == ["vip.a.20270401T060000Z"]


async def test_a_run_that_could_not_be_begun_is_begun_later(world: World) -> None:
    world.jobs.away = True
    with pytest.raises(Unavailable):
        await world.look("2026-12-01T09:00:00+02:00")
    world.jobs.away = False
    assert await world.look("2026-12-01T09:00:05+02:00") == ["vip.a.20261201T070000Z"]


async def test_what_was_due_while_the_segment_was_paused_is_passed_over(world: World) -> None:
    assert await world.look("2026-12-01T09:30:00+02:00", active=False) == []
    assert await world.look("2026-12-05T09:00:00+02:00") == []
    assert await world.look("2027-01-01T09:00:00+02:00") == ["vip.a.20270101T070000Z"]


async def test_an_older_instant_does_not_take_back_what_was_begun(store: Store) -> None:
    times = RunTimes(store)
    await times.begun("act/vip/a", CAME)
    await times.begun("act/vip/a", CAME - DAY_MS)
    assert await times.last(["act/vip/a", "act/vip/b"]) == [CAME, 0]
    await times.forget("act/vip/a")
    assert await times.last(["act/vip/a"]) == [0]
