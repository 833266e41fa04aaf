"""A segment's feed, newest first: its transitions, edits of its document, and the calls of its actions, merged.

Everything has a place in one order (instant, source, place in the source), and a cursor is such a place: the next page
is what comes after it. A transition's instant is its commit's clock, by which the feed is in order. The bounds of a
read may end a page early; its cursor says how far back was looked.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from consumers.actions.target import call_key
from consumers.delivery.reads import LogEntry
from consumers.state.edits import EDITS_MAX, Edit, read_edits
from consumers.state.entries import Entry
from consumers.state.said import Said, read_said
from rules.times import format_instant
from service.actions import all_of
from service.cursors import bad_cursor
from service.wiring import Services

_BYTES_MAX = 16 * 1024 * 1024  # of the outboxes, looked through for one page
_CALLS_MAX = 1_000  # of one action, looked through for one page
_PAGE = 200
_NEWEST = 2**62  # a commit after all

_CALL, _TRANSITION, _EDIT = 2, 1, 0  # what comes first of the same instant, newest first


class Place(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A place in the order: later is greater."""

    at: int
    rank: int
    where: str


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """After `place`; by partition the commit from which on what follows it is found."""

    place: Place
    commits: list[int]


class Told(NamedTuple):
    """One entry of the feed and where it stands; `commit`: of a transition, by partition."""

    place: Place
    content: dict[str, Any]
    commit: tuple[int, int] | None = None


async def read_feed(parts: Services, entry: Entry, limit: int, cursor: str | None) -> dict[str, Any]:
    """One page. Raises Problem for a cursor that is none, Unavailable."""
    partitions = parts.log.partitions
    after = _cursor(cursor, partitions) if cursor else None
    calls, edits, found = await asyncio.gather(
        _calls(parts, entry, limit, after),
        read_edits(parts.store, entry.segment, EDITS_MAX),
        read_said(parts.store, partitions, entry.segment, limit + 1, after.commits if after else None, _BYTES_MAX),
    )
    lowest = max((_place(end[0], end[1], p) for p, end in enumerate(found.ends) if end is not None), default=None)
    told = [*calls, *map(_edit, edits), *map(_transition, found.said)]
    told = [each for each in told if after is None or each.place < after.place]
    told.sort(key=lambda each: each.place, reverse=True)
    inside = [each for each in told if lowest is None or each.place >= lowest]
    page = inside[:limit]
    following = None
    if len(page) < len(inside):
        following = _after_page(page, after, partitions)
    elif lowest is not None:
        following = Cursor(lowest, _first_commits(told[len(inside) :], found.commits))
    return {"entries": [each.content for each in page], "cursor": _written(following) if following else None}


def _after_page(page: Sequence[Told], after: Cursor | None, partitions: int) -> Cursor:
    """More was found than fits."""
    commits = list(after.commits) if after else [_NEWEST] * partitions
    for each in page:
        if each.commit is not None:
            partition, commit = each.commit
            commits[partition] = min(commits[partition], commit)
    return Cursor(page[-1].place, commits)


def _first_commits(left: Sequence[Told], looked: Sequence[int]) -> list[int]:
    """The page ends where the look ended: what was found below that comes next, and then what was not looked at."""
    commits = list(looked)
    for each in left:
        if each.commit is not None:
            partition, commit = each.commit
            commits[partition] = max(commits[partition], commit)
    return commits


def _written(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def _cursor(text: str, partitions: int) -> Cursor:
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.msgpack.decode(packed, type=Cursor)
    except (binascii.Error, ValueError):
        raise bad_cursor() from None
    if len(cursor.commits) != partitions:
        raise bad_cursor()
    return cursor


# -- transitions ------------------------------------------------------------------------------------------------------


def _transition(said: Said) -> Told:
    event = orjson.loads(said.data)
    data = event["data"]
    content: dict[str, Any] = {
        "kind": "entered" if event["type"] == "segment.entered" else "exited",
        "at": event["time"],
        "id": event["id"],
        "customer_id": data["customer_id"],
        "cause": data["cause"],
        "why": data["why"],
    }
    by = next((reason["by"] for reason in data["why"] if "by" in reason), None)
    if by is not None:
        content["by"] = by
    return Told(_place(said.clock, said.number, said.partition), content, (said.partition, said.commit))


def _place(clock: int, number: int, partition: int) -> Place:
    return Place(clock, _TRANSITION, f"{number:015d} {partition:05d}")


# -- edits ------------------------------------------------------------------------------------------------------------


def _edit(edit: Edit) -> Told:
    content = {
        "kind": "edited",
        "at": format_instant(edit.at),
        "what": edit.what,
        "version": edit.version,
        "revision": edit.revision,
        "by": edit.by or None,
    }
    milliseconds, _, sequence = edit.id.partition("-")
    return Told(Place(edit.at, _EDIT, f"{int(milliseconds):015d}-{int(sequence):06d}"), content)


# -- calls ------------------------------------------------------------------------------------------------------------


async def _calls(parts: Services, entry: Entry, limit: int, after: Cursor | None) -> list[Told]:
    """The newest calls of every action, from the cursor on."""
    specs = all_of(entry)
    found = await asyncio.gather(*(_calls_of(parts, spec.target, limit, after) for spec in specs))
    return [_call(spec.action.id, each) for spec, log in zip(specs, found, strict=True) for each in log]


async def _calls_of(parts: Services, target: str, limit: int, after: Cursor | None) -> list[LogEntry]:
    """As many as a page may need: all that are newer than the cursor count for nothing."""
    found: list[LogEntry] = []
    cursor: str | None = None
    while True:
        page = await parts.deliveries.log(target, _PAGE, cursor)
        found += page.entries
        wanted = [each for each in found if after is None or each.at_ms <= after.place.at]
        if page.cursor is None or len(wanted) > limit or len(found) >= _CALLS_MAX:
            return found
        cursor = page.cursor


def _call(action: str, entry: LogEntry) -> Told:
    content = {
        "kind": "called",
        "at": format_instant(entry.at_ms),
        "action": action,
        "outcome": entry.outcome,
        "key": call_key(action, entry.item_id) if entry.item_id else None,
        "customer_id": entry.customer_id or None,
        "attempt": entry.attempt,
        "status": entry.status or None,
        "detail": entry.detail,
        "run": entry.job or None,
    }
    where = f"{action} {entry.partition:05d} {entry.item_id} {entry.attempt:05d} {entry.outcome}"
    return Told(Place(entry.at_ms, _CALL, where), content)
