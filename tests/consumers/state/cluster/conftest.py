"""The store is a cluster of three real servers, emptied before each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from consumers.log.redis_streams import RedisLog
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
async def log(store: Store) -> RedisLog:
    """It writes, and reads one partition at a time; more it cannot do on a cluster (`prepare` refuses it)."""
    return RedisLog(store, 2)
