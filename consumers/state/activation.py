"""How far the partitions are with a segment's version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from consumers.state.definitions import Definitions


class Activation(msgspec.Struct, frozen=True):
    """Over all partitions.

    `active` is true when every partition has read that version (or a newer one) and judged every customer by it.
    `collecting`: some partition still re-reads the log for what nobody asked before.
    `history_from` (ms, None: everything ever received): what came before it can't be counted any more.
    """

    active: bool
    collecting: bool
    judged: int
    total: int
    history_from: int | None


def activation(
    segment: str,
    version: int,
    states: Sequence[Definitions],
    customers: Sequence[int],
    judged: Sequence[Mapping[int, int]],
) -> Activation:
    """`customers` per partition; `judged` per partition: edition -> how many were judged by it or a newer one."""
    done, active, collecting, froms = 0, True, False, []
    for state, total, by_edition in zip(states, customers, judged, strict=True):
        note = state.notes.get(segment)
        if note is not None and note.history_from is not None:
            froms.append(note.history_from)
        if note is None or note.version < version:
            active = False
            waiting = [*(state.collecting.definitions if state.collecting else []), *state.queued]
            collecting = collecting or any(each.segment == segment for each in waiting)
            continue
        mine = total if note.edition <= state.edition else min(total, by_edition.get(note.edition, total))
        done += mine
        active = active and mine == total
    return Activation(active, collecting, done, sum(customers), max(froms, default=None))
