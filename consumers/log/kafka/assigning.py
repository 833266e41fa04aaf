"""Who gets which partition: evenly, and everybody keeps what can be kept.

aiokafka's own sticky assignor keeps its memory on the class and never learns generations, so that a member which was
away for a while takes back what another has by now. Here each assignment has a number, one more than the newest that
any member remembers, and the newest claim wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

_VERSION = 0


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a member had by assignment number `number` (0: nothing yet)."""

    number: int = 0
    partitions: tuple[int, ...] = ()


def share_out(partitions: int, claims: Mapping[str, Claim]) -> dict[str, list[int]]:
    """Member -> partitions, sorted; sizes differ by at most one.

    >>> share_out(4, {"a": Claim(1, (0, 1, 2, 3)), "b": Claim()})
    {'a': [0, 1], 'b': [2, 3]}
    """
    owners: dict[int, str] = {}
    for member in sorted(claims, key=lambda name: (-claims[name].number, name)):
        for partition in claims[member].partitions:
            if partition < partitions:
                owners.setdefault(partition, member)
    had: dict[str, list[int]] = {member: [] for member in sorted(claims)}
    for partition, member in sorted(owners.items()):
        had[member].append(partition)
    least, more = divmod(partitions, len(claims))
    by_size = sorted(had, key=lambda name: (-len(had[name]), name))
    room = {member: least + (nth < more) for nth, member in enumerate(by_size)}  # who has most keeps one more
    shares = {member: mine[: room[member]] for member, mine in had.items()}
    kept = {partition for mine in shares.values() for partition in mine}
    free = [partition for partition in range(partitions) if partition not in kept]
    for member, mine in shares.items():
        while len(mine) < room[member]:
            mine.append(free.pop(0))
        mine.sort()
    return shares


class Assignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """One member's side of it: what it claims; and, when it leads the group, who gets what."""

    name = "segmentd"

    def __init__(self) -> None:
        self._claim = Claim()

    def metadata(self, topics: Iterable[str]) -> Any:
        """What this member says when it joins."""
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), msgspec.msgpack.encode(self._claim))

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """The leader's answer for all. One topic is shared: the first that members name."""
        claims = {member: _claim(said.user_data) for member, said in members.items()}
        number = max(claim.number for claim in claims.values()) + 1
        (topic, *_) = next(iter(members.values())).subscription
        shares = share_out(len(cluster.partitions_for_topic(topic) or ()), claims)
        told = msgspec.msgpack.encode(Claim(number))
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, [(topic, mine)], told) for member, mine in shares.items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """What this member got: the claim it makes next time."""
        mine = tuple(each.partition for each in assignment.partitions())
        self._claim = Claim(_claim(assignment.user_data).number, mine)


def _claim(data: bytes) -> Claim:
    """No claim in what another version, or another program, has said."""
    try:
        return msgspec.msgpack.decode(data or b"", type=Claim)
    except msgspec.MsgspecError:
        return Claim()
