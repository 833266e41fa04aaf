"""The service as processes on a real broker and a real store, a load on it, and the check of all it said afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from consumers.embedded import Embedded
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.partition import partition_of
from consumers.log.port import START, NewRecord, Record
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.errors import EventRejected, Unavailable
from rules.events import Event
from rules.plan import Definition, compile_plan
from rules.play import Partition as Played
from rules.records import DefinitionRecord, Tick, decode_record, encode_definition, encode_event
from rules.transitions import render
from tests.consumers.evaluator.worlds import by_customer, feed
from tests.service.cli.conftest import Process
from tests.service.cli.topics import held

PARTITIONS = 4
CUSTOMERS = 300
DEADLINE_S = 90.0
SEGMENTS: dict[str, dict[str, Any]] = {
    "recent": {"id": "recent", "enter": {"event": "page_view", "within": "2s"}},
    "busy": {"id": "busy", "enter": {"event": "page_view", "within": "4s", "count": {"gte": 3}}},
    "buyers": {
        "id": "buyers",
        "enter": {"event": "purchase", "sum": {"of": "amount", "gte": 100}},
        "exit": {"event": "refund", "within": "3s"},
    },
}


class Evaluator(Process):
    """`segmentd evaluator`, running."""

    url = ""

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def runs(self) -> None:
        """Once it answers over HTTP."""
        self.url = await asyncio.to_thread(self.wait_for, r"segmentd evaluator runs; .* at (http://\S+)")

    def heard(self) -> list[str]:
        """Its lines so far; `wait_for` then waits for new ones."""
        with contextlib.suppress(queue.Empty):
            while not self._read_all:
                line = self._queue.get_nowait()
                self._read_all = line is None
                self.lines += [] if line is None else [line]
        return self.lines

    async def killed_itself(self) -> bool:
        """It ends at a failpoint; False: in another way."""
        return await asyncio.to_thread(self.end, 0) == -signal.SIGKILL

    async def owned(self) -> frozenset[int]:
        """The partitions it evaluates, as its metrics say."""
        async with httpx2.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics", timeout=10)).text
        return frozenset(int(each) for each in re.findall(r'segmentd_partition_owned\{partition="(\d+)"\} 1\.0', text))


class World:
    """Topics of their own; `acknowledged` and `broken`: what was appended, by id and by bytes."""

    def __init__(self, embedded: Embedded, kafka: str) -> None:
        self.embedded, self.kafka = embedded, kafka
        name = uuid.uuid4().hex[:12]
        self.events, self.transitions, self.dead = f"events-{name}", f"transitions-{name}", f"dead-{name}"
        self.log = KafkaLog(KafkaSettings(kafka, events_topic=self.events, partitions=PARTITIONS))
        self.store = Store.connect(embedded.url)
        self.acknowledged: set[str] = set()
        self.broken: set[bytes] = set()
        self.refusals = 0  # appends that had to be repeated
        self._processes: list[Evaluator] = []

    def process(self, *command: str, **settings: str) -> Evaluator:
        env = {
            "REDIS_URL": self.embedded.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "SEGMENTD_PARTITIONS": str(PARTITIONS),
            "SEGMENTD_EVENTS_TOPIC": self.events,
            "SEGMENTD_TRANSITIONS_TOPIC": self.transitions,
            "SEGMENTD_DEAD_LETTERS_TOPIC": self.dead,
            "SEGMENTD_SESSION_TIMEOUT_SECONDS": "2",
            "SEGMENTD_HTTP_PORT": "0",
            "SEGMENTD_LOG_FORMAT": "json",
        }
        process = Evaluator(
            *command, env={**env, **{f"SEGMENTD_{name.upper()}": is_ for name, is_ in settings.items()}}
        )
        self._processes.append(process)
        return process

    def evaluator(self, **settings: str) -> Evaluator:
        return self.process("evaluator", **settings)

    async def define(self) -> None:
        """The first records of every partition."""
        await self.log.prepare()
        told = [encode_definition(DefinitionRecord(name, 1, "active", each)) for name, each in SEGMENTS.items()]
        await self.log.append([NewRecord(partition, each) for partition in range(PARTITIONS) for each in told])

    @contextlib.asynccontextmanager
    async def load(self, rate: float, seed: int = 1) -> AsyncIterator[None]:
        """Events at so many a second while the block runs; all of them acknowledged when it has ended."""
        stop = asyncio.Event()
        posting = asyncio.create_task(self._post(rate, random.Random(seed), stop))
        try:
            yield
        finally:
            stop.set()
            await posting

    async def _post(self, rate: float, rng: random.Random, stop: asyncio.Event) -> None:
        began, posted = time.monotonic(), 0
        while not stop.is_set():
            due = int((time.monotonic() - began) * rate) - posted
            records = [self._record(rng) for _ in range(min(due, 500))]
            posted += len(records)
            await self._append(records)
            await asyncio.sleep(0.01 + rng.random() * 0.02)

    def _record(self, rng: random.Random) -> tuple[str, NewRecord]:
        """Some are late, some on the wrong partition, some broken."""
        name = uuid.UUID(int=rng.getrandbits(128)).hex
        if rng.random() < 0.01:
            return "", NewRecord(rng.randrange(PARTITIONS), b'{"id":"%s","type":' % name.encode())
        kind = rng.choice(["page_view", "page_view", "purchase", "refund"])
        at_ms = time.time_ns() // 1_000_000 - rng.choice([0, 0, rng.randrange(3_000)])
        event = Event(kind, f"c{rng.randrange(CUSTOMERS)}", at_ms, name, {"amount": rng.randrange(1, 60)})
        wrong = rng.random() < 0.02
        partition = rng.randrange(PARTITIONS) if wrong else partition_of(event.customer_id, PARTITIONS)
        return name, NewRecord(partition, encode_event(event), event.customer_id)

    async def _append(self, records: list[tuple[str, NewRecord]]) -> None:
        """As a sender does: again, until it is acknowledged."""
        while True:
            try:
                await self.log.append([record for _, record in records])
                break
            except Unavailable:
                self.refusals += 1
                await asyncio.sleep(0.2)
        self.acknowledged |= {name for name, _ in records if name}
        self.broken |= {record.payload for name, record in records if not name}

    # -- what came of it ----------------------------------------------------------------------------------------------

    async def read(self, topic: str, at_least: int = 0) -> list[ConsumerRecord[bytes, bytes]]:
        """A topic as a read-committed consumer sees it, to its end, and until it has so many records."""
        found: list[ConsumerRecord[bytes, bytes]] = []
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka, isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        try:
            every = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
            consumer.assign(every)
            await consumer.seek_to_beginning(*every)
            ends = await consumer.end_offsets(every)
            until = time.monotonic() + 30
            while len(found) < at_least or [each for each in every if await consumer.position(each) < ends[each]]:
                if time.monotonic() > until:
                    break
                for records in (await consumer.getmany(*every, timeout_ms=100)).values():
                    found += records
        finally:
            await consumer.stop()
        return found

    async def settled(self) -> None:
        """Nothing is left to read, and nothing becomes due any more."""
        await until("all is evaluated", self._settled)

    async def _settled(self) -> bool:
        keys = [PartitionKeys(partition) for partition in range(PARTITIONS)]
        positions = {
            p: int(await self.store.call("HGET", keys[p].meta, "position") or START) for p in range(PARTITIONS)
        }
        lags = await self.log.lags(positions)
        timers = await self.store.calls([("ZCARD", each.timers) for each in keys])
        return not any(timers) and not any(lag.records for lag in lags.values())

    async def check(self) -> int:
        """Once all is settled, everything that the service promises; how many transitions there were."""
        await self.settled()
        records = await self._log_records()
        expected = {partition: replayed(partition, mine) for partition, mine in records.items()}
        await self.read(self.transitions, sum(map(len, expected.values())))
        await self.stop()
        said = await self.read(self.transitions)
        for partition, wanted in expected.items():
            mine = [each for each in said if each.partition == partition]
            check_partition(mine, wanted)
            assert by_customer(await feed(self.store, partition)) == by_customer(each.value for each in mine)
        self._check_log(records)
        assert self.broken <= {each.value for each in await held(self.kafka, self.dead)}
        return len(said)

    async def _log_records(self) -> dict[int, list[Record]]:
        found: dict[int, list[Record]] = {partition: [] for partition in range(PARTITIONS)}
        positions = dict.fromkeys(found, START)
        while any(lag.records for lag in (await self.log.lags(positions)).values()):
            for record in await self.log.read(positions, 10_000, 200):
                found[record.partition].append(record)
                positions[record.partition] = record.offset
        return found

    def _check_log(self, records: dict[int, list[Record]]) -> None:
        """What was acknowledged is in its own partition, whichever it was sent to."""
        there = set()
        for partition, mine in records.items():
            for record in mine:
                with contextlib.suppress(orjson.JSONDecodeError):
                    told = orjson.loads(record.payload)
                    if "customer_id" in told and partition_of(told["customer_id"], PARTITIONS) == partition:
                        there.add(told["id"])
        assert self.acknowledged
        assert self.acknowledged <= there

    async def stop(self) -> None:
        """All that still run end well."""
        for process in self._processes:
            status = await asyncio.to_thread(process.end)
            assert status in (0, -signal.SIGKILL), "\n".join(process.lines[-20:])

    async def close(self) -> None:
        for process in self._processes:
            await asyncio.to_thread(process.end, signal.SIGKILL)
        await self.log.close()
        await self.store.close()


def replayed(partition: int, records: list[Record]) -> list[bytes]:
    """One partition's log from its start, by the pure rules."""
    game = Played(compile_plan(Definition(name, 1, "active", document) for name, document in SEGMENTS.items()))
    out = []
    for record in records:
        try:
            item = decode_record(record.payload, record.timestamp_ms)
        except EventRejected:
            continue
        if isinstance(item, Event):
            if partition_of(item.customer_id, PARTITIONS) == partition:
                out += game.feed(item, record.timestamp_ms)
        elif isinstance(item, Tick):
            game.clock = max(game.clock, record.timestamp_ms)
            out += game.run_to(game.clock - 1)
    return [render(change) for change in out]


def check_partition(said: list[ConsumerRecord[bytes, bytes]], expected: list[bytes]) -> None:
    """Each transition once, numbered without a gap, and the very bytes of the replay."""
    ids = [orjson.loads(each.value)["id"] for each in said]
    assert len(ids) == len(set(ids))
    assert [int(dict(each.headers)["segmentd-number"]) for each in said] == list(range(1, len(said) + 1))
    assert by_customer(each.value for each in said) == by_customer(expected)
    sequences: dict[str, int] = {}
    for each in ids:
        name, _, sequence = each.rpartition(":")
        assert int(sequence) == sequences.get(name, 0) + 1
        sequences[name] = int(sequence)
    assert [each.key.decode() for each in said] == [orjson.loads(each.value)["subject"] for each in said]


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Servers that are away count as no."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(Unavailable, httpx2.HTTPError):
            if await holds():
                return
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def kafka_world(directory: Path, kafka: str) -> AsyncIterator[World]:
    """With its segments defined."""
    with _embedded(directory) as embedded:
        world = World(embedded, kafka)
        try:
            await world.define()
            yield world
        finally:
            await world.close()


@contextlib.contextmanager
def _embedded(directory: Path) -> Iterator[Embedded]:
    embedded = Embedded(directory)
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.stop()
