"""Taking a partition of the topic over: steps (T2) to (T4) of `docs/architecture.md`; (T1) is the evaluator's.

(T2) fence whoever may still have a transaction open   (T3) read the topic's tail   (T4) resume after it.
"""

from __future__ import annotations

import msgspec
import structlog

from consumers.failpoints import reach
from consumers.log.port import START, Offset
from consumers.relay.headers import read_note, write_note
from consumers.relay.line import Line
from consumers.relay.port import Outlet, Place, Published, digest_of
from consumers.state.commit import Meta
from consumers.state.keys import PartitionKeys
from consumers.state.relaying import Holder, holds, numbered_at, read_transition, roll_back, settle_relays
from consumers.state.store import Store
from rules.errors import SegmentdError

_log = structlog.get_logger("relay")


class StoreEmptied(SegmentdError):
    """The store holds nothing, but the topic does: nobody may go on as if all were new."""


class Recovery(msgspec.Struct, frozen=True):
    """What the topic holds that the store has lost: it comes again from the log, and is left out.

    `ids`: by transition id. All of it has come again (or never will) once the log is read up to `lost_position`.
    """

    ids: dict[str, Published]
    lost_position: Offset


async def fence_others(outlet: Outlet, store: Store, partition: int, meta: Meta, holder: Holder) -> None:
    """(T2) End what others have open, and their right to more. Raises Reload, Unavailable."""
    for name in meta.relays.split():
        if name != holder.relay:
            await outlet.fence(name)
            reach("T2.fenced")
    await settle_relays(store, PartitionKeys(partition), holder)
    reach("T2.after")


async def resume(
    outlet: Outlet, store: Store, partition: int, meta: Meta, holder: Holder, newest: Published | None
) -> tuple[Line, Recovery | None]:
    """(T4) What is to be published after the tail. Raises StoreEmptied, Reload, Unavailable."""
    noted, skips = read_note(meta.relayed)
    ids: dict[str, Published] = {}
    tail = newest.place if newest is not None else None
    if newest is not None and tail is not None and not await _knows(store, partition, meta, noted, newest):
        _check_emptied(partition, meta, tail)
        parted = max(0, noted.commit - 1)  # up to the note the store's past is the topic's; since then, who knows
        ids = await outlet.published(partition, min(meta.lost_from, parted) if meta.lost_to else parted)
        beyond = [each.place.number for each in ids.values() if each.place.number > noted.number]
        skips += max(0, min(beyond, default=0) - 1 - noted.number)  # dropped by retention
        noted = noted._replace(number=tail.number)  # the outbox is looked through again from there
        _log.error(
            "the store has lost what the topic holds: the log is read again, and what comes again is left out",
            partition=partition,
            store_commit=meta.commit,
            topic_commit=tail.commit,
            transitions=len(beyond),
            dropped=skips,
        )
        note, lost_to = write_note(noted, skips), max(tail.commit, meta.commit)
        meta = await roll_back(store, PartitionKeys(partition), holder, meta, parted, lost_to, tail.position, note)
    elif meta.lost_to:
        ids = await outlet.published(partition, meta.lost_from)
    line = Line(partition, holder, meta)
    if meta.lost_to:
        ids = {each: published for each, published in ids.items() if published.place.commit <= meta.lost_to}
        line.lost = frozenset(ids)
        line.skips = skips if tail is None or tail.commit <= meta.lost_to else 0
    await place_line(store, line, tail, noted)
    reach("T4.after")
    return line, Recovery(ids, meta.lost_position) if meta.lost_to else None


async def place_line(store: Store, line: Line, tail: Place | None, noted: Place) -> None:
    """Let the line go on where the topic ends."""
    place = _resume_place(line.partition, tail, noted)
    line.resume(place, await numbered_at(store, line.keys, place.commit, place.nth, line.numbered))


async def find_place(outlet: Outlet, store: Store, line: Line) -> bool:
    """Let a line go on after a transaction of which nobody knows whether it stands; none is open any more.

    False: it is another's by now, by the store, or by what stands in the topic (then the store knows nothing of it, and
    the partition is taken anew). Raises Unavailable.
    """
    if not await holds(store, line.keys, line.holder):
        return False
    tail = await outlet.tail(line.partition)
    if tail is not None and not line.may_end_at(tail.place):
        return False
    before = line.place
    await place_line(store, line, tail.place if tail is not None else None, before)
    if line.place.number > before.number:
        line.skips = 0  # what retention dropped comes before anything new
    return True


def _resume_place(partition: int, tail: Place | None, noted: Place) -> Place:
    """The tail, as a rule. The note where the topic has been emptied, or where it counts what was left out since."""
    if tail is None:
        return noted
    if noted.number > tail.number:
        _log.error(
            "the topic has lost transitions: they are published again, as far as the outbox goes back",
            partition=partition,
            topic_number=tail.number,
            noted_number=noted.number,
        )
        return tail
    return noted if noted.number == tail.number else tail


async def _knows(store: Store, partition: int, meta: Meta, noted: Place, newest: Published) -> bool:
    """Whether the topic's newest transition is of the store's own past, and not of one that it has lost.

    A number alone does not tell: a store that was rolled back while its owner slept goes on to the same numbers.
    """
    tail = newest.place
    if tail.commit > meta.commit:
        return False
    if noted.number >= tail.number or tail.commit <= meta.lost_to:
        return True
    said = await read_transition(store, PartitionKeys(partition), tail.commit, tail.nth)
    return said is not None and digest_of(said) == newest.digest


def _check_emptied(partition: int, meta: Meta, tail: Place) -> None:
    if meta.commit == 0 and meta.position == START and not meta.rebuild:
        raise StoreEmptied(
            f"partition {partition}: the store is empty, but {tail.number} of its transitions were published: if the"
            " store was lost, `segmentd rebuild` fills it from the log, and nothing goes out twice"
        )
