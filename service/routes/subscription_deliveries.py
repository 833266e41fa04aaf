"""What was delivered to a subscription, what was not, and how it is delivered again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from consumers.delivery.jobs import Job, JobReport
from consumers.delivery.reads import LogEntry, LogOutcome, PendingItem
from consumers.state.cursors import CursorInvalid
from consumers.state.feed import PositionInvalid, read_position
from consumers.webhooks.registry import Subscription
from rules.errors import EventRejected
from rules.events import check_instant
from rules.times import format_instant
from service import examples_subscriptions as examples
from service.answers import answer, instant
from service.cursors import bad_cursor
from service.guard import Caller, With
from service.params import Cursor, Limit, decoded
from service.problems import Problem, invalid_parameter
from service.routes.subscriptions import SubscriptionId
from service.subscriptions import known, read_json, webhook_settings

_PREFIX = "/v1/subscriptions/{subscription}"
reads = APIRouter(prefix=_PREFIX, tags=["subscriptions"])
changes = APIRouter(prefix=_PREFIX, tags=["subscriptions"])

_BAD: Sequence[LogOutcome] = ("failed", "refused", "gone", "given_up", "lost")


async def _item(
    item: Annotated[str, Path(description="The id of what was delivered.", examples=[examples.ITEM])],
) -> str:
    return decoded(item)


ItemId = Annotated[str, Depends(_item)]


@reads.get("/deliveries", summary="What was delivered, newest first", responses=examples.DELIVERIES)
async def list_deliveries(
    parts: With,
    subscription: SubscriptionId,
    limit: Limit,
    cursor: Cursor = None,
    show: Annotated[
        Literal["all", "failed", "failing", "given_up"],
        Query(
            description="`all` attempts, the `failed` ones, or what is not delivered: `failing` (tried again) and "
            "`given_up`."
        ),
    ] = "all",
    item: Annotated[str | None, Query(description="Only the attempts of one id.", max_length=1000)] = None,
) -> Response:
    """The newest attempts (1,000 a partition are kept), or with `show=failing` and `show=given_up` what is not
    delivered, with its last error. Several attempts of one id are one delivery tried again."""
    target = (await known(parts, subscription)).target
    if item is not None:
        return answer({"deliveries": [_attempt(each) for each in await parts.deliveries.item_log(target, item)]})
    try:
        if show in ("failing", "given_up"):
            read = parts.deliveries.failing if show == "failing" else parts.deliveries.dead
            page = await read(target, limit, cursor)
            return answer({"deliveries": [_pending(each) for each in page.items], "cursor": page.cursor})
        outcomes = _BAD if show == "failed" else ()
        log = await parts.deliveries.log(target, limit, cursor, outcomes)
    except CursorInvalid:
        raise bad_cursor() from None
    return answer({"deliveries": [_attempt(each) for each in log.entries], "cursor": log.cursor})


@changes.post("/deliveries/{item}/resend", summary="Deliver one again", status_code=202, responses=examples.START_JOB)
async def resend(parts: With, subscription: SubscriptionId, item: ItemId, by: Caller) -> Response:
    """One that was given up, or any that the log still has; under the same id, so that a receiver knows it again."""
    entry = await known(parts, subscription)
    return _begun(entry, await parts.jobs.start("resend", entry.target, item_id=item, by=by))


@changes.post(
    "/replay",
    summary="Deliver again what was given up, or from a point on",
    status_code=202,
    responses=examples.START_JOB,
    openapi_extra=examples.REPLAY_BODY,
)
async def replay(parts: With, subscription: SubscriptionId, request: Request, by: Caller) -> Response:
    """`{"failed": true}`: all that was given up. `{"from": instant}`, `{"from_number": n, "partition": p}` or
    `{"after": position}`: all that the subscription wants of the feed from there to where it is now, as far as the feed
    reaches back. `{"id": id}`: one. Ids are the same as the first time."""
    raw = await read_json(request)
    kind, more = _asked(raw, parts.log.partitions)

    entry = await known(parts, subscription)
    if kind == "replay" and entry.skip_to:  # what was left out by `resume?from=now` is asked for after all
        await parts.subscriptions.change(subscription, lambda old: msgspec.structs.replace(old, skip_to=""))
        await asyncio.sleep(2 * webhook_settings(parts.settings).poll_s)  # until those who deliver have seen it
    return _begun(entry, await parts.jobs.start(kind, entry.target, by=by, **more))


@reads.get("/jobs", summary="What was begun to deliver again, newest first", responses=examples.JOBS)
async def list_jobs(parts: With, subscription: SubscriptionId, limit: Limit) -> Response:
    entry = await known(parts, subscription)
    return answer({"jobs": [_report(each) for each in await parts.jobs.list(entry.target, limit)]})


@reads.get("/jobs/{job}", summary="How far a job is", responses=examples.JOB)
async def get_job(parts: With, subscription: SubscriptionId, job: str) -> Response:
    return answer(_report(await _job(parts, await known(parts, subscription), job)))


@changes.post("/jobs/{job}/stop", summary="Stop a job", responses=examples.JOB)
async def stop_job(parts: With, subscription: SubscriptionId, job: str) -> Response:
    """Nothing more of it is called; calls that are under way end as they end."""
    report = await _job(parts, await known(parts, subscription), job)
    return answer(_report(await parts.jobs.stop(job) or report))


async def _job(parts: With, entry: Subscription, job: str) -> JobReport:
    report = await parts.jobs.get(job)
    if report is None or report.job.target != entry.target:
        raise Problem(404, "no-job", f"This subscription has no job {job!r}.")
    return report


def _asked(raw: Any, partitions: int) -> tuple[Literal["replay", "resend"], Mapping[str, Any]]:
    """The kind of job that a replay's body asks for, and its arguments. Raises Problem."""
    match raw:
        case {"failed": True, **rest} if not rest:
            return "resend", {}
        case {"id": str(item), **rest} if not rest and item:
            return "resend", {"item_id": item}
        case {"from": since, **rest} if not rest:
            try:
                return "replay", {"from_ms": check_instant(since, "from")}
            except EventRejected as error:
                raise invalid_parameter("from", error.reason) from None
        case {"after": str(position), **rest} if not rest:
            try:
                read_position(position, partitions)
            except PositionInvalid as error:
                raise invalid_parameter("after", str(error)) from None
            return "replay", {"after": position}
        case {"from_number": int(number), "partition": int(partition), **rest} if not rest and number >= 1:
            if not 0 <= partition < partitions:
                raise invalid_parameter("partition", f"must be from 0 to {partitions - 1}")
            return "replay", {"from_number": number, "partition": partition}
    raise invalid_parameter(
        "body",
        'must be one of {"failed": true}, {"id": "..."}, {"from": "2026-11-20T09:00:00Z"}, {"after": "<position>"} '
        'and {"from_number": 1, "partition": 0}',
    )


def _begun(entry: Subscription, job: Job) -> Response:
    told = {"id": job.id, "kind": job.kind, "state": "running", "created_at": format_instant(job.created_ms)}
    return answer(told, 202, {"Location": f"/v1/subscriptions/{entry.id}/jobs/{job.id}"})


def _report(report: JobReport) -> dict[str, Any]:
    job = report.job
    return {
        "id": job.id,
        "kind": job.kind,
        "state": report.state,
        "by": job.by or None,
        "created_at": format_instant(job.created_ms),
        "ended_at": instant(report.ended_ms or None),
        "listed": report.listed,
        "found": report.found,
        "queued": report.queued,
        "done": report.done,
        "failed": report.failed,
        "dropped": report.dropped,
    }


def _attempt(entry: LogEntry) -> dict[str, Any]:
    return {
        "at": format_instant(entry.at_ms),
        "outcome": entry.outcome,
        "id": entry.item_id or None,
        "kind": entry.kind,
        "segment": entry.segment or None,
        "customer_id": entry.customer_id or None,
        "attempt": entry.attempt,
        "status": entry.status or None,
        "detail": entry.detail,
        "took_ms": entry.took_ms,
        "next_attempt_at": instant(entry.next_ms or None),
        "job": entry.job or None,
        "count": entry.count,
    }


def _pending(item: PendingItem) -> dict[str, Any]:
    return {
        "id": item.item_id,
        "kind": item.kind,
        "segment": item.segment or None,
        "customer_id": item.customer_id or None,
        "time": format_instant(item.time_ms),
        "attempts": item.attempts,
        "first_at": instant(item.first_ms or None),
        "last_at": instant(item.last_ms or None),
        "next_attempt_at": instant(item.next_ms or None),
        "status": item.status or None,
        "detail": item.error,
        "job": item.job or None,
    }
