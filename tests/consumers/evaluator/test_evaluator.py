"""The running evaluator: time, owners, outages, poison, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consumers.embedded import Embedded
from consumers.evaluator import Evaluator, Settings
from consumers.log.partition import partition_of
from consumers.log.port import NewRecord
from consumers.log.redis_streams import RedisLog
from consumers.state.dead_letter_box import StoreDeadLetters
from consumers.state.feed import Feed
from consumers.state.reads import Reads
from consumers.state.registry import Registry
from consumers.state.store import Store
from rules.events import Event
from rules.records import encode_event
from rules.times import parse_instant
from tests.consumers.evaluator.worlds import until

RECENT = {"id": "recent", "enter": {"event": "page_view", "within": "2s"}}


class Service:
    """What a process holds, around one running evaluator."""

    def __init__(self, store: Store, log: RedisLog) -> None:
        self.store, self.log = store, log
        self.feed = Feed(store, log.partitions)
        self.reads = Reads(store, log, self.feed)
        self.registry = Registry(store, log)
        self.evaluator = Evaluator(store, log)

    async def define(self, document: dict[str, Any]) -> None:
        await self.registry.put(document["id"], document, json.dumps(document), "application/json")

    async def send(self, *events: Event) -> dict[int, int]:
        """Append, and give the offsets to wait for."""
        count = self.log.partitions
        places = await self.log.append([NewRecord(partition_of(e.customer_id, count), encode_event(e)) for e in events])
        return {place.partition: place.offset for place in places}

    async def applied(self, *events: Event) -> None:
        assert await self.reads.wait_applied(await self.send(*events), 5_000)


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    task = asyncio.create_task(service.evaluator.run())
    try:
        yield
    finally:
        await service.evaluator.stop()
        await task
        await service.feed.close()


@pytest.fixture
def service(store: Store, log: RedisLog) -> Service:
    return Service(store, log)


def view(customer: str, at: int | None = None, name: str = "v") -> Event:
    return Event("page_view", customer, at or now_ms(), f"{name}-{customer}")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_a_two_second_window_empties_itself_with_nothing_else_happening(service: Service) -> None:
    await service.define(RECENT)
    start = now_ms() - 50  # none of them in the future
    views = [view(f"c{n}", start + n) for n in range(20)]
    async with running(service):
        await service.applied(*views)
        assert await service.reads.sizes(["recent"]) == {"recent": 20}
        position = await service.feed.oldest()
        found: list[dict[str, Any]] = []
        while len(found) < 40:
            page = await service.feed.wait(position, wait_ms=3_000)
            assert page.items, "every exit comes by itself"
            found += [json.loads(item.data) for item in page.items]
            position = page.position
    exits = {each["subject"]: each for each in found if each["type"] == "segment.exited"}
    assert {name: parse_instant(each["time"]) for name, each in exits.items()} == {
        each.customer_id: each.ts + 2_000 for each in views
    }
    assert {each["data"]["cause"] for each in exits.values()} == {"clock"}
    assert await service.reads.sizes(["recent"]) == {"recent": 0}


async def test_bad_records_become_dead_letters_and_the_stream_goes_on(service: Service) -> None:
    await service.define(RECENT)
    async with running(service):
        bad = [b"\xff\x00", b"[]", b'{"type": "Bad Type"}', b'{"type":"page_view","ts":"2026-01-01T00:00:00Z"}']
        await service.log.append([NewRecord(0, raw) for raw in bad])
        await service.applied(*(view(f"c{n}") for n in range(8)))
        box = StoreDeadLetters(service.store, service.log.partitions)
        letters = [letter async for letter in box.newest_first()]
    assert [letter.raw for letter in letters] == bad[::-1]
    assert all(letter.reason and letter.origin.partition == 0 and letter.origin.offset > 0 for letter in letters)
    assert await service.reads.sizes(["recent"]) == {"recent": 8}


async def test_the_newest_evaluator_takes_over_and_the_older_waits(service: Service) -> None:
    other = Evaluator(service.store, service.log, Settings(lease_ms=60_000))
    async with running(service):
        await service.applied(view("ana"))
        task = asyncio.create_task(other.run())
        while not other.ready or service.evaluator.ready:
            await asyncio.sleep(0.02)
            await service.send(view("ana", name=f"{time.monotonic()}"))  # its next commit tells the older one
        assert "own" in service.evaluator.reason
        await service.applied(view("bob"))
        statuses = await service.reads.status()
        assert {status.owner for status in statuses} == {other.name}
        await other.stop()
        await task
        await until(lambda: service.evaluator.ready)  # given back: the older one goes on
        await service.applied(view("eve"))
    assert (other.ready, other.reason) == (False, "stopped")


async def test_what_was_due_while_nobody_evaluated_happens_at_its_time(service: Service) -> None:
    await service.define(RECENT)
    sent = view("ana")
    async with running(service):
        await service.applied(sent)
    await asyncio.sleep(2.2)
    again = Service(service.store, service.log)
    async with running(again):
        entered = await again.feed.read(await again.feed.oldest())
        [*_, last] = entered.items[1:] or (await again.feed.wait(entered.position, wait_ms=5_000)).items
    assert parse_instant(json.loads(last.data)["time"]) == sent.ts + 2_000


async def test_status_tells_where_everything_stands(service: Service) -> None:
    await service.define(RECENT)
    async with running(service):
        await service.applied(view("ana"), view("bob"), view("eve"))
        statuses = await service.reads.status()
        assert sum(status.customers for status in statuses) == 3
        assert sum(status.timers for status in statuses) == 3
        assert all(status.lag_records == 0 and status.clock_lag_ms == 0 for status in statuses)
        assert all(status.judged == status.customers for status in statuses)
        profile = await service.reads.profile("ana")
        assert profile is not None
        assert profile.is_member("recent")
        assert await service.reads.profiles(["nobody", "bob"]) == [None, await service.reads.profile("bob")]
        assert (await service.reads.plan("ana")).segments["recent"].version == 1
        assert await service.reads.clock("ana") > 0
    behind = await service.send(view("zoe"))
    assert not await service.reads.applied(behind)
    assert sum(status.lag_records or 0 for status in await service.reads.status()) == 1


async def test_while_the_store_is_away_it_waits_and_then_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    server = Embedded(directory)
    server.start()
    store = Store.connect(server.url)
    service = Service(store, RedisLog(store, 2))
    async with running(service):
        await service.define(RECENT)
        await service.applied(view("ana"))
        server.stop()
        await until(lambda: not service.evaluator.ready)
        assert "away" in service.evaluator.reason
        server.start()
        await until(lambda: service.evaluator.ready)
        await service.applied(view("bob"))
        assert "recent" in await service.reads.sizes(["recent"])
    await store.close()
    server.stop()


async def test_stopping_an_evaluator_that_never_ran_is_harmless(service: Service) -> None:
    await service.evaluator.stop()
    assert not service.evaluator.ready
