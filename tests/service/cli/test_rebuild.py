"""`segmentd rebuild` on Redis: what it refuses, what it deletes only when asked to, and what it brings back."""

from __future__ import annotations

import asyncio
import io
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from consumers.embedded import Embedded
from consumers.evaluator import Evaluator
from consumers.log.partition import partition_of
from consumers.log.port import NewRecord
from consumers.log.redis_streams import RedisLog
from consumers.state.commit import OutboxEntry
from consumers.state.keys import REGISTRY, PartitionKeys
from consumers.state.rebuild import filled
from consumers.state.registry import Registry
from consumers.state.store import Store
from rules.events import Event
from rules.records import encode_event
from tests.service.cli.conftest import Run, running

DAY = 86_400_000
PARTITIONS = 2
SEGMENTS: dict[str, dict[str, Any]] = {
    "buyers": {"id": "buyers", "enter": {"event": "purchase", "within": "30d"}},
    "regulars": {"id": "regulars", "enter": {"event": "purchase", "within": "60d", "count": {"gte": 3}}},
}


class World:
    """A server with a log of two partitions, spoken to from outside of any loop."""

    def __init__(self, url: str) -> None:
        self.url = url

    def do(self, work: Callable[[Store, RedisLog], Awaitable[Any]]) -> Any:
        async def inside() -> Any:
            store = Store.connect(self.url)
            try:
                log = RedisLog(store, PARTITIONS)
                await log.prepare()
                return await work(store, log)
            finally:
                await store.close()

        return asyncio.run(inside())

    def call(self, *command: str | bytes | int) -> Any:
        async def one(store: Store, _log: RedisLog) -> Any:
            return await store.call(*command)

        return self.do(one)

    def forget(self, *keep: str) -> None:
        """Empty the store, but for the logs (which on Redis lie there too)."""

        async def delete(store: Store, _log: RedisLog) -> None:
            kept = {PartitionKeys(p).log for p in range(PARTITIONS)} | set(keep)
            for key in await store.call("KEYS", "*"):
                if key.decode() not in kept:
                    await store.call("DEL", key)

        self.do(delete)

    def state(self) -> dict[str, Any]:
        """What readers see, by key."""

        async def read(store: Store, _log: RedisLog) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for partition in range(PARTITIONS):
                keys = PartitionKeys(partition)
                for customer in await store.call("ZRANGE", keys.judged, 0, -1):
                    key = keys.profile(customer.decode())
                    found[key] = await store.call("GET", key)
                for key in [keys.timers, *map(keys.members, SEGMENTS)]:
                    found[key] = await store.call("ZRANGE", key, 0, -1, "WITHSCORES")
                said: dict[str, list[bytes]] = {}
                for _, (_, packed) in await store.call("XRANGE", keys.out, "-", "+"):
                    for each in msgspec.msgpack.decode(packed, type=OutboxEntry).transitions:
                        said.setdefault(orjson.loads(each)["subject"], []).append(each)
                found[keys.out] = said
            return found

        state: dict[str, Any] = self.do(read)
        return state


async def shop(store: Store, log: RedisLog) -> None:
    """Purchases of forty customers over ten days, in the log of this minute, evaluated to the end."""
    registry = Registry(store, log)
    await registry.put("buyers", SEGMENTS["buyers"], "# mine\nid: buyers", "application/yaml")
    now = int(time.time() * 1000)
    customers = [f"customer-{n}" for n in range(40)]
    events = [Event("purchase", customers[n % 40], now - n % 10 * DAY, f"e{n}", {"amount": n}) for n in range(200)]
    records = [NewRecord(partition_of(each.customer_id, PARTITIONS), encode_event(each)) for each in events]
    await log.append(records[:100])
    await registry.put("regulars", SEGMENTS["regulars"], "id: regulars", "application/yaml")
    await log.append(records[100:])
    await evaluated(store, log)


async def evaluated(store: Store, log: RedisLog) -> None:
    evaluator = Evaluator(store, log)
    running = asyncio.create_task(evaluator.run())
    try:
        ends = {p: bounds.last for p, bounds in enumerate(await log.bounds())}
        deadline = time.monotonic() + 30
        while not all(each.done for each in (await filled(store, log, ends)).values()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
    finally:
        await evaluator.stop()
        await running


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with Embedded(tmp_path) as embedded:
        monkeypatch.setenv("REDIS_URL", embedded.url)
        monkeypatch.setenv("SEGMENTD_PARTITIONS", str(PARTITIONS))
        yield World(embedded.url)


@pytest.fixture
def before(world: World, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    world.do(shop)
    capsys.readouterr()
    state = world.state()
    assert sum(len(each) for p in range(PARTITIONS) for each in state[PartitionKeys(p).out].values()) == 80
    return state


@pytest.fixture
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


def test_an_emptied_store_is_as_it_was(run: Run, world: World, before: dict[str, Any]) -> None:
    world.forget()
    ran = run("rebuild")
    assert ran.status == 0, ran.err
    brought, done = ran.out.splitlines()
    assert brought == "2 segments brought back from the log: buyers, regulars"
    assert done == (
        "partitions 0, 1: rebuilt. 40 customers, 80 memberships in 2 segments; "
        "80 transitions came again, with the same ids"
    )
    assert world.state() == before
    for partition in range(PARTITIONS):
        assert world.call("HMGET", PartitionKeys(partition).meta, "rebuild", "owner") == [None, b""]
    assert world.call("HKEYS", REGISTRY) == [b"buyers", b"regulars"]


def test_a_store_that_is_not_empty_is_left_alone(run: Run, world: World, before: dict[str, Any]) -> None:
    ran = run("rebuild")
    assert (ran.status, ran.out) == (1, "")
    assert "no partition is empty: --discard deletes the state first" in ran.err
    assert world.state() == before


def test_nothing_is_discarded_unless_somebody_says_yes(
    run: Run, world: World, before: dict[str, Any], nobody_there: None
) -> None:
    epoch = world.call("HGET", PartitionKeys(0).meta, "epoch")
    ran = run("rebuild", "--discard")
    assert ran.status == 1
    assert "deletes the state of partitions 0, 1 (40 customers, 80 memberships, and the feed)" in ran.err
    assert "Nobody is there to ask: --yes" in ran.err
    assert world.call("HGET", PartitionKeys(0).meta, "epoch") == epoch
    assert world.state() == before


def test_a_discarded_state_is_as_it_was(run: Run, world: World, before: dict[str, Any]) -> None:
    text = world.call("HGET", REGISTRY, "buyers")
    world.call("SET", PartitionKeys(0).profile("customer-1"), b"nonsense")
    ran = run("rebuild", "--discard", "--yes")
    assert ran.status == 0, ran.err
    assert "40 customers, 80 memberships in 2 segments" in ran.out
    assert "brought back" not in ran.out
    assert world.state() == before
    assert world.call("HGET", REGISTRY, "buyers") == text


def test_one_partition_can_be_done_again(run: Run, world: World, before: dict[str, Any]) -> None:
    untouched = world.call("HGET", PartitionKeys(0).meta, "commit")
    ran = run("rebuild", "--discard", "--yes", "--partition", 1)
    assert ran.status == 0, ran.err
    assert ran.out.startswith("partition 1: rebuilt.")
    assert world.state() == before
    assert world.call("HGET", PartitionKeys(0).meta, "commit") == untouched


def test_what_has_a_state_beside_what_is_empty_is_left_as_it_is(run: Run, world: World, before: dict[str, Any]) -> None:
    keys = PartitionKeys(1)
    world.forget(REGISTRY, *(key for key in _all_keys(world) if key.startswith(keys.meta.removesuffix("meta"))))
    ran = run("rebuild")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines()[0] == "left as it is: partition 1, for there is a state"
    assert world.state() == before


def _all_keys(world: World) -> list[str]:
    return [key.decode() for key in world.call("KEYS", "*")]


def test_an_empty_log_is_nothing_to_rebuild_from(run: Run, world: World) -> None:
    ran = run("rebuild")
    assert ran.status == 1
    assert "the log holds no record: there is nothing to rebuild from" in ran.err
    assert "A server that was emptied has lost its log with its state" in ran.err


@pytest.mark.parametrize("options", [(), ("--discard", "--yes")])
def test_a_log_without_its_beginning_asks_a_person(
    run: Run, world: World, before: dict[str, Any], options: tuple[str, ...]
) -> None:
    world.call("XTRIM", PartitionKeys(1).log, "MAXLEN", 10)
    if not options:
        world.forget(REGISTRY)
    state = world.state()
    ran = run("rebuild", *options)
    assert ran.status == 1
    assert "the log of partition 1 does not reach back to its beginning" in ran.err
    assert "Nothing was changed; --accept-gap rebuilds from what is left" in ran.err
    assert world.state() == state
    ran = run("rebuild", *options, "--accept-gap")
    assert ran.status == 0, ran.err
    assert "2 segments were defined before what the log keeps: they are defined again" in ran.out
    buyers = world.call("ZCARD", PartitionKeys(1).members("buyers"))
    assert 0 < buyers < len(before[PartitionKeys(1).members("buyers")]) // 2
    assert world.state()[PartitionKeys(0).members("regulars")] == before[PartitionKeys(0).members("regulars")]


def test_a_state_without_any_log_is_not_discarded_in_passing(run: Run, world: World, before: dict[str, Any]) -> None:
    world.call("DEL", PartitionKeys(1).log)
    ran = run("rebuild", "--discard", "--yes")
    assert ran.status == 1
    assert "the log of partition 1 does not reach back to its beginning" in ran.err
    assert world.state() == before


def test_an_interrupted_discard_is_done_to_the_end_first(run: Run, world: World, before: dict[str, Any]) -> None:
    keys = PartitionKeys(1)
    world.call("HSET", keys.meta, "discarding", "1")
    world.call("ZREM", keys.judged, "customer-1")
    world.call("DEL", keys.profile("customer-1"))
    ran = run("rebuild")
    assert ran.status == 1
    assert "the state of partition 1 was not discarded to the end: do so with --discard" in ran.err
    assert run("rebuild", "--discard", "--yes").status == 0
    assert world.state() == before


def test_an_interrupted_rebuild_goes_on(run: Run, world: World, before: dict[str, Any]) -> None:
    world.call("HSET", PartitionKeys(0).meta, "rebuild", "1")
    assert run("rebuild").status == 0
    assert world.state() == before
    assert world.call("HGET", PartitionKeys(0).meta, "rebuild") is None


def test_a_rebuild_says_what_it_waits_for_and_can_be_ended_and_begun_again(
    world: World, before: dict[str, Any]
) -> None:
    env = {"REDIS_URL": world.url, "SEGMENTD_PARTITIONS": str(PARTITIONS)}
    stream, ahead = PartitionKeys(0).log, f"{int(time.time() * 1000) + DAY}-0"
    world.forget()
    world.call("XADD", stream, ahead, "d", b"stamped by a clock that is ahead")
    with running("rebuild", env=env) as process:
        assert process.wait_for("waiting: partition 0: the log stamped record .* ahead of this machine's clock")
        assert process.end(signal.SIGINT) == 1
        assert "interrupted: `segmentd rebuild` goes on where it was" in "\n".join(process.lines)
    assert world.call("HGET", PartitionKeys(0).meta, "rebuild") == b"1"
    world.call("XDEL", stream, ahead)
    with running("rebuild", "--accept-gap", env=env) as process:
        assert process.wait_for("80 transitions came again")
        assert process.end(0) == 0
    assert world.state() == before


def test_beside_a_running_evaluator(world: World, before: dict[str, Any]) -> None:
    env = {"REDIS_URL": world.url, "SEGMENTD_PARTITIONS": str(PARTITIONS)}
    with running("evaluator", env=env) as evaluator:
        evaluator.wait_for("segmentd evaluator runs")
        with running("rebuild", "--discard", "--yes", env=env) as process:
            assert process.wait_for("80 transitions came again")
            assert process.end(0) == 0
        assert world.state() == before
        deadline = time.monotonic() + 30
        while not all(world.call("HGET", PartitionKeys(p).meta, "owner") for p in range(PARTITIONS)):
            assert time.monotonic() < deadline, "the evaluator does not take its partitions up again"
            time.sleep(0.1)
        assert evaluator.end() == 0
    assert world.state() == before
