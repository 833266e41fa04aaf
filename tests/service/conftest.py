"""The whole service over HTTP: a real server for the store, a real evaluator, and the application as it is served."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from pydantic import SecretStr

from consumers.embedded import Embedded
from consumers.state.store import Store
from service import logs
from service.app import create_app
from service.server import Server
from service.settings import Settings
from service.wiring import Services, open_services

PARTITIONS = 2


@pytest.fixture(scope="session")
def quiet() -> None:
    """Logs as the service writes them, kept out of the way."""
    logs.configure("info", "json", io.StringIO())


@pytest.fixture(scope="session")
def valkey(quiet: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(tmp_path_factory.mktemp("valkey")) as embedded:
        yield embedded


@pytest.fixture
def settings(valkey: Embedded) -> Settings:
    """Tests that need others override this fixture, or copy it."""
    return Settings(
        redis_url=SecretStr(valkey.url),
        kafka_bootstrap_servers=None,  # the environment may name a broker for the tests that want one
        partitions=PARTITIONS,
        http_port=0,
        shutdown_seconds=1,
    )


@asynccontextmanager
async def opened(settings: Settings, *, evaluate: bool = True) -> AsyncIterator[Services]:
    """Services on an empty store, evaluating."""
    assert settings.redis_url is not None
    store = Store.connect(settings.redis_url.get_secret_value())
    await store.call("FLUSHALL")
    await store.close()
    services = await open_services(settings, evaluate=evaluate)
    services.start_evaluator()
    try:
        yield services
    finally:
        await services.close()


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with opened(settings) as services:
        yield services


def client_of(services: Services, **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=create_app(services), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(services) as client:
        yield client


@asynccontextmanager
async def served(services: Services) -> AsyncIterator[Server]:
    """The same behind a real socket: streams need one."""
    server = Server(services, create_app(services))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.stop()
        await running


@pytest.fixture
async def live(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with served(services) as server, httpx2.AsyncClient(base_url=server.url, timeout=10) as client:
        yield client
