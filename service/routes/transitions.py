"""GET /v1/transitions: the feed as server-sent events or page by page, from any position, without a gap.

A stream holds one page and its position, nothing else: it reads the outbox when its client has taken what came before,
so a slow client costs no memory and misses nothing (until the outbox has been trimmed: then it is told).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from consumers.state.feed import FeedItem, FeedPage, PositionInvalid, PositionLost
from rules.errors import Unavailable
from service import examples_feed as examples
from service.guard import With
from service.headers import wait_seconds
from service.params import OPAQUE_CHARS_MAX
from service.problems import Problem, invalid_parameter
from service.wiring import Services

router = APIRouter(prefix="/v1", tags=["transitions"])
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RETRY_MS = 2000
_LOOKED_AT_MAX = 20_000  # transitions, for one page: a filter that lets nothing through ends there, and says `more`
_LOST = b'event: position-lost\ndata: {"detail":"Read the members anew and go on from their position."}\n\n'


From = Annotated[
    str | None,
    Query(alias="from", description="`now`, `start` (the oldest kept), or a position.", max_length=OPAQUE_CHARS_MAX),
]
After = Annotated[
    str | None,
    Query(description="As `from`, but a page is answered.", max_length=OPAQUE_CHARS_MAX),
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
    """What is wanted; nothing named is everything."""

    segments: frozenset[str]
    customers: frozenset[str]
    type: str | None

    def lets(self, item: FeedItem) -> _Head | None:
        """The item's head if it is wanted."""
        head = _head.decode(item.data)
        if self.segments and head.data.segment not in self.segments:
            return None
        if self.customers and head.subject not in self.customers:
            return None
        return head if self.type in (None, head.type) else None


async def _wanted(
    segment: Annotated[list[str], Query(description="Only of this segment; may be repeated.")] = [],  # noqa: B006
    customer: Annotated[list[str], Query(description="Only of this customer; may be repeated.")] = [],  # noqa: B006
    kind: Annotated[Literal["entered", "exited"] | None, Query(description="Only of this kind.")] = None,
) -> Filter:
    return Filter(frozenset(segment), frozenset(customer), None if kind is None else f"segment.{kind}")


@router.get("/transitions", summary="The feed, live (SSE) or page by page", responses=examples.TRANSITIONS)
async def follow_transitions(
    parts: With,
    request: Request,
    wanted: Annotated[Filter, Depends(_wanted)],
    begin: From = None,
    after: After = None,
    limit: Annotated[int | None, Query(description="Transitions in a page at most.", examples=[100])] = None,
    last_event_id: LastEventId = None,
) -> Response:
    """A stream: each transition is an event named `segment.entered` or `segment.exited` whose data is its CloudEvent
    and whose id is the position after it. Reconnect with `Last-Event-ID` (browsers do so by themselves) and nothing is
    missed.

    With `after` or `limit`, and without `Accept: text/event-stream`: a page. Ask with its `after` for the next, at once
    if `more` is true; `Prefer: wait=20` holds an answer that would be empty until there is something.
    """
    if begin is not None and after is not None:
        raise invalid_parameter("after", "says the same as `from`: give one of them")
    if (after is not None or limit is not None) and not _wants_stream(request):
        most = parts.settings.page_size_max
        count = min(parts.settings.page_size_default, most) if limit is None else limit
        if not 1 <= count <= most:
            raise invalid_parameter("limit", f"must be from 1 to {most}")
        return await _page(parts, request, after or begin or "start", wanted, count)
    return await _streamed(parts, last_event_id or after or begin or "now", wanted)


def _wants_stream(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "").lower()


async def _position(parts: Services, begin: str) -> str:
    if begin == "now":
        return await parts.feed.now()
    return await parts.feed.oldest() if begin == "start" else begin


@contextmanager
def _told_as_problems() -> Iterator[None]:
    """What may be wrong with the position that a reader gives."""
    try:
        yield
    except PositionInvalid:
        raise invalid_parameter("from", "is no position of this feed (an id of one of its events)") from None
    except PositionLost:
        raise Problem(410, "position-lost", "Read the members anew and go on from their `position`.") from None


# -- pages ------------------------------------------------------------------------------------------------------------


async def _page(parts: Services, request: Request, begin: str, wanted: Filter, limit: int) -> Response:
    wait_s = wait_seconds(request, parts.settings.wait_seconds_max)
    deadline = time.monotonic() + (wait_s or 0)
    with _told_as_problems():
        position = await _position(parts, begin)
        reading = _Page(parts, wanted, limit)
        position = await reading.read(position)
        while not reading.found and not reading.more and (left := deadline - time.monotonic()) > 0:
            page = await _until(parts, position, left)
            if parts.closing.is_set():
                break
            position = await reading.take(page)
    body = b'{"transitions":[%b],"after":"%b","more":%b}'
    content = body % (b",".join(reading.found), position.encode(), b"true" if reading.more else b"false")
    headers = {"Preference-Applied": "wait"} if wait_s is not None and reading.found else {}
    return Response(content, 200, headers, "application/json")


class _Page:
    """One page while it is put together. `more`: it ended before the feed did."""

    def __init__(self, parts: Services, wanted: Filter, limit: int) -> None:
        self.found: list[bytes] = []
        self.more = False
        self._parts, self._wanted, self._limit = parts, wanted, limit
        self._looked_at = 0

    async def read(self, position: str) -> str:
        """Until the page is full, the feed at its end, or enough has been looked at; the position after that."""
        while not self.more:
            page = await self._parts.feed.read(position, self._parts.settings.feed_batch)
            if not page.items:
                return page.position
            position = await self.take(page)
        return position

    async def take(self, page: FeedPage) -> str:
        """What of `page` is wanted and has room; the position after what was looked at."""
        for at, item in enumerate(page.items):
            if self._wanted.lets(item) is None:
                continue
            self.found.append(item.data)
            if len(self.found) == self._limit:
                rest = page.items[at + 1 :] or (await self._parts.feed.read(item.position, 1)).items
                self.more = bool(rest)
                if rest or item is not page.items[-1]:
                    return item.position
                return page.position
        self._looked_at += len(page.items)
        self.more = self.more or self._looked_at >= _LOOKED_AT_MAX
        return page.position


# -- streams ----------------------------------------------------------------------------------------------------------


async def _streamed(parts: Services, begin: str, wanted: Filter) -> Response:
    if parts.streams >= parts.settings.feed_clients_max:
        raise Problem(503, "unavailable", "As many streams as may be are open.", headers={"Retry-After": "10"})
    with _told_as_problems():
        first = await _first(parts, begin)
    body = _stream(parts, first, wanted)
    return StreamingResponse(body, media_type="text/event-stream", headers=_HEADERS)


async def _first(parts: Services, begin: str) -> FeedPage:
    """What there is already after the position asked for; says what is wrong with it before anything is streamed."""
    position = await _position(parts, begin)
    return FeedPage([], position) if begin == "now" else await parts.feed.read(position, parts.settings.feed_batch)


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
                page = await _until(parts, page.position, parts.settings.feed_heartbeat_seconds)
            except Unavailable as error:
                yield b": the store is away; waiting\n\n"
                await asyncio.sleep(error.retry_after_s)
    except PositionLost:
        yield _LOST
    finally:
        parts.streams -= 1
        parts.metrics.http.streams.dec()


async def _until(parts: Services, position: str, wait_s: float) -> FeedPage:
    """The next page; an empty one after so many seconds, or at once when the service ends."""
    reading = asyncio.ensure_future(parts.feed.wait(position, parts.settings.feed_batch, round(wait_s * 1000)))
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
    head = wanted.lets(item)
    if head is None:
        return None
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (item.position.encode(), head.type.encode(), item.data)


def _alive(position: str) -> bytes:
    """A comment that keeps the line open; clients resume from its id even if nothing of theirs came by."""
    return b": on\nid: %b\n\n" % position.encode()
