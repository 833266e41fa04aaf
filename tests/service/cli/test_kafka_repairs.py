"""`segmentd rebuild` and `repair` beside running processes on a real broker and a real store."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from consumers.embedded import Embedded
from consumers.state.store import Store
from tests.service.cli.conftest import Process, running

PARTITIONS = 2
BUYERS = {"id": "buyers", "enter": {"event": "purchase"}}
DEADLINE_S = 60.0


class Said(NamedTuple):
    """A transition of the topic, as a read-committed consumer sees it."""

    partition: int
    number: int
    id: str
    value: bytes


class World:
    """One store, one broker, names of one's own."""

    def __init__(self, redis_url: str, kafka: str) -> None:
        self.redis_url, self.kafka = redis_url, kafka
        name = uuid.uuid4().hex[:12]
        self.events, self.transitions = f"events-{name}", f"transitions-{name}"
        self.env = {
            "REDIS_URL": redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "SEGMENTD_PARTITIONS": str(PARTITIONS),
            "SEGMENTD_EVENTS_TOPIC": self.events,
            "SEGMENTD_TRANSITIONS_TOPIC": self.transitions,
            "SEGMENTD_DEAD_LETTERS_TOPIC": f"dead-{name}",
            "SEGMENTD_HTTP_PORT": "0",
        }

    def call(self, *command: str | int) -> Any:
        async def one() -> Any:
            store = Store.connect(self.redis_url)
            try:
                return await store.call(*command)
            finally:
                await store.close()

        return asyncio.run(one())

    def drop_events_before(self, partition: int, offset: int) -> None:
        """As retention does."""

        async def delete() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
            await admin.start()
            try:
                await admin.delete_records({TopicPartition(self.events, partition): RecordsToDelete(offset)})
            finally:
                await admin.close()

        asyncio.run(delete())

    def ends(self) -> dict[int, int]:
        """The log's, per partition."""

        async def ask() -> dict[int, int]:
            consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
            await consumer.start()
            try:
                found = await consumer.end_offsets([TopicPartition(self.events, p) for p in range(PARTITIONS)])
                return {each.partition: offset for each, offset in found.items()}
            finally:
                await consumer.stop()

        return asyncio.run(ask())

    def said(self, at_least: int) -> list[Said]:
        """Everything on the topic, as soon as it is so much, and a second later."""

        async def read() -> list[Said]:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.kafka, isolation_level="read_committed", enable_auto_commit=False
            )
            await consumer.start()
            try:
                at = [TopicPartition(self.transitions, p) for p in range(PARTITIONS)]
                consumer.assign(at)
                await consumer.seek_to_beginning(*at)
                found: list[Said] = []
                until, end = time.monotonic() + DEADLINE_S, float("inf")
                while time.monotonic() < min(until, end):
                    for partition, records in (await consumer.getmany(*at, timeout_ms=200)).items():
                        for record in records:
                            number = int(dict(record.headers)["segmentd-number"])
                            name = orjson.loads(record.value)["id"]
                            found.append(Said(partition.partition, number, name, record.value))
                    if len(found) >= at_least and end == float("inf"):
                        end = time.monotonic() + 1
                return sorted(found)
            finally:
                await consumer.stop()

        return asyncio.run(read())


@pytest.fixture
def world(tmp_path: Path, kafka: str) -> Iterator[World]:
    with Embedded(tmp_path) as embedded:
        yield World(embedded.url, kafka)


@pytest.fixture
def api(world: World) -> Iterator[httpx2.Client]:
    with running("api", env=world.env) as process:
        url = process.wait_for(r"segmentd api at (http://\S+)")
        with httpx2.Client(base_url=url, timeout=60) as client:
            yield client
        assert process.end() == 0


@pytest.fixture
def evaluator(world: World, api: httpx2.Client) -> Iterator[Process]:
    with running("evaluator", env=world.env) as process:
        process.wait_for("segmentd evaluator runs")
        yield process
        assert process.end() == 0


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def buy(api: httpx2.Client, customers: range, wait: bool = True) -> None:
    events = [
        {"id": f"e{n}", "type": "purchase", "customer_id": f"customer-{n}", "properties": {"amount": n}}
        for n in customers
    ]
    answer = api.post("/v1/events", json=events, headers={"Prefer": "wait=30"} if wait else {})
    assert answer.status_code == 202, answer.text
    assert not wait or answer.json()["applied"]


def define(api: httpx2.Client) -> None:
    until("the segment is taken", lambda: api.put("/v1/segments/buyers", json=BUYERS).status_code in (200, 201))
    until("it is in force", lambda: api.get("/v1/segments/buyers").json()["state"] == "active")


def members(api: httpx2.Client) -> dict[str, str]:
    answer = api.get("/v1/segments/buyers/members", params={"limit": 1000})
    return {each["customer_id"]: each["since"] for each in answer.json().get("members", ())}


def check_complete(said: list[Said], count: int) -> None:
    """Each transition once, numbered without a gap."""
    assert len(said) == count
    assert max(Counter(each.id for each in said).values()) == 1
    for partition in range(PARTITIONS):
        numbers = [each.number for each in said if each.partition == partition]
        assert numbers == list(range(1, len(numbers) + 1))


def test_an_emptied_store_is_filled_again_and_nothing_goes_out_twice(
    world: World, api: httpx2.Client, evaluator: Process
) -> None:
    define(api)
    buy(api, range(60))
    buy(api, range(60, 100))
    before, were = world.said(100), members(api)
    check_complete(before, 100)
    assert len(were) == 100
    world.call("FLUSHALL")
    assert evaluator.wait_for("`segmentd rebuild` fills it from the log")
    assert members(api) == {}
    with running("rebuild", env=world.env) as process:
        assert process.wait_for("1 segments brought back from the log: buyers")
        assert process.wait_for("100 customers, 100 memberships in 1 segments; 100 transitions came again")
        assert process.end(0) == 0
    assert members(api) == were
    until("both partitions have an owner", lambda: not api.get("/v1/status").json()["warnings"])
    buy(api, range(90, 130))
    after = world.said(130)
    check_complete(after, 130)
    assert [each for each in after if each in before] == before
    assert len(members(api)) == 130


def test_a_state_that_is_discarded_beside_its_evaluator_says_nothing_twice(
    world: World, api: httpx2.Client, evaluator: Process
) -> None:
    define(api)
    buy(api, range(80))
    before, were = world.said(80), members(api)
    with running("rebuild", "--discard", "--yes", env=world.env) as process:
        assert process.wait_for("80 customers, 80 memberships in 1 segments; 80 transitions came again")
        assert process.end(0) == 0
    assert members(api) == were
    buy(api, range(60, 90))
    after = world.said(90)
    check_complete(after, 90)
    assert [each for each in after if each in before] == before


def test_events_that_retention_took_are_told_until_a_person_goes_on_without_them(
    world: World, api: httpx2.Client
) -> None:
    with running("evaluator", env=world.env) as first:
        first.wait_for("segmentd evaluator runs")
        define(api)
        buy(api, range(40))
        assert first.end() == 0
    buy(api, range(40, 60), wait=False)
    ends = world.ends()
    for partition, end in ends.items():
        world.drop_events_before(partition, end)
    buy(api, range(60, 100), wait=False)
    with running("evaluator", env=world.env) as second:
        url = second.wait_for(r"/v1/status at (http://\S+)")
        assert second.wait_for("is outside the log")
        answer = httpx2.get(f"{url}/readyz")
        assert answer.status_code == 503
        assert "`segmentd repair --accept-gap` goes on without what is gone" in answer.text
        with running("repair", env=world.env) as process:
            assert process.wait_for(r"partition \d: position \d+ is before what the log keeps; gone: \d+ records")
            assert process.end(0) == 1
        assert len(members(api)) == 40
        with running("repair", "--accept-gap", env=world.env) as process:
            assert process.wait_for(f"partition 0: goes on after {ends[0] - 1}")
            assert process.wait_for(f"partition 1: goes on after {ends[1] - 1}")
            assert process.end(0) == 0
        until("it goes on", lambda: httpx2.get(f"{url}/readyz").status_code == 200)
        until("all that is left is evaluated", lambda: len(members(api)) == 80)
        assert second.end() == 0
    assert set(members(api)) == {f"customer-{n}" for n in [*range(40), *range(60, 100)]}
    check_complete(world.said(80), 80)


def test_a_log_that_does_not_reach_back_is_rebuilt_from_only_when_that_is_accepted(
    world: World, api: httpx2.Client, evaluator: Process
) -> None:
    define(api)
    buy(api, range(40))
    ends = world.ends()
    buy(api, range(40, 60))
    before = world.said(60)
    for partition, end in ends.items():
        world.drop_events_before(partition, end)
    with running("rebuild", "--discard", "--yes", env=world.env) as process:
        assert process.wait_for("the log of partitions 0, 1 does not reach back to its beginning")
        assert process.end(0) == 1
    assert len(members(api)) == 60
    with running("rebuild", "--discard", "--yes", "--accept-gap", env=world.env) as process:
        assert process.wait_for("1 segments were defined before what the log keeps: they are defined again")
        assert process.wait_for("rebuilt")
        assert process.end(0) == 0
    assert set(members(api)) == {f"customer-{n}" for n in range(40, 60)}  # the others' purchases are gone
    after = world.said(100)
    check_complete(after, 100)
    assert [each for each in after if each in before] == before
    assert {each.id for each in after if each not in before} == {f"buyers:customer-{n}:2" for n in range(40)}
