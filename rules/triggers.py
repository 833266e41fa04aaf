"""An event of a member that some action waits for (`on: {event: T}`), as it stands in the feed beside transitions."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from rules.events import Event
from rules.plan import Plan
from rules.profile import SEQUENCE, Profile
from rules.times import format_instant


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """`event` of `customer_id`, who was a member of `segment` (`sequence` of that membership) when it was judged at
    `ts` (the partition's clock, ms). `id` is the same whenever the log is read again."""

    id: str
    segment: str
    type: str
    customer_id: str
    event_id: str
    ts: int
    sequence: int
    event: dict[str, Any]


_DECODE = msgspec.json.Decoder(Trigger).decode


def triggers_of(profile: Profile, event: Event, plan: Plan, now: int) -> list[bytes]:
    """One for each segment that waits for events of this type and has the customer as a member after judging it."""
    waiting = plan.triggers.get(event.type)
    if not waiting:
        return []
    return [_render(profile, event, segment, now) for segment in waiting if _concerns(profile, plan, segment)]


def _concerns(profile: Profile, plan: Plan, segment: str) -> bool:
    rule = plan.segments.get(segment)
    return rule is not None and not rule.paused and profile.is_member(segment)


def _render(profile: Profile, event: Event, segment: str, now: int) -> bytes:
    said: dict[str, Any] = {"id": event.id, "type": event.type, "ts": format_instant(event.ts)}
    if event.hops:
        said["hops"] = event.hops
    said["properties"] = event.properties
    return orjson.dumps(
        {
            "id": f"{segment}:{event.customer_id}:event:{event.type}:{event.id}",
            "segment": segment,
            "type": event.type,
            "customer_id": event.customer_id,
            "event_id": event.id,
            "ts": now,
            "sequence": profile.members[segment][SEQUENCE],
            "event": said,
        }
    )


def read_trigger(data: bytes) -> Trigger:
    return _DECODE(data)
