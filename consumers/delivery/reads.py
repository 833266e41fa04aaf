"""What the API shows of deliveries, over all partitions."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec

from consumers.delivery.following import Position
from consumers.delivery.merging import Column, Reader, Row, merge
from consumers.delivery.port import Kind
from consumers.delivery.records import LogEntry, LogOutcome, decode_kept, decode_log, decode_parked
from consumers.state.cursors import CursorInvalid, read_cursor, write_cursor
from consumers.state.deliveries import COUNTS, MARKS
from consumers.state.keys import DeliveryKey, PartitionKeys
from consumers.state.store import Argument, Store

_COUNTED = (*COUNTS, *MARKS)
_SHARE = 6  # commands a target and partition
_BATCH = 200  # rows read at once
_DEAD: tuple[DeliveryKey, DeliveryKey] = ("a", "d")
_FAILING: tuple[DeliveryKey, DeliveryKey] = ("r", "p")
_PLACE = {
    "log": re.compile(r"(\d{1,16}-\d{1,16})?"),
    "dead": re.compile(r"(\d{1,16} .+)?", re.DOTALL),
    "failing": re.compile(r"(\d{1,16} .+)?", re.DOTALL),
}

__all__ = ["ItemPage", "LogEntry", "LogOutcome", "LogPage", "PendingItem", "Reads", "Standing"]


class PendingItem(msgspec.Struct, frozen=True):
    """An item that is not done. `next_ms`: of the next attempt (0: given up, or behind another of its customer)."""

    item_id: str
    kind: Kind
    customer_id: str
    segment: str
    partition: int
    time_ms: int
    attempts: int
    first_ms: int
    last_ms: int
    next_ms: int
    error: str
    status: int
    job: str = ""


class Standing(msgspec.Struct, frozen=True):
    """Where a target is. Counts are since it began; `lag`: transitions of the feed that it has not looked at yet.

    `waiting`: parked until their time; `failing`: to be tried again; `behind`: parked behind such of their customer.
    `dead`: given up, kept; `dead_dropped`: given up, and let go of since. `lost`: left the feed before they were read.
    `next_ms`: when the next parked item is due. `oldest_ms`: since when the items that are next in their partitions
    have been failing, the oldest; 0 for none.
    """

    target: str
    lag: int
    parked: int
    waiting: int
    failing: int
    dead: int
    done: int
    failed: int
    dropped: int
    given_up: int
    lost: int
    dead_dropped: int
    last_done_ms: int
    last_failed_ms: int
    next_ms: int
    oldest_ms: int


class LogPage(msgspec.Struct, frozen=True):
    entries: list[LogEntry]
    cursor: str | None


class ItemPage(msgspec.Struct, frozen=True):
    items: list[PendingItem]
    cursor: str | None


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    """`places`: per partition where the next page begins, in the form of its index; "" for its beginning."""

    what: str
    target: str
    places: list[str]


class Reads:
    """All calls may raise Unavailable; paged ones CursorInvalid (`consumers.state.cursors`)."""

    def __init__(self, store: Store, partitions: int) -> None:
        self._store = store
        self._keys = [PartitionKeys(partition) for partition in range(partitions)]

    # -- where targets are --------------------------------------------------------------------------------------------

    async def standings(self, targets: Sequence[str]) -> list[Standing]:
        """Of these targets, in this order."""
        if not targets:
            return []
        fields = [f"{target} {what}" for target in targets for what in _COUNTED]
        commands: list[Sequence[Argument]] = []
        for keys in self._keys:
            commands += [
                ("HMGET", keys.meta, "numbered", "shown"),
                ("HMGET", keys.delivery_cursors, *targets),
                ("HMGET", keys.delivered, *fields),
            ]
            for target in targets:
                commands += _share_commands(keys, target)
        answers = await self._store.calls(commands)
        width = len(answers) // len(self._keys)
        rows = [answers[at : at + width] for at in range(0, len(answers), width)]
        standings = []
        for nth, target in enumerate(targets):
            counted = [row[2][nth * len(_COUNTED) : (nth + 1) * len(_COUNTED)] for row in rows]
            counts = {what: [int(row[at] or 0) for row in counted] for at, what in enumerate(_COUNTED)}
            shares = [row[3 + nth * _SHARE : 3 + (nth + 1) * _SHARE] for row in rows]
            lag = sum(_lag(int(row[0][0] or 0), row[1][nth]) for row in rows)
            standings.append(_standing(target, lag, counts, shares, await self._oldest_ms(target, shares)))
        return standings

    async def _oldest_ms(self, target: str, shares: Sequence[list[Any]]) -> int:
        """Of the items that are to be tried again, the oldest first attempt among the first of each partition."""
        commands = []
        for keys, share in zip(self._keys, shares, strict=True):
            if share[3]:
                commands.append(("HGET", keys.delivery("p", target), share[3][0]))
        records = await self._store.calls(commands)
        return min((decode_parked(packed).first_ms for packed in records if packed is not None), default=0)

    # -- the log ------------------------------------------------------------------------------------------------------

    async def log(
        self, target: str, limit: int, cursor: str | None = None, outcomes: Collection[LogOutcome] = ()
    ) -> LogPage:
        """Newest first; only these outcomes, if any are named."""
        after = self._after(cursor, "log", target)
        columns = [
            Column(self._log_reader(keys, target, outcomes), place)
            for keys, place in zip(self._keys, after, strict=True)
        ]
        found, places = await merge(columns, limit)
        return LogPage(found, self._next(found, limit, "log", target, places))

    async def item_log(self, target: str, item_id: str) -> list[LogEntry]:
        """What the log still has of one item, newest first."""
        found: list[LogEntry] = []
        for keys in self._keys:
            place = ""
            read = self._log_reader(keys, target, ())
            while batch := await read(place):
                place = batch[-1][1]
                found += [entry for _, _, entry in batch if entry is not None and entry.item_id == item_id]
        return sorted(found, key=lambda entry: (entry.at_ms, entry.attempt), reverse=True)

    def _log_reader(self, keys: PartitionKeys, target: str, outcomes: Collection[LogOutcome]) -> Reader[LogEntry]:
        async def read(place: str) -> list[Row[LogEntry]]:
            begin = f"({place}" if place else "+"
            entries = await self._store.call("XREVRANGE", keys.delivery("g", target), begin, "-", "COUNT", _BATCH)
            rows: list[Row[LogEntry]] = []
            for key, fields in entries:
                entry = decode_log(fields[1])
                at_ms, _, nth = key.decode().partition("-")
                fits = not outcomes or entry.outcome in outcomes
                rows.append(((-int(at_ms), -int(nth)), key.decode(), entry if fits else None))
            return rows

        return read

    # -- items that are not done --------------------------------------------------------------------------------------

    async def dead(self, target: str, limit: int, cursor: str | None = None) -> ItemPage:
        """Given up, newest first."""
        return await self._items("dead", target, limit, cursor)

    async def failing(self, target: str, limit: int, cursor: str | None = None) -> ItemPage:
        """To be tried again, the next first."""
        return await self._items("failing", target, limit, cursor)

    async def _items(self, what: Literal["dead", "failing"], target: str, limit: int, cursor: str | None) -> ItemPage:
        after = self._after(cursor, what, target)
        columns = [
            Column(self._item_reader(keys, what, target), place) for keys, place in zip(self._keys, after, strict=True)
        ]
        found, places = await merge(columns, limit)
        return ItemPage(found, self._next(found, limit, what, target, places))

    def _item_reader(self, keys: PartitionKeys, what: Literal["dead", "failing"], target: str) -> Reader[PendingItem]:
        index, records = (keys.delivery(each, target) for each in (_DEAD if what == "dead" else _FAILING))

        async def read(place: str) -> list[Row[PendingItem]]:
            # Places are scores and members: what has the same score as the last one and comes after it is left.
            score, _, member = place.partition(" ")
            if what == "dead":
                bounds: tuple[Argument, ...] = (score or "+inf", "-inf", "BYSCORE", "REV")
            else:
                bounds = (score or "-inf", "+inf", "BYSCORE")
            flat: list[bytes] = []
            offset = 0
            while True:
                flat = await self._store.call("ZRANGE", index, *bounds, "LIMIT", offset, _BATCH, "WITHSCORES")
                pairs = [(flat[i], int(float(flat[i + 1]))) for i in range(0, len(flat), 2)]
                fresh = [pair for pair in pairs if not place or _follows(what, pair, int(score), member.encode())]
                if fresh or not pairs:
                    break
                offset += _BATCH
            if not fresh:
                return []
            packed = await self._store.call("HMGET", records, *[name for name, _ in fresh])
            rows: list[Row[PendingItem]] = []
            for (name, at_ms), each in zip(fresh, packed, strict=True):
                order = -at_ms if what == "dead" else at_ms
                item = None if each is None else _pending(what, each, keys, at_ms)
                rows.append(((order, 0), f"{at_ms} {name.decode()}", item))
            return rows

        return read

    def _after(self, cursor: str | None, what: str, target: str) -> list[str]:
        if cursor is None:
            return [""] * len(self._keys)
        after = read_cursor(cursor, _Cursor)
        if (after.what, after.target) != (what, target) or len(after.places) != len(self._keys):
            raise CursorInvalid("this cursor belongs to another list")
        if not all(_PLACE[what].fullmatch(place) for place in after.places):
            raise CursorInvalid("this is not a cursor that a list gave")
        return after.places

    def _next(self, found: Sequence[Any], limit: int, what: str, target: str, places: list[str]) -> str | None:
        return write_cursor(_Cursor(what, target, places)) if len(found) == limit else None


# -- from the store's answers -----------------------------------------------------------------------------------------


def _share_commands(keys: PartitionKeys, target: str) -> list[Sequence[Argument]]:
    return [
        ("HLEN", keys.delivery("p", target)),
        ("ZCARD", keys.delivery("w", target)),
        ("ZCARD", keys.delivery("r", target)),
        ("ZRANGE", keys.delivery("r", target), 0, 0, "WITHSCORES"),
        ("ZRANGE", keys.delivery("w", target), 0, 0, "WITHSCORES"),
        ("HLEN", keys.delivery("d", target)),
    ]


def _standing(
    target: str, lag: int, counts: dict[str, list[int]], shares: Sequence[list[Any]], oldest_ms: int
) -> Standing:
    nexts = [int(float(found[1])) for share in shares for found in (share[3], share[4]) if found]
    total = {what: sum(values) for what, values in counts.items()}
    return Standing(
        target=target,
        lag=lag,
        parked=sum(share[0] for share in shares),
        waiting=sum(share[1] for share in shares),
        failing=sum(share[2] for share in shares),
        dead=sum(share[5] for share in shares),
        done=total["done"],
        failed=total["failed"],
        dropped=total["dropped"],
        given_up=total["given_up"],
        lost=total["lost"],
        dead_dropped=total["dead_dropped"],
        last_done_ms=max(counts["last_done_ms"]),
        last_failed_ms=max(counts["last_failed_ms"]),
        next_ms=min(nexts, default=0),
        oldest_ms=oldest_ms,
    )


def _lag(numbered: int, cursor: bytes | None) -> int:
    return 0 if cursor is None else max(0, numbered - Position.read(cursor.decode()).cursor.number)


def _follows(what: str, pair: tuple[bytes, int], score: int, member: bytes) -> bool:
    name, at_ms = pair
    return (at_ms, name) < (score, member) if what == "dead" else (at_ms, name) > (score, member)


def _pending(what: str, packed: bytes, keys: PartitionKeys, at_ms: int) -> PendingItem:
    kept = decode_kept(packed) if what == "dead" else decode_parked(packed)
    return PendingItem(
        item_id=kept.item.id,
        kind=kept.item.kind,
        customer_id=kept.item.customer_id,
        segment=kept.item.segment,
        partition=kept.item.partition,
        time_ms=kept.item.time_ms,
        attempts=kept.tries,
        first_ms=kept.first_ms,
        last_ms=kept.last_ms,
        next_ms=0 if what == "dead" else at_ms,
        error=kept.error,
        status=kept.status,
        job=kept.job,
    )
