"""An import of members: a file read piece by piece, its rows into the log in batches, and how far it is meanwhile.

Each row becomes one `membership` event, taken or refused on its own. Its id follows from the import's and the row, so
that a file sent again under the same key counts once. Memory: one piece, one batch, and the mistakes that are told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from consumers.log.port import Offset
from consumers.state.imports import Import, Imports, RowMistake, State
from rules.errors import Unavailable
from service.answers import instant
from service.by_hand import Change
from service.ingest import append
from service.member_rows import HeaderWrong, MemberRow, MemberRows
from service.problems import Problem
from service.wiring import Services

MISTAKES_TOLD_MAX = 1000
_BATCH_ROWS = 2000
_TOLD_EVERY_S = 1.0
_AWAY_S_MAX = 30.0  # the log may be away so long before an import gives up


class Importing:
    """One import while it runs. `head` says how far it is; `last` is where its rows are in the log."""

    def __init__(self, parts: Services, head: Import, *, ignore_columns: bool = False) -> None:
        self.head = head
        self.mistakes: list[RowMistake] = []
        self.last: dict[int, Offset] = {}
        self._parts = parts
        self._store = Imports(parts.store)
        self._rows = MemberRows(head.started, ignore_columns=ignore_columns)
        self._batch: list[MemberRow] = []
        self._told = time.monotonic()

    async def run(self, body: AsyncGenerator[bytes, None]) -> None:
        """To the end of the file. Raises Problem: what went into the log before that stands."""
        async with self._recorded(), aclosing(body):
            await self._store.write(self.head)
            async for piece in body:
                self.head.bytes += len(piece)
                await self._take(self._rows.feed(piece))
            await self._take(self._rows.end())
            await self._flush()
            self._nothing_taken()

    async def _take(self, found: Iterator[MemberRow | list[RowMistake]]) -> None:
        for each in found:
            self.head.rows += 1
            if isinstance(each, MemberRow):
                self._batch.append(each)
                if len(self._batch) >= _BATCH_ROWS:
                    await self._flush()
            else:
                self._refused(each)
        if time.monotonic() - self._told >= _TOLD_EVERY_S:
            self._told = time.monotonic()
            self.head.updated = _now_ms()
            await self._store.write(self.head)

    def _refused(self, mistakes: list[RowMistake]) -> None:
        self.head.rejected += 1
        self._note(mistakes)

    def _note(self, mistakes: list[RowMistake]) -> None:
        self.head.mistakes_total += len(mistakes)
        self.mistakes += mistakes[: max(0, MISTAKES_TOLD_MAX - len(self.mistakes))]

    async def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if batch and not self.head.dry_run:
            now_ms, head = _now_ms(), self.head
            events = []
            for row in batch:
                change = Change(head.segment, row.customer, row.action, row.until, head.by)
                events.append(change.event(change.id_in(head.id, row.row), now_ms))
            self.last.update(await self._appended(events))
        self.head.accepted += len(batch)

    async def _appended(self, events: list[Any]) -> dict[int, Offset]:
        """A log that is away for a moment ends no import: the same rows again are harmless."""
        deadline = time.monotonic() + _AWAY_S_MAX
        while True:
            try:
                return await append(self._parts, events)
            except Unavailable as error:
                if time.monotonic() + error.retry_after_s > deadline or self._parts.closing.is_set():
                    raise
                await asyncio.sleep(error.retry_after_s)

    def _nothing_taken(self) -> None:
        if self.head.accepted == 0:
            detail = "None of the rows could be taken." if self.head.rejected else "The file has no rows."
            raise Problem(422, "rows-rejected", detail, **self.told())

    @asynccontextmanager
    async def _recorded(self) -> AsyncIterator[None]:
        """Writes how it ended, whatever that is; makes problems of what the file or the log did."""
        state: State = "failed"
        try:
            yield
            state = "done"
        except HeaderWrong as error:
            self._note([error.mistake])
            self.head.why = f"row {error.mistake.row}: {error.mistake.column or 'the file'} {error.mistake.error}"
            raise Problem(422, "rows-rejected", "The file cannot be read.", **self.told()) from None
        except Problem as error:
            state = "broken-off" if error.name == "unreadable" else "failed"
            self.head.why = error.detail
            error.members = error.members | self.told()
            raise
        except Unavailable as error:
            self.head.why = "the log or the store was away"
            raise Problem(
                503,
                "unavailable",
                "The log or the store went away. Send the file again with the same Idempotency-Key: a row counts once.",
                headers={"Retry-After": str(max(1, round(error.retry_after_s)))},
                **self.told(),
            ) from None
        except asyncio.CancelledError:
            self.head.why = "the service stopped"
            raise
        finally:
            await self._end(state)

    async def _end(self, state: State) -> None:
        head = self.head
        head.state, head.updated = state, _now_ms()
        head.ended = head.updated
        try:
            await self._store.finish(head, self.mistakes)
        except Unavailable:
            return  # who asks is told that it fell silent

    def told(self) -> dict[str, Any]:
        """The answer's members; the same for a dry run, which says what would be."""
        head = self.head
        return {
            "import": head.id,
            "segment": head.segment,
            "dry_run": head.dry_run,
            "rows": head.rows,
            "accepted": head.accepted,
            "rejected": head.rejected,
            "errors": mistakes_told(self.mistakes),
            "errors_total": head.mistakes_total,
        }


def mistakes_told(mistakes: list[RowMistake]) -> list[dict[str, Any]]:
    return [{"row": each.row, "column": each.column or None, "error": each.error} for each in mistakes]


def head_told(head: Import) -> dict[str, Any]:
    """An import as `/v1/imports` tells it."""
    return {
        "id": head.id,
        "segment": head.segment,
        "by": head.by,
        "dry_run": head.dry_run,
        "state": head.state,
        "why": head.why or None,
        "started_at": instant(head.started),
        "updated_at": instant(head.updated),
        "ended_at": instant(head.ended),
        "bytes": head.bytes,
        "bytes_sent": head.bytes_total,
        "rows": head.rows,
        "accepted": head.accepted,
        "rejected": head.rejected,
        "errors_total": head.mistakes_total,
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
