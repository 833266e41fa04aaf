"""The actions of all segments as targets: found, changed, paused and gone with their documents."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consumers.actions.settings import Settings
from consumers.actions.targets import ActionTargets
from consumers.connectors.port import Connectors
from consumers.delivery.jobs import Jobs
from consumers.log.redis_streams import RedisLog
from consumers.state.keys import REGISTRY
from consumers.state.registry import Registry
from consumers.state.store import Store
from tests.consumers.actions.worlds import HandClock, Known, Recorder

WELCOME = {"id": "welcome", "on": "entered", "use": "mail.send"}


class World:
    def __init__(self, store: Store, log: RedisLog) -> None:
        self.registry, self.clock = Registry(store, log), HandClock()
        self.targets = ActionTargets(
            store, self.registry, Known(), Connectors([Recorder()]), Jobs(store, 2), 2,
            settings=Settings(poll_s=0.01), clock=self.clock,
        )  # fmt: skip

    async def put(self, segment: str, *actions: dict[str, Any], **more: Any) -> None:
        document = {"id": segment, "enter": {"event": "x"}, **more}
        if actions:
            document["actions"] = list(actions)
        await self.registry.put(segment, document, repr(document), "application/json")

    async def look(self) -> dict[str, bool]:
        """Which targets there are, and whether they are active."""
        await self.targets.look()
        return {name: target.active for name, target in sorted(self.targets.current.items())}


@pytest.fixture
def world(store: Store, log: RedisLog) -> World:
    return World(store, log)


async def test_every_action_of_every_segment_is_a_target_while_it_is_there(world: World) -> None:
    await world.put("vip", WELCOME, WELCOME | {"id": "more"})
    await world.put("other", WELCOME)
    await world.put("none")
    assert await world.look() == {"act/other/welcome": True, "act/vip/more": True, "act/vip/welcome": True}
    await world.registry.pause("vip")
    assert await world.look() == {"act/other/welcome": True, "act/vip/more": False, "act/vip/welcome": False}
    await world.registry.resume("vip")
    await world.put("vip", WELCOME)
    await world.registry.delete("other")
    assert await world.look() == {"act/vip/welcome": True}


async def test_a_target_stays_the_same_until_its_action_changes(world: World) -> None:
    await world.put("vip", WELCOME)
    await world.look()
    before = world.targets.current["act/vip/welcome"]
    await world.put("other", WELCOME)
    await world.look()
    assert world.targets.current["act/vip/welcome"] is before
    begin = before.begin
    await world.put("vip", WELCOME | {"rate": "1/s"})
    await world.look()
    changed = world.targets.current["act/vip/welcome"]
    assert (changed.per_second, changed.begin) == (1.0, begin)


async def test_changes_are_told_while_it_watches(world: World) -> None:
    await world.targets.start()
    world.targets.changed.clear()
    await world.put("vip", WELCOME)
    await asyncio.wait_for(world.targets.changed.wait(), 30)
    assert list(world.targets.current) == ["act/vip/welcome"]
    await world.targets.close()


async def test_a_document_that_cannot_be_read_hides_no_other(store: Store, world: World) -> None:
    await world.put("vip", WELCOME)
    await world.put("odd", WELCOME)
    raw = await store.call("HGET", REGISTRY, "odd")
    await store.call("HSET", REGISTRY, "odd", raw.replace(b'"mail.send"', b'"mail"'))
    assert await world.look() == {"act/vip/welcome": True}
