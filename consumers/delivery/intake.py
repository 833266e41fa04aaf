"""What comes to a target in one partition: the next items of the feed, and what is parked and due."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from consumers.delivery import following
from consumers.delivery.branch import Branch, Slot, Work
from consumers.delivery.endings import lost_entry, new_kept
from consumers.delivery.following import Page, Place
from consumers.delivery.holding import Tools
from consumers.delivery.metrics import kind_of
from consumers.delivery.mistakes import where
from consumers.delivery.port import Item, Target
from consumers.delivery.records import LogEntry, decode_parked, encode
from consumers.state.deliveries import lane_of
from consumers.state.keys import DeliveryKey
from consumers.state.store import Argument

_log = structlog.get_logger("deliveries")

_LOOKED_AT_MAX = 1_000  # items of the feed in one go, before others have their turn
_DUE_MAX = 200  # parked items loaded in one go


class Intake:
    """For one target. Raises Unavailable; then the same may be asked again."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def fill(self, branch: Branch, target: Target, room: int) -> bool:
        """Take up to `room` items of the feed; whether there was something to look at."""
        feed, place = branch.holding.following, branch.read
        if feed.rebuilding:
            return False
        if place.number > feed.numbered:
            return await self._shorter(branch)
        if place.commit > feed.shown:
            if place.commit > feed.shown + 1:  # the feed was filled anew: what it had is known by its number
                self._go_to(branch, Place(0, place.number))
            return False
        page = await feed.after(place.commit)
        if branch.lost or branch.read != place:
            return True
        if page.entries and page.entries[0].first_number > place.number + 1:
            found = await following.first_numbered(self._tools.store, branch.holding.keys, place.number + 1)
            if found.commit < place.commit and found.number == place.number:  # the same, with other commits' numbers
                self._go_to(branch, found)
                return True
        self._take(branch, target, page, room)
        branch.holding.dirty = True
        await self.check(branch)
        return True

    def pass_over(self, branch: Branch, target: Target, page: Page) -> bool:
        """Move on behind a page that holds nothing of the target's; whether that was so. Most targets want little of
        what comes, and need not be woken for the rest. What is out of the ordinary is left to `fill`."""
        place, triggered = branch.read, branch.triggered
        if branch.lost or branch.skips or place.triggers or not target.active:
            return False
        if place.number > branch.holding.following.numbered:
            return False
        number = place.number
        for entry in page.entries:
            if entry.commit < place.commit or entry.first_number != number + 1:
                return False
            if entry.first_trigger:
                if triggered and entry.first_trigger - 1 > triggered:
                    return False
                triggered = max(triggered, entry.first_trigger - 1 + len(entry.triggers))
            number += len(entry.transitions)
            try:
                if any(
                    target.turn(item) is not None for items in (entry.transitions, entry.triggers) for item in items
                ):
                    return False
            except Exception:  # `fill` says so, of the very item
                return False
        branch.read, branch.triggered = Place(page.next_commit, number), triggered  # written with the next that matters
        return True

    async def _shorter(self, branch: Branch) -> bool:
        """The feed has fewer transitions than the target had: it was filled anew, from a log that is shorter than what
        it was made from. What is new in it cannot be told from what is not."""
        feed, number = branch.holding.following, branch.read.number
        await feed.look()
        if feed.rebuilding or branch.read.number <= feed.numbered:
            return False
        self._go_to(branch, Place(feed.shown + 1, feed.numbered))
        detail = f"the feed was filled anew with fewer transitions than {number}: goes on after them"
        told = LogEntry(self._tools.clock.now_ms(), "lost", detail=detail, count=0, partition=branch.holding.number)
        branch.draft.log(branch.target, encode(told))
        _log.warning("a feed was filled anew with fewer transitions", partition=branch.holding.number)
        return True

    def _go_to(self, branch: Branch, place: Place) -> None:
        branch.read = place
        branch.skips.clear()
        branch.triggered = 0
        branch.holding.dirty = True

    def _take(self, branch: Branch, target: Target, page: Page, room: int) -> None:
        now_ms = self._tools.clock.now_ms()
        left = _LOOKED_AT_MAX
        for entry in page.entries:
            place = branch.read
            if entry.commit < place.commit:
                continue
            if entry.first_number > place.number + 1:
                self._lost(branch, entry.first_number - 1 - place.number, "transitions", now_ms)
                place = Place(entry.commit, entry.first_number - 1)
            if entry.first_trigger:
                gap = entry.first_trigger - 1 - branch.triggered
                if branch.triggered and gap > 0 and kind_of(branch.target) == "action":
                    self._lost(branch, gap, "events of members", now_ms)
                branch.triggered = max(branch.triggered, entry.first_trigger - 1 + len(entry.triggers))
            skipped = place.number - entry.first_number + 1
            done = place.triggers if entry.commit == place.commit else 0
            number = place.number
            branch.read = Place(entry.commit, number, done)
            for item in entry.transitions[skipped:]:
                if room <= 0 or left <= 0:
                    return
                number += 1
                room -= self._offer(branch, target, item, Place(entry.commit, number), now_ms)
                left -= 1
            for at, item in enumerate(entry.triggers[done:], done + 1):
                if room <= 0 or left <= 0:
                    return
                room -= self._offer(branch, target, item, Place(entry.commit, number, at), now_ms)
                left -= 1
            branch.read = Place(entry.commit + 1, number)
        branch.read = Place(max(page.next_commit, branch.read.commit), branch.read.number)

    def _offer(self, branch: Branch, target: Target, item: Item, after: Place, now_ms: int) -> int:
        """How many items are more in hand."""
        before, branch.read = branch.read, after
        if branch.skips and branch.skip(before, after):
            return 0
        try:
            turn = target.turn(item)
        except Exception as error:  # a mistake of ours, which must not stop what follows
            self._refuse(branch, item, after.commit, now_ms, error)
            return 0
        if turn is None:
            return 0
        due_ms = item.time_ms + turn.wait_ms if turn.wait_ms > 0 else 0
        branch.take(Work(branch, new_kept(item, turn.lane, due_ms, after.commit), Slot(before)), now_ms)
        return 1

    def _refuse(self, branch: Branch, item: Item, commit: int, now_ms: int, error: Exception) -> None:
        _log.error("a target could not say whether it wants an item", target=branch.target, error=where(error))
        kept = msgspec.structs.replace(new_kept(item, "", 0, commit), error=f"not understood: {type(error).__name__}")
        branch.draft.dead(branch.target, item.id, now_ms, encode(kept))
        branch.draft.count(branch.target, "given_up")

    def _lost(self, branch: Branch, count: int, what: str, now_ms: int) -> None:
        branch.draft.count(branch.target, "lost", count)
        branch.draft.log(branch.target, encode(lost_entry(branch.holding.number, count, what, now_ms)))
        self._tools.metrics.lost(kind_of(branch.target), count)
        _log.warning(
            f"{what} left the feed before they were delivered",
            target=branch.target,
            partition=branch.holding.number,
            count=count,
        )

    async def check(self, branch: Branch) -> None:
        """Ask the store which of the lanes that are new in hand have parked items."""
        lanes = branch.unchecked
        if not lanes:
            return
        key = branch.holding.keys.delivery("l", branch.target)
        commands: list[Sequence[Argument]] = []
        for lane in lanes:
            begin = b"[" + lane_of(lane.name).encode() + b"\0"
            commands.append(("ZRANGE", key, begin, begin + b"\xff", "BYLEX", "LIMIT", 0, 1))
        answers = await self._tools.store.calls(commands)
        if branch.lost:
            return
        branch.unchecked = []
        now_ms = self._tools.clock.now_ms()
        for lane, found in zip(lanes, answers, strict=True):
            branch.checked(lane, bool(found), now_ms)

    async def load_due(self, branch: Branch, room: int, retried_only: bool) -> bool:
        """Take up to `room` parked items whose time has come; whether there may be more of them."""
        store, keys, now_ms = self._tools.store, branch.holding.keys, self._tools.clock.now_ms()
        limit, confirms = min(room, _DUE_MAX), branch.confirms
        kinds: tuple[DeliveryKey, ...] = ("r",) if retried_only else ("r", "w")
        commands: list[Sequence[Argument]] = []
        for kind in kinds:
            key, count = keys.delivery(kind, branch.target), limit + len(branch.in_hand)
            commands.append(("ZRANGE", key, "-inf", now_ms, "BYSCORE", "LIMIT", 0, count))
            commands.append(("ZRANGE", key, f"({now_ms}", "+inf", "BYSCORE", "LIMIT", 0, 1, "WITHSCORES"))
        answers = await store.calls(commands)
        found = [(int(n), kind) for kind, ns in zip(kinds, answers[::2], strict=True) for n in ns]
        fresh = [each for each in found if each[0] not in branch.in_hand]
        some = fresh[:limit]
        records = await self._records(branch, [n for n, _ in some])
        if branch.lost or branch.confirms != confirms:  # what was asked is not what is there any more
            return True
        nexts = [int(float(answer[1])) for answer in answers[1::2] if answer]
        branch.next_due_ms = min(nexts, default=None)
        branch.look = len(fresh) > len(some)
        for (n, kind), packed in zip(some, records, strict=True):
            if packed is not None:
                work = Work(branch, decode_parked(packed), None, n)
                work.early = kind == "r" and work.kept.due_ms > now_ms
                branch.take_parked(work, now_ms)
        return branch.look

    async def _records(self, branch: Branch, ns: list[int]) -> list[bytes | None]:
        if not ns:
            return []
        found: list[bytes | None] = await self._tools.store.call(
            "HMGET", branch.holding.keys.delivery("p", branch.target), *ns
        )
        return found
