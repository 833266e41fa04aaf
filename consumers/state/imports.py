"""Imports of members that run or have run: how far each is, for whoever asks, at whichever process.

Two hashes, bounded by number: the heads (small, written about once a second while an import runs), and the mistakes
that were found (written at its end). The members themselves go to the log; nothing here is needed to evaluate them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from consumers.state.keys import IMPORT_MISTAKES, IMPORTS
from consumers.state.store import Store

IMPORTS_KEPT_MAX = 100
SILENT_MS = 60_000
"""An import that has not said anything for so long has broken off, and so has its process."""

State = Literal["running", "done", "failed", "broken-off"]


class RowMistake(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong in a file: its row (the header is 1), the column if it is one's, and what would be right."""

    row: int
    column: str = ""
    error: str = ""


class Import(msgspec.Struct, omit_defaults=False):
    """One import. Times in ms; `bytes` are those read, unpacked; `bytes_total` of the body as sent, None: not told.

    `rows` read (without the header), of which `accepted` went to the log (or would, in a dry run) and `rejected` did
    not, for `mistakes_total` mistakes. `why`: what ended it before its end.
    """

    id: str
    segment: str
    by: str
    dry_run: bool
    started: int
    updated: int
    state: State = "running"
    ended: int | None = None
    bytes: int = 0
    bytes_total: int | None = None
    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    mistakes_total: int = 0
    why: str = ""


_encode = msgspec.json.Encoder().encode
_heads = msgspec.json.Decoder(Import)
_mistakes = msgspec.json.Decoder(list[RowMistake])


class Imports:
    """The imports in the store. Every call may raise Unavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, head: Import) -> None:
        """How far it is now."""
        await self._store.call("HSET", IMPORTS, head.id, _encode(head))

    async def finish(self, head: Import, mistakes: list[RowMistake]) -> None:
        """How it ended, and what was wrong; the oldest that are too many go."""
        await self._store.calls(
            [("HSET", IMPORT_MISTAKES, head.id, _encode(mistakes)), ("HSET", IMPORTS, head.id, _encode(head))]
        )
        if await self._store.call("HLEN", IMPORTS) > IMPORTS_KEPT_MAX:
            old = [each.id for each in (await self.newest_first(head.updated))[IMPORTS_KEPT_MAX:]]
            if old:
                await self._store.calls([("HDEL", IMPORT_MISTAKES, *old), ("HDEL", IMPORTS, *old)])

    async def newest_first(self, now_ms: int) -> list[Import]:
        """All that are kept."""
        values = await self._store.call("HVALS", IMPORTS)
        heads = [_as_of(_heads.decode(value), now_ms) for value in values]
        return sorted(heads, key=lambda head: (head.started, head.id), reverse=True)

    async def read(self, import_id: str, now_ms: int) -> tuple[Import, list[RowMistake]] | None:
        """One with its mistakes (empty while it runs); None if it is not kept."""
        head, mistakes = await self._store.calls([("HGET", IMPORTS, import_id), ("HGET", IMPORT_MISTAKES, import_id)])
        if head is None:
            return None
        return _as_of(_heads.decode(head), now_ms), _mistakes.decode(mistakes or b"[]")


def _as_of(head: Import, now_ms: int) -> Import:
    if head.state == "running" and head.updated < now_ms - SILENT_MS:
        head.state = "broken-off"
        head.why = "nothing was heard of it for a minute"
    return head
