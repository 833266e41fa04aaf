"""The incremental evaluator, brought into the oracle's form so that the two can be compared."""

from __future__ import annotations

from collections.abc import Callable

from rules.plan import Definition, Plan, compile_plan
from rules.play import Partition
from rules.transitions import Transition
from tests.oracle import Change, Outcome
from tests.properties.strategies import Play
from tests.properties.streams import Log


def planned(play: Play) -> Plan:
    return compile_plan([Definition(document["id"], document=document) for document in play.documents])


def told(change: Transition) -> Change:
    what = "entered" if change.entered else "exited"
    return Change(change.time, change.customer_id, what, change.segment, change.cause, change.event_id, change.sequence)


def run(partition: Partition, log: Log, until: int, between: Callable[[Partition], None] | None = None) -> Outcome:
    """Everything a partition says of a log and of the time up to `until`. `between`: done after every record."""
    found: list[Transition] = []
    for event, stamp in log:
        found += partition.feed(event, stamp)
        if between is not None:
            between(partition)
    found += partition.run_to(until)
    times = [change.time for change in found]
    assert times == sorted(times), "changes are told in order of time"
    return Outcome(in_order(found), members(partition))


def in_order(found: list[Transition]) -> list[Change]:
    changes = [told(change) for change in found]
    return sorted(changes, key=lambda change: (change.time, change.customer_id, change.segment, change.sequence))


def members(partition: Partition) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for customer_id, segment, since in partition.memberships():
        found.setdefault(segment, {})[customer_id] = since
    return found
