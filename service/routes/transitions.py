"""GET /v1/transitions: the feed as server-sent events, from any position, without a gap.

A stream holds one page and its position, nothing else: it reads the outbox when its client has taken what came before,
so a slow client costs no memory and misses nothing (until the outbox has been trimmed: then it is told).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from consumers.state.feed import FeedItem, FeedPage, PositionInvalid, PositionLost
from rules.errors import Unavailable
from service import examples
from service.guard import With
from service.params import OPAQUE_CHARS_MAX
from service.problems import Problem, invalid_parameter
from service.wiring import Services

router = APIRouter(prefix="/v1", tags=["transitions"])
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RETRY_MS = 2000
_LOST = b'event: position-lost\ndata: {"detail":"Read the members anew and go on from their position."}\n\n'


From = Annotated[
    str,
    Query(alias="from", description="`now`, `start` (the oldest kept), or a position.", max_length=OPAQUE_CHARS_MAX),
]
LastEventId = Annotated[str | None, Header(description="Where the stream broke off.", max_length=OPAQUE_CHARS_MAX)]


class _Data(msgspec.Struct):
    segment: str


class _Head(msgspec.Struct):
    """What the stream itself needs of a CloudEvent."""

    type: str
    subject: str
    data: _Data


_head = msgspec.json.Decoder(_Head)


class Filter(msgspec.Struct, frozen=True):
    segment: str | None
    customer: str | None

    def lets(self, head: _Head) -> bool:
        return self.segment in (None, head.data.segment) and self.customer in (None, head.subject)


@router.get("/transitions", summary="The live feed (SSE)", responses=examples.TRANSITIONS)
async def stream_transitions(
    parts: With,
    begin: From = "now",
    segment: Annotated[str | None, Query(description="Only of this segment.")] = None,
    customer: Annotated[str | None, Query(description="Only of this customer.")] = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Each transition is an event named `segment.entered` or `segment.exited` whose data is its CloudEvent and whose id
    is the position after it. Reconnect with `Last-Event-ID` (browsers do so by themselves) and nothing is missed.
    """
    if parts.streams >= parts.settings.feed_clients_max:
        raise Problem(503, "unavailable", "As many streams as may be are open.", headers={"Retry-After": "10"})
    first = await _first(parts, last_event_id or begin)
    body = _stream(parts, first, Filter(segment, customer))
    return StreamingResponse(body, media_type="text/event-stream", headers=_HEADERS)


async def _first(parts: Services, begin: str) -> FeedPage:
    """What there is already after the position asked for; says what is wrong with it before anything is streamed."""
    try:
        if begin == "now":
            return FeedPage([], await parts.feed.now())
        position = await parts.feed.oldest() if begin == "start" else begin
        return await parts.feed.read(position, parts.settings.feed_batch)
    except PositionInvalid:
        raise invalid_parameter("from", "is no position of this feed (an id of one of its events)") from None
    except PositionLost:
        raise Problem(410, "position-lost", "Read the members anew and go on from their `position`.") from None


async def _stream(parts: Services, page: FeedPage, wanted: Filter) -> AsyncIterator[bytes]:
    parts.streams += 1
    parts.metrics.http.streams.inc()
    try:
        yield b"retry: %d\n: segmentd\n\n" % _RETRY_MS
        while not parts.closing.is_set():
            for item in page.items:
                if (told := _told(item, wanted)) is not None:
                    yield told
            yield _alive(page.position)
            try:
                page = await _next(parts, page.position)
            except Unavailable as error:
                yield b": the store is away; waiting\n\n"
                await asyncio.sleep(error.retry_after_s)
    except PositionLost:
        yield _LOST
    finally:
        parts.streams -= 1
        parts.metrics.http.streams.dec()


async def _next(parts: Services, position: str) -> FeedPage:
    """The next page; an empty one after a heartbeat's time, or at once when the service ends."""
    wait_ms = round(parts.settings.feed_heartbeat_seconds * 1000)
    reading = asyncio.ensure_future(parts.feed.wait(position, parts.settings.feed_batch, wait_ms))
    closing = asyncio.ensure_future(parts.closing.wait())
    try:
        await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else FeedPage([], position)
    finally:
        for task in (reading, closing):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


def _told(item: FeedItem, wanted: Filter) -> bytes | None:
    head = _head.decode(item.data)
    if not wanted.lets(head):
        return None
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (item.position.encode(), head.type.encode(), item.data)


def _alive(position: str) -> bytes:
    """A comment that keeps the line open; clients resume from its id even if nothing of theirs came by."""
    return b": on\nid: %b\n\n" % position.encode()
