"""For whoever runs the service: is it alive, can it work, how far is it behind, and what did it count."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from consumers.state.reads import PartitionStatus
from rules.errors import Unavailable
from service import examples
from service.answers import answer, instant
from service.guard import With
from service.metrics import CONTENT_TYPE
from service.problems import Problem
from service.wiring import Services

health = APIRouter(tags=["operations"])
status = APIRouter(tags=["operations"])


@health.get("/healthz", summary="Alive", responses=examples.HEALTHZ)
async def healthz() -> Response:
    """The process answers; nothing else is looked at."""
    return answer({"status": "ok"})


@health.get("/readyz", summary="Able to work", responses=examples.READYZ)
async def readyz(parts: With) -> Response:
    """200, or 503 with every reason."""
    reasons, _ = await _readiness(parts)
    if reasons:
        raise Problem(503, "unavailable", "; ".join(reasons), headers={"Retry-After": "2"}, reasons=reasons)
    return answer({"status": "ready"})


@status.get("/metrics", summary="Prometheus", responses=examples.METRICS)
async def metrics(parts: With) -> Response:
    """In Prometheus's text format; labels hold no customers."""
    return Response(parts.metrics.text(), 200, media_type=CONTENT_TYPE)


@status.get("/v1/status", summary="How far each partition is", responses=examples.STATUS)
async def get_status(parts: With) -> Response:
    """Lag, clock and progress of every partition, and whether the service is ready."""
    reasons, partitions = await _readiness(parts)
    if partitions is None:
        raise Unavailable(reasons[0], parts.settings.retry_after_seconds)
    return answer(
        {
            "ready": not reasons,
            "reasons": reasons,
            "segments": len((await parts.registry.snapshot()).entries),
            "customers": sum(each.customers for each in partitions),
            "lag_records": sum(each.lag_records for each in partitions),
            "clock_lag_ms": max((each.clock_lag_ms for each in partitions), default=0),
            "dead_letters": sum(each.dead_letters for each in partitions),
            "streams": parts.streams,
            "partitions": [_told(each) for each in partitions],
        }
    )


async def _readiness(parts: Services) -> tuple[list[str], list[PartitionStatus] | None]:
    """Why this process cannot do its work ([]: it can), and the partitions (None: the store is away)."""
    if parts.closing.is_set():
        return ["the service is stopping"], None
    try:
        partitions = await parts.reads.status()
    except Unavailable:
        return ["the store is away"], None
    evaluator = parts.evaluator
    if evaluator is None:
        return [], partitions
    if parts.evaluator_failed:
        return ["the evaluator of this process has ended"], partitions
    if not evaluator.ready:
        return [f"the evaluator: {evaluator.reason}"], partitions
    return [], partitions


def _told(each: PartitionStatus) -> dict[str, Any]:
    """Offsets as text: they exceed what JavaScript's numbers hold exactly."""
    return {
        "partition": each.partition,
        "owner": each.owner or None,
        "epoch": each.epoch,
        "commit": each.commit,
        "position": str(each.position),
        "log_end": str(each.log_end),
        "lag_records": each.lag_records,
        "clock": instant(each.clock) if each.clock else None,
        "clock_lag_ms": each.clock_lag_ms,
        "customers": each.customers,
        "judged": each.judged,
        "timers": each.timers,
        "timers_due": each.timers_due,
        "next_due": instant(each.next_due),
        "edition": each.edition,
        "dead_letters": each.dead_letters,
    }
