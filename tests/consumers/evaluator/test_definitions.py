"""Definitions that come through the log: each takes effect at its record, for everybody, once."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consumers.evaluator.settings import Settings
from consumers.log.partition import partition_of
from consumers.log.redis_streams import RedisLog
from consumers.state.activation import Activation
from consumers.state.feed import Feed
from consumers.state.keys import PartitionKeys
from consumers.state.reads import Reads
from consumers.state.store import Store
from rules.events import Event
from rules.plan import Definition, Plan, compile_plan
from rules.profile import Profile, new_profile
from rules.records import DefinitionRecord
from rules.step import step
from rules.transitions import render
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
    make,
    members,
    played,
    random_events,
    rest,
    write,
)

END: list[Line] = [(BEGIN + 40 * DAY, None)]
ACTIVE = {"event": "page_view", "within": "1d"}


def stepped(lines: list[Line]) -> list[bytes]:
    """The log by `rules.step` alone, a record at a time, every edition kept: no store, no batch, no sweep."""
    known: dict[str, Definition] = {}
    plan: Plan = compile_plan([])
    profiles: dict[str, Profile] = {}
    out, clock = [], 0
    for at, item in lines:
        clock = max(clock, at)
        if isinstance(item, Event):
            profile = profiles.setdefault(item.customer_id, new_profile(item.customer_id))
            out += step(profile, (item,), plan, clock)[1]
        elif isinstance(item, DefinitionRecord):
            known[item.segment] = Definition(item.segment, item.version, item.state, item.document)
            plan = compile_plan(known.values(), plan.edition + 1, clock, plan, frozenset([item.segment]))
    for profile in profiles.values():
        out += step(profile, (), plan, clock)[1]
    return [render(change) for change in out]


EDITS: list[DefinitionRecord] = [
    define("active", 2, enter={"event": "page_view", "within": "2d", "count": {"gte": 3}}),
    define("active", 3, enter=ACTIVE),
    DefinitionRecord("active", 4, "paused", {"id": "active", "enter": ACTIVE}),
    DefinitionRecord("active", 5, "active", {"id": "active", "enter": ACTIVE}),
    DefinitionRecord("quiet", 2, "deleted", None),
    define("spenders", 2, hold={"min_stay": "1h"}),
]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("batch", "idle"), [(1, True), (7, False), (5_000, False)])
async def test_edits_in_the_middle_take_effect_at_their_record(
    store: Store, log: RedisLog, seed: int, batch: int, idle: bool
) -> None:
    lines: list[Line] = [(BEGIN - 9, define(name)) for name in ("active", "spenders", "lapsing", "quiet")]
    events = random_events(seed, 280)
    for n, edit in enumerate(EDITS):
        cut = 40 * n
        lines += [*events[cut : cut + 40], (events[cut + 40][0], edit)]
    lines += events[40 * len(EDITS) :] + END
    expected = stepped(lines)
    assert sum(b'"definition"' in each for each in expected) > 5
    await write(store, lines)
    await evaluate(store, log, batch, Settings(drain_customers_max=3), idle=idle)
    assert by_customer(await feed(store)) == by_customer(expected)


async def test_a_new_segment_judges_all_customers_without_waiting_for_their_events(store: Store, log: RedisLog) -> None:
    views: list[Line] = [
        (BEGIN + n, Event("page_view", at_home(n), BEGIN + n, f"v{n}", {}, f"v{n}")) for n in range(50)
    ]
    more = define("active", enter={"event": "page_view", "within": "2d"})
    other = DefinitionRecord("seen", 1, "active", {"id": "seen", "enter": {"event": "page_view", "within": "1d"}})
    await write(store, [(BEGIN - 1, more), *views, (BEGIN + HOUR, other)])
    owner = make(store, log, Settings(drain_customers_max=10))
    await owner.open("test", force=True)
    await owner.take(await log.read({0: -1}, 100, 0))
    reads = Reads(store, log, Feed(store, 2))
    progress = []
    while owner.busy:
        activation = (await reads.activations({"seen": 1}))["seen"]
        progress.append(activation.judged)
        await owner.chore()
    assert progress == [0, 10, 20, 30, 40, 50]
    assert len(await members(store, "seen")) == 50
    assert set((await members(store, "seen")).values()) == {BEGIN + HOUR}
    causes = {orjson.loads(each)["data"]["cause"] for each in (await feed(store))[50:]}
    assert causes == {"definition"}


async def test_an_older_version_that_comes_late_is_ignored(store: Store, log: RedisLog) -> None:
    events = random_events(3, 60)
    both: list[Line] = [(BEGIN - 9, define("active", 2)), (BEGIN - 8, define("active", 1, enter={"event": "refund"}))]
    await write(store, both + events + END)
    await evaluate(store, log)
    expected, _ = played([define("active", 2)], events + END)
    assert by_customer(await feed(store)) == by_customer(expected)


async def test_a_deleted_segment_empties_itself_and_goes_on_counting_when_made_again(
    store: Store, log: RedisLog
) -> None:
    view = Event("page_view", "ana", BEGIN, "v", {}, "v")
    ever = {"event": "page_view"}
    lines: list[Line] = [
        (BEGIN - 1, define("active", enter=ever)),
        (BEGIN - 1, DefinitionRecord("same", 1, "active", {"id": "same", "enter": ever})),
        (BEGIN, view),
        (BEGIN + 10, DefinitionRecord("active", 2, "deleted", None)),
        (BEGIN + 20, define("active", 3, enter=ever)),
    ]
    await write(store, lines)
    await evaluate(store, log, batch=3)
    ids = [orjson.loads(each)["id"] for each in await feed(store)]
    assert ids == ["active:ana:1", "same:ana:1", "active:ana:2", "active:ana:3"]
    assert await members(store, "active") == {"ana": BEGIN + 20}


async def test_a_definition_that_does_not_compile_is_a_dead_letter(store: Store, log: RedisLog) -> None:
    bad = DefinitionRecord("bad", 1, "active", {"id": "bad", "enter": {"event": 7}})
    await write(store, [(BEGIN, bad), (BEGIN, define("active")), *random_events(1, 40), *END])
    await evaluate(store, log)
    [(_, letter)] = await store.call("XRANGE", PartitionKeys(0).dead, "-", "+")
    assert b"enter" in letter[1]
    expected, _ = played([define("active")], random_events(1, 40) + END)
    assert by_customer(await feed(store)) == by_customer(expected)


# -- what nobody asked before: the log is read again ------------------------------------------------------------------

LATER: dict[str, dict[str, Any]] = {
    "refunded": {"id": "refunded", "enter": {"event": "refund", "count": {"gte": 2}}},
    "rich": {"id": "rich", "enter": {"event": "purchase", "within": "30d", "sum": {"of": "amount", "gte": 100}}},
    "both": {"id": "both", "enter": {"all": [{"segment": "refunded"}, {"event": "page_view", "count": {"gte": 3}}]}},
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 5, 500])
@pytest.mark.parametrize("restarts", [False, True])
async def test_new_questions_are_answered_from_the_whole_log(
    store: Store, log: RedisLog, seed: int, chunk: int, restarts: bool
) -> None:
    """Afterwards everybody is where they would be had the segments been there from the start."""
    events = random_events(seed, 240, days=6)
    asked: list[Line] = [(events[150][0], DefinitionRecord(s, 1, "active", d)) for s, d in LATER.items()]
    first: list[Line] = [(BEGIN - 9, define("active"))]
    await write(store, first + events[:150] + asked + events[150:])
    settings = Settings(drain_customers_max=chunk, collect_records_max=20 * chunk, drain_ms=1_000)
    owner = await _run(store, log, settings, restarts)
    _, game = played([define("active"), *(DefinitionRecord(s, 1, "active", d) for s, d in LATER.items())], events)
    for segment in ("active", *LATER):
        there = {customer for customer, s, _ in game.memberships() if s == segment}
        assert set(await members(store, segment)) == there, segment
    assert not owner.busy
    reads = Reads(store, log, Feed(store, 2))
    activation = (await reads.activations({"refunded": 1}))["refunded"]
    assert (activation.collecting, activation.judged, activation.history_from) == (False, 12, BEGIN - 9)
    again = DefinitionRecord("again", 1, "active", LATER["refunded"] | {"id": "again"})
    await write(store, [(events[-1][0] + 1, again)])
    await _run(store, log, settings, restarts)
    shared = (await reads.activations({"again": 1}))["again"]
    assert (shared.collecting, shared.judged, shared.history_from) == (False, 12, BEGIN - 9)
    assert (await reads.activations({"active": 1}))["active"].history_from is None
    records = [orjson.loads(record.payload) for record in await log.read({0: -1}, 5_000, 0)]
    activations = [each["segment"] for each in records if each.get("activate")]
    assert set(activations) == {"refunded", "rich"}  # the first alone; then all that queued behind it, together


async def _run(store: Store, log: RedisLog, settings: Settings, restarts: bool) -> Any:
    """Evaluate to the end; with `restarts`, by a new owner after every batch and every chunk or two."""
    owner, steps = make(store, log, settings), 0
    await owner.open("owner", force=True)
    while True:
        records = await log.read({0: owner.position}, 25, 0)
        if not records and not owner.busy:
            return owner
        if records:
            await owner.take(records)
        for _ in range(1 if records else 40):
            if owner.busy:
                await owner.chore()
        steps += 1
        if restarts and steps < 60:
            owner = make(store, log, settings)
            await owner.open(f"owner {steps}", force=True)


async def test_while_it_collects_the_segment_says_so_and_the_log_is_not_trimmed(store: Store, log: RedisLog) -> None:
    events = random_events(1, 100)
    asked = DefinitionRecord("refunded", 1, "active", LATER["refunded"])
    await write(store, [(BEGIN - 9, define("active")), *events, (events[-1][0], asked)])
    owner = make(store, log)
    await owner.open("test", force=True)
    await owner.take(await log.read({0: -1}, 5_000, 0))
    reads = Reads(store, log, Feed(store, 2))
    waiting = (await reads.activations({"refunded": 1}))["refunded"]
    assert waiting == Activation(active=False, collecting=True, judged=0, total=12, history_from=None)
    assert owner.trim_behind is None
    await rest(owner)
    await owner.take(await log.read({0: owner.position}, 5_000, 0))
    await rest(owner)
    assert owner.trim_behind == owner.position


async def test_a_store_that_was_rolled_back_collects_before_it_goes_past_the_end_of_collecting(
    store: Store, log: RedisLog
) -> None:
    """The log already says when the segment came into force: the same transitions come again."""
    events = random_events(2, 200, days=5)
    asked = DefinitionRecord("refunded", 1, "active", LATER["refunded"])
    await write(store, [(BEGIN - 9, define("active")), *events[:120], (events[120][0], asked), *events[120:160]])
    await evaluate(store, log, 20)
    await write(store, events[160:] + END)
    await evaluate(store, log, 20)
    once = by_customer(await feed(store))
    for key in await store.call("KEYS", "sg:{0-*"):
        if key.decode() != PartitionKeys(0).log:
            await store.call("DEL", key)
    for batch in (5_000, 9):
        await evaluate(store, log, batch)
        assert by_customer(await feed(store)) == once


async def test_a_collection_leaves_out_records_of_other_partitions(store: Store, log: RedisLog) -> None:
    """They are moved to where they belong; a profile made here would be nobody's."""
    stranger = next(name for name in (f"customer-{n}" for n in range(99)) if partition_of(name, 2) == 1)
    asked = DefinitionRecord("refunded", 1, "active", LATER["refunded"])
    lines: list[Line] = [(BEGIN - 9, define("active"))]
    for n, name in enumerate([at_home(0), stranger]):
        lines.append((BEGIN + n, Event("refund", name, BEGIN + n, f"r{n}", {"amount": 5}, f"r{n}")))
    await write(store, [*lines, (BEGIN + DAY, asked)])
    owner = await evaluate(store, log)
    assert not owner.busy
    assert [key for key in await store.call("KEYS", "*") if stranger.encode() in key] == []
