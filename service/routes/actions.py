"""A segment's actions over HTTP: what they are, their calls, runs over all members, one call tried; and its feed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from consumers.actions.target import Spec
from consumers.delivery.jobs import JobReport
from consumers.delivery.reads import LogEntry, LogOutcome, PendingItem, Standing
from consumers.state.cursors import CursorInvalid
from rules.limits import CUSTOMER_ID_CHARS_MAX
from rules.times import format_instant
from service import examples_actions as examples
from service.actions import (
    Trial,
    action_of,
    all_of,
    begin_run,
    item_of,
    key_of,
    next_run,
    of_document,
    run_of,
    told_outcome,
    try_action,
)
from service.answers import answer, instant
from service.bodies import read_body
from service.cursors import bad_cursor
from service.documents import parse
from service.guard import Caller, With
from service.params import Cursor, IdempotencyKey, Limit, SegmentId, decoded
from service.problems import Problem, invalid_parameter
from service.segment_feed import read_feed
from service.segments import known
from service.settings import MIB

reads = APIRouter(prefix="/v1", tags=["actions"])
changes = APIRouter(prefix="/v1", tags=["actions"])

ActionId = Annotated[str, Path(description="The action's id in its segment.", examples=["welcome"])]
RunId = Annotated[str, Path(description="The run's id.", examples=[examples.RUN_ID])]
_OF_ACTION = "/segments/{segment}/actions/{action}"
_FAILURES_MAX = 100
_BODY_BYTES_MAX = 2 * MIB
_BAD: tuple[LogOutcome, ...] = ("failed", "refused", "gone", "given_up", "lost")


@reads.get("/segments/{segment}/actions", summary="A segment's actions, and how they do", responses=examples.ACTIONS)
async def list_actions(parts: With, segment: SegmentId) -> Response:
    """As its document says them (that is where they are changed), with what is done, waiting and given up."""
    specs = all_of(await known(parts, segment))
    standings = await parts.deliveries.standings([spec.target for spec in specs])
    told = [_action(spec, standing) for spec, standing in zip(specs, standings, strict=True)]
    return answer({"segment": segment, "actions": told})


@reads.get(_OF_ACTION + "/calls", summary="An action's calls, newest first", responses=examples.CALLS)
async def list_calls(
    parts: With,
    segment: SegmentId,
    action: ActionId,
    limit: Limit,
    cursor: Cursor = None,
    state: Annotated[
        Literal["all", "failed", "failing", "given_up"],
        Query(
            description="`all` attempts, the `given_up` calls (also as `failed`), or the `failing` ones, which are "
            "tried again."
        ),
    ] = "all",
) -> Response:
    """The newest attempts (1,000 a partition are kept), or with `state=failed` what was given up, to be sent again by
    `.../calls/{key}/resend`."""
    spec = await action_of(parts, segment, action)
    try:
        if state == "all":
            log = await parts.deliveries.log(spec.target, limit, cursor)
            return answer({"calls": [_attempt(action, each) for each in log.entries], "cursor": log.cursor})
        read = parts.deliveries.failing if state == "failing" else parts.deliveries.dead
        page = await read(spec.target, limit, cursor)
    except CursorInvalid:
        raise bad_cursor() from None
    return answer({"calls": [_pending(action, each) for each in page.items], "cursor": page.cursor})


@changes.post(
    _OF_ACTION + "/calls/{key}/resend", summary="Make a call again", status_code=202, responses=examples.BEGUN
)
async def resend_call(
    parts: With,
    segment: SegmentId,
    action: ActionId,
    key: Annotated[str, Path(description="The call's key, percent-encoded.", examples=[examples.KEY])],
    by: Caller,
) -> Response:
    """One that was given up, under the same key. `all` makes all of them again."""
    spec = await action_of(parts, segment, action)
    wanted = decoded(key)
    item = "" if wanted == "all" else await item_of(parts, spec, wanted)
    job = await parts.jobs.start("resend", spec.target, item_id=item, by=by)
    return answer({"job": job.id, "state": "running", "created_at": format_instant(job.created_ms)}, 202)


@changes.post(_OF_ACTION + "/runs", summary="Run an action over all members", status_code=202, responses=examples.RUN)
async def start_run(
    parts: With, segment: SegmentId, action: ActionId, by: Caller, key: IdempotencyKey = None
) -> Response:
    """A call for each present member, whatever the action is `on`; its `unless`, `limit`, `rate` and `quiet_hours`
    hold, `wait` does not. With an `Idempotency-Key` the same request begins one run."""
    job, members = await begin_run(parts, segment, action, key, by)
    return answer({"run": job.id, "members": members}, 202, {"Location": f"/v1/runs/{job.id}"})


@reads.get("/runs/{run}", summary="How far a run is", responses=examples.RUN_REPORT)
async def get_run(parts: With, run: RunId) -> Response:
    """`members` looked at so far, and of these the calls `queued`, `done`, `failed` and `dropped` (`unless`, a limit,
    left meanwhile). `failures`: the newest that were given up."""
    return answer(await _report(parts, await run_of(parts, run)))


@changes.delete("/runs/{run}", summary="Stop a run", responses=examples.RUN_REPORT)
async def stop_run(parts: With, run: RunId) -> Response:
    """No more calls are made; those under way end as they end."""
    report = await run_of(parts, run)
    return answer(await _report(parts, await parts.jobs.stop(run) or report))


class _Try(msgspec.Struct, forbid_unknown_fields=True):
    customer_id: str
    send: bool = False
    event: dict[str, Any] | None = None
    document: dict[str, Any] | None = None


@changes.post(
    _OF_ACTION + "/try",
    summary="Show what an action would send for one customer",
    responses=examples.TRY,
    openapi_extra=examples.TRY_BODY,
)
async def try_one(parts: With, segment: SegmentId, action: ActionId, request: Request) -> Response:
    """The requests as they would be, secrets masked; with `"send": true` they are sent, once. `event`: of an action
    that waits for one. `document`: one that is not saved yet."""
    asked = _asked(await read_body(request, _BODY_BYTES_MAX, _BODY_BYTES_MAX))
    if asked.document is None:
        spec = await action_of(parts, segment, action)
    else:
        document = parse(msgspec.json.encode(asked.document), "application/json")
        spec = await of_document(parts, document.segment, segment, action)
    return answer(_tried(spec, await try_action(parts, spec, asked.customer_id, asked.event, send=asked.send)))


def _asked(body: bytes) -> _Try:
    try:
        asked = msgspec.json.decode(body, type=_Try)
    except msgspec.ValidationError as error:
        raise invalid_parameter("body", str(error)) from None
    except ValueError:
        raise Problem(400, "unreadable", 'The body is not JSON, as {"customer_id": "13748"}.') from None
    if not 1 <= len(asked.customer_id) <= CUSTOMER_ID_CHARS_MAX:
        raise invalid_parameter("customer_id", f"a customer's id has 1 to {CUSTOMER_ID_CHARS_MAX} characters")
    return asked


@reads.get("/segments/{segment}/feed", summary="What happened in a segment, newest first", responses=examples.FEED)
async def get_feed(parts: With, segment: SegmentId, limit: Limit, cursor: Cursor = None) -> Response:
    """Who `entered` and `exited` and why (`by` whom, where it was by hand), who `edited` the document, and what was
    `called`. A page may be short while `cursor` is not null: then more is further back."""
    return answer(await read_feed(parts, await known(parts, segment), limit, cursor))


# -- how it is told ---------------------------------------------------------------------------------------------------


def _action(spec: Spec, standing: Standing) -> dict[str, Any]:
    return {
        "id": spec.action.id,
        "use": spec.action.use,
        "active": spec.active,
        "next_run_at": instant(next_run(spec)),
        "waiting": standing.waiting,
        "failing": standing.failing,
        "done": standing.done,
        "dropped": standing.dropped,
        "failed_attempts": standing.failed,
        "given_up": standing.dead,
        "lost": standing.lost,
        "last_done_at": instant(standing.last_done_ms or None),
        "last_failed_at": instant(standing.last_failed_ms or None),
    }


def _attempt(action: str, entry: LogEntry) -> dict[str, Any]:
    return {
        "key": key_of(action, entry.item_id),
        "customer_id": entry.customer_id or None,
        "at": format_instant(entry.at_ms),
        "outcome": entry.outcome,
        "attempt": entry.attempt,
        "status": entry.status or None,
        "detail": entry.detail,
        "took_ms": entry.took_ms,
        "next_attempt_at": instant(entry.next_ms or None),
        "run": entry.job or None,
    }


def _pending(action: str, item: PendingItem) -> dict[str, Any]:
    return {
        "key": key_of(action, item.item_id),
        "customer_id": item.customer_id,
        "at": format_instant(item.last_ms or item.time_ms),
        "attempts": item.attempts,
        "status": item.status or None,
        "detail": item.error,
        "next_attempt_at": instant(item.next_ms or None),
        "run": item.job or None,
    }


async def _report(parts: With, report: JobReport) -> dict[str, Any]:
    job = report.job
    _, segment, action = job.target.split("/")
    failures = []
    if report.failed:
        page = await parts.deliveries.dead(job.target, _FAILURES_MAX)
        failures = [_pending(action, each) for each in page.items if each.job == job.id]
    return {
        "run": job.id,
        "segment": segment,
        "action": action,
        "state": report.state,
        "by": job.by or None,
        "created_at": format_instant(job.created_ms),
        "ended_at": instant(report.ended_ms or None),
        "listed": report.listed,
        "members": report.found,
        "queued": report.queued,
        "done": report.done,
        "failed": report.failed,
        "dropped": report.dropped,
        "failures": failures,
    }


def _tried(spec: Spec, trial: Trial) -> dict[str, Any]:
    requests = [
        {"method": each.method, "url": each.url, "headers": dict(each.headers), "body": each.body}
        for each in trial.requests
    ]
    told: dict[str, Any] = {
        "action": f"{spec.segment}/{spec.action.id}",
        "use": spec.action.use,
        "requests": requests,
        "wrong": trial.wrong or None,
        "held_back": trial.held_back or None,
    }
    return told | {"sent": told_outcome(trial.outcome) if trial.outcome is not None else None}
