"""A change of membership, and how it is written to the feed (contract §3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
import orjson

from rules.events import Event
from rules.times import NEVER, format_instant

Cause = Literal["event", "clock", "definition", "backfill", "manual", "merge", "correction", "erasure"]


class Transition(msgspec.Struct, frozen=True, gc=False):
    """One customer entered (`sequence` odd) or left (even) one segment at `time` (ms), because of `cause`.

    `forecast`: the instant (ms) of the next change if nothing happens, NEVER for none, None where it is not known.
    """

    segment: str
    version: int
    customer_id: str
    sequence: int
    time: int
    cause: Cause
    event_id: str = ""
    why: tuple[dict[str, Any], ...] = ()
    forecast: int | None = None
    traceparent: str = ""  # of the event that caused it
    hops: tuple[str, ...] = ()  # the same

    @property
    def entered(self) -> bool:
        return self.sequence % 2 == 1

    @property
    def id(self) -> str:
        """The idempotency key."""
        return f"{self.segment}:{self.customer_id}:{self.sequence}"


def traced(changes: Iterable[Transition], event: Event) -> list[Transition]:
    """What reading `event` changed; what the event itself caused carries its trace and its hops on."""
    return [
        msgspec.structs.replace(change, traceparent=event.traceparent, hops=event.hops)
        if change.event_id == event.id
        else change
        for change in changes
    ]


def render(change: Transition) -> bytes:
    """The transition as a structured CloudEvent 1.0 in JSON; the same transition gives the same bytes."""
    data: dict[str, Any] = {
        "segment": change.segment,
        "segment_version": change.version,
        "customer_id": change.customer_id,
        "sequence": change.sequence,
        "cause": change.cause,
    }
    if change.event_id:
        data["event_id"] = change.event_id
    if change.forecast is not None:
        forecast = None if change.forecast >= NEVER else format_instant(change.forecast)
        data["leaves_at" if change.entered else "enters_at"] = forecast
    if change.hops:
        data["hops"] = change.hops
    data["why"] = change.why
    told: dict[str, Any] = {
        "specversion": "1.0",
        "id": change.id,
        "source": "/segmentd",
        "type": "segment.entered" if change.entered else "segment.exited",
        "subject": change.customer_id,
        "time": format_instant(change.time),
        "datacontenttype": "application/json",
        "data": data,
    }
    if change.traceparent:  # CloudEvents' Distributed Tracing extension
        told["traceparent"] = change.traceparent
    return orjson.dumps(told)
