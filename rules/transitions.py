"""A change of membership, and how it is written to the feed (contract §3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

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


class _Data(msgspec.Struct, gc=False):
    """What a transition says. An UNSET field is left out; their order is that of the text."""

    segment: str
    segment_version: int
    customer_id: str
    sequence: int
    cause: str
    event_id: str | UnsetType
    leaves_at: str | UnsetType | None
    enters_at: str | UnsetType | None
    hops: tuple[str, ...] | UnsetType
    why: tuple[dict[str, Any], ...]


class _Told(msgspec.Struct, gc=False):
    """A CloudEvent around it."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    data: _Data
    traceparent: str | UnsetType


_encode = msgspec.json.Encoder().encode


def render(change: Transition) -> bytes:
    """The transition as a structured CloudEvent 1.0 in JSON; the same transition gives the same bytes."""
    segment, customer_id, sequence, forecast = change.segment, change.customer_id, change.sequence, change.forecast
    coming: str | UnsetType | None = UNSET
    if forecast is not None:
        coming = None if forecast >= NEVER else format_instant(forecast)
    entered = sequence % 2 == 1
    data = _Data(
        segment,
        change.version,
        customer_id,
        sequence,
        change.cause,
        change.event_id or UNSET,
        coming if entered else UNSET,
        UNSET if entered else coming,
        change.hops or UNSET,
        change.why,
    )
    return _encode(
        _Told(
            "1.0",
            f"{segment}:{customer_id}:{sequence}",
            "/segmentd",
            "segment.entered" if entered else "segment.exited",
            customer_id,
            format_instant(change.time),
            "application/json",
            data,
            change.traceparent or UNSET,  # CloudEvents' Distributed Tracing extension
        )
    )
