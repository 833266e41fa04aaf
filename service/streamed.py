"""A request body piece by piece, unpacked where it is gzip, in bounded memory: for what is too large to hold."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.bodies import GZIP, encoded, too_large
from service.problems import Problem

PIECE_BYTES = 64 * 1024
IDLE_S = 60.0
"""A sender that is silent for so long is let go: only so many may send at once."""


async def pieces(request: Request, bytes_max: int) -> AsyncGenerator[bytes, None]:
    """The body in pieces of at most PIECE_BYTES, unpacked. Raises Problem (400, 413, 415), also when it breaks off."""
    packed = encoded(request)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise too_large("The body", bytes_max)
    unpacking = Unpacking() if packed else None
    size = 0
    async for chunk in _chunks(request):
        for piece in _cut(chunk) if unpacking is None else unpacking.feed(chunk):
            size += len(piece)
            if size > bytes_max:
                raise too_large("The body" if unpacking is None else "The unpacked body", bytes_max)
            yield piece
    if unpacking is not None:
        unpacking.end()


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except ClientDisconnect:
            raise Problem(400, "unreadable", "The body broke off.") from None
        except TimeoutError:
            raise Problem(400, "unreadable", f"Nothing came for {IDLE_S:.0f} seconds.") from None
        yield chunk


def _cut(chunk: bytes) -> Iterator[bytes]:
    for at in range(0, len(chunk), PIECE_BYTES):
        yield chunk[at : at + PIECE_BYTES]


class Unpacking:
    """Gzip piece by piece, also of several members one after the other. Raises Problem."""

    def __init__(self) -> None:
        self._reader: zlib._Decompress | None = None

    def feed(self, packed: bytes) -> Iterator[bytes]:
        full = False  # then there may be more to come out, though nothing is left to go in
        try:
            while packed or full:
                if self._reader is None:
                    packed = packed.lstrip(b"\0")  # padding is allowed between and after members
                    if not packed:
                        return
                    self._reader = zlib.decompressobj(GZIP)
                piece = self._reader.decompress(packed, PIECE_BYTES)
                packed, full = self._reader.unconsumed_tail, len(piece) == PIECE_BYTES
                if self._reader.eof:
                    full = False
                    packed, self._reader = self._reader.unused_data, None
                if piece:
                    yield piece
        except zlib.error:
            raise Problem(400, "unreadable", "The body is not gzip, though Content-Encoding says so.") from None

    def end(self) -> None:
        if self._reader is not None:
            raise Problem(400, "unreadable", "The gzip body ends in the middle.")
