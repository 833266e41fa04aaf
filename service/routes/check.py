"""POST /v1/membership/check: many customers against many segments in one call."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from rules.limits import CUSTOMER_ID_CHARS_MAX
from service import examples
from service.answers import answer
from service.bodies import read_body
from service.guard import With
from service.problems import Problem
from service.settings import MIB

router = APIRouter(prefix="/v1/membership", tags=["members"])


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """`segments` left out: all there are."""

    customers: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=CUSTOMER_ID_CHARS_MAX)]], msgspec.Meta(min_length=1)
    ]
    segments: list[str] | None = None


@router.post("/check", summary="Who is in what", responses=examples.CHECK, openapi_extra=examples.CHECK_BODY)
async def check(parts: With, request: Request) -> Response:
    """`matrix` has every customer asked, and for each every segment asked: a member or not. Somebody never seen is in
    none; an unknown segment is a 404."""
    question = _read(await read_body(request, MIB, MIB))
    customers = list(dict.fromkeys(question.customers))
    known = (await parts.registry.snapshot()).entries
    segments = sorted(known) if question.segments is None else list(dict.fromkeys(question.segments))
    if unknown := [segment for segment in segments if segment not in known]:
        raise Problem(404, "no-segment", f"There is no segment {', '.join(map(repr, unknown[:10]))}.", unknown=unknown)
    _check_size(parts, len(customers), len(segments))
    profiles = await parts.reads.profiles(customers)
    matrix = {
        customer: {segment: profile is not None and profile.is_member(segment) for segment in segments}
        for customer, profile in zip(customers, profiles, strict=True)
    }
    return answer({"matrix": matrix})


def _read(body: bytes) -> Question:
    try:
        return msgspec.json.decode(body, type=Question)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        at = place.rstrip("`").lstrip(".") or "body"
        raise Problem(422, "invalid-parameter", f"{at}: {message}", errors=[{"at": at, "message": message}]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "unreadable", "The body is not JSON.") from None


def _check_size(parts: With, customers: int, segments: int) -> None:
    most, cells = parts.settings.check_customers_max, parts.settings.check_cells_max
    if customers > most:
        raise Problem(422, "invalid-parameter", f"customers: at most {most} in one call", limit_customers=most)
    if customers * segments > cells:
        raise Problem(
            422,
            "invalid-parameter",
            f"customers times segments may be at most {cells}; ask in parts",
            limit_cells=cells,
        )
