"""What /openapi.json shows of actions: as `service.examples`, whose test sends and compares these too."""

from __future__ import annotations

from typing import Any

from service.examples import Responses, ok, problem
from service.problems import TITLES

RUN_ID = "big-spenders.thank.20261120-5b1c9e0d4f6a7b12"
KEY = "thank:big-spenders:13748:1"
DOCUMENT = {
    "id": "big-spenders",
    "name": "Big spenders",
    "enter": {"event": "purchase", "within": "180d", "sum": {"of": "amount", "gte": 1000}},
    "actions": [{"id": "thank", "on": "entered", "use": "profile.tag", "with": {"tags": "thanked"}}],
}
_ACTION = {
    "id": "thank",
    "use": "profile.tag",
    "active": True,
    "next_run_at": None,
    "waiting": 0,
    "failing": 0,
    "done": 1,
    "dropped": 0,
    "failed_attempts": 0,
    "given_up": 0,
    "lost": 0,
    "last_done_at": "2026-11-20T09:00:00.250Z",
    "last_failed_at": None,
}
_ATTEMPT = {
    "key": KEY,
    "customer_id": "13748",
    "at": "2026-11-20T09:00:00.250Z",
    "outcome": "done",
    "attempt": 1,
    "status": None,
    "detail": "profile act-00000001-6b1d",
    "took_ms": 3,
    "next_attempt_at": None,
    "run": None,
}
_FAILURE = {
    "key": f"thank:run:{RUN_ID}:17850",
    "customer_id": "17850",
    "at": "2026-11-20T09:00:00.250Z",
    "attempts": 1,
    "status": 422,
    "detail": "HTTP 422",
    "next_attempt_at": None,
    "run": RUN_ID,
}
REPORT = {
    "run": RUN_ID,
    "segment": "big-spenders",
    "action": "thank",
    "state": "finished",
    "by": "ana",
    "created_at": "2026-11-20T09:00:00Z",
    "ended_at": "2026-11-20T09:00:02Z",
    "listed": True,
    "members": 2,
    "queued": 2,
    "done": 1,
    "failed": 1,
    "dropped": 0,
    "failures": [_FAILURE],
}
_ENTERED = {
    "kind": "entered",
    "at": "2026-11-20T09:00:00.123Z",
    "id": "big-spenders:13748:1",
    "customer_id": "13748",
    "cause": "event",
    "why": [{"at": "enter", "holds": True, "value": 1204.5, "asked": {"gte": 1000}}],
}
_CALLED = {
    "kind": "called",
    "at": "2026-11-20T09:00:00.250Z",
    "action": "thank",
    "outcome": "done",
    "key": KEY,
    "customer_id": "13748",
    "attempt": 1,
    "status": None,
    "detail": "profile act-00000001-6b1d",
    "run": None,
}
_EDITED = {
    "kind": "edited",
    "at": "2026-11-20T08:00:00Z",
    "what": "created",
    "version": 1,
    "revision": 0,
    "by": "ana",
}
TRIED = {
    "action": "big-spenders/thank",
    "use": "profile.tag",
    "requests": [
        {
            "method": "LOG",
            "url": "profile",
            "headers": {},
            "body": '{"id": "act-00000001-6b1d", "type": "profile", "customer_id": "13748"}',
        }
    ],
    "wrong": None,
    "held_back": None,
    "sent": None,
}


def _problem(name: str, status: int, detail: str) -> dict[str, Any]:
    return problem(TITLES[name], name, TITLES[name], status, detail)


_NO_SEGMENT = _problem("no-segment", 404, "There is no segment 'big-spender'.")
_NO_ACTION = _problem("no-action", 404, "The segment 'big-spenders' has no action 'thanks'.")
_NO_CALL = _problem("no-call", 404, "No call of 'thank' was given up under this key.")
_NO_RUN = _problem("no-run", 404, f"There is no run {RUN_ID!r} (any more).")
_BAD = _problem("invalid-parameter", 400, "cursor: is none that this list gave; begin again without one")
_PAUSED = _problem("segment-paused", 409, "big-spenders is paused: resume it, and its actions go on.")
_NO_CONNECTOR = _problem("no-connector", 409, "There is no connector's call 'crm.task' here.")
_INVALID = _problem("segment-invalid", 422, "The document has one mistake.")


def _body(examples: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"examples": {name: {"value": value} for name, value in examples.items()}}}
    return {"requestBody": {"required": True, "content": content}}


TRY_BODY = _body({"show": {"customer_id": "13748"}, "send": {"customer_id": "13748", "send": True}})

ACTIONS: Responses = {
    200: ok("Every action.", {"segment": "big-spenders", "actions": [_ACTION]}),
    404: _NO_SEGMENT,
}
CALLS: Responses = {
    200: ok("Attempts, or calls given up.", {"calls": [_ATTEMPT], "cursor": None}),
    400: _BAD,
    404: _NO_ACTION,
}
BEGUN: Responses = {
    202: ok(
        "It is made again.", {"job": "0199a8f2b7d0-5b1c9e", "state": "running", "created_at": "2026-11-21T09:00:00Z"}
    ),
    404: _NO_CALL,
}
RUN: Responses = {
    202: ok("The run, and how many members there are.", {"run": RUN_ID, "members": 2}),
    404: _NO_ACTION,
    409: _PAUSED,
}
RUN_REPORT: Responses = {200: ok("How far it is.", REPORT), 404: _NO_RUN}
TRY: Responses = {
    200: ok("What would be sent.", TRIED),
    400: _BAD,
    404: _NO_ACTION,
    409: _NO_CONNECTOR,
    422: _INVALID,
}
FEED: Responses = {
    200: ok("Newest first.", {"entries": [_CALLED, _ENTERED, _EDITED], "cursor": None}),
    400: _BAD,
    404: _NO_SEGMENT,
}
