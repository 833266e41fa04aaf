"""What tests of webhooks need: a clock that stands still, a receiver, and what is delivered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson

from consumers.delivery.port import Item, Kind
from tests.consumers.outbound.servers import read_request, server

SECRET_URL = "https://hooks.example.com/segmentd"
DAY_MS = 86_400_000


class FakeClock:
    """Moves when it is told to."""

    def __init__(self, now_ms: int = 1_795_000_000_000) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


def item(
    kind: Kind = "entered",
    *,
    segment: str = "vip",
    customer: str = "13748",
    number: int = 7,
    cause: str = "event",
    **more: object,
) -> Item:
    """A transition as the engine gives it to a target."""
    item_id = f"{segment}:{customer}:1"
    data = {"specversion": "1.0", "id": item_id, "type": f"segment.{kind}", "data": {"customer_id": customer, **more}}
    return Item(item_id, kind, 0, customer, segment, cause, 1, 1_795_000_000_000, number, orjson.dumps(data))


class Receiver:
    """Takes deliveries on a port of its own and answers each with the next of `answers` (then 204)."""

    def __init__(self) -> None:
        self.port = 0
        self.answers: list[bytes] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def say(self, status: int, *headers: str, body: str = "") -> None:
        lines = [f"HTTP/1.1 {status} So", *headers, f"content-length: {len(body)}", "", body]
        self.answers.append("\r\n".join(lines).encode())

    async def behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, headers, body = await read_request(reader)
            self.taken.append((headers, body))
            writer.write(self.answers.pop(0) if self.answers else b"HTTP/1.1 204 Taken\r\n\r\n")
            await writer.drain()


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with server(made.behave) as port:
        made.port = port
        yield made
