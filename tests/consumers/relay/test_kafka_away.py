"""A broker that hangs or dies and comes back: the relay says why it waits, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio

import pytest

from consumers.relay.settings import Settings
from consumers.state.store import Store
from tests.consumers.relay.kafka_worlds import kafka_world
from tests.consumers.relay.worlds import Process, names, until
from tests.kafka import Broker


@pytest.mark.parametrize("how", ["hangs", "is killed"])
async def test_what_is_said_while_a_broker_hangs_or_dies_goes_out_once_when_it_is_back(
    broker: Broker, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.relay.kafka.PUBLISH_S", 2.0)
    monkeypatch.setattr("consumers.relay.kafka.OPEN_S", 2.0)
    async with kafka_world(broker.address) as world:
        process = await Process(store, world.outlet("a"), Settings(note_idle_ms=50)).start()
        try:
            await process.take()
            said: list[str] = []

            async def say(count: int) -> None:
                for _ in range(count):
                    said.append(f"c{len(said)}")
                    await process.commit(said[-1])
                    await asyncio.sleep(0.002)

            await say(20)  # some of it is under way when the broker goes
            broker.suspend() if how == "hangs" else broker.kill()
            await say(50)
            await until(lambda: "Kafka" in process.relay.reason)
            assert process.relay.backlog(0) > 0
            broker.resume() if how == "hangs" else broker.start()
            await say(20)
            await process.published()
            await until(lambda: not process.relay.reason)
            assert names(await world.values()) == said
            assert [place.number for place in await world.places()] == list(range(1, len(said) + 1))
        finally:
            await process.kill()
