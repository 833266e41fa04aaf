"""POST /v1/events: the way in for whoever does not write to the log directly."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from rules.events import Event, EventLimits
from rules.records import BodyUnreadable, Rejection, decode_batch
from service import examples
from service.answers import answer
from service.bodies import read_body
from service.guard import With
from service.headers import wait_seconds
from service.ingest import append, applied
from service.problems import Problem
from service.wiring import Services

router = APIRouter(prefix="/v1", tags=["events"])
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines")
_FIELDS = ("id", "type", "customer_id", "ts", "properties")
_OFF_LOOP_BYTES = 512 * 1024  # reading more than that takes tens of milliseconds
_REJECTIONS_TOLD_MAX = 1000


@router.post(
    "/events",
    summary="Send events",
    status_code=202,
    responses=examples.POST_EVENTS,
    openapi_extra=examples.EVENTS_BODY,
)
async def post_events(parts: With, request: Request) -> Response:
    """One event, an array of them, or one a line (`application/x-ndjson`), optionally gzip.

    202 comes after the log has them durably; each bad event is told with its `index` and does not keep the others
    out. Sending the same again is harmless: an event counts once by its `id` and `type`. `Prefer: wait=5` holds the
    answer until the evaluators have applied them (`applied` says whether they had).
    """
    body = await read_body(request, parts.settings.body_bytes_max, parts.settings.body_unpacked_bytes_max)
    parts.metrics.ingest.received(len(body))
    found = await _decoded(parts, request, body)
    events = [each for each in found if isinstance(each, Event)]
    rejected = [each for each in found if isinstance(each, Rejection)]
    for rejection in rejected:
        parts.metrics.ingest.rejected(_reason(rejection))
    told = [asdict(rejection) for rejection in rejected[:_REJECTIONS_TOLD_MAX]]
    if not events:
        detail = f"None of {len(rejected)} events could be taken." if rejected else "There is no event in the body."
        raise Problem(422, "events-rejected", detail, accepted=0, rejected=told, rejected_total=len(rejected))
    last = await append(parts, events)
    more, headers = await applied(parts, last, wait_seconds(request, parts.settings.wait_seconds_max))
    content = {"accepted": len(events), "rejected": told}
    if len(rejected) > len(told):
        content["rejected_total"] = len(rejected)
    return answer({**content, **more}, 202, headers)


async def _decoded(parts: Services, request: Request, body: bytes) -> list[Event | Rejection]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limits = EventLimits(age_ms=parts.settings.event_age_ms_max)
    now_ms = time.time_ns() // 1_000_000
    arguments = (body, now_ms, limits, True if media in _NDJSON else None)
    try:
        if len(body) < _OFF_LOOP_BYTES:
            found = decode_batch(*arguments)
        else:
            found = await asyncio.to_thread(decode_batch, *arguments)
    except BodyUnreadable as error:
        raise Problem(400, "unreadable", f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    most = parts.settings.events_per_request_max
    if len(found) > most:
        raise Problem(413, "too-large", f"At most {most} events can come in one request.", limit_events=most)
    return found


def _reason(rejection: Rejection) -> str:
    """The field at fault; `event` for the event as a whole. Never what was sent."""
    field = rejection.error.partition(":")[0].partition(".")[0].partition("[")[0]
    return field if field in _FIELDS else "event"
