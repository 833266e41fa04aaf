"""Dead letters for people and programs: a page of them, newest first, and how one is told."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, NamedTuple

import msgspec

from consumers.log.dead_letters import DeadLetter, DeadLetterBox
from consumers.state.cursors import CursorInvalid, read_cursor, write_cursor
from rules.times import format_instant

PAGE_BYTES_MAX = 8 * 1024 * 1024
"""Of the records on one page (one letter always fits): a letter may be as large as the source's topic allows."""


class Page(NamedTuple):
    """`cursor`: where the next page begins; None on the last."""

    letters: list[DeadLetter]
    cursor: str | None


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    after: dict[int, tuple[int, int]]  # per partition: the letter given last, which is the oldest of those given


async def page_of(box: DeadLetterBox, limit: int, cursor: str | None) -> Page:
    """Raises CursorInvalid, Unavailable.

    Later pages read the earlier ones again: in a topic what has been taken back is told behind the letters.
    """
    given = {} if cursor is None else dict(_places(cursor))
    reading = box.newest_first()
    try:
        letters, more = await _unread(reading, limit, given)
    finally:
        if isinstance(reading, AsyncGenerator):
            await reading.aclose()  # lets go of its connection
    return Page(letters, write_cursor(_Cursor(given)) if more else None)


async def _unread(
    reading: AsyncIterator[DeadLetter], limit: int, given: dict[int, tuple[int, int]]
) -> tuple[list[DeadLetter], bool]:
    """The letters after those that were `given` (which these are added to), and whether there are more."""
    letters: list[DeadLetter] = []
    size = 0
    async for letter in reading:
        partition, place = place_of(letter.id)
        if partition in given and place >= given[partition]:
            continue
        size += len(letter.raw or b"") + len(letter.key or b"")
        if len(letters) == limit or (letters and size > PAGE_BYTES_MAX):
            return letters, True
        letters.append(letter)
        given[partition] = place
    return letters, False


def _places(cursor: str) -> Mapping[int, tuple[int, int]]:
    try:
        return read_cursor(cursor, _Cursor).after
    except msgspec.ValidationError as error:
        raise CursorInvalid("this cursor was not given by this list: leave it out to begin anew") from error


def place_of(letter_id: str) -> tuple[int, tuple[int, int]]:
    """The partition, and the place in it, of which newer letters have greater ones.

    >>> place_of("3:17"), place_of("0:1795424400000-1")
    ((3, (17, 0)), (0, (1795424400000, 1)))
    """
    partition, _, place = letter_id.partition(":")
    first, _, second = place.partition("-")
    return int(partition), (int(first), int(second or 0))


def told(letter: DeadLetter) -> dict[str, Any]:
    """As JSON. `record` is text where the bytes are UTF-8, else null; `record_base64` is always exact.

    `cut_bytes`: the full size of a record too large to be kept whole, 0 for all others.
    """
    return {
        "id": letter.id,
        "at": format_instant(letter.put_ms),
        "source": letter.source,
        "origin": str(letter.origin),
        "reason": letter.reason,
        "record": _text(letter.raw),
        "record_base64": _base64(letter.raw),
        "key_base64": _base64(letter.key),
        "cut_bytes": letter.cut_bytes,
    }


def _text(raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()
