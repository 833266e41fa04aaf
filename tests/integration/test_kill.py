"""The embedded service killed at any moment: every acknowledged event counts once, no transition is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from consumers.embedded import Embedded
from consumers.evaluator import Evaluator
from consumers.log.partition import partition_of
from consumers.log.port import START, NewRecord, Record
from consumers.log.redis_streams import RedisLog
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.errors import Unavailable
from rules.events import Event
from rules.plan import Definition, compile_plan
from rules.play import Partition as Played
from rules.records import DefinitionRecord, Tick, decode_record, encode_definition, encode_event
from rules.transitions import render
from tests.consumers.evaluator.worlds import by_customer, feed

PARTITIONS = 2
CUSTOMERS = 400  # so many that entering alone makes more transitions than are asked for
SEGMENTS = {
    "recent": {"id": "recent", "enter": {"event": "page_view", "within": "2s"}},
    "busy": {"id": "busy", "enter": {"event": "page_view", "within": "5s", "count": {"gte": 3}}},
    "buyers": {
        "id": "buyers",
        "enter": {"event": "purchase", "sum": {"of": "amount", "gte": 100}},
        "exit": {"event": "refund", "within": "3s"},
    },
}


@contextlib.contextmanager
def child(directory: Path) -> Iterator[str]:
    """The service in a process of its own; gives its server's address, and kills it in the end."""
    command = [sys.executable, "-m", "tests.integration.kill_child", str(directory), str(PARTITIONS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()


async def append_until(url: str, until: float, rng: random.Random, acknowledged: dict[str, Event], begin: int) -> None:
    """Post events until then (or until the server is gone), remembering those that were acknowledged."""
    store = Store.connect(url)
    log = RedisLog(store, PARTITIONS)
    n = begin
    try:
        while time.monotonic() < until + 2:
            events = []
            for _ in range(rng.randrange(1, 30)):
                n += 1
                now_ms = time.time_ns() // 1_000_000
                kind = rng.choice(["page_view", "page_view", "purchase", "refund"])
                amount = {"amount": rng.randrange(1, 60)}
                events.append(
                    Event(kind, f"c{rng.randrange(CUSTOMERS)}", now_ms - rng.randrange(3_000), f"e{n}", amount)
                )
            await log.append([NewRecord(partition_of(e.customer_id, PARTITIONS), encode_event(e)) for e in events])
            acknowledged.update({event.id: event for event in events})
            await asyncio.sleep(rng.random() * 0.02)
    except Unavailable:
        pass
    finally:
        await store.close()


async def define(url: str) -> None:
    store = Store.connect(url)
    records = [encode_definition(DefinitionRecord(name, 1, "active", document)) for name, document in SEGMENTS.items()]
    await RedisLog(store, PARTITIONS).append([NewRecord(p, record) for p in range(PARTITIONS) for record in records])
    await store.close()


def replayed(records: list[Record]) -> list[bytes]:
    """One partition's log from its start, by the pure rules."""
    game = Played(compile_plan(Definition(name, 1, "active", document) for name, document in SEGMENTS.items()))
    out = []
    for record in records:
        item = decode_record(record.payload, record.timestamp_ms)
        if isinstance(item, Event):
            out += game.feed(item, record.timestamp_ms)
        elif isinstance(item, Tick):
            game.clock = max(game.clock, record.timestamp_ms)
            out += game.run_to(game.clock - 1)
    return [render(change) for change in out]


async def settle(store: Store, log: RedisLog) -> None:
    """Evaluate until nothing is left to do."""
    evaluator = Evaluator(store, log)
    task = asyncio.create_task(evaluator.run())
    while True:
        await asyncio.sleep(0.2)
        timers = [await store.call("ZCARD", PartitionKeys(p).timers) for p in range(PARTITIONS)]
        lags = await log.lags({p: await position(store, p) for p in range(PARTITIONS)})
        if not any(timers) and not any(lag.records for lag in lags.values()):
            break
    await evaluator.stop()
    await task


async def position(store: Store, partition: int) -> int:
    return int(await store.call("HGET", PartitionKeys(partition).meta, "position") or START)


async def check(store: Store, log: RedisLog, acknowledged: dict[str, Event]) -> int:
    seen = set()
    transitions = 0
    for partition in range(PARTITIONS):
        records = await log.read({partition: START}, 1_000_000, 0)
        seen |= {orjson.loads(record.payload).get("id") for record in records}
        found = await feed(store, partition)
        assert by_customer(found) == by_customer(replayed(records))
        sequences: dict[str, int] = {}
        for each in map(orjson.loads, found):
            name, _, sequence = each["id"].rpartition(":")
            assert int(sequence) == sequences.get(name, 0) + 1
            sequences[name] = int(sequence)
        transitions += len(found)
    assert seen >= set(acknowledged)
    return transitions


async def kill_and_check(directory: Path, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    acknowledged: dict[str, Event] = {}
    for round_number in range(kills):
        with child(directory) as url:
            if round_number == 0:
                await define(url)
            until = time.monotonic() + 0.1 + rng.random() * 1.5
            posting = asyncio.create_task(append_until(url, until, rng, acknowledged, round_number * 1_000_000))
            await asyncio.sleep(until - time.monotonic())
        await posting
    with Embedded(directory) as server:
        store = Store.connect(server.url)
        log = RedisLog(store, PARTITIONS)
        await settle(store, log)
        assert await check(store, log, acknowledged) > 20 * kills
        assert len(acknowledged) > 10 * kills
        await store.close()


async def test_nothing_is_lost_or_doubled_when_killed(tmp_path: Path) -> None:
    await kill_and_check(tmp_path / "data", kills=3, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
async def test_nothing_is_lost_or_doubled_when_killed_twenty_times(tmp_path: Path, seed: int) -> None:
    await kill_and_check(tmp_path / "data", kills=20, seed=seed)
