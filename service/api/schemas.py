"""JSON Schemas (draft 2020-12, also good as draft 07) of events, transitions and notices, out of the code's own bounds.

They say what the code says, compared by `tests/api`: what it makes fits them, and what they refuse it refuses.
"""

from __future__ import annotations

from typing import Any, get_args

from rules.limits import (
    BY_CHARS_MAX,
    CUSTOMER_ID_CHARS_MAX,
    EVENT_ID_CHARS_MAX,
    EVENT_TYPE_CHARS_MAX,
    HOPS_MAX,
    SEGMENT_ID_CHARS_MAX,
)
from rules.transitions import Cause

Schema = dict[str, Any]

_NAME = rf"[a-z0-9][a-z0-9_-]{{0,{SEGMENT_ID_CHARS_MAX - 1}}}"
SEGMENT_ID: Schema = {"type": "string", "pattern": f"^{_NAME}$", "description": "The segment's id."}
CUSTOMER_ID: Schema = {"type": "string", "minLength": 1, "maxLength": CUSTOMER_ID_CHARS_MAX}
INSTANT: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339 with an offset."}
TRACEPARENT: Schema = {
    "type": "string",
    "description": "W3C Trace Context, passed on to what an event causes.",
}
HOPS: Schema = {
    "type": "array",
    "items": {"type": "string", "pattern": f"^{_NAME}/{_NAME}$"},
    "maxItems": HOPS_MAX,
    "description": "The actions (`segment/action`) that led to it, in their order: what ends a ring.",
}
_NAMES: Schema = {"type": "array", "items": {"type": "string", "minLength": 1}}


def _object(properties: Schema, required: list[str], **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": required, **more}


# -- events in --------------------------------------------------------------------------------------------------------

PROFILE: Schema = _object(
    {"set": {"type": "object", "propertyNames": {"minLength": 1}}, "unset": _NAMES}
    | {"tags_add": _NAMES, "tags_remove": _NAMES},
    [],
    additionalProperties=False,
    description="Of a `profile` event. The last writer by `ts` wins, per attribute and per tag.",
)
MEMBERSHIP: Schema = _object(
    {
        "segment": SEGMENT_ID,
        "action": {"enum": ["add", "remove", "clear"]},
        "until": {"type": ["string", "null"], "format": "date-time"},
        "by": {"type": ["string", "null"], "minLength": 1, "maxLength": BY_CHARS_MAX, "description": "Who did it."},
    },
    ["segment", "action"],
    additionalProperties=False,
    description="Of a `membership` event: stands above the rule until cleared, or until `until`.",
)


def _of_type(name: str, properties: str, required: bool) -> Schema:
    reference: Schema = {"properties": {"properties": {"$ref": f"#/components/schemas/{properties}"}}}
    if required:
        reference["required"] = ["properties"]
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": reference}


EVENT: Schema = _object(
    {
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": EVENT_ID_CHARS_MAX,
            "description": "With `type` the idempotency key: the same of the same customer counts once in 72 h.",
        },
        "type": {
            "type": "string",
            "pattern": rf"^[a-z][a-z0-9_]{{0,{EVENT_TYPE_CHARS_MAX - 1}}}$",
            "not": {"enum": ["definition", "tick"]},
        },
        "customer_id": CUSTOMER_ID,
        "ts": {"type": ["string", "null"], "format": "date-time", "description": "Event time; without: of receipt."},
        "properties": {"type": ["object", "null"]},
        "traceparent": {"description": TRACEPARENT["description"]},
        "hops": HOPS | {"type": ["array", "null"]},
    },
    ["id", "type", "customer_id"],
    allOf=[_of_type("profile", "Profile", required=False), _of_type("membership", "Membership", required=True)],
    description="One event of one customer, at most 256 KB of JSON. Further members are read by nobody.",
)


# -- transitions out --------------------------------------------------------------------------------------------------

REASON: Schema = _object(
    {
        "at": {"type": "string", "description": "The condition's place in the document, or `membership`: by hand."},
        "holds": {"type": "boolean"},
        "value": {"description": "What was found."},
        "asked": {"description": "What was asked for."},
        "until": INSTANT,
        "by": {"type": "string", "maxLength": BY_CHARS_MAX, "description": "Who did it, if it was by hand."},
    },
    ["at", "holds"],
    description="A condition that decided.",
)
TRANSITION_DATA: Schema = _object(
    {
        "segment": SEGMENT_ID,
        "segment_version": {"type": "integer", "minimum": 1},
        "customer_id": CUSTOMER_ID,
        "sequence": {
            "type": "integer",
            "minimum": 1,
            "description": "Counts this customer's changes in this segment without gaps: odd entered, even exited.",
        },
        "cause": {"enum": list(get_args(Cause))},
        "event_id": {"type": "string", "maxLength": EVENT_ID_CHARS_MAX, "description": "Of the event that caused it."},
        "leaves_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "If nothing happens; null: never; absent: cannot be foreseen.",
        },
        "enters_at": {"type": ["string", "null"], "format": "date-time", "description": "The same, of who has left."},
        "hops": HOPS,
        "why": {"type": "array", "items": {"$ref": "#/components/schemas/Reason"}},
        "why_cut": {"const": True, "description": "In webhooks: the end of `why` was too long, and is left out."},
    },
    ["segment", "segment_version", "customer_id", "sequence", "cause", "why"],
    additionalProperties=False,
)


def _cloud_event(data: Schema, types: list[str], subject: str, **more: Schema) -> Schema:
    return _object(
        {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1, "description": "The same for ever: the key to know it again by."},
            "source": {"const": "/segmentd"},
            "type": {"enum": types},
            "subject": {"type": "string", "minLength": 1, "description": subject},
            "time": INSTANT,
            "datacontenttype": {"const": "application/json"},
            "data": data,
            **more,
        },
        ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
        additionalProperties=False,
    )


TRANSITION: Schema = _cloud_event(
    {"$ref": "#/components/schemas/TransitionData"},
    ["segment.entered", "segment.exited"],
    "The customer.",
    traceparent=TRACEPARENT,
) | {"description": "A CloudEvent 1.0. `time` is when it took effect; by the clock, the exact due time."}
NOTICE: Schema = _cloud_event(
    _object(
        {"subscription": {"type": "string"}, "description": {"type": "string"}, "why": {"type": "string"}},
        ["subscription", "description"],
        additionalProperties=False,
    ),
    ["segmentd.subscription.disabled", "segmentd.test"],
    "The subscription.",
) | {"description": "What the service says of itself."}

SCHEMAS: dict[str, Schema] = {
    "Event": EVENT,
    "Profile": PROFILE,
    "Membership": MEMBERSHIP,
    "Transition": TRANSITION,
    "TransitionData": TRANSITION_DATA,
    "Reason": REASON,
    "Notice": NOTICE,
}
