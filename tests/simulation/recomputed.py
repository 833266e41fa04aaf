"""The reference against the oracle, which keeps neither profiles nor plans: recomputed from all events."""

from __future__ import annotations

from collections.abc import Iterable

from rules.transitions import Transition
from tests.oracle import Change, Oracle
from tests.simulation.reference import Reference

Told = tuple[int, str, str, int, str]  # time, customer, segment, sequence, what


def check(reference: Reference) -> bool:
    """Raises AssertionError where the two differ. False where the oracle has no word for what happened: several
    definitions that took effect as one."""
    if reference.many:
        return False
    mine = _told(reference.changes, reference.clock)
    theirs = _recomputed(Oracle([]).run(reference.entries, reference.clock).transitions, reference.clock)
    assert mine == theirs, f"the oracle says otherwise: {_first(mine, theirs)}"
    return True


def _told(changes: Iterable[Transition], clock: int) -> list[Told]:
    """What was done before the last instant: what is due at it has not been looked at yet."""
    return sorted(
        (change.time, change.customer_id, change.segment, change.sequence, "entered" if change.entered else "exited")
        for change in changes
        if change.time < clock
    )


def _recomputed(changes: Iterable[Change], clock: int) -> list[Told]:
    return sorted(
        (change.time, change.customer_id, change.segment, change.sequence, change.what)
        for change in changes
        if change.time < clock
    )


def _first(mine: list[Told], theirs: list[Told]) -> str:
    return f"only here {sorted(set(mine) - set(theirs))[:2]}, only there {sorted(set(theirs) - set(mine))[:2]}"
