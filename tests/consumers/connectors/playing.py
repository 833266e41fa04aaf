"""What the tests of connectors share: customers to speak of, a caller that is no network, and real calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.http import HttpConnector
from consumers.connectors.load import packaged_documents
from consumers.connectors.parse import read_connector
from consumers.connectors.port import Direction, Subject, customer_view
from consumers.connectors.secrets import Secrets
from consumers.delivery.port import Item
from consumers.outbound.client import Answer, Outbound

SEGMENT = {"id": "vip", "name": "VIPs", "about": "", "timezone": "Europe/Bucharest"}
NOW_MS = 1_800_000_000_000


class SteadyClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ms(self) -> int:
        return NOW_MS + int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


def subject(
    customer_id: str = "ana",
    attributes: Mapping[str, Any] | None = None,
    direction: Direction | None = None,
    event: Mapping[str, Any] | None = None,
) -> Subject:
    item = Item(
        id=f"vip:{customer_id}:1",
        kind="entered",
        partition=0,
        customer_id=customer_id,
        segment="vip",
        cause="event",
        sequence=1,
        time_ms=NOW_MS - 5000,
        data=b'{"type":"segment.entered"}',
    )
    return Subject(customer_view(customer_id, attributes or {}), item, SEGMENT, event, direction)


def keys(subjects: Sequence[Subject]) -> list[str]:
    return [f"call:{each.item.id}" for each in subjects]


class Asked:
    """One request that a `Played` caller was asked for."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> None:
        self.method, self.url, self.headers, self.body = method, url, headers, body

    @property
    def json(self) -> Any:
        return orjson.loads(self.body or b"null")


class Played:
    """A caller whose answers a function gives, in this process."""

    def __init__(self, answer: Callable[[Asked], Answer] | None = None) -> None:
        self.asked: list[Asked] = []
        self._answer = answer or (lambda _: told(200))

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float | None = None,
        answer_bytes_max: int | None = None,
    ) -> Answer:
        self.asked.append(Asked(method, url, headers, body))
        return self._answer(self.asked[-1])


def told(status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, body if isinstance(body, bytes) else orjson.dumps(body))


def connector(
    text: str,
    caller: Played,
    environment: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> HttpConnector:
    """The connector of a document, whose secrets and settings are in `environment`."""
    around = environment or {}
    return HttpConnector(read_connector(text), caller, Secrets(None, around), clock or SteadyClock(), around)


@asynccontextmanager
async def packaged(name: str, environment: Mapping[str, str]) -> AsyncIterator[HttpConnector]:
    """A packaged connector that calls over real HTTP; `environment` has its secrets and settings."""
    [document] = [each for each in packaged_documents() if each.name == name]
    outbound = Outbound(allow=["127.0.0.0/8"], timeout_s=60)
    try:
        yield HttpConnector(document, outbound, Secrets(None, environment), SYSTEM_CLOCK, environment)
    finally:
        await outbound.close()
