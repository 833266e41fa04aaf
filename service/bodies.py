"""Reading request bodies within bounds: as sent, and as unpacked. What cannot be read is a 400, 413 or 415."""

from __future__ import annotations

import asyncio
import zlib

from fastapi import Request

from service.problems import Problem
from service.settings import MIB

GZIP = 31  # zlib's wbits: the gzip format only
_OFF_LOOP_BYTES = 256 * 1024  # unpacking more than that takes milliseconds that others would wait for


async def read_body(request: Request, bytes_max: int, unpacked_bytes_max: int) -> bytes:
    """The whole body, unpacked where `Content-Encoding` says gzip. Raises Problem."""
    packed = encoded(request)
    body = await _read(request, bytes_max)
    if not packed:
        return body
    if len(body) < _OFF_LOOP_BYTES:
        return unpack(body, unpacked_bytes_max)
    return await asyncio.to_thread(unpack, body, unpacked_bytes_max)


def encoded(request: Request) -> bool:
    """Whether the body is gzip. Raises Problem for any other encoding."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise Problem(
            415,
            "unsupported-media",
            "Content-Encoding: only gzip is understood, or none.",
            headers={"Accept-Encoding": "gzip"},
        )
    return encoding not in ("identity", "")


async def _read(request: Request, bytes_max: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise too_large("The body", bytes_max)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            raise too_large("The body", bytes_max)
        chunks.append(chunk)
    return b"".join(chunks)


def unpack(packed: bytes, bytes_max: int) -> bytes:
    """Gzip, also of several members one after the other, never more than `bytes_max` out. Raises Problem.

    >>> import gzip
    >>> unpack(gzip.compress(b"a") + gzip.compress(b"b"), 10)
    b'ab'
    """
    out: list[bytes] = []
    left = bytes_max
    rest = packed
    try:
        while rest:
            reader = zlib.decompressobj(GZIP)
            piece = reader.decompress(rest, left + 1)
            left -= len(piece)
            if left < 0:
                raise too_large("The unpacked body", bytes_max)
            if not reader.eof:
                raise Problem(400, "unreadable", "The gzip body ends in the middle.")
            out.append(piece)
            rest = reader.unused_data.lstrip(b"\0")  # padding is allowed between and after members
    except zlib.error:
        raise Problem(400, "unreadable", "The body is not gzip, though Content-Encoding says so.") from None
    return b"".join(out)


def too_large(what: str, bytes_max: int) -> Problem:
    size = f"{bytes_max // MIB} MiB" if bytes_max >= MIB else f"{bytes_max} bytes"
    return Problem(413, "too-large", f"{what} has more than {size}; send it in parts.", limit_bytes=bytes_max)
