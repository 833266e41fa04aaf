"""`unless`, judged by what evaluators have collected for it."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.actions.settings import Settings
from consumers.delivery.port import Done, Dropped, Later
from consumers.log.redis_streams import RedisLog
from consumers.state.feed import Feed
from consumers.state.keys import PartitionKeys
from consumers.state.reads import Reads
from consumers.state.store import Store
from rules.events import Event
from rules.hidden import hidden_id
from rules.records import DefinitionRecord
from tests.consumers.actions.worlds import World, entered
from tests.consumers.evaluator.worlds import BEGIN, DAY, HOUR, Line, at_home, evaluate, make, write

ANA = at_home(0)
UNLESS = "{on: entered, unless: {event: call, within: 3d}}"
LATER = "what `unless` asks is not collected yet"


def hidden(version: int, *unless: tuple[str, dict[str, Any]]) -> Line:
    actions = [{"id": name, "on": "entered", "use": "mail.send", "unless": asked} for name, asked in unless]
    document = {"id": hidden_id("vip"), "timezone": "Europe/Bucharest", "actions": actions}
    return BEGIN, DefinitionRecord(hidden_id("vip"), version, "paused", document)


CALLED: dict[str, Any] = {"event": "call", "within": "3d"}


def event(kind: str, at: int) -> Line:
    return at, Event(kind, ANA, at, f"{kind}{at}", {}, f"{kind}{at}")


class Told(World):
    """With the profiles of the store."""

    def __init__(self, store: Store, log: RedisLog, **changes: Any) -> None:
        super().__init__(store, UNLESS, **changes)
        self.caller._profiles = Reads(store, log, Feed(store, 2))

    async def at(self, now: int, sequence: int = 1) -> Any:
        self.clock.ms = now
        [outcome] = await self.call(entered(ANA, sequence))
        return outcome


async def test_unless_is_judged_when_the_call_is_made(store: Store, log: RedisLog) -> None:
    await write(store, [hidden(1, ("a", CALLED)), event("page_view", BEGIN + 1), event("call", BEGIN + HOUR)])
    await evaluate(store, log)
    world = Told(store, log)
    assert await world.at(BEGIN + 2 * HOUR) == Dropped("`unless` holds")
    assert await world.at(BEGIN + HOUR + 3 * DAY - 1) == Dropped("`unless` holds")
    assert await world.at(BEGIN + HOUR + 3 * DAY) == Done()


async def test_each_action_has_the_condition_of_its_own(store: Store, log: RedisLog) -> None:
    other = {"event": "call", "within": "3d", "count": {"gte": 2}}
    await write(store, [hidden(1, ("b", CALLED), ("a", other)), event("call", BEGIN + HOUR)])
    await evaluate(store, log)
    assert await Told(store, log).at(BEGIN + 2 * HOUR) == Done()


async def test_a_call_waits_until_its_condition_is_collected(store: Store, log: RedisLog) -> None:
    await write(store, [event("call", BEGIN), event("page_view", BEGIN + HOUR)])
    owner = await evaluate(store, log)
    world, now = Told(store, log), BEGIN + 2 * HOUR
    later = Later(now + Settings().unready_ms, LATER)
    assert await world.at(now) == later
    await write(store, [(now, hidden(1, ("a", CALLED))[1])])
    await owner.take(await log.read({0: owner.position}, 10, 0))
    assert await world.at(now) == later
    await evaluate(store, log)
    assert await world.at(now) == Dropped("`unless` holds")


async def test_a_call_waits_for_the_version_of_its_action(store: Store, log: RedisLog) -> None:
    await write(store, [hidden(1, ("a", CALLED)), event("call", BEGIN)])
    await evaluate(store, log)
    now = BEGIN + HOUR
    world = Told(store, log, version=2)
    assert await world.at(now) == Later(now + Settings().unready_ms, LATER)
    await write(store, [(now, hidden(2, ("a", CALLED))[1])])
    await evaluate(store, log)
    world.clock.ms = now
    assert await world.at(now) == Dropped("`unless` holds")


async def test_a_customer_whom_the_newest_edition_has_not_judged_waits(store: Store, log: RedisLog) -> None:
    await write(store, [hidden(1, ("a", {"tag": "x"})), event("page_view", BEGIN)])
    await evaluate(store, log)
    await write(store, [(BEGIN + 1, hidden(2, ("a", {"tag": "y"}))[1])])
    owner = make(store, log)
    await owner.open("again", force=True)
    await owner.take(await log.read({0: owner.position}, 10, 0))
    world, now = Told(store, log, version=2), BEGIN + HOUR
    assert await world.at(now) == Later(now + Settings().unready_ms, LATER)
    while owner.busy:
        await owner.chore()
    assert await world.at(now + Settings().definitions_ms) == Done()


async def test_somebody_never_seen_is_judged_as_nobody(store: Store, log: RedisLog) -> None:
    await write(store, [hidden(1, ("a", CALLED)), event("call", BEGIN)])
    await evaluate(store, log)
    world = Told(store, log)
    await store.call("DEL", PartitionKeys(0).profile(ANA))
    assert await world.at(BEGIN + HOUR) == Done()


@pytest.mark.parametrize("asked", [{"segment": "other"}, {"segment": "other", "for": "1d"}])
async def test_unless_may_name_another_segment(store: Store, log: RedisLog, asked: dict[str, Any]) -> None:
    rule = DefinitionRecord("other", 1, "active", {"id": "other", "enter": {"event": "call", "within": "9d"}})
    await write(store, [(BEGIN, rule), hidden(1, ("a", asked)), event("call", BEGIN + 1)])
    await evaluate(store, log)
    world = Told(store, log)
    outcome = Dropped("`unless` holds") if "for" not in asked else Done()
    assert await world.at(BEGIN + HOUR) == outcome
    assert await world.at(BEGIN + 2 * DAY) == Dropped("`unless` holds")
