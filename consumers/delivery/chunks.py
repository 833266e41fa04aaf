"""What a job asks for in one partition, in chunks: the items, and where the next chunk begins."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from consumers.delivery import following
from consumers.delivery.branch import Branch
from consumers.delivery.endings import new_kept
from consumers.delivery.following import Place
from consumers.delivery.holding import Holding, Tools
from consumers.delivery.jobs import END, Job
from consumers.delivery.port import Item, Target
from consumers.delivery.records import Kept, decode_kept, decode_log, decode_parked
from consumers.state.feed import read_position
from consumers.state.keys import DeliveryKey
from consumers.state.store import Argument, Script

_log = structlog.get_logger("deliveries")

_MEMBERS = Script("members")
_DEAD: tuple[DeliveryKey, DeliveryKey] = ("a", "d")
_SCAN = 500  # parked items or log entries looked at in one round trip


class Chunk(msgspec.Struct):
    """`at`: where the next one begins, END after the last. `found`: looked at; of these `kept` are parked anew,
    `revived` are dead letters, `again` (by number) are parked already and due now."""

    at: str
    found: int = 0
    kept: list[Kept] = []
    revived: list[Kept] = []
    again: list[tuple[int, Kept]] = []


class Chunks:
    """All calls may raise Unavailable."""

    def __init__(self, tools: Tools) -> None:
        self._tools, self._store = tools, tools.store
        self._size = tools.settings.job_chunk

    async def next(self, holding: Holding, branch: Branch, target: Target, job: Job, at: str) -> Chunk:
        """The chunk that begins at `at` ("": the first)."""
        if job.kind == "replay":
            return await self._replay(holding, branch, target, job, at)
        if job.kind == "run":
            return await self._run(holding, target, job, at)
        if job.kind == "items":
            items = [item for item in job.items if item.partition == holding.number]
            return Chunk(END, len(items), self._wanted(target, items, job))
        return await (self._resend_one(holding, branch, job) if job.item_id else self._resend(holding, job, at))

    def _wanted(self, target: Target, items: Sequence[Item], job: Job, commit: int = 0) -> list[Kept]:
        kept = []
        for item in items:
            try:
                turn = target.turn(item)
            except Exception as error:  # a mistake of ours; the others go on
                _log.error(
                    "a target could not say whether it wants an item", target=target.id, error=type(error).__name__
                )
                continue
            if turn is not None:
                due_ms = item.time_ms + turn.wait_ms if turn.wait_ms > 0 else self._tools.clock.now_ms()
                kept.append(new_kept(item, turn.lane, due_ms, commit, job.id))
        return kept

    # -- again from a point of the feed -------------------------------------------------------------------------------

    async def _replay(self, holding: Holding, branch: Branch, target: Target, job: Job, at: str) -> Chunk:
        """`at`: the place, and the one at which it ends: where the target was when the job began here."""
        if at:
            place, end = (Place.read(part) for part in at.split("|"))
        else:
            place, end = await self._replay_begin(holding, job), branch.read
        page = await holding.following.after(place.commit)
        chunk, over = Chunk(END), False
        for item, after in following.items_after(page, place):
            if item is None:
                place, over = after, after.commit >= end.commit
            elif after > end:
                over = True
                break
            elif len(chunk.kept) == self._size:
                break
            else:
                chunk.found += 1
                chunk.kept += self._wanted(target, [item], job, after.commit)
                place = after
        if not over:
            chunk.at = f"{place.write()}|{end.write()}"
        return chunk

    async def _replay_begin(self, holding: Holding, job: Job) -> Place:
        if job.after:
            place = read_position(job.after, self._tools.partitions)[holding.number]
            return Place(place.commit, place.number)
        if job.from_ms is not None:
            return await following.first_since(self._store, holding.keys, job.from_ms)
        return await following.first_numbered(self._store, holding.keys, job.from_number or 0)

    # -- all members --------------------------------------------------------------------------------------------------

    async def _run(self, holding: Holding, target: Target, job: Job, at: str) -> Chunk:
        """Newest first; who enters meanwhile is not among them. `at`: since and id of the last one."""
        since, _, customer = at.partition(" ")
        args: list[Argument] = [self._size, since, customer]
        keys = [holding.keys.members(job.segment), holding.keys.meta]
        flat = (await self._store.run(_MEMBERS, keys, args))[2]
        members = [(flat[i].decode(), int(float(flat[i + 1]))) for i in range(0, len(flat), 2)]
        items = [
            Item(
                id=f"run:{job.id}:{customer_id}",
                kind="run",
                partition=holding.number,
                customer_id=customer_id,
                segment=job.segment,
                time_ms=job.created_ms,
                data=job.data,
            )
            for customer_id, _ in members
        ]
        following_at = f"{members[-1][1]} {members[-1][0]}" if len(members) == self._size else END
        return Chunk(following_at, len(items), self._wanted(target, items, job))

    # -- what was given up --------------------------------------------------------------------------------------------

    async def _resend(self, holding: Holding, job: Job, at: str) -> Chunk:
        """Dead letters of before the job. `at`: how many of them, oldest first, were looked at and stayed."""
        dead_at, dead = (holding.keys.delivery(what, job.target) for what in _DEAD)
        offset, before = int(at or 0), f"{job.created_ms}"
        found = await self._store.call("ZRANGE", dead_at, "-inf", before, "BYSCORE", "LIMIT", offset, self._size)
        records = await self._store.call("HMGET", dead, *found) if found else []
        kept = [decode_kept(packed) for packed in records if packed is not None]
        revived = [self._revived(each, job) for each in kept if each.job != job.id]  # its own have failed again
        stayed = len(found) - len(revived)
        more = len(found) == self._size
        return Chunk(str(offset + stayed) if more else END, len(revived), revived=revived)

    def _revived(self, kept: Kept, job: Job) -> Kept:
        now_ms = self._tools.clock.now_ms()
        return msgspec.structs.replace(kept, step=0, due_ms=now_ms, job=job.id)

    async def _resend_one(self, holding: Holding, branch: Branch, job: Job) -> Chunk:
        """A dead letter, or one that waits to be tried again, or one that the log knows and the feed still has."""
        dead = await self._store.call("HGET", holding.keys.delivery("d", job.target), job.item_id)
        if dead is not None:
            return Chunk(END, 1, revived=[self._revived(decode_kept(dead), job)])
        again = await self._retried(holding, branch, job)
        if again is not None:
            return Chunk(END, 1, again=[again])
        item, commit = await self._logged(holding, job)
        if item is None:
            return Chunk(END)
        lane = f"again:{item.customer_id}"  # asked for by hand: not behind what is stuck
        kept = new_kept(item, lane, self._tools.clock.now_ms(), commit, job.id)
        return Chunk(END, 1, [kept])

    async def _retried(self, holding: Holding, branch: Branch, job: Job) -> tuple[int, Kept] | None:
        key = holding.keys.delivery("r", job.target)
        at = 0
        while numbers := await self._store.call("ZRANGE", key, at, at + _SCAN - 1):
            at += _SCAN
            records = await self._store.call("HMGET", holding.keys.delivery("p", job.target), *numbers)
            for n, packed in zip(numbers, records, strict=True):
                if packed is None or int(n) in branch.in_hand:
                    continue
                kept = decode_parked(packed)
                if kept.item.id == job.item_id and not kept.job:
                    return int(n), msgspec.structs.replace(kept, due_ms=self._tools.clock.now_ms(), job=job.id)
        return None

    async def _logged(self, holding: Holding, job: Job) -> tuple[Item | None, int]:
        key, end = holding.keys.delivery("g", job.target), "+"
        while entries := await self._store.call("XREVRANGE", key, end, "-", "COUNT", _SCAN):
            for _, fields in entries:
                entry = decode_log(fields[1])
                if entry.item_id == job.item_id and entry.commit:
                    commit = entry.commit
                    found = await following.find_item(self._store, holding.keys, holding.number, commit, job.item_id)
                    if found is not None:
                        return found, commit
            end = f"({entries[-1][0].decode()}"
        return None, 0
