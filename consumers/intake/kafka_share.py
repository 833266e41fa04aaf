"""What the group has given this member, as the consumer's own task tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import msgspec
import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from consumers.intake.port import Place

_log = structlog.get_logger("intake")


class MemberSettings(msgspec.Struct, frozen=True):
    """Bounds of a group member, with their reasons."""

    topics_s: float = 15.0  # between two looks at which topics exist
    open_s: float = 10.0  # to reach a broker
    join_s: float = 15.0  # at the start, for all groups to have given out their partitions
    commit_s: float = 10.0  # to have offsets committed
    fetch_wait_ms: int = 100  # a broker with nothing new holds a request so long, and no other goes to it meanwhile
    partition_bytes_max: int = 512 * 1024  # of one partition, fetched ahead
    session_ms: int = 10_000  # a member silent for so long is gone, and the others get its partitions
    heartbeat_ms: int = 1_000
    in_hand_s: float = 8.0  # that a rebalance waits for the batch in hand; below the session, or it goes on without us
    fresh_s: float = 2.0  # for which it is believed what a broker last said of a partition's end
    silent_s: float = 10.0  # with no word of any partition, the brokers count as away


class Share(ConsumerRebalanceListener):  # type: ignore[misc]
    """The partitions of one membership: `assigned` with the number of the assignment, while `settled` is set.

    `free` is set while no batch is in hand: a rebalance waits for it, so that what was written is committed before
    another member reads on. `unchecked`: newly given, and not yet looked at for what retention dropped. `rewind`:
    records were fetched and dropped, so reading begins anew from what is committed.
    """

    def __init__(self, in_hand_s: float, number: int) -> None:
        self.assigned: dict[Place, int] = {}
        self.unchecked: list[Place] = []
        self.number = number
        self.rewind = False
        self.settled = asyncio.Event()
        self.free = asyncio.Event()
        self._in_hand_s = in_hand_s

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self.settled.clear()
        try:
            await asyncio.wait_for(self.free.wait(), self._in_hand_s)
        except TimeoutError:
            if revoked:
                _log.warning("partitions went with a batch in hand: another member may write it as well")
        self.assigned, self.unchecked = {}, []

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.number += 1
        self.assigned = {Place(each.topic, each.partition): self.number for each in assigned}
        self.unchecked = sorted(self.assigned)
        self.settled.set()
