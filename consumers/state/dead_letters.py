"""Dead letters of all partitions, newest first."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from consumers.log.port import Offset
from consumers.state.cursors import CursorInvalid, read_cursor, write_cursor
from consumers.state.keys import PartitionKeys
from consumers.state.store import Argument, Store

_STREAM_ID = re.compile(r"\d{1,15}-\d{1,15}")


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be taken: `reason`, where it stood in the log, and its bytes as they came."""

    id: str
    partition: int
    offset: Offset
    timestamp_ms: int
    reason: str
    raw: bytes


class DeadLettersPage(msgspec.Struct, frozen=True):
    letters: list[DeadLetter]
    cursor: str | None


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    before: list[str]  # per partition: the stream id of the last letter given, "" for none yet


async def read_dead_letters(
    store: Store, keys: Sequence[PartitionKeys], limit: int, cursor: str | None
) -> DeadLettersPage:
    """A page. Raises CursorInvalid."""
    before = [""] * len(keys) if cursor is None else read_cursor(cursor, _Cursor).before
    if len(before) != len(keys) or not all(_STREAM_ID.fullmatch(part) for part in before if part):
        raise CursorInvalid("this cursor was not given by this list: leave it out to begin anew")
    commands: list[Sequence[Argument]] = [
        ("XREVRANGE", each.dead, f"({last}" if last else "+", "-", "COUNT", limit + 1)
        for each, last in zip(keys, before, strict=True)
    ]
    columns = [
        [_letter(partition, key.decode(), fields) for key, fields in entries]
        for partition, entries in enumerate(await store.calls(commands))
    ]
    merged = list(heapq.merge(*columns, key=lambda letter: (_order(letter.id), letter.partition), reverse=True))
    page = merged[:limit]
    for letter in page:
        before[letter.partition] = letter.id.partition(":")[2]
    return DeadLettersPage(page, write_cursor(_Cursor(before)) if len(merged) > limit else None)


def _letter(partition: int, key: str, flat: Sequence[Any]) -> DeadLetter:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    offset, _, timestamp_ms = fields[b"origin"].decode().partition("@")
    reason = fields[b"reason"].decode(errors="replace")
    return DeadLetter(f"{partition}:{key}", partition, int(offset), int(timestamp_ms), reason, fields[b"raw"])


def _order(letter_id: str) -> tuple[int, int]:
    ms, _, seq = letter_id.partition(":")[2].partition("-")
    return int(ms), int(seq)
