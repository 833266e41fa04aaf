"""All subscriptions as targets: changes are seen, 410 and days of failures disable, and those who asked are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from consumers.delivery.jobs import Jobs
from consumers.delivery.port import Done, Dropped, Failed, Gone, Outcome
from consumers.outbound import Outbound
from consumers.state.keys import SUBSCRIPTIONS_FAILING
from consumers.state.store import Store
from consumers.webhooks.documents import Document
from consumers.webhooks.registry import Subscription, Subscriptions
from consumers.webhooks.settings import Settings
from consumers.webhooks.target import WebhookTarget
from consumers.webhooks.targets import WebhookTargets
from tests.consumers.conftest import PARTITIONS
from tests.consumers.webhooks.worlds import DAY_MS, SECRET_URL, FakeClock

FAILED = Failed("HTTP 500", 500)


class World:
    """A registry and the targets of two processes, on one store and one clock."""

    def __init__(self, store: Store, outbound: Outbound) -> None:
        self.clock = FakeClock()
        self.store = store
        self.subscriptions = Subscriptions(store, clock=self.clock)
        self.jobs = Jobs(store, PARTITIONS, self.clock)
        self.one, self.two = (
            WebhookTargets(
                store, self.subscriptions, outbound, self.jobs, settings=Settings(poll_s=0.01), clock=self.clock
            )
            for _ in range(2)
        )

    async def made(self, **document: object) -> Subscription:
        entry, _ = await self.subscriptions.create(Document(SECRET_URL, **document), "1.0-1.0", 100)  # type: ignore[arg-type]
        await self.look()
        return entry

    async def look(self) -> None:
        await self.one.look()
        await self.two.look()

    async def end(self, targets: WebhookTargets, entry: Subscription, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            await targets.ended(entry.target, outcome)
        await self.look()

    async def state(self, entry: Subscription) -> tuple[str, str]:
        found = await self.subscriptions.get(entry.id)
        assert found is not None
        return found.state, found.why


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    outbound = Outbound()
    yield World(store, outbound)
    await outbound.close()


async def test_a_subscription_is_a_target_as_soon_as_it_is_seen_and_no_longer_when_it_is_deleted(world: World) -> None:
    await world.one.start()
    try:
        assert world.one.current == {}
        world.one.changed.clear()
        entry, _ = await world.subscriptions.create(Document(SECRET_URL), "1.0-1.0", 100)
        await asyncio.wait_for(world.one.changed.wait(), 20)
        target = world.one.current[entry.target]
        assert (target.active, target.begin) == (True, "1.0-1.0")
        world.one.changed.clear()
        await world.subscriptions.set_state(entry.id, "paused")
        await asyncio.wait_for(world.one.changed.wait(), 20)
        assert not world.one.current[entry.target].active
        world.one.changed.clear()
        await world.subscriptions.delete(entry.id)
        await asyncio.wait_for(world.one.changed.wait(), 20)
        assert world.one.current == {}
    finally:
        await world.one.close()


async def test_what_did_not_change_is_the_same_target_and_sets_nothing_off(world: World) -> None:
    first, second = await world.made(), await world.made()
    before = dict(world.one.current)
    await world.subscriptions.set_state(second.id, "paused")
    await world.look()
    assert world.one.current[first.target] is before[first.target]
    assert world.one.current[second.target] is not before[second.target]
    world.one.changed.clear()
    await world.look()
    assert not world.one.changed.is_set()


async def test_410_disables_and_says_why(world: World) -> None:
    entry = await world.made()
    await world.end(world.one, entry, Gone("HTTP 410"))
    assert await world.state(entry) == ("disabled", "the receiver answered 410 Gone")
    assert not world.one.current[entry.target].active
    await world.look()
    assert not world.two.current[entry.target].active


async def test_days_of_nothing_but_failures_disable(world: World) -> None:
    entry = await world.made()
    for _ in range(5):
        await world.end(world.one, entry, FAILED)
        assert (await world.state(entry))[0] == "active"
        world.clock.ms += DAY_MS
    await world.end(world.one, entry, Dropped("left meanwhile"))
    assert (await world.state(entry))[0] == "active", "without an attempt nobody knows"
    await world.end(world.one, entry, FAILED)
    state, why = await world.state(entry)
    assert state == "disabled"
    assert "every attempt has failed since 2026-11-18T11:06:40Z, for 5 days" in why


async def test_one_success_in_any_process_begins_the_days_anew(world: World) -> None:
    entry = await world.made()
    await world.end(world.one, entry, FAILED)
    world.clock.ms += 4 * DAY_MS
    await world.end(world.one, entry, FAILED)
    await world.end(world.two, entry, Done("HTTP 200", 200))
    assert await world.store.call("HLEN", SUBSCRIPTIONS_FAILING) == 0
    world.clock.ms += 4 * DAY_MS
    await world.end(world.one, entry, FAILED)
    await world.look()
    world.clock.ms += 4 * DAY_MS
    await world.end(world.two, entry, FAILED)
    assert (await world.state(entry))[0] == "active"
    world.clock.ms += 1 * DAY_MS
    await world.end(world.two, entry, FAILED)
    assert (await world.state(entry))[0] == "disabled"


async def test_failures_and_a_success_between_two_looks_are_no_failing(world: World) -> None:
    entry = await world.made()
    await world.end(world.one, entry, FAILED, Done("HTTP 200", 200), Done("HTTP 200", 200))
    assert await world.store.call("HLEN", SUBSCRIPTIONS_FAILING) == 0


async def test_who_is_resumed_has_days_again(world: World) -> None:
    entry = await world.made()
    await world.end(world.one, entry, FAILED)
    world.clock.ms += 5 * DAY_MS
    await world.end(world.one, entry, FAILED)
    assert (await world.state(entry))[0] == "disabled"
    await world.subscriptions.set_state(entry.id, "active")
    await world.look()
    await world.end(world.one, entry, FAILED)
    assert (await world.state(entry))[0] == "active"
    world.clock.ms += 5 * DAY_MS
    await world.end(world.one, entry, FAILED)
    assert (await world.state(entry))[0] == "disabled"


async def test_what_a_person_paused_meanwhile_is_not_disabled(world: World) -> None:
    entry = await world.made()
    await world.subscriptions.set_state(entry.id, "paused")
    await world.one.ended(entry.target, Gone("HTTP 410"))
    await world.one.look()
    assert (await world.state(entry))[0] == "paused"


async def test_the_end_of_what_is_not_there_any_more_is_nothing(world: World) -> None:
    entry = await world.made()
    await world.subscriptions.delete(entry.id)
    await world.end(world.one, entry, FAILED, Gone("HTTP 410"))
    assert await world.subscriptions.get(entry.id) is None
    assert await world.store.call("HLEN", SUBSCRIPTIONS_FAILING) == 0


async def test_those_who_asked_are_told_once_of_what_was_disabled(world: World) -> None:
    entry = await world.made(description="The CRM")
    told = await world.made(kinds=["subscription.disabled"])
    await world.made()
    await world.end(world.one, entry, Gone("HTTP 410"))
    await world.look()
    [report] = await world.jobs.list()
    assert report.job.target == told.target
    [item] = report.job.items
    event = orjson.loads(item.data)
    assert event["type"] == "segmentd.subscription.disabled"
    assert event["data"] == {
        "subscription": entry.id,
        "description": "The CRM",
        "why": "the receiver answered 410 Gone",
    }
    assert SECRET_URL not in item.data.decode()
    target = world.one.current[told.target]
    assert isinstance(target, WebhookTarget)
    assert target.turn(item) is not None
