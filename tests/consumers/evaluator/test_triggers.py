"""What evaluators do for actions: events of members in the feed, and conditions collected that judge nobody."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from consumers.evaluator.settings import Settings
from consumers.log.redis_streams import RedisLog
from consumers.state.commit import OutboxEntry
from consumers.state.definitions import decode
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.events import Event
from rules.hidden import hidden_id
from rules.judge import judge
from rules.plan import compile_plan
from rules.profile import decode as decode_profile
from rules.records import DefinitionRecord
from rules.tree import Branch
from rules.triggers import Trigger, read_trigger
from tests.consumers.evaluator.worlds import (
    BEGIN,
    DAY,
    HOUR,
    Line,
    at_home,
    by_customer,
    define,
    evaluate,
    feed,
    random_events,
    write,
)

END: list[Line] = [(BEGIN + 40 * DAY, None)]
ANA, ZOE = at_home(0), at_home(1)


def actions(segment: str, version: int, *made: dict[str, Any]) -> DefinitionRecord:
    full = [{"use": "mail.send", **each} for each in made]
    return DefinitionRecord(hidden_id(segment), version, "paused", {"id": hidden_id(segment), "actions": full})


def viewed(customer: str, at: int, name: str) -> Line:
    return at, Event("page_view", customer, at, name, {"page": name}, name)


ON_VIEW = {"id": "a", "on": {"event": "page_view"}}


async def triggers(store: Store) -> list[Trigger]:
    found: list[Trigger] = []
    for _, fields in await store.call("XRANGE", PartitionKeys(0).out, "-", "+"):
        found += map(read_trigger, msgspec.msgpack.decode(fields[1], type=OutboxEntry).triggers)
    return found


async def test_each_event_of_a_member_is_in_the_feed_once(store: Store, log: RedisLog) -> None:
    twice = viewed(ANA, BEGIN + 2 * HOUR, "v3")
    lines = [
        (BEGIN - 9, define("active", enter={"event": "page_view", "within": "1d", "count": {"gte": 2}})),
        (BEGIN - 8, actions("active", 1, ON_VIEW)),
        viewed(ANA, BEGIN, "v1"),
        viewed(ZOE, BEGIN + 1, "z1"),
        viewed(ANA, BEGIN + HOUR, "v2"),
        twice,
        twice,
        viewed(ANA, BEGIN + 3 * DAY, "v4"),
    ]
    await write(store, lines)
    await evaluate(store, log)
    found = await triggers(store)
    assert [each.id for each in found] == [f"active:{ANA}:event:page_view:{name}" for name in ("v2", "v3")]
    assert found[1] == Trigger(
        id=f"active:{ANA}:event:page_view:v3",
        segment="active",
        type="page_view",
        customer_id=ANA,
        event_id="v3",
        ts=BEGIN + 2 * HOUR,
        sequence=1,
        event=orjson.loads(orjson.dumps(found[1].event)),
    )
    assert (found[1].event["id"], found[1].event["properties"]) == ("v3", {"page": "v3"})


@pytest.mark.parametrize("batch", [1, 7])
async def test_triggers_are_a_function_of_the_log_however_it_is_cut(store: Store, log: RedisLog, batch: int) -> None:
    lines: list[Line] = [(BEGIN - 9, define("active")), (BEGIN - 8, actions("active", 1, ON_VIEW))]
    await write(store, lines + random_events(5, 200) + END)
    await evaluate(store, log, batch, Settings(drain_customers_max=3))
    cut, said = await triggers(store), await feed(store)
    keys = PartitionKeys(0)
    await store.call("DEL", keys.meta, keys.out, keys.judged, keys.timers, keys.definitions)
    for _, found in await store.on_every("KEYS", f"{keys.profile_prefix}*"):
        await store.call("DEL", *found)
    await evaluate(store, log)
    assert len(cut) > 20
    assert await triggers(store) == cut
    assert by_customer(await feed(store)) == by_customer(said)


async def test_a_paused_segment_sets_nothing_off(store: Store, log: RedisLog) -> None:
    rule = {"id": "active", "enter": {"event": "page_view"}}
    lines: list[Line] = [
        (BEGIN - 9, DefinitionRecord("active", 1, "active", rule)),
        (BEGIN - 8, actions("active", 1, ON_VIEW)),
        viewed(ANA, BEGIN, "v1"),
        (BEGIN + 1, DefinitionRecord("active", 2, "paused", rule)),
        viewed(ANA, BEGIN + 2, "v2"),
        (BEGIN + 3, DefinitionRecord("active", 3, "active", rule)),
        viewed(ANA, BEGIN + 4, "v3"),
    ]
    await write(store, lines)
    await evaluate(store, log)
    assert [each.event_id for each in await triggers(store)] == ["v1", "v3"]


async def test_an_edit_of_actions_alone_makes_no_edition_and_no_transition(store: Store, log: RedisLog) -> None:
    edits = [
        (BEGIN + 5, actions("active", 2, {**ON_VIEW, "with": {"subject": "new"}, "rate": "5/s"})),
        (BEGIN + 6, actions("active", 3, ON_VIEW, {"id": "b", "on": "entered"})),
    ]
    before: list[Line] = [
        (BEGIN - 9, define("active")),
        (BEGIN - 8, actions("active", 1, ON_VIEW)),
        viewed(ANA, BEGIN, "v"),
    ]
    await write(store, before)
    owner = await evaluate(store, log)
    said, edition = await feed(store), decode(await store.call("GET", PartitionKeys(0).definitions)).newest
    await write(store, edits)
    await owner.take(await log.read({0: owner.position}, 100, 0))
    state = decode(await store.call("GET", PartitionKeys(0).definitions))
    assert (state.newest, state.stages, await feed(store)) == (edition, [], said)
    assert state.notes[hidden_id("active")].version == 3


async def test_what_unless_asks_is_collected_from_before_it_was_asked(store: Store, log: RedisLog) -> None:
    asked = {"event": "purchase", "within": "30d", "sum": {"of": "amount", "gte": 50}}
    bought = [(BEGIN + n, Event("purchase", ANA, BEGIN + n, f"p{n}", {"amount": 20 + n}, f"p{n}")) for n in range(3)]
    await write(store, [(BEGIN - 9, define("active")), *bought, viewed(ANA, BEGIN + 9, "v")])
    await evaluate(store, log)
    said = await feed(store)
    unless = {"id": "a", "on": "entered", "unless": asked}
    other = {"id": "b", "on": "entered", "unless": {"event": "purchase", "within": "30d", "count": {"gte": 4}}}
    await write(store, [(BEGIN + HOUR, actions("active", 1, unless, other))])
    await evaluate(store, log)
    state = decode(await store.call("GET", PartitionKeys(0).definitions))
    assert state.collecting is None
    plan = compile_plan(state.in_force().values(), state.newest, state.newest_at)
    profile = decode_profile(await store.call("GET", PartitionKeys(0).profile(ANA)))
    tree = plan.segments[hidden_id("active")].enter
    assert isinstance(tree, Branch)
    assert [judge(each, profile, BEGIN + HOUR).holds for each in tree.of] == [True, False]
    assert not profile.is_member(hidden_id("active"))
    assert await feed(store) == said


async def test_an_event_that_an_action_wrote_hands_its_hops_on(store: Store, log: RedisLog) -> None:
    event = Event("page_view", ANA, BEGIN, "v1", {}, "v1", hops=("vip/tag", "old/clean"))
    rule = define("active", enter={"event": "page_view"})
    lines: list[Line] = [(BEGIN - 9, rule), (BEGIN - 8, actions("active", 1, ON_VIEW)), (BEGIN, event)]
    await write(store, lines)
    await evaluate(store, log)
    [entered] = await feed(store)
    assert orjson.loads(entered)["data"]["hops"] == ["vip/tag", "old/clean"]
    assert (await triggers(store))[0].event["hops"] == ["vip/tag", "old/clean"]


async def test_the_feed_keeps_so_many_triggers_however_few_transitions_there_are(store: Store, log: RedisLog) -> None:
    rule = define("active", enter={"event": "page_view"})
    lines: list[Line] = [(BEGIN - 9, rule), viewed(ZOE, BEGIN - 9, "z"), (BEGIN - 8, actions("active", 1, ON_VIEW))]
    await write(store, [*lines, *(viewed(ANA, BEGIN + n, f"v{n}") for n in range(40))])
    owner = await evaluate(store, log, 1)
    assert [each.event_id for each in await triggers(store)] == [f"v{n}" for n in range(40)]
    await owner.trim_feed(1_000, 1_000, 10)
    assert [each.event_id for each in await triggers(store)] == [f"v{n}" for n in range(29, 40)]
    await write(store, [(BEGIN + 40 + n, viewed(ANA, BEGIN + 40 + n, f"v{40 + n}")[1]) for n in range(3)])
    again = await evaluate(store, log, 1)
    await again.trim_feed(1_000, 1_000, 10)
    assert [each.event_id for each in await triggers(store)] == [f"v{n}" for n in range(32, 43)]
