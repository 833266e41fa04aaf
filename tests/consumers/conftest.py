"""A real server for all tests of a session, emptied before each; a store and a log on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from consumers.embedded import Embedded
from consumers.log.redis_streams import RedisLog, Retention
from consumers.state.store import Store

PARTITIONS = 2


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(tmp_path_factory.mktemp("valkey")) as embedded:
        yield embedded


@pytest.fixture
async def store(server: Embedded) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    yield store
    await store.close()


@pytest.fixture
async def log(store: Store) -> RedisLog:
    log = RedisLog(store, PARTITIONS, Retention(records_max=100_000))
    await log.prepare()
    return log
