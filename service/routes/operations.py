"""For whoever runs the service: is it alive, can it work, how far is it behind, and what did it count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Response

from consumers.state.dead_letter_box import StoreDeadLetters
from consumers.state.reads import CursorInvalid, PartitionStatus
from rules.errors import Unavailable
from service import dead_letters as letters
from service import examples
from service.answers import answer, instant
from service.cursors import bad_cursor
from service.guard import With, WithProcess
from service.metrics import CONTENT_TYPE
from service.params import Cursor, Limit
from service.problems import Problem
from service.wiring import Services

health = APIRouter(tags=["operations"])
metrics = APIRouter(tags=["operations"])
status = APIRouter(tags=["operations"])
dead_letters = APIRouter(tags=["operations"])


@health.get("/healthz", summary="Alive", responses=examples.HEALTHZ)
async def healthz() -> Response:
    """The process answers; nothing else is looked at."""
    return answer({"status": "ok"})


@health.get("/readyz", summary="Able to work", responses=examples.READYZ)
async def readyz(process: WithProcess) -> Response:
    """200, with what a person should look at all the same; or 503 with every reason."""
    found = await process.readiness()
    if found.reasons:
        more = {"reasons": found.reasons, "warnings": found.warnings}
        raise Problem(503, "unavailable", "; ".join(found.reasons), headers={"Retry-After": "2"}, **more)
    return answer({"status": "ready", "warnings": found.warnings})


@metrics.get("/metrics", summary="Prometheus", responses=examples.METRICS)
async def get_metrics(process: WithProcess) -> Response:
    """In Prometheus's text format; labels hold no customers."""
    found = await process.readiness()
    process.metrics.readiness.ready(not found.reasons, len(found.warnings), found.without_owner)
    return Response(process.metrics.text(), 200, media_type=CONTENT_TYPE)


@status.get("/v1/status", summary="How far each partition is", responses=examples.STATUS)
async def get_status(parts: With) -> Response:
    """Lag, clock and progress of every partition, whether this process is ready, and what else is wrong."""
    reasons, warnings, partitions = await parts.readiness()
    if partitions is None:
        raise Unavailable(reasons[0], parts.settings.retry_after_seconds)
    return answer(
        {
            "ready": not reasons,
            "reasons": reasons,
            "warnings": warnings,
            "segments": len((await parts.registry.snapshot()).entries),
            "customers": sum(each.customers for each in partitions),
            "lag_records": _sum(each.lag_records for each in partitions),
            "clock_lag_ms": _max(each.clock_lag_ms for each in partitions),
            "relay_lag": _sum(each.relay_lag for each in partitions),
            "dead_letters": _sum(_in_store(parts, each) for each in partitions),
            "streams": parts.streams,
            "partitions": [_told(each) | {"dead_letters": _in_store(parts, each)} for each in partitions],
        }
    )


@dead_letters.get("/v1/dead-letters", summary="Records that could not be taken", responses=examples.DEAD_LETTERS)
async def list_dead_letters(parts: With, limit: Limit, cursor: Cursor = None) -> Response:
    """Newest first: the reason, where the record stood, and its bytes as they came. They may hold personal data."""
    try:
        page = await letters.page_of(parts.letters, limit, cursor)
    except CursorInvalid:
        raise bad_cursor() from None
    return answer({"dead_letters": [letters.told(each) for each in page.letters], "cursor": page.cursor})


def _sum(values: Iterable[int | None]) -> int | None:
    """None as soon as one is not known."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _max(values: Iterable[int | None]) -> int | None:
    """The same of the greatest."""
    found = list(values)
    known = [value for value in found if value is not None]
    return max(known, default=0) if len(known) == len(found) else None


def _told(each: PartitionStatus) -> dict[str, Any]:
    """Offsets as text: they exceed what JavaScript's numbers hold exactly."""
    return {
        "partition": each.partition,
        "owner": each.owner or None,
        "owner_seen": instant(each.seen) if each.seen else None,
        "trouble": each.trouble or None,
        "recovering": each.recovering,
        "epoch": each.epoch,
        "commit": each.commit,
        "position": str(each.position),
        "log_end": None if each.log_end is None else str(each.log_end),
        "lag_records": each.lag_records,
        "clock": instant(each.clock) if each.clock else None,
        "clock_lag_ms": each.clock_lag_ms,
        "relay_lag": each.relay_lag,
        "customers": each.customers,
        "judged": each.judged,
        "timers": each.timers,
        "timers_due": each.timers_due,
        "next_due": instant(each.next_due),
        "edition": each.edition,
        "gaps": [{"after": str(gap.position), "to": str(gap.to), "accepted": instant(gap.at_ms)} for gap in each.gaps],
    }


def _in_store(parts: Services, each: PartitionStatus) -> int | None:
    """Dead letters, where the store has them; a topic is not counted."""
    return each.dead_letters if isinstance(parts.letters, StoreDeadLetters) else None
