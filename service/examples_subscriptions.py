"""What /openapi.json shows of webhook subscriptions: as `service.examples`, whose test sends and compares these too."""

from __future__ import annotations

from typing import Any

from service.examples import Responses, ok, problem

ID = "sub_0199a8f0c1e44f3b2a1d6e5c"
ITEM = "big-spenders:13748:1"
_JOB = "0199a8f2b7d0-5b1c9e"
DOCUMENT = {
    "url": "https://hooks.example.com/segmentd",
    "description": "The CRM",
    "segments": ["big-spenders"],
    "kinds": ["entered", "exited"],
    "leave_out": ["backfill", "definition"],
    "concurrency": 4,
    "per_second": None,
    "signatures": ["v1"],
}
STANDING = {
    "lag": 0,
    "waiting": 0,
    "failing": 0,
    "done": 1,
    "failed_attempts": 0,
    "given_up": 0,
    "lost": 0,
    "last_done_at": "2026-11-20T09:00:00.250Z",
    "last_failed_at": None,
    "next_attempt_at": None,
}
SUBSCRIPTION = {
    "id": ID,
    "version": 1,
    "state": "active",
    "why": None,
    "since": "2026-11-20T08:00:00Z",
    "document": DOCUMENT,
    "keys": [{"kind": "v1", "public": None, "made_at": "2026-11-20T08:00:00Z", "until": None}],
    "deliveries": STANDING,
    "created_at": "2026-11-20T08:00:00Z",
    "updated_at": "2026-11-20T08:00:00Z",
}
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDK0RWlPVtEXA="
ATTEMPT = {
    "at": "2026-11-20T09:00:00.250Z",
    "outcome": "done",
    "id": ITEM,
    "kind": "entered",
    "segment": "big-spenders",
    "customer_id": "13748",
    "attempt": 1,
    "status": 200,
    "detail": "HTTP 200",
    "took_ms": 41,
    "next_attempt_at": None,
    "job": None,
    "count": 1,
}
PENDING = {
    "id": ITEM,
    "kind": "entered",
    "segment": "big-spenders",
    "customer_id": "13748",
    "time": "2026-11-20T09:00:00.123Z",
    "attempts": 2,
    "first_at": "2026-11-20T09:00:00.250Z",
    "last_at": "2026-11-20T09:00:05.310Z",
    "next_attempt_at": "2026-11-20T09:05:07.112Z",
    "status": 500,
    "detail": "HTTP 500",
    "job": None,
}
JOB_BEGUN = {"id": _JOB, "kind": "resend", "state": "running", "created_at": "2026-11-21T09:00:00Z"}
JOB_REPORT = {
    "id": _JOB,
    "kind": "resend",
    "state": "finished",
    "by": "ana",
    "created_at": "2026-11-21T09:00:00Z",
    "ended_at": "2026-11-21T09:00:02Z",
    "listed": True,
    "found": 3,
    "queued": 3,
    "done": 3,
    "failed": 0,
    "dropped": 0,
}
TRIED = {
    "id": f"{ID}:test:1795424400000",
    "delivered": False,
    "status": 404,
    "error": None,
    "body": "no such hook",
    "took_ms": 41,
}


def _body(description: str, example: Any, required: bool = True) -> dict[str, Any]:
    content = {"application/json": {"example": example}}
    return {"requestBody": {"description": description, "required": required, "content": content}}


_MISSING = problem(
    "No such subscription",
    "no-subscription",
    "There is no such subscription",
    404,
    f"There is no subscription '{ID}'.",
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
    "subscription-invalid",
    "The subscription is not right",
    422,
    "The document has one mistake.",
    mistakes=[{"at": "segments[0]", "message": "no such segment `big-spenderz`"}],
)
_WRONG = problem(
    "A bad parameter",
    "invalid-parameter",
    "A parameter is wrong",
    400,
    "overlap_hours: must be a number from 0 to 168, and all there is",
    errors=[{"at": "overlap_hours", "message": "must be a number from 0 to 168, and all there is"}],
)
_BAD_CURSOR = problem(
    "A bad cursor or limit",
    "invalid-parameter",
    "A parameter is wrong",
    400,
    "cursor: is none that this list gave; begin again without one",
    errors=[{"at": "cursor", "message": "is none that this list gave; begin again without one"}],
)

DOCUMENT_BODY = _body("The document; all but `url` has a default", DOCUMENT)
PATCH_BODY = _body("What is to change", {"description": "The CRM, until spring"})
ROTATE_BODY = _body("How long the keys there were go on", {"overlap_hours": 24}, required=False)
REPLAY_BODY = {
    "requestBody": {
        "description": "What is delivered again",
        "required": True,
        "content": {
            "application/json": {
                "examples": {
                    "failed": {"value": {"failed": True}},
                    "from": {"value": {"from": "2026-11-20T09:00:00Z"}},
                    "number": {"value": {"from_number": 1, "partition": 0}},
                    "one": {"value": {"id": ITEM}},
                }
            }
        },
    }
}
LIST: Responses = {
    200: ok("A page of subscriptions", {"subscriptions": [SUBSCRIPTION], "cursor": None}),
    400: _BAD_CURSOR,
}
CREATE: Responses = {
    201: ok("Made; `secret` is told this once", SUBSCRIPTION | {"secret": SECRET}),
    409: problem(
        "As many as may exist",
        "subscriptions-limit",
        "There are as many subscriptions as may exist",
        409,
        "At most 1000 subscriptions can exist; delete one first.",
        limit=1000,
    ),
    422: _INVALID,
}
GET: Responses = {
    200: ok("The subscription", SUBSCRIPTION),
    304: {"description": "The version in `If-None-Match`"},
    404: _MISSING,
}
CHANGE: Responses = {200: ok("The subscription", SUBSCRIPTION), 404: _MISSING, 412: _CHANGED, 422: _INVALID}
DELETE: Responses = {404: _MISSING, 412: _CHANGED}
ROTATE: Responses = {
    200: ok("Replaced; `secret` is told this once", SUBSCRIPTION | {"version": 2, "secret": SECRET}),
    400: _WRONG,
    404: _MISSING,
    412: _CHANGED,
}
TEST: Responses = {200: ok("What came back, or why nothing did", TRIED), 404: _MISSING}
DELIVERIES: Responses = {
    200: {
        "description": "Attempts, or what is not delivered",
        "content": {
            "application/json": {
                "examples": {
                    "attempts": {"value": {"deliveries": [ATTEMPT], "cursor": None}},
                    "failing": {"value": {"deliveries": [PENDING], "cursor": None}},
                }
            }
        },
    },
    400: _BAD_CURSOR,
    404: _MISSING,
}
START_JOB: Responses = {202: ok("Begun", JOB_BEGUN), 400: _WRONG, 404: _MISSING}
JOBS: Responses = {200: ok("The jobs", {"jobs": [JOB_REPORT]}), 404: _MISSING}
JOB: Responses = {
    200: ok("The job", JOB_REPORT),
    404: problem("No such job", "no-job", "There is no such job", 404, f"This subscription has no job '{_JOB}'."),
}
