"""Segment files into a registry of this process: what `up --segments` and `demo` begin with."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from consumers.state.registry import Conflict, RegistryMoved
from rules.errors import SegmentInvalid
from rules.language.check import references
from service.cli.files import FilesInvalid, SegmentFile
from service.documents import check_among, check_calls
from service.wiring import Services

_ATTEMPTS = 20


def in_order(files: Sequence[SegmentFile]) -> list[SegmentFile]:
    """The files with every segment after those it names (as far as they are among them)."""
    by_id = {each.segment.id: each for each in files}
    done: dict[str, SegmentFile] = {}

    def place(file: SegmentFile, above: frozenset[str]) -> None:
        if file.segment.id in done or file.segment.id in above:
            return
        for node in references(file.segment):
            if node.segment in by_id:
                place(by_id[node.segment], above | {file.segment.id})
        done[file.segment.id] = file

    for each in files:
        place(each, frozenset())
    return list(done.values())


async def define(services: Services, files: Sequence[SegmentFile]) -> int:
    """Makes or changes the segments; answers how many were new or different. Raises FilesInvalid."""
    changed = 0
    for file in in_order(files):
        changed += await _put(services, file)
    return changed


async def _put(services: Services, file: SegmentFile) -> bool:
    document = orjson.loads(orjson.dumps(file.raw))
    text, media_type = file.body
    for _ in range(_ATTEMPTS):
        snapshot = await services.registry.snapshot()
        before = snapshot.entries.get(file.segment.id)
        mistakes = check_among(file.segment, snapshot.entries) + check_calls(services.connectors, file.segment)
        if mistakes:
            raise FilesInvalid(f"{file.place}: {SegmentInvalid(mistakes)}")
        try:
            entry, _ = await services.registry.put(
                file.segment.id, document, text, media_type, revision=snapshot.revision
            )
        except (RegistryMoved, Conflict):
            continue
        return before is None or before.etag != entry.etag
    raise FilesInvalid(f"{file.place}: segments are changed by too many at once; try again")
