"""Transitions are a function of the log: however it is cut, whoever reads it, when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from consumers.embedded import Embedded
from consumers.evaluator.settings import Settings
from consumers.log.redis_streams import RedisLog
from consumers.state.keys import PartitionKeys
from consumers.state.store import Run, Store
from rules.errors import Unavailable
from rules.events import Event
from tests.consumers.evaluator.worlds import (
    BEGIN,
    DAY,
    SEGMENTS,
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

DEFINITIONS = [define(name) for name in SEGMENTS]
START: list[Line] = [(BEGIN - 1000, each) for each in DEFINITIONS]
END: list[Line] = [(BEGIN + 40 * DAY, None)]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("batch", "idle"), [(1, True), (7, True), (7, False), (5_000, True)])
async def test_batches_of_any_size_give_what_replaying_the_log_gives(
    store: Store, log: RedisLog, seed: int, batch: int, idle: bool
) -> None:
    events = random_events(seed, 250)
    expected, game = played(DEFINITIONS, events + END)
    assert len(expected) > 100
    await write(store, START + events + END)
    await evaluate(store, log, batch, idle=idle)
    found = await feed(store)
    assert by_customer(found) == by_customer(expected)
    for name in SEGMENTS:
        assert await members(store, name) == {c: since for c, s, since in game.memberships() if s == name}


async def test_who_is_due_by_a_batchs_clock_is_settled_in_its_commit(store: Store, log: RedisLog) -> None:
    """... as many as a commit tells of; the others in chunks of their own, as before."""
    mine = [at_home(n) for n in range(100)]
    views = [Event("page_view", name, BEGIN + nth, name) for nth, name in enumerate(mine)]
    lines: list[Line] = [(BEGIN - 1000, define("active", enter={"event": "page_view", "within": "2d"}))]
    await write(store, lines + [(view.ts, view) for view in views])
    owner = await evaluate(store, log)
    settled = []
    for later in (20, 40, 300):  # then 20 of them are due, 20 more, all
        at = BEGIN + 2 * DAY + later
        await write(store, [(at, Event("purchase", mine[0], at, f"p{at}"))])
        before = len(await feed(store))
        await owner.take(await log.read({0: owner.position}, 10, 0))
        settled.append(len(await feed(store)) - before)
        await rest(owner)
    assert settled == [2, 4, 8]
    assert len(await feed(store)) == 2 * len(mine)


async def test_an_owner_with_hardly_any_memory_makes_the_same(store: Store, log: RedisLog) -> None:
    events = random_events(4, 250)
    expected, _ = played(DEFINITIONS, events + END)
    await write(store, START + events + END)
    await evaluate(store, log, 3, Settings(hot_profiles_max=2, drain_customers_max=2, drain_ms=0))
    assert by_customer(await feed(store)) == by_customer(expected)


async def test_owners_that_take_over_in_the_middle_make_the_same(store: Store, log: RedisLog) -> None:
    events = random_events(5, 250)
    expected, _ = played(DEFINITIONS, events + END)
    await write(store, START + events + END)
    for n in range(1_000):
        owner = make(store, log)
        await owner.open(f"owner {n}", force=True)
        records = await log.read({0: owner.position}, 7, 0)
        if not records:
            break
        await owner.take(records)
        if n % 3 == 0 and owner.busy:
            await owner.chore()
    await rest(owner)
    assert by_customer(await feed(store)) == by_customer(expected)


class LosesAnswers(Store):
    """The connection breaks after every third script that waits for the disk has run: nobody learns that it did."""

    runs = 0

    async def run_durably(self, runs: Sequence[Run]) -> list[Any]:
        answers = await super().run_durably(runs)
        self.runs += 1
        if self.runs % 3 == 0:
            raise Unavailable("the answer got lost")
        return answers


async def test_commits_whose_answers_got_lost_count_once(store: Store, log: RedisLog, server: Embedded) -> None:
    events = random_events(8, 150)
    expected, _ = played(DEFINITIONS, events + END)
    await write(store, START + events + END)
    flaky = LosesAnswers.connect(server.url)
    await evaluate(flaky, log, 9)
    assert by_customer(await feed(store)) == by_customer(expected)
    assert isinstance(flaky, LosesAnswers)
    assert flaky.runs > 20
    await flaky.close()


async def test_every_number_and_sequence_follows_the_one_before(store: Store, log: RedisLog) -> None:
    await write(store, START + random_events(6, 300) + END)
    await evaluate(store, log, 20)
    counts: Counter[tuple[str, str]] = Counter()
    for each in map(orjson.loads, await feed(store)):
        data = each["data"]
        key = data["segment"], data["customer_id"]
        counts[key] += 1
        assert data["sequence"] == counts[key]


async def test_clock_driven_changes_have_their_exact_time_and_come_before_the_customers_next_record(
    store: Store, log: RedisLog
) -> None:
    def view(n: int, customer: str, at: int) -> Line:
        return at, Event("page_view", customer, at, f"v{n}", {}, f"v{n}")

    lines = [
        view(1, "ana", BEGIN),
        view(2, "ana", BEGIN + 5),
        view(3, "bob", BEGIN + 3 * DAY),
        view(4, "ana", BEGIN + 4 * DAY),
    ]
    await write(store, [(BEGIN - 1, define("active")), *lines])
    await evaluate(store, log, 5_000, idle=False)
    found = [orjson.loads(each) for each in await feed(store)]
    assert [(each["id"], each["time"], each["data"]["cause"]) for each in found] == [
        ("active:ana:1", "2100-01-01T00:00:00.005Z", "event"),
        ("active:ana:2", "2100-01-03T00:00:00Z", "clock"),
    ]


async def test_an_event_log_without_definitions_still_makes_customers(store: Store, log: RedisLog) -> None:
    await write(store, random_events(7, 50))
    await evaluate(store, log)
    assert await store.call("ZCARD", PartitionKeys(0).judged) == 12
    assert await feed(store) == []
