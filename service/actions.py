"""Actions between HTTP and the registry: found, checked against connectors, run over all members, tried for one."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any, NamedTuple

import orjson

from consumers.actions.calling import against, subject_of
from consumers.actions.conditions import Conditions
from consumers.actions.runs import run_id
from consumers.actions.settings import Settings as ActionSettings
from consumers.actions.target import Spec, call_key, specs_of
from consumers.clock import SYSTEM_CLOCK
from consumers.connectors.port import Rendered, RenderFailed
from consumers.delivery.jobs import Job, JobReport
from consumers.delivery.port import Call, Done, Dropped, Item, Kind, Later, Outcome
from consumers.log.partition import partition_of
from consumers.state.entries import Entry
from rules.actions import Every, OnEvent
from rules.errors import SegmentInvalid
from rules.language.documents import Segment
from rules.profile import SEQUENCE, Profile
from rules.schedules import following_run
from rules.times import format_instant
from service.documents import check_calls, parsed
from service.problems import Problem
from service.segments import known
from service.wiring import Services

RUN_CHARS_MAX = 200


async def action_of(parts: Services, segment: str, action: str) -> Spec:
    """One action of a segment as it stands. Raises 404."""
    return _named(await known(parts, segment), action)


def _named(entry: Entry, action: str) -> Spec:
    for spec in all_of(entry):
        if spec.action.id == action:
            return spec
    raise Problem(404, "no-action", f"The segment {entry.segment!r} has no action {action!r}.")


def all_of(entry: Entry) -> list[Spec]:
    """Every action of a segment."""
    document = parsed(entry.document)
    return specs_of(entry, document.actions, document.timezone)


async def of_document(parts: Services, document: Segment, segment: str, action: str) -> Spec:
    """One action of a document that is not saved. Raises Problem, SegmentInvalid."""
    if mistakes := check_calls(parts.connectors, document):
        raise SegmentInvalid(mistakes)
    now = SYSTEM_CLOCK.now_ms()
    entry = await parts.registry.get(segment)
    version = entry.actions_version if entry is not None else 0
    raw = {"id": segment, "name": document.name, "about": document.about}
    made = Entry(segment, 1, "active", raw, "", "", now, now, actions_version=version)
    for spec in specs_of(made, document.actions, document.timezone):
        if document.id == segment and spec.action.id == action:
            return spec
    raise Problem(404, "no-action", f"The document has no action {action!r} of a segment {segment!r}.")


def next_run(spec: Spec) -> int | None:
    """When it runs over all members the next time (ms); None for what does not, or is paused."""
    if not isinstance(spec.action.on, Every) or not spec.active:
        return None
    return following_run(SYSTEM_CLOCK.now_ms(), spec.action.on, spec.timezone)


# -- calls ------------------------------------------------------------------------------------------------------------


def key_of(action: str, item_id: str) -> str | None:
    """A call's key, None for what was no call (transitions lost)."""
    return call_key(action, item_id) if item_id else None


async def item_of(parts: Services, spec: Spec, key: str) -> str:
    """The item that was given up under this key. Raises 404."""
    prefix = f"{spec.action.id}:"
    if key.startswith(prefix) and ":" in key[len(prefix) :]:
        return key[len(prefix) :]
    cursor: str | None = None
    while True:  # a key with a hash does not tell: it is looked for
        page = await parts.deliveries.dead(spec.target, 1000, cursor)
        for item in page.items:
            if call_key(spec.action.id, item.item_id) == key:
                return item.item_id
        if (cursor := page.cursor) is None:
            raise Problem(404, "no-call", f"No call of {spec.action.id!r} was given up under this key.")


# -- runs -------------------------------------------------------------------------------------------------------------


async def begin_run(parts: Services, segment: str, action: str, key: str | None, by: str) -> tuple[Job, int]:
    """A run over all members and how many there are; with the same key the same run. Raises Problem."""
    spec = await action_of(parts, segment, action)
    if not spec.active:
        raise Problem(409, "segment-paused", f"{segment} is paused: resume it, and its actions go on.")
    which = secrets.token_hex(8) if key is None else hashlib.sha256(key.encode()).hexdigest()[:16]
    members = (await parts.reads.sizes([segment])).get(segment, 0)
    name = run_id(segment, action, f"{time.strftime('%Y%m%d', time.gmtime())}-{which}" if key is None else which)
    return await parts.jobs.start("run", spec.target, job_id=name, segment=segment, by=by), members


async def run_of(parts: Services, run: str) -> JobReport:
    """Raises 404."""
    report = await parts.jobs.get(run) if len(run) <= RUN_CHARS_MAX else None
    if report is None or report.job.kind != "run":
        raise Problem(404, "no-run", f"There is no run {run!r} (any more).")
    return report


# -- one call, tried --------------------------------------------------------------------------------------------------


class Trial(NamedTuple):
    """What an action would send for one customer, why not (`wrong`), and what would keep it from being sent now.

    `outcome`: how it ended, where it was sent.
    """

    requests: list[Rendered]
    wrong: str
    held_back: str
    outcome: Outcome | None


async def try_action(
    parts: Services, spec: Spec, customer_id: str, event: dict[str, Any] | None, *, send: bool
) -> Trial:
    """The call as it is now; sent once, past limits and quiet hours, if that is asked for. `event`: what an action
    that waits for one is shown. Raises Problem."""
    found = parts.connectors.find(spec.action.use)
    if found is None:
        raise Problem(409, "no-connector", f"There is no connector's call {spec.action.use!r} here.")
    connector, call = found
    [profile] = await parts.reads.profiles([customer_id])
    item = _sample_item(spec, customer_id, profile, event, parts.log.partitions)
    subject = subject_of(spec, item, profile)
    key = call_key(spec.action.id, item.id)
    try:
        requests = list(connector.render(call, spec.action.with_, [subject], [key]))
    except RenderFailed as error:
        return Trial([], error.why, "", None)
    held_back = await _held_back(parts, spec, item, key, profile)
    outcome = None
    if send:
        [outcome] = await connector.call(call, spec.action.with_, [subject], [key])
    return Trial(requests, "", held_back, outcome)


async def _held_back(parts: Services, spec: Spec, item: Item, key: str, profile: Profile | None) -> str:
    now = SYSTEM_CLOCK.now_ms()
    conditions = Conditions(parts.store, parts.log.partitions, SYSTEM_CLOCK, ActionSettings())
    match await against(spec, Call(item, key, 1, now), profile, now, conditions):
        case Dropped(why) | Later(_, why):
            return why
    return ""


def _sample_item(
    spec: Spec, customer_id: str, profile: Profile | None, event: dict[str, Any] | None, partitions: int
) -> Item:
    """An item such as the action waits for, as of now."""
    state = profile.members.get(spec.segment) if profile is not None else None
    sequence, now = state[SEQUENCE] if state is not None else 0, SYSTEM_CLOCK.now_ms()
    on = spec.action.on
    kind: Kind = "run"
    cause, data = "event", b'{"data":{}}'
    if isinstance(on, OnEvent):
        kind, cause = "event", on.events[0]
        said = {"id": "try", "type": cause, "ts": format_instant(now), "properties": {}} | (event or {})
        data = orjson.dumps({"event": said, "sequence": sequence})
    elif on == "member":
        kind = "entered" if sequence % 2 or state is None else "exited"
    elif not isinstance(on, Every):
        kind = on
    return Item(
        id=f"try:{spec.segment}:{customer_id}:{secrets.token_hex(4)}",
        kind=kind,
        partition=partition_of(customer_id, partitions),
        customer_id=customer_id,
        segment=spec.segment,
        cause=cause,
        sequence=sequence,
        time_ms=now,
        data=data,
    )


def told_outcome(outcome: Outcome) -> dict[str, Any]:
    """How a call ended, as the API tells it."""
    name = type(outcome).__name__.lower()
    match outcome:
        case Done(detail, status):
            return {"outcome": name, "detail": detail, "status": status or None}
        case Dropped(why) | Later(_, why):
            return {"outcome": name, "detail": why, "status": None}
    return {"outcome": name, "detail": outcome.error, "status": outcome.status or None}
