"""Members from a CSV file: sent in one request, checked row by row, and how far the import is meanwhile."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from consumers.state.imports import IMPORTS_KEPT_MAX, Import, Imports
from service import examples_feed as examples
from service.answers import answer
from service.by_hand import import_id
from service.guard import Caller, With
from service.headers import wait_seconds
from service.imports import Importing, head_told, mistakes_told
from service.ingest import applied
from service.params import IdempotencyKey, SegmentId
from service.problems import Problem
from service.segments import known
from service.streamed import pieces
from service.wiring import Services

reads = APIRouter(prefix="/v1/imports", tags=["members"])
changes = APIRouter(prefix="/v1/segments/{segment}/members", tags=["members"])
_CSV = ("text/csv", "application/csv", "text/plain", "application/vnd.ms-excel")


@changes.post(
    "",
    summary="Add and remove members by a CSV file",
    status_code=202,
    responses=examples.IMPORT_MEMBERS,
    openapi_extra=examples.CSV_BODY,
)
async def import_members(
    parts: With,
    request: Request,
    by: Caller,
    segment: SegmentId,
    dry_run: Annotated[bool, Query(description="Only check the file; nothing is changed.")] = False,
    ignore_columns: Annotated[bool, Query(description="Pass over columns that nobody knows.")] = False,
    key: IdempotencyKey = None,
) -> Response:
    """The first row names the columns: `customer_id`, and if you like `action` (`add`, `remove`, `clear`; add if it is
    empty) and `until`. Read and written while it is sent (also gzip); 202 comes when the log has all of it durably.

    Each bad row is told with its row and column, and does not keep the others out. Under an `Idempotency-Key` the same
    file counts once, however often it is sent. `GET /v1/imports/{import}` says how far it is meanwhile.
    """
    await known(parts, segment)
    _check_media(request)
    importing = Importing(
        parts, _head(parts, request, segment, by, dry_run=dry_run, key=key), ignore_columns=ignore_columns
    )
    await _run(parts, request, importing)
    if dry_run:
        return answer(importing.told())
    more, headers = await applied(parts, importing.last, wait_seconds(request, parts.settings.wait_seconds_max))
    return answer({**importing.told(), **more}, 202, headers)


def _head(parts: Services, request: Request, segment: str, by: str, *, dry_run: bool, key: str | None) -> Import:
    now_ms = time.time_ns() // 1_000_000
    name = import_id(key, segment, dry_run=dry_run, now_ms=now_ms)
    declared = request.headers.get("content-length", "")
    total = int(declared) if declared.isascii() and declared.isdigit() else None
    return Import(name, segment, by, dry_run, now_ms, now_ms, bytes_total=total)


async def _run(parts: Services, request: Request, importing: Importing) -> None:
    if parts.imports >= parts.settings.imports_max:
        raise Problem(503, "unavailable", "As many imports as may be are running.", headers={"Retry-After": "10"})
    parts.imports += 1
    try:
        await importing.run(pieces(request, parts.settings.import_bytes_max))
    finally:
        parts.imports -= 1


def _check_media(request: Request) -> None:
    media, *parameters = request.headers.get("content-type", "").lower().split(";")
    if media.strip() not in _CSV:
        raise Problem(415, "unsupported-media", "Send the file as `Content-Type: text/csv`.")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise Problem(415, "unsupported-media", "The file must be UTF-8: save it as `CSV UTF-8`.")


@reads.get("", summary="Imports of members, newest first", responses=examples.LIST_IMPORTS)
async def list_imports(
    parts: With, segment: Annotated[str | None, Query(description="Only into this segment.")] = None
) -> Response:
    """Those that run, and the last ones that have."""
    heads = await Imports(parts.store).newest_first(time.time_ns() // 1_000_000)
    told = [head_told(head) for head in heads[:IMPORTS_KEPT_MAX] if segment in (None, head.segment)]
    return answer({"imports": told})


@reads.get("/{import}", summary="How far an import is", responses=examples.GET_IMPORT)
async def get_import(
    parts: With, name: Annotated[str, Path(alias="import", description="The import's id.", max_length=128)]
) -> Response:
    """With what is wrong in its file once it has ended: at most 1,000 mistakes, and how many there are in all."""
    found = await Imports(parts.store).read(name, time.time_ns() // 1_000_000)
    if found is None:
        raise Problem(404, "no-import", f"There is no import {name!r}; the last {IMPORTS_KEPT_MAX} are kept.")
    head, mistakes = found
    return answer({**head_told(head), "errors": mistakes_told(mistakes)})
