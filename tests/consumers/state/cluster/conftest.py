"""The store is a cluster of three real servers, emptied before each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest

from consumers.log.port import Offset, Record
from consumers.log.redis_streams import RedisLog, Retention
from consumers.state.store import Store
from tests.consumers.state.servers import Process, cluster


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Process]]:
    processes = asyncio.run(cluster(tmp_path_factory.mktemp("cluster")))
    yield processes
    for process in processes:
        process.kill()


@pytest.fixture
async def store(nodes: list[Process]) -> AsyncIterator[Store]:
    store = Store.connect(nodes[0].url)
    await store.on_every("FLUSHALL")
    yield store
    await store.close()


@pytest.fixture
def server(nodes: list[Process]) -> Process:
    """For tests that connect by themselves."""
    return nodes[0]


class OneByOne(RedisLog):
    """Reads one stream after the other, for no read spans nodes. (The service refuses a log in a cluster.)"""

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        records = []
        for partition, position in positions.items():
            records += await super().read({partition: position}, records_max, 0)
        if not records and wait_ms > 0:
            await asyncio.sleep(min(wait_ms, 20) / 1000)
        return records


@pytest.fixture
async def log(store: Store) -> RedisLog:
    return OneByOne(store, 2, Retention(records_max=100_000))
