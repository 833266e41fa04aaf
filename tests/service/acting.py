"""A service that delivers, with a connector that notes what it is told, and waiting for what actions do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from service.deliveries import make_worker
from service.settings import Settings
from service.wiring import Services
from tests.consumers.actions.worlds import Recorder
from tests.service.conftest import client_of, opened

DEADLINE_S = 60.0


@dataclass
class Shop:
    """`crm` has the calls `task` and `done`, and takes everything (see `Recorder.answers`)."""

    services: Services
    client: httpx2.AsyncClient
    crm: Recorder

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def called(self, *customers: str) -> None:
        """Until the connector has been told of exactly these, in any order."""
        await until(lambda: _same(self.crm.customers, list(customers)), lambda: self.crm.customers)

    async def feed(self, segment: str, *, until_last: str = "") -> list[dict[str, Any]]:
        """All entries, page by page; with `until_last` once the newest is of that kind."""
        while True:
            entries: list[dict[str, Any]] = []
            cursor: str | None = None
            while True:
                page = await self.get(f"/v1/segments/{segment}/feed", limit=2, **({"cursor": cursor} if cursor else {}))
                entries += page["entries"]
                if (cursor := page["cursor"]) is None:
                    break
            if not until_last or (entries and entries[0]["kind"] == until_last):
                return entries
            await asyncio.sleep(0.05)


def _same(one: list[str], other: list[str]) -> bool:
    return sorted(one) == sorted(other)


async def until(holds: Callable[[], bool], told: Callable[[], Any] = lambda: "") -> None:
    """Wait for something that the workers do by themselves."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"it did not happen: {told()}"
        await asyncio.sleep(0.02)


async def until_true(holds: Callable[[], Awaitable[bool]]) -> None:
    """The same for what has to be asked for."""
    deadline = time.monotonic() + DEADLINE_S
    while not await holds():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def acting(settings: Settings, **headers: str) -> AsyncIterator[Shop]:
    async with opened(settings) as services, client_of(services, **headers) as client:
        crm = Recorder("crm", ("task", "done"))
        services.connectors.add(crm)
        _ = services.start_deliveries(make_worker(services))
        yield Shop(services, client, crm)
