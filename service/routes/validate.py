"""POST /v1/segments/validate: every mistake of a document, or the document in words. Changes nothing."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from rules.errors import SegmentInvalid
from rules.limits import DOCUMENT_BYTES_MAX
from service import examples
from service.answers import answer
from service.bodies import read_body
from service.documents import check_among, check_calls, parse, told_in_words
from service.guard import With
from service.problems import told

router = APIRouter(prefix="/v1/segments", tags=["segments"])


@router.post("/validate", summary="Check a document", responses=examples.VALIDATE, openapi_extra=examples.DOCUMENT_BODY)
async def validate(parts: With, request: Request) -> Response:
    """Always 200 for a body that arrives: `valid`, every mistake with its place, and the condition in plain words.

    References are checked against the segments there are, with this one among them, and the calls of actions against
    the connectors there are.
    """
    body = await read_body(request, DOCUMENT_BYTES_MAX, DOCUMENT_BYTES_MAX)
    try:
        segment = parse(body, request.headers.get("content-type", "")).segment
    except SegmentInvalid as error:
        return answer({"valid": False, "mistakes": told(error.mistakes), "mistakes_total": error.total, "words": None})
    mistakes = check_among(segment, (await parts.registry.snapshot()).entries)
    mistakes += check_calls(parts.connectors, segment)
    return answer(
        {
            "valid": not mistakes,
            "mistakes": told(mistakes),
            "mistakes_total": len(mistakes),
            "words": told_in_words(segment),
        }
    )
