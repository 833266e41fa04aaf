"""What /openapi.json shows of imports and of the feed: as `service.examples`, of which it is the second half."""

from __future__ import annotations

from service.examples import CLOUD_EVENT, Responses, ok, problem

_CSV = "customer_id,action,until\n13748,add,2036-12-31T00:00:00Z\n17850,remove,\n"
_POSITION = "5.2-3.1"
_IMPORT = "import-1795424400000-1f2e3d4c"
_ERRORS = [{"row": 3, "column": "action", "error": "`ad` is none of add, remove, clear"}]
_TOLD = {
    "import": _IMPORT,
    "segment": "big-spenders",
    "dry_run": False,
    "rows": 2,
    "accepted": 1,
    "rejected": 1,
    "errors": _ERRORS,
    "errors_total": 1,
}
_HEAD = {
    "id": _IMPORT,
    "segment": "big-spenders",
    "by": "ana",
    "dry_run": False,
    "state": "done",
    "why": None,
    "started_at": "2026-11-20T09:00:00Z",
    "updated_at": "2026-11-20T09:00:01.250Z",
    "ended_at": "2026-11-20T09:00:01.250Z",
    "bytes": 71,
    "bytes_sent": 71,
    "rows": 2,
    "accepted": 1,
    "rejected": 1,
    "errors_total": 1,
}
CSV_BODY = {
    "requestBody": {
        "description": "The file; `Content-Encoding: gzip` is understood",
        "required": True,
        "content": {"text/csv": {"schema": {"type": "string"}, "example": _CSV}},
    }
}
IMPORT_MEMBERS: Responses = {
    200: ok("Checked (`dry_run`)", _TOLD | {"dry_run": True}),
    202: ok("Durably in the log", _TOLD),
    413: problem(
        "Too large",
        "too-large",
        "The request is too large",
        413,
        "The body has more than 256 MiB; send it in parts.",
        limit_bytes=268435456,
    ),
    415: problem(
        "No CSV",
        "unsupported-media",
        "This content type or encoding is not understood",
        415,
        "Send the file as `Content-Type: text/csv`.",
    ),
    422: problem(
        "No row could be taken",
        "rows-rejected",
        "No row was accepted",
        422,
        "None of the rows could be taken.",
        **_TOLD | {"rows": 1, "accepted": 0},
    ),
    503: problem(
        "The log is away",
        "unavailable",
        "The service cannot do this right now",
        503,
        "The log or the store went away. Send the file again with the same Idempotency-Key: a row counts once.",
        **_TOLD,
    ),
}
LIST_IMPORTS: Responses = {200: ok("The imports", {"imports": [_HEAD]})}
GET_IMPORT: Responses = {
    200: ok("The import", _HEAD | {"errors": _ERRORS}),
    404: problem(
        "No such import",
        "no-import",
        "There is no such import",
        404,
        f"There is no import '{_IMPORT}'; the last 100 are kept.",
    ),
}
TRANSITIONS: Responses = {
    200: {
        "description": "Server-sent events, each `data` a CloudEvent; with `after` or `limit` a page of them",
        "content": {
            "text/event-stream": {"example": CLOUD_EVENT},
            "application/json": {"example": {"transitions": [CLOUD_EVENT], "after": _POSITION, "more": False}},
        },
    },
    400: problem(
        "No position of this feed",
        "invalid-parameter",
        "A parameter is wrong",
        400,
        "from: is no position of this feed (an id of one of its events)",
        errors=[{"at": "from", "message": "is no position of this feed (an id of one of its events)"}],
    ),
    410: problem(
        "Trimmed meanwhile",
        "position-lost",
        "The feed does not reach back that far",
        410,
        "Read the members anew and go on from their `position`.",
    ),
    503: problem(
        "Too many streams",
        "unavailable",
        "The service cannot do this right now",
        503,
        "As many streams as may be are open.",
    ),
}
