"""What /openapi.json shows of each call: real requests and answers (a test sends and compares them)."""

from __future__ import annotations

from typing import Any

Responses = dict[int | str, dict[str, Any]]

DOCUMENT = {
    "id": "big-spenders",
    "name": "Big spenders",
    "enter": {"event": "purchase", "within": "180d", "sum": {"of": "amount", "gte": 1000}},
}
DOCUMENT_YAML = """\
# Who gets the early sale.
id: big-spenders
name: Big spenders
enter: {event: purchase, within: 180d, sum: {of: amount, gte: 1000}}
"""
_PHRASE = "has a total amount of at least 1000 over purchases in the last 180 days"
WORDS = {
    "sentence": _PHRASE,
    "parts": [{"at": "enter", "text": _PHRASE, "depth": 0, "kind": "condition", "section": "enter"}],
    "texts": {"enter": _PHRASE},
}
TREE = {
    "at": "enter",
    "text": _PHRASE,
    "kind": "event",
    "holds": True,
    "value": 1204.5,
    "asked": {"gte": 1000},
    "until": "2027-05-19T09:00:00.123Z",
}
SEGMENT = {
    "id": "big-spenders",
    "version": 1,
    "revision": 0,
    "state": "active",
    "size": 1,
    "activation": {"judged": 1, "total": 1},
    "history_from": None,
    "created_at": "2026-11-20T08:00:00Z",
    "updated_at": "2026-11-20T08:00:00Z",
    "document": DOCUMENT,
    "words": WORDS,
}
EVENT = {
    "id": "o-536371",
    "type": "purchase",
    "customer_id": "13748",
    "ts": "2026-11-20T09:00:00.123Z",
    "properties": {"order_id": "536371", "amount": 1204.5, "currency": "BRL"},
}
_LINES = """\
{"id":"v-2","type":"page_view","customer_id":"13748"}
{"id":"v-3","type":"page_view","customer_id":"17850"}
"""
CLOUD_EVENT = {
    "specversion": "1.0",
    "id": "big-spenders:13748:1",
    "source": "/segmentd",
    "type": "segment.entered",
    "subject": "13748",
    "time": "2026-11-20T09:00:00.123Z",
    "datacontenttype": "application/json",
    "data": {
        "segment": "big-spenders",
        "segment_version": 1,
        "customer_id": "13748",
        "sequence": 1,
        "cause": "event",
        "event_id": "o-536371",
        "leaves_at": "2027-05-19T09:00:00.123Z",
        "why": [{"at": "enter", "holds": True, "value": 1204.5, "asked": {"gte": 1000}}],
    },
}


def ok(about: str, example: Any, media: str = "application/json") -> dict[str, Any]:
    return {"description": about, "content": {media: {"example": example}}}


def problem(about: str, name: str, title: str, status: int, detail: str, **members: Any) -> dict[str, Any]:
    example = {"type": f"urn:segmentd:problem:{name}", "title": title, "status": status, "detail": detail, **members}
    return {"description": about, "content": {"application/problem+json": {"example": example}}}


def _body(description: str, content: dict[str, Any], required: bool = True) -> dict[str, Any]:
    return {"requestBody": {"description": description, "required": required, "content": content}}


_NO_SEGMENT = problem(
    "No such segment", "no-segment", "There is no such segment", 404, "There is no segment 'big-spenderz'."
)
_CHANGED = problem(
    "Another version than `If-Match` names",
    "changed-meanwhile",
    "It is not the version you asked to change",
    412,
    'Its ETag is "4" now: read it, and decide again.',
)
_INVALID = problem(
    "The document has mistakes; nothing was changed",
    "segment-invalid",
    "The segment document is not right",
    422,
    "The document has one mistake.",
    mistakes=[{"at": "enter.sum.of", "message": "`of` is missing: write e.g. `of: amount`"}],
)
_AWAY = problem(
    "The log or the store is away",
    "unavailable",
    "The service cannot do this right now",
    503,
    "The log or the store is away; nothing was changed.",
)
_BAD_CURSOR = problem(
    "A bad cursor or limit",
    "invalid-parameter",
    "A parameter is wrong",
    400,
    "cursor: is none that this list gave; begin again without one",
    errors=[{"at": "cursor", "message": "is none that this list gave; begin again without one"}],
)

POST_EVENTS: Responses = {
    202: ok("Durably in the log", {"accepted": 1, "rejected": [{"index": 1, "error": "ts: is missing"}]}),
    400: problem("Not JSON at all", "unreadable", "The request cannot be read", 400, "The body is empty."),
    413: problem(
        "Too large", "too-large", "The request is too large", 413, "The body has more than 16 MiB; send it in parts."
    ),
    422: problem(
        "No event could be taken",
        "events-rejected",
        "No event was accepted",
        422,
        "None of 1 events could be taken.",
        accepted=0,
        rejected=[{"index": 0, "error": "customer_id: is missing"}],
        rejected_total=1,
    ),
    503: _AWAY,
}
EVENTS_BODY = _body(
    "One event, an array, or one a line",
    {
        "application/json": {
            "examples": {
                "one": {"value": EVENT},
                "several": {"value": [EVENT, {"id": "v-1", "type": "page_view", "customer_id": "13748"}]},
                "profile": {
                    "value": {
                        "id": "p-1",
                        "type": "profile",
                        "customer_id": "13748",
                        "properties": {"set": {"country": "BR"}, "tags_add": ["vip"]},
                    }
                },
            }
        },
        "application/x-ndjson": {"example": _LINES},
    },
)
DOCUMENT_BODY = _body(
    "The document",
    {"application/json": {"example": DOCUMENT}, "application/yaml": {"example": DOCUMENT_YAML}},
)
LIST_SEGMENTS: Responses = {200: ok("A page of segments", {"segments": [SEGMENT], "cursor": None}), 400: _BAD_CURSOR}
GET_SEGMENT: Responses = {
    200: {
        "description": "The segment",
        "content": {"application/json": {"example": SEGMENT}, "application/yaml": {"example": DOCUMENT_YAML}},
    },
    304: {"description": "The version in `If-None-Match`"},
    404: _NO_SEGMENT,
}
PUT_SEGMENT: Responses = {
    200: ok("Changed (or the same document again)", SEGMENT),
    201: ok("Made", SEGMENT | {"state": "activating", "size": 0}),
    412: _CHANGED,
    422: _INVALID,
}
DELETE_SEGMENT: Responses = {
    404: _NO_SEGMENT,
    409: problem(
        "Another segment names it",
        "segment-named",
        "Another segment names this one",
        409,
        "big-spenders is named by lapsing-vip: change that first.",
        named_by=["lapsing-vip"],
    ),
    412: _CHANGED,
}
PAUSE_SEGMENT: Responses = {200: ok("The segment", SEGMENT | {"state": "paused"}), 404: _NO_SEGMENT, 412: _CHANGED}
VALIDATE: Responses = {
    200: {
        "description": "What is wrong, or the condition in words",
        "content": {
            "application/json": {
                "examples": {
                    "good": {"value": {"valid": True, "mistakes": [], "mistakes_total": 0, "words": WORDS}},
                    "bad": {
                        "value": {
                            "valid": False,
                            "mistakes": [{"at": "enter.sum.of", "message": "`of` is missing: write e.g. `of: amount`"}],
                            "mistakes_total": 1,
                            "words": None,
                        }
                    },
                }
            }
        },
    }
}
LIST_MEMBERS: Responses = {
    200: ok(
        "A page of members",
        {
            "members": [{"customer_id": "13748", "since": "2026-11-20T09:00:00.123Z"}],
            "cursor": None,
            "position": "AAAB",
        },
    ),
    400: _BAD_CURSOR,
    404: _NO_SEGMENT,
}
CHANGE_MEMBER: Responses = {
    202: ok(
        "Durably in the log",
        {
            "event_id": "by-hand-01795424400000000000-1f2e3d4c",
            "customer_id": "13748",
            "segment": "big-spenders",
            "action": "add",
            "by": "ana",
            "until": "2026-12-31T00:00:00Z",
        },
    ),
    404: _NO_SEGMENT,
    503: _AWAY,
}
UNTIL_BODY = _body("Until when", {"application/json": {"example": {"until": "2036-12-31T00:00:00Z"}}}, required=False)
GET_CUSTOMER: Responses = {
    200: ok(
        "The customer",
        {
            "customer_id": "13748",
            "as_of": "2026-11-21T09:00:00Z",
            "attributes": {"country": "BR"},
            "tags": ["vip"],
            "aggregates": [],
        },
    ),
    404: problem(
        "Never heard of",
        "no-customer",
        "This customer is not known",
        404,
        "Nothing was ever received about this customer.",
    ),
}
CUSTOMER_SEGMENTS: Responses = {
    200: ok(
        "The memberships",
        {
            "customer_id": "13748",
            "as_of": "2026-11-21T09:00:00Z",
            "segments": [
                {
                    "segment": "big-spenders",
                    "since": "2026-11-20T09:00:00.123Z",
                    "sequence": 1,
                    "leaves_at": "2027-05-19T09:00:00.123Z",
                }
            ],
        },
    )
}
CUSTOMER_SEGMENT: Responses = {
    200: ok(
        "The membership, explained",
        {
            "customer_id": "13748",
            "segment": "big-spenders",
            "segment_version": 1,
            "as_of": "2026-11-21T09:00:00Z",
            "member": True,
            "since": "2026-11-20T09:00:00.123Z",
            "sequence": 1,
            "leaves_at": "2027-05-19T09:00:00.123Z",
            "explanation": {"enter": TREE},
        },
    ),
    404: _NO_SEGMENT,
}
CHECK: Responses = {
    200: ok("The matrix", {"matrix": {"13748": {"big-spenders": True}, "17850": {"big-spenders": False}}}),
    404: _NO_SEGMENT,
    422: problem(
        "A bad question",
        "invalid-parameter",
        "A parameter is wrong",
        422,
        "customers[0]: Expected `str`, got `int`",
        errors=[{"at": "customers[0]", "message": "Expected `str`, got `int`"}],
    ),
}
CHECK_BODY = _body(
    "Who and what; without `segments`: all there are",
    {"application/json": {"example": {"customers": ["13748", "17850"], "segments": ["big-spenders"]}}},
)
HEALTHZ: Responses = {200: ok("Alive", {"status": "ok"})}
READYZ: Responses = {
    200: ok("Ready", {"status": "ready", "warnings": []}),
    503: problem(
        "Not ready",
        "unavailable",
        "The service cannot do this right now",
        503,
        "the store is away",
        reasons=["the store is away"],
        warnings=[],
    ),
}
METRICS: Responses = {
    200: ok("Metrics", 'segmentd_events_total{outcome="applied",type="purchase"} 1.0\n', "text/plain")
}
_PARTITION = {
    "partition": 0,
    "owner": "evaluator-1:7:a1b2c3",
    "owner_seen": "2026-11-21T09:00:00.250Z",
    "trouble": None,
    "recovering": False,
    "epoch": 3,
    "commit": 12,
    "position": "536371",
    "log_end": "536371",
    "lag_records": 0,
    "clock": "2026-11-21T09:00:00Z",
    "clock_lag_ms": 0,
    "relay_lag": 0,
    "customers": 1,
    "judged": 1,
    "timers": 1,
    "timers_due": 0,
    "next_due": "2027-05-19T09:00:00.123Z",
    "edition": 1,
    "gaps": [],
    "dead_letters": 0,
}
STATUS: Responses = {
    200: ok(
        "How far everything is",
        {
            "ready": True,
            "reasons": [],
            "warnings": [],
            "segments": 1,
            "customers": 1,
            "lag_records": 0,
            "clock_lag_ms": 0,
            "relay_lag": 0,
            "dead_letters": 0,
            "streams": 0,
            "partitions": [_PARTITION],
        },
    )
}
DEAD_LETTERS: Responses = {
    200: ok(
        "A page of dead letters",
        {
            "dead_letters": [
                {
                    "id": "3:17",
                    "at": "2026-11-20T09:00:00.250Z",
                    "source": "events.purchase",
                    "origin": "events.purchase:0:536371@1795424400123",
                    "reason": "customer_id: is missing",
                    "record": '{"type":"purchase"}',
                    "record_base64": "eyJ0eXBlIjoicHVyY2hhc2UifQ==",
                    "key_base64": None,
                    "cut_bytes": 0,
                }
            ],
            "cursor": None,
        },
    ),
    400: _BAD_CURSOR,
}
