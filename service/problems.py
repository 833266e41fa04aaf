"""Every error over HTTP is one `application/problem+json` (RFC 9457), said here and nowhere else.

`type` is `urn:segmentd:problem:<name>`, stable and for programs; `title` says the kind, `detail` this case, both for
people; further members (`mistakes`, `errors`, `rejected`) are named where they are made. Nothing internal is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rules.errors import Mistake, SegmentInvalid, Unavailable

PROBLEM_JSON = "application/problem+json"
TITLES = {
    "unreadable": "The request cannot be read",
    "invalid-parameter": "A parameter is wrong",
    "too-large": "The request is too large",
    "unsupported-media": "This content type or encoding is not understood",
    "events-rejected": "No event was accepted",
    "rows-rejected": "No row was accepted",
    "segment-invalid": "The segment document is not right",
    "segment-paused": "The segment is paused",
    "no-action": "The segment has no such action",
    "no-call": "There is no such call",
    "no-run": "There is no such run",
    "no-connector": "There is no such connector",
    "segment-named": "Another segment names this one",
    "segments-limit": "There are as many segments as may exist",
    "subscription-invalid": "The subscription is not right",
    "subscriptions-limit": "There are as many subscriptions as may exist",
    "changed-meanwhile": "It is not the version you asked to change",
    "no-segment": "There is no such segment",
    "no-import": "There is no such import",
    "no-subscription": "There is no such subscription",
    "no-job": "There is no such job",
    "no-customer": "This customer is not known",
    "position-lost": "The feed does not reach back that far",
    "unauthorized": "A token is needed",
    "forbidden": "The token does not allow this",
    "unavailable": "The service cannot do this right now",
    "not-found": "There is nothing at this address",
    "method-not-allowed": "This address does not know the method",
    "internal": "The service failed",
}


class Problem(Exception):
    """An answer that is an error. `members` are added to the problem; `headers` to the response."""

    def __init__(
        self, status: int, name: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        assert name in TITLES, f"problem {name} needs a title"
        self.status = status
        self.name = name
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> Response:
        body = {
            "type": f"urn:segmentd:problem:{self.name}",
            "title": TITLES[self.name],
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        return Response(orjson.dumps(body), self.status, self.headers, PROBLEM_JSON)


def told(mistakes: Sequence[Mistake]) -> list[dict[str, str]]:
    """Mistakes as JSON; `document` only where several documents were checked."""
    return [
        {"at": mistake.at, "message": mistake.message} | ({"segment": mistake.document} if mistake.document else {})
        for mistake in mistakes
    ]


def invalid_segment(error: SegmentInvalid) -> Problem:
    count = "one mistake" if error.total == 1 else f"{error.total} mistakes"
    return Problem(422, "segment-invalid", f"The document has {count}.", mistakes=told(error.mistakes))


def invalid_parameter(name: str, message: str) -> Problem:
    return Problem(400, "invalid-parameter", f"{name}: {message}", errors=[{"at": name, "message": message}])


def no_segment(segment: str) -> Problem:
    return Problem(404, "no-segment", f"There is no segment {segment!r}.")


def unavailable(why: str, retry_after_s: float) -> Problem:
    return Problem(503, "unavailable", why, headers={"Retry-After": str(max(1, round(retry_after_s)))})


def internal() -> Problem:
    return Problem(500, "internal", "Something broke here, not in your request. It was logged; try again later.")


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem. What is left over is caught by `service.edge`."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(SegmentInvalid, _on_problem)
    app.add_exception_handler(Unavailable, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_problem)
    app.add_exception_handler(HTTPException, _on_problem)


async def _on_problem(request: Request, error: Exception) -> Response:
    least = request.app.state.services.settings.retry_after_seconds
    return as_problem(error, request.url.path, least).response()


def as_problem(error: Exception, path: str = "", retry_after_s: float = 0) -> Problem:
    """What an exception says over HTTP; `retry_after_s`: the least that is told where the log or the store is away."""
    match error:
        case Problem():
            return error
        case SegmentInvalid():
            return invalid_segment(error)
        case Unavailable():
            return unavailable(
                "The log or the store is away; nothing was changed.", max(error.retry_after_s, retry_after_s)
            )
        case RequestValidationError():
            return _invalid_request(error)
        case HTTPException():
            return _http(error, path)
        case _:
            return internal()


def _invalid_request(error: RequestValidationError) -> Problem:
    """FastAPI's own findings (path, query, headers), without the input they echo."""
    errors = [
        {"at": ".".join(str(part) for part in found["loc"][1:]) or str(found["loc"][0]), "message": found["msg"]}
        for found in error.errors()
    ]
    detail = "; ".join(f"{found['at']}: {found['message']}" for found in errors)
    return Problem(400, "invalid-parameter", detail, errors=errors)


def _http(error: HTTPException, path: str) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Problem(404, "not-found", f"{path}: there is nothing here; /openapi.json lists what there is.")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("Allow", "")
        detail = f"{path} takes {allowed}." if allowed else f"{path} does not take this method."
        return Problem(405, "method-not-allowed", detail, headers=headers)
    if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(error.status_code, "unreadable", str(error.detail), headers=headers)
    return internal()
