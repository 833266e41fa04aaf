"""A broker that goes away and comes back: told within two seconds, never hanging, and then it works again."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.sharing import KafkaSharing
from consumers.log.port import START, NewRecord, Record
from rules.errors import Unavailable
from tests.kafka import Broker


@pytest.fixture
async def log(broker: Broker) -> AsyncIterator[KafkaLog]:
    log = KafkaLog(KafkaSettings(broker.address, events_topic=f"events-{uuid.uuid4()}", partitions=2))
    await log.prepare()
    yield log
    await log.close()


async def until_it_works(call: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await call()
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def read_from_start(log: KafkaLog, last: bytes) -> list[Record]:
    """All of both partitions, until one record is `last`."""
    at, records = {0: START, 1: START}, list[Record]()
    deadline = time.monotonic() + 30
    while not any(record.payload == last for record in records):
        assert time.monotonic() < deadline
        found = await log.read(at, 1000, 200)
        at |= {record.partition: record.offset for record in found}
        records += found
    return records


async def refused_in_time(call: Awaitable[Any], seconds: float = 2.0) -> str:
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await call
    assert time.monotonic() - began < seconds + 0.5  # for a busy machine
    return str(refused.value)


async def test_a_stopped_broker_is_told_in_time_and_what_was_acknowledged_is_there_after_it(
    broker: Broker, log: KafkaLog
) -> None:
    sharing = KafkaSharing(log.settings, group=f"group-{uuid.uuid4()}", session_ms=4_000)
    await sharing.start()
    await asyncio.wait_for(sharing.changed.wait(), 10)
    acknowledged = [b"first"]
    await log.append([NewRecord(0, b"first"), NewRecord(1, b"other")])
    assert len(await read_from_start(log, b"first")) >= 1
    await asyncio.to_thread(broker.stop)
    for _ in range(2):
        assert broker.address in await refused_in_time(log.append([NewRecord(0, b"refused")]))
    assert "reading" in await refused_in_time(read_from_start(log, b"never"), 10)
    await refused_in_time(log.lags({0: START}))
    await refused_in_time(log.reread(0, START, 1))
    fresh = KafkaLog(log.settings)  # one that starts meanwhile
    await refused_in_time(fresh.prepare())
    await refused_in_time(fresh.append([NewRecord(0, b"refused")]))
    assert sharing.wanted == {0, 1}  # what it was last told
    await asyncio.to_thread(broker.start)
    await until_it_works(lambda: log.append([NewRecord(0, b"after")]))
    acknowledged.append(b"after")
    records = await until_it_works(lambda: read_from_start(log, b"after"))
    found = [record.payload for record in records if record.partition == 0]
    assert [payload for payload in found if payload != b"refused"] == acknowledged
    assert found.count(b"refused") <= 3  # given up, but perhaps written all the same
    await until_it_works(fresh.prepare)
    await fresh.close()
    await sharing.stop()


async def test_a_broker_that_no_longer_answers_holds_nobody_up(broker: Broker, log: KafkaLog) -> None:
    """Stopped in its tracks: connections stay open, and nothing comes."""
    await log.append([NewRecord(0, b"before")])
    await read_from_start(log, b"before")
    broker.suspend()
    try:
        await refused_in_time(log.append([NewRecord(0, b"refused")]))
        await refused_in_time(log.append([NewRecord(1, b"refused")]))
        assert await log.read({0: 0, 1: START}, 10, 100) == []
        await refused_in_time(log.lags({0: START}))
        fresh = KafkaLog(log.settings)
        await refused_in_time(fresh.append([NewRecord(0, b"refused")]))
        began = time.monotonic()
        await fresh.close()
        assert time.monotonic() - began < 10
    finally:
        broker.resume()
    await until_it_works(lambda: log.append([NewRecord(0, b"after")]))
    records = await until_it_works(lambda: read_from_start(log, b"after"))
    found = [record.payload for record in records if record.partition == 0]
    assert found[0] == b"before"
    assert found[-1] == b"after"


async def test_a_log_is_closed_in_time_while_appends_wait_for_a_broker_that_is_gone(
    broker: Broker, log: KafkaLog
) -> None:
    await log.append([NewRecord(0, b"before")])
    await asyncio.to_thread(broker.kill)
    waiting = asyncio.create_task(log.append([NewRecord(0, b"refused")]))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await log.close()
    assert time.monotonic() - began < 10
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable, match="closed"):
        await log.append([NewRecord(0, b"late")])
