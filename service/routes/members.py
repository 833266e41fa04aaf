"""Members of a segment: who is in, and adding or removing somebody by hand."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from consumers.state.reads import CursorInvalid
from rules.errors import EventRejected
from rules.events import check_instant
from rules.times import format_instant
from service import examples
from service.answers import answer
from service.bodies import read_body
from service.by_hand import Change
from service.cursors import bad_cursor
from service.guard import Caller, With
from service.headers import wait_seconds
from service.ingest import append, applied
from service.params import Cursor, CustomerId, IdempotencyKey, Limit, SegmentId
from service.problems import Problem, invalid_parameter
from service.segments import known
from service.settings import KIB

reads = APIRouter(prefix="/v1/segments/{segment}/members", tags=["members"])
changes = APIRouter(prefix="/v1/segments/{segment}/members", tags=["members"])

Until = Annotated[str | None, Query(description="RFC 3339: from then on the rule decides again.")]
_BODY_BYTES_MAX = 4 * KIB


@reads.get("", summary="Members, newest first", responses=examples.LIST_MEMBERS)
async def list_members(parts: With, segment: SegmentId, limit: Limit, cursor: Cursor = None) -> Response:
    """With `since`. `position` is where `GET /v1/transitions?from=<position>` goes on without a gap."""
    await known(parts, segment)
    try:
        page = await parts.reads.members(segment, limit, cursor)
    except CursorInvalid:
        raise bad_cursor() from None
    members = [{"customer_id": member.customer_id, "since": format_instant(member.since)} for member in page.members]
    return answer({"members": members, "cursor": page.cursor, "position": page.position})


@changes.put(
    "/{customer}",
    summary="Add a customer by hand",
    status_code=202,
    responses=examples.CHANGE_MEMBER,
    openapi_extra=examples.UNTIL_BODY,
)
async def add_member(
    parts: With,
    request: Request,
    by: Caller,
    segment: SegmentId,
    customer: CustomerId,
    until: Until = None,
    key: IdempotencyKey = None,
) -> Response:
    """A member whatever the rule says, until removed, cleared or `until` (in the query or as `{"until": ...}`).

    Written to the log like any event, with the name of the token as `by`; `Prefer: wait=5` holds the answer until it
    was applied.
    """
    change = Change(segment, customer, "add", _instant(until) or await _until_in_body(request), by)
    return await _append(parts, request, change, key)


@changes.delete("/{customer}", summary="Remove a customer by hand", status_code=202, responses=examples.CHANGE_MEMBER)
async def remove_member(
    parts: With,
    request: Request,
    by: Caller,
    segment: SegmentId,
    customer: CustomerId,
    until: Until = None,
    clear: Annotated[bool, Query(description="Only end what was set by hand: the rule decides again.")] = False,
    key: IdempotencyKey = None,
) -> Response:
    """Not a member whatever the rule says, until added, cleared or `until`.

    With `?clear=true` nothing is set: what was set by hand ends, and the customer is judged afresh.
    """
    if clear and until is not None:
        raise invalid_parameter("until", "clearing is at once and for good: leave `until` out")
    change = Change(segment, customer, "clear" if clear else "remove", _instant(until), by)
    return await _append(parts, request, change, key)


async def _append(parts: With, request: Request, change: Change, key: str | None) -> Response:
    await known(parts, change.segment)
    now_ns = time.time_ns()
    now_ms = now_ns // 1_000_000
    if change.until is not None and change.until <= now_ms:
        raise invalid_parameter("until", "has passed already")
    event = change.event(change.id(key, now_ns), now_ms)
    last = await append(parts, [event])
    more, headers = await applied(parts, last, wait_seconds(request, parts.settings.wait_seconds_max))
    content = {"event_id": event.id, "customer_id": change.customer, **event.properties, **more}
    return answer(content, 202, headers)


def _instant(text: Any) -> int | None:
    if text is None:
        return None
    try:
        return check_instant(text, "until")
    except EventRejected as error:
        raise invalid_parameter("until", error.reason) from None


async def _until_in_body(request: Request) -> int | None:
    body = await read_body(request, _BODY_BYTES_MAX, _BODY_BYTES_MAX)
    if not body.strip():
        return None
    try:
        content = msgspec.json.decode(body)
    except ValueError:
        raise Problem(400, "unreadable", 'The body is not JSON; it may be empty or {"until": "..."}.') from None
    if not isinstance(content, dict) or set(content) - {"until"}:
        raise invalid_parameter("body", 'may hold only {"until": "..."}')
    return _instant(content.get("until"))
