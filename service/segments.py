"""What the segment calls do with the registry: find, check against the others, change under conditions, describe."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import Request

from consumers.state.reads import Activation
from consumers.state.registry import Conflict, Entry, RegistryMoved, Snapshot
from rules.errors import SegmentInvalid
from rules.language import references
from service.answers import instant
from service.documents import Document, check_among, check_calls, in_words, parsed
from service.headers import if_match
from service.problems import Problem, no_segment, unavailable
from service.wiring import Services

_ATTEMPTS = 20  # others may change segments meanwhile; each time everything is checked anew
_POLL_S = 0.05


async def known(parts: Services, segment: str) -> Entry:
    """The segment's entry; raises 404."""
    entry = await parts.registry.get(segment)
    if entry is None:
        raise no_segment(segment)
    return entry


async def save(parts: Services, request: Request, document: Document, by: str) -> tuple[Entry, bool]:
    """Makes or changes a segment; answers its entry and whether it is new. Raises Problem, SegmentInvalid."""
    for _ in range(_ATTEMPTS):
        snapshot = await parts.registry.snapshot()
        current = snapshot.entries.get(document.segment.id)
        if_match(request, current.etag if current else None)
        _check(parts, document, snapshot)
        try:
            return await parts.registry.put(
                document.segment.id,
                document.raw,
                document.text,
                document.media_type,
                expected_version=current.version if current else None,
                must_not_exist=current is None,
                revision=snapshot.revision,
                by=by,
            )
        except (RegistryMoved, Conflict):
            continue
    raise _too_busy()


def _check(parts: Services, document: Document, snapshot: Snapshot) -> None:
    most = parts.settings.segments_max
    if document.segment.id not in snapshot.entries and len(snapshot.entries) >= most:
        raise Problem(409, "segments-limit", f"At most {most} segments can exist; delete one first.", limit=most)
    mistakes = check_among(document.segment, snapshot.entries) + check_calls(parts.connectors, document.segment)
    if mistakes:
        raise SegmentInvalid(mistakes)


async def remove(parts: Services, request: Request, segment: str, by: str) -> None:
    """Deletes a segment that no other names. Raises Problem."""
    for _ in range(_ATTEMPTS):
        snapshot = await parts.registry.snapshot()
        current = snapshot.entries.get(segment)
        if current is None:
            raise no_segment(segment)
        if_match(request, current.etag)
        if naming := named_by(snapshot, segment):
            named = ", ".join(naming)
            raise Problem(409, "segment-named", f"{segment} is named by {named}: change that first.", named_by=naming)
        try:
            await parts.registry.delete(segment, expected_version=current.version, revision=snapshot.revision, by=by)
        except (RegistryMoved, Conflict):
            continue
        return
    raise _too_busy()


def named_by(snapshot: Snapshot, segment: str) -> list[str]:
    """The other segments whose conditions name this one, by id."""
    return sorted(
        name
        for name, entry in snapshot.entries.items()
        if name != segment and any(node.segment == segment for node in references(parsed(entry.document)))
    )


async def set_running(parts: Services, request: Request, segment: str, by: str, *, running: bool) -> Entry:
    """Resumes or pauses; a segment that already is so stays as it is. Raises Problem."""
    for _ in range(_ATTEMPTS):
        current = await known(parts, segment)
        if_match(request, current.etag)
        change = parts.registry.resume if running else parts.registry.pause
        if current.state == ("active" if running else "paused"):
            return current
        try:
            changed = await change(segment, expected_version=current.version, by=by)
        except (RegistryMoved, Conflict):
            continue
        if changed is not None:
            return changed
    raise _too_busy()


async def describe(parts: Services, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Segments as the API tells them: document, words, version, state, size, progress."""
    names = [entry.segment for entry in entries]
    sizes, activations = await asyncio.gather(
        parts.reads.sizes(names), parts.reads.activations({entry.segment: entry.version for entry in entries})
    )
    return [_described(entry, sizes.get(entry.segment, 0), activations[entry.segment]) for entry in entries]


def _described(entry: Entry, size: int, activation: Activation) -> dict[str, Any]:
    judged = activation.active and not activation.collecting
    return {
        "id": entry.segment,
        "version": entry.version,
        "revision": entry.revision,
        "state": "paused" if entry.state == "paused" else "active" if judged else "activating",
        "size": size,
        "activation": {"judged": activation.judged, "total": activation.total},
        "history_from": instant(activation.history_from),
        "created_at": instant(entry.created_at),
        "updated_at": instant(entry.updated_at),
        "document": entry.document,
        "words": in_words(entry.document),
    }


async def wait_until_judged(parts: Services, entry: Entry, wait_s: float) -> bool:
    """Waits until everybody was judged by this version; false when time ran out."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        activation = (await parts.reads.activations({entry.segment: entry.version}))[entry.segment]
        if activation.active and not activation.collecting:
            return True
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)


def _too_busy() -> Problem:
    return unavailable("Segments are changed by too many at once; try again.", 1)
