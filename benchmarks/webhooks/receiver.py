"""Who is called: an HTTP server of the least kind, which notes when each customer's call came."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator

import msgspec

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HANG = "/hang"


class _Body(msgspec.Struct):
    """Of a CloudEvent `subject`, of an event `customer_id`."""

    subject: str = ""
    customer_id: str = ""


_BODY = msgspec.json.Decoder(_Body)


class Receiver:
    """`came`: customer -> steady seconds at the first call; `calls`: how many there were. A path that begins with
    `/hang` is never answered."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.calls = self.hanging = 0
        self.url = ""
        self.writers: set[asyncio.StreamWriter] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = _BODY.decode(await reader.readexactly(int(length[1]) if length else 0))
                if head.startswith(b"POST " + HANG.encode()):
                    self.hanging += 1
                    await reader.read()  # until the caller has had enough
                    break
                self.calls += 1
                self.came.setdefault(body.subject or body.customer_id, time.perf_counter())
                writer.write(_ANSWER)
        self.writers.discard(writer)
        writer.close()


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    server = await asyncio.start_server(found._serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found
        for writer in list(found.writers):  # newer Pythons wait for those that are still open
            writer.close()
