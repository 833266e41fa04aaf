"""What /openapi.json shows of mail: as `service.examples`, of which it is a part."""

from __future__ import annotations

from service.examples import Responses, ok, problem

_ENTRY = {"suppressed": True, "why": "unsubscribed", "since": "2026-11-20T09:00:00.123Z"}
_BAD_ADDRESS = problem(
    "No address",
    "invalid-parameter",
    "A parameter is wrong",
    400,
    "address: an address is name@domain",
    errors=[{"at": "address", "message": "an address is name@domain"}],
)
_NOT_SET_UP = problem(
    "Mail is not set up",
    "not-found",
    "There is nothing at this address",
    404,
    "Mail is not set up here (SEGMENTD_MAIL_SECRET).",
)
SUPPRESSIONS: Responses = {
    200: ok("How many, and the one asked for", {"count": 17, "address": _ENTRY}),
    400: _BAD_ADDRESS,
    404: _NOT_SET_UP,
}
SUPPRESS: Responses = {200: ok("On the list", {"address": _ENTRY}), 400: _BAD_ADDRESS, 404: _NOT_SET_UP}
LIFT: Responses = {
    400: _BAD_ADDRESS,
    404: problem(
        "Not on the list",
        "not-found",
        "There is nothing at this address",
        404,
        "This address is not on the list.",
    ),
}
