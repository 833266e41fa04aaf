"""Which items are an action's, when each has its turn, and by which key it is known."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.delivery.port import Failed, Item, Turn
from consumers.state.store import Store
from tests.consumers.actions.worlds import World, entered, exited, happened, run

DAY = 86_400_000
OWN = Turn("ana")


@pytest.mark.parametrize(
    ("action", "item", "turn"),
    [
        ("on: entered", entered(), OWN),
        ("on: entered", exited(), None),
        ("on: entered", entered(cause="backfill"), None),
        ("on: entered", entered(cause="definition"), None),
        ("{on: entered, causes: [definition]}", entered(cause="definition"), OWN),
        ("{on: entered, causes: [definition]}", entered(), None),
        ("on: exited", exited(), OWN),
        ("on: exited", entered(), None),
        ("on: member", entered(cause="backfill"), OWN),
        ("on: member", exited(cause="definition"), OWN),
        ("on: member", happened(), None),
        ("on: {event: refund}", happened(), OWN),
        ("on: {event: refund}", happened(event_type="purchase"), None),
        ("on: {event: [purchase, refund]}", happened(), OWN),
        ("on: {event: refund}", entered(), None),
        ("on: {every: 1d}", entered(), None),
        ("on: {every: 1d}", run(), OWN),
        ("on: entered", run(), OWN),
        ("{on: entered, wait: 2d}", entered(), Turn("ana", 2 * DAY)),
        ("{on: entered, wait: 2d}", run(), Turn("run ana")),
        ("{on: entered, wait: 1mo}", entered(), Turn("ana", 30 * DAY)),
        ("on: entered", Item("other:ana:1", "entered", 0, "ana", "other", cause="event"), None),
        ("on: entered", Item("n", "notice", 0, "", "vip"), None),
    ],
)
async def test_an_item_has_its_turn(store: Store, action: str, item: Item, turn: Turn | None) -> None:
    assert World(store, action).target.turn(item) == turn


async def test_keys_are_the_actions_and_the_items(store: Store) -> None:
    target = World(store, "on: entered").target
    assert target.id == "act/vip/a"
    assert [target.key(item) for item in (entered(), happened(), run())] == [
        "a:vip:ana:1",
        "a:vip:ana:event:refund:r1",
        "a:run:vip.a.1:ana",
    ]
    long = [happened("c" * 128, id=f"vip:{'c' * 128}:event:{'t' * 64}:{end * 128}") for end in "xy"]
    keys = {target.key(item) for item in long}
    assert len(keys) == 2
    assert all(len(key) <= 300 and key.startswith("a:") for key in keys)


async def test_a_target_is_as_its_action_and_its_connector_say(store: Store) -> None:
    changes: dict[str, Any] = {"active": False, "begin": "7.3-1.0"}
    target = World(store, "{on: entered, rate: 30/m}", **changes).target
    assert (target.active, target.begin, target.per_second) == (False, "7.3-1.0", 0.5)
    assert (target.batch_max, target.concurrency, target.remembers_done) == (10, 8, True)


async def test_a_call_that_nobody_here_knows_is_tried_again(store: Store) -> None:
    world = World(store, "{on: entered, use: crm.task}")
    assert await world.call(entered()) == [Failed("there is no connector's call `crm.task` here")]
