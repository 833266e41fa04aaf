"""Segments over HTTP: documents in, documents out, with versions, conditions and how far they are judged."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from consumers.state.registry import Entry
from service import examples
from service.answers import answer
from service.cursors import after, cursor_of
from service.documents import read_document, written_as_yaml
from service.guard import Caller, With
from service.headers import not_modified, wait_seconds, wants_yaml
from service.params import Cursor, Limit, SegmentId
from service.segments import describe, known, remove, save, set_running, wait_until_judged

reads = APIRouter(prefix="/v1/segments", tags=["segments"])
changes = APIRouter(prefix="/v1/segments", tags=["segments"])


@reads.get("", summary="All segments, by id", responses=examples.LIST_SEGMENTS)
async def list_segments(parts: With, limit: Limit, cursor: Cursor = None) -> Response:
    """`cursor` is null on the last page."""
    entries = (await parts.registry.snapshot()).entries
    start = after(cursor) if cursor else ""
    ids = sorted(segment for segment in entries if segment > start)
    page = [entries[segment] for segment in ids[:limit]]
    following = cursor_of(page[-1].segment) if len(ids) > limit else None
    return answer({"segments": await describe(parts, page), "cursor": following})


@reads.get("/{segment}", summary="One segment", responses=examples.GET_SEGMENT)
async def get_segment(parts: With, segment: SegmentId, request: Request) -> Response:
    """As JSON, or with `Accept: application/yaml` the author's own text, comments and all.

    The `ETag` names the version of the document: it stays while size and progress change.
    """
    entry = await known(parts, segment)
    yaml = wants_yaml(request)
    headers = {"ETag": entry.etag, "Vary": "Accept"}
    if not_modified(request, entry.etag):
        return Response(status_code=304, headers=headers)
    if yaml:
        return Response(written_as_yaml(entry), 200, headers, "application/yaml")
    [described] = await describe(parts, [entry])
    return answer(described, headers=headers)


@changes.put(
    "/{segment}",
    summary="Make or change a segment",
    responses=examples.PUT_SEGMENT,
    openapi_extra=examples.DOCUMENT_BODY,
)
async def put_segment(parts: With, segment: SegmentId, request: Request, by: Caller) -> Response:
    """A document as JSON or YAML; its `id` is the one in the address. The same document again makes no new version, nor
    does one of which only the `actions` differ: that makes a new `revision`, and nobody is judged again.

    `If-Match: "3"` changes that version only, `If-None-Match: *` makes a new one only (else 412). `Prefer: wait=10`
    holds the answer until everybody was judged by it.
    """
    document = await read_document(request, segment)
    entry, created = await save(parts, request, document, by)
    return await _told(parts, request, entry, 201 if created else 200)


@changes.delete("/{segment}", summary="Delete a segment", status_code=204, responses=examples.DELETE_SEGMENT)
async def delete_segment(parts: With, segment: SegmentId, request: Request, by: Caller) -> Response:
    """All its members leave (cause `definition`). Refused (409) while another segment names it."""
    await remove(parts, request, segment, by)
    return Response(status_code=204)


@changes.post("/{segment}/pause", summary="Freeze a segment's members", responses=examples.PAUSE_SEGMENT)
async def pause_segment(parts: With, segment: SegmentId, request: Request, by: Caller) -> Response:
    """Nobody enters or leaves until `resume`; events are folded on meanwhile."""
    return await _told(parts, request, await set_running(parts, request, segment, by, running=False), 200)


@changes.post("/{segment}/resume", summary="Judge a paused segment again", responses=examples.PAUSE_SEGMENT)
async def resume_segment(parts: With, segment: SegmentId, request: Request, by: Caller) -> Response:
    """Everybody is judged afresh (cause `definition`)."""
    return await _told(parts, request, await set_running(parts, request, segment, by, running=True), 200)


async def _told(parts: With, request: Request, entry: Entry, status: int) -> Response:
    """The segment after a change; with `Prefer: wait` when everybody was judged by it, or when time ran out."""
    headers = {"ETag": entry.etag, "Vary": "Accept"}
    wait = wait_seconds(request, parts.settings.wait_seconds_max)
    if wait is not None and await wait_until_judged(parts, entry, wait):
        headers["Preference-Applied"] = "wait"
    if status == 201:
        headers["Location"] = f"/v1/segments/{entry.segment}"
    [described] = await describe(parts, [entry])
    return answer(described, status, headers)
