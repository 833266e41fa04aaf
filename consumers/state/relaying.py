"""What a relay changes and reads in the store: its part of a partition's meta, and the outbox it publishes from.

Every change is fenced by the owner's epoch and the relay's own transactional id, and repeating it is harmless.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from consumers.log.port import Offset
from consumers.state.commit import Meta, OutboxEntry, Reload
from consumers.state.keys import PartitionKeys
from consumers.state.store import Argument, Script, Store

_AMEND = Script("amend")
_DECODER = msgspec.msgpack.Decoder(OutboxEntry)


class Holder(NamedTuple):
    """Who may write to a partition: the owner's epoch, and the transactional id of its relay."""

    epoch: int
    relay: str


class Chunk(NamedTuple):
    """Entries of the outbox by commit, in order; `ours`: whether the partition still was its reader's when read."""

    entries: list[tuple[int, OutboxEntry]]
    ours: bool


async def _amend(
    store: Store, keys: PartitionKeys, holder: Holder, fields: dict[str, Argument], commit: Argument = ""
) -> None:
    flat = [part for pair in fields.items() for part in pair]
    why = await store.run(_AMEND, [keys.meta], [holder.epoch, holder.relay, commit, *flat])
    if why:
        raise Reload(why.decode())


async def settle_relays(store: Store, keys: PartitionKeys, holder: Holder) -> None:
    """(T2) The others in `Meta.relays` are fenced: only our own transaction may be open. Raises Reload."""
    await _amend(store, keys, holder, {"relays": holder.relay})


async def roll_back(
    store: Store,
    keys: PartitionKeys,
    holder: Holder,
    meta: Meta,
    lost_from: int,
    lost_to: int,
    lost_position: Offset,
    note: str,
) -> Meta:
    """(T4) Of its commits above `lost_from` up to `lost_to` the topic holds what the store does not know: number on
    above them. Raises Reload.

    `meta` as the store has it; answers it as changed. A second roll-back widens the stretch that comes again.
    """
    again = meta.lost_to > 0
    changed = msgspec.structs.replace(
        meta,
        commit=lost_to,
        lost_from=min(meta.lost_from, lost_from) if again else lost_from,
        lost_to=lost_to,
        lost_position=max(meta.lost_position, lost_position) if again else lost_position,
        relayed=note,
    )
    names = ("commit", "lost_from", "lost_to", "lost_position", "relayed")
    fields: dict[str, Argument] = {name: getattr(changed, name) for name in names}
    await _amend(store, keys, holder, {**fields, "token": ""}, commit=meta.commit)
    return changed


async def end_recovery(store: Store, keys: PartitionKeys, holder: Holder, note: str, commit: int) -> None:
    """All that was lost has come again or was adopted, and the relay is past it, up to the newest commit.

    Raises Reload, also when the store was rolled back again meanwhile (it is at another commit).
    """
    none = Meta()
    fields: dict[str, Argument] = {
        "relayed": note,
        "lost_from": none.lost_from,
        "lost_to": none.lost_to,
        "lost_position": none.lost_position,
    }
    await _amend(store, keys, holder, fields, commit=commit)


async def note_relayed(store: Store, keys: PartitionKeys, holder: Holder, note: str, commit: int) -> None:
    """How far the topic is, which is within `commit`: for the day when it has been emptied. Raises Reload, also when
    the store has lost that commit."""
    await _amend(store, keys, holder, {"relayed": note}, commit=f">{commit}")


async def leave(store: Store, keys: PartitionKeys, holder: Holder, note: str, commit: int) -> None:
    """All is published and nothing more will be: the next owner need not fence us. Raises Reload, also when the store
    has lost that commit."""
    await _amend(store, keys, holder, {"relayed": note, "relays": ""}, commit=f">{commit}")


async def holds(store: Store, keys: PartitionKeys, holder: Holder) -> bool:
    """Whether the partition still is this holder's."""
    return _is_holder(await store.call("HMGET", keys.meta, "epoch", "relays"), holder)


def _is_holder(answer: list[bytes | None], holder: Holder) -> bool:
    epoch, relays = answer
    return int(epoch or 0) == holder.epoch and holder.relay.encode() in (relays or b"").split()


async def read_outbox(
    store: Store, keys: PartitionKeys, holder: Holder, first: int, last: int, entries_max: int
) -> Chunk:
    """Commits `first` to `last` that have transitions, so many at most."""
    entries, owner = await store.calls(
        [
            ("XRANGE", keys.out, f"{first}-0", f"{last}-0", "COUNT", entries_max),
            ("HMGET", keys.meta, "epoch", "relays"),  # after the entries: they were ours when they were read
        ]
    )
    found = [(int(key[: key.index(b"-")]), _DECODER.decode(fields[1])) for key, fields in entries]
    return Chunk(found, _is_holder(owner, holder))


async def read_transition(store: Store, keys: PartitionKeys, commit: int, nth: int) -> bytes | None:
    """One transition of the outbox; None where it is not (any more)."""
    entries = await store.call("XRANGE", keys.out, f"{commit}-0", f"{commit}-0")
    if not entries:
        return None
    transitions = _DECODER.decode(entries[0][1][1]).transitions
    return transitions[nth] if nth < len(transitions) else None


async def numbered_at(store: Store, keys: PartitionKeys, commit: int, nth: int, numbered: int) -> int:
    """The outbox's own number of the `nth` transition of a commit (counted from 1; `numbered`: of its newest).

    Where the outbox has no such commit: of the newest before it.
    """
    entries = await store.call("XRANGE", keys.out, f"{commit}-0", "+", "COUNT", 1)
    if not entries:
        return numbered
    key, fields = entries[0]
    entry = _DECODER.decode(fields[1])
    return entry.first_number + nth if int(key[: key.index(b"-")]) == commit else entry.first_number - 1
