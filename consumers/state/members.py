"""A segment's members over all partitions, newest first, page by page, whoever comes and goes in between."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import msgspec

from consumers.state.cursors import CursorInvalid, read_cursor, write_cursor
from consumers.state.feed import Place, PositionInvalid, read_position, write_position
from consumers.state.keys import PartitionKeys
from consumers.state.store import Script, Store

_MEMBERS = Script("members")


class Member(msgspec.Struct, frozen=True, gc=False):
    """`since` (ms): the time of the transition that let them in."""

    customer_id: str
    since: int


class MembersPage(msgspec.Struct, frozen=True):
    """Members newest first (ties: greater customer first). `cursor`: for the next page, None at the end.

    `position`: the feed from here on tells every change after the *first* page was read; all pages carry the same.
    """

    members: list[Member]
    cursor: str | None
    position: str


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    segment: str
    since: int
    customer_id: str
    position: str


async def read_members(
    store: Store, keys: Sequence[PartitionKeys], segment: str, limit: int, cursor: str | None
) -> MembersPage:
    """A page. Raises CursorInvalid."""
    after = _after(cursor, segment, len(keys))
    since, customer_id = ("", "") if after is None else (str(after.since), after.customer_id)
    places, columns = [], []
    for each in keys:
        answer = await store.run(_MEMBERS, [each.members(segment), each.meta], [limit + 1, since, customer_id])
        places.append(Place(int(answer[0]) + 1, int(answer[1])))
        columns.append(_members(answer[2]))
    merged = heapq.merge(*columns, key=lambda m: (m.since, m.customer_id.encode()), reverse=True)
    page = [member for _, member in zip(range(limit + 1), merged, strict=False)]
    position = write_position(places) if after is None else after.position
    if len(page) <= limit:
        return MembersPage(page, None, position)
    last = page[limit - 1]
    return MembersPage(page[:limit], write_cursor(_Cursor(segment, last.since, last.customer_id, position)), position)


def _after(cursor: str | None, segment: str, partitions: int) -> _Cursor | None:
    if cursor is None:
        return None
    after = read_cursor(cursor, _Cursor)
    try:
        read_position(after.position, partitions)
    except PositionInvalid as error:
        raise CursorInvalid(str(error)) from error
    if after.segment != segment:
        raise CursorInvalid(f"this cursor belongs to segment {after.segment}")
    return after


def _members(flat: Sequence[bytes]) -> Iterator[Member]:
    for at in range(0, len(flat), 2):
        yield Member(flat[at].decode(), int(float(flat[at + 1])))
