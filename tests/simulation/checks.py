"""What a run must have come to: per partition and customer, the transitions of an uninterrupted reader of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import orjson

from consumers.state.commit import OutboxEntry
from consumers.state.keys import PartitionKeys
from rules.triggers import read_trigger
from tests.simulation.recomputed import check
from tests.simulation.reference import Reference

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


def compare(simulation: Simulation) -> None:
    """Raises AssertionError for the first difference."""
    seen: set[str] = set()
    for partition in range(simulation.world.partitions):
        records = simulation.log.records[partition]
        reference = Reference(partition, simulation.world.partitions)
        reference.run(records)
        transitions, triggers = outbox(simulation, partition)
        kept = by_customer(transitions)
        _same(f"outbox of partition {partition}", kept, reference.found)
        if simulation.topic is not None:
            _same(f"topic's partition {partition}", by_customer(simulation.topic.told[partition]), kept)
        _same_triggers(partition, triggers, reference)
        simulation.triggers += len(triggers)
        _same_members(simulation, partition, reference)
        if simulation.recomputes:
            simulation.faults.happened["compared with the oracle"] += check(reference)
        simulation.transitions += sum(map(len, reference.found.values()))
        for record in records:
            try:
                seen.add(orjson.loads(record.payload).get("id"))
            except ValueError:
                continue
    sources = simulation.sources
    lost = (simulation.acknowledged | sources.ids) - seen
    assert not lost, f"acknowledged, but not in the log: {sorted(lost)[:5]}"
    letters = {letter.raw for letter in simulation.letters}
    for partition in range(simulation.world.partitions):
        found = simulation.server.ask(("XRANGE", PartitionKeys(partition).dead, "-", "+"))
        letters |= {fields[fields.index(b"raw") + 1] for _, fields in found}
    missing = (sources.broken | simulation.world.broken) - letters
    assert not missing, f"broken, but not among the dead letters: {sorted(missing)[:5]}"


def outbox(simulation: Simulation, partition: int) -> tuple[list[bytes], list[bytes]]:
    """Every transition, whose numbers must have no gap, and every trigger."""
    found: list[bytes] = []
    triggers: list[bytes] = []
    for _, fields in simulation.server.ask(("XRANGE", PartitionKeys(partition).out, "-", "+")):
        entry = msgspec.msgpack.decode(fields[1], type=OutboxEntry)
        assert entry.first_number == len(found) + 1, f"the outbox of {partition} has a gap at {len(found) + 1}"
        found += entry.transitions
        triggers += entry.triggers
    return found, triggers


def _same_triggers(partition: int, found: list[bytes], reference: Reference) -> None:
    """Per customer those of an uninterrupted reader, in order."""
    mine: dict[str, list[bytes]] = {}
    for each in found:
        mine.setdefault(read_trigger(each).customer_id, []).append(each)
    for customer in sorted(mine.keys() | reference.triggers.keys()):
        told = [read_trigger(each).id for each in mine.get(customer, [])]
        expected = [read_trigger(each).id for each in reference.triggers.get(customer, [])]
        assert told == expected, f"triggers of {customer} in partition {partition}: {told}, expected {expected}"
    assert mine == reference.triggers, f"triggers of partition {partition}"


def by_customer(transitions: list[bytes]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for each in transitions:
        found.setdefault(orjson.loads(each)["subject"], []).append(each)
    return found


def _same(what: str, found: dict[str, list[bytes]], expected: dict[str, list[bytes]]) -> None:
    for customer in sorted(found.keys() | expected.keys()):
        mine, theirs = found.get(customer, []), expected.get(customer, [])
        if mine != theirs:
            at = next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
            at = min(len(mine), len(theirs)) if at is None else at
            raise AssertionError(
                f"{what}: customer {customer} has {len(mine)} transitions of {len(theirs)}; number {at + 1} is"
                f" {_short(mine, at)}, expected {_short(theirs, at)}"
            )


def _short(transitions: list[bytes], at: int) -> str:
    if at >= len(transitions):
        return "absent"
    each = orjson.loads(transitions[at])
    return f"{each['id']} at {each['time']} by {each['data']['cause']} {each['data'].get('event_id', '')}"


def _same_members(simulation: Simulation, partition: int, reference: Reference) -> None:
    """The index of members says what the profiles say."""
    keys, expected = PartitionKeys(partition), reference.members()
    for segment in simulation.world.segments:
        flat = simulation.server.ask(("ZRANGE", keys.members(segment), 0, -1, "WITHSCORES"))
        found = {flat[at].decode(): int(flat[at + 1]) for at in range(0, len(flat), 2)}
        assert found == expected.get(segment, {}), f"members of {segment} in partition {partition}: {found}"
