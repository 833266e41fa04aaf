"""Path and query parameters that several calls take, each checked in one place."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from rules.limits import CUSTOMER_ID_CHARS_MAX
from service.guard import With
from service.problems import invalid_parameter

SLASH = "\ufdd0"
"""Stands for a `/` inside one part of a path (`%2F`) until that part has been read; a character that no text has."""


OPAQUE_CHARS_MAX = 40_000
"""Of a cursor or a position: both name a place in each of up to 1,024 partitions."""


def decoded(part: str) -> str:
    return part.replace(SLASH, "/")


async def _customer(
    customer: Annotated[str, Path(description="The customer's id, percent-encoded.", examples=["13748"])],
) -> str:
    found = decoded(customer)
    if not 1 <= len(found) <= CUSTOMER_ID_CHARS_MAX:
        raise invalid_parameter("customer", f"a customer's id has 1 to {CUSTOMER_ID_CHARS_MAX} characters")
    return found


async def _segment(
    segment: Annotated[str, Path(description="The segment's id.", examples=["big-spenders"])],
) -> str:
    return decoded(segment)


async def _limit(
    parts: With,
    limit: Annotated[int | None, Query(description="Entries at most.", examples=[100])] = None,
) -> int:
    most = parts.settings.page_size_max
    if limit is None:
        return min(parts.settings.page_size_default, most)
    if not 1 <= limit <= most:
        raise invalid_parameter("limit", f"must be from 1 to {most}")
    return limit


CustomerId = Annotated[str, Depends(_customer)]
SegmentId = Annotated[str, Depends(_segment)]
Limit = Annotated[int, Depends(_limit)]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The same request with the same key counts once.", max_length=255),
]
Cursor = Annotated[str | None, Query(description="From the answer before; opaque.", max_length=OPAQUE_CHARS_MAX)]


def flag(request: Request, name: str) -> bool:
    """A query parameter that is `true` or `false`."""
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false", "1", "0", ""):
        raise invalid_parameter(name, "must be true or false")
    return value in ("true", "1", "")
