"""Who changed a segment's document, when and how: its newest edits, noted with the change itself."""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec

from consumers.state.entries import Entry
from consumers.state.keys import edits_key
from consumers.state.store import Argument, Store

EDITS_MAX = 200  # of a segment

What = Literal["created", "changed", "actions", "paused", "resumed", "deleted"]


class Edit(msgspec.Struct, frozen=True):
    """One edit at `at` (ms) by the name of a token, "anonymous", or "" for the service's own machine. `actions`: it
    changed nothing else. `id` names its place among the segment's edits."""

    at: int
    by: str
    what: What
    version: int
    revision: int = 0
    id: str = ""


_decoder = msgspec.json.Decoder(Edit)


def write_edit(old: Entry | None, new: Entry, by: str) -> bytes:
    """The edit that made `new` of `old`."""
    return msgspec.json.encode(Edit(time.time_ns() // 1_000_000, by, _what(old, new), new.version, new.revision))


def _what(old: Entry | None, new: Entry) -> What:
    if not new.exists:
        return "deleted"
    if old is None or not old.exists:
        return "created"
    if old.state != new.state:
        return "paused" if new.state == "paused" else "resumed"
    return "actions" if new.version == old.version else "changed"


async def read_edits(store: Store, segment: str, limit: int, before: str = "") -> list[Edit]:
    """A segment's edits, newest first, from before the one whose id is `before` on. Raises Unavailable."""
    command: list[Argument] = ["XREVRANGE", edits_key(segment), f"({before}" if before else "+", "-", "COUNT", limit]
    found: list[Any] = await store.call(*command)
    return [msgspec.structs.replace(_decoder.decode(fields[1]), id=key.decode()) for key, fields in found]
