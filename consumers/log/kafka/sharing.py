"""`KafkaSharing`: evaluators share the log's partitions as a Kafka group. No more: they read by positions of their own.

The group never says what was read, so nothing is committed to it and its consumer fetches nothing. A revoked partition
is not given up here: evaluation goes on until it is known who has it, and the store's epoch keeps two owners apart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError, NoOffsetForPartitionError
from aiokafka.structs import TopicPartition

from consumers.log.kafka.assigning import Assignor
from consumers.log.kafka.connection import Opened
from consumers.log.kafka.settings import KafkaSettings
from rules.errors import Unavailable

GROUP = "segmentd-evaluators"
SESSION_MS = 10_000
_OPEN_S = 5.0
_WATCH_S = 1.0
_AGAIN_S = 2.0
_NEVER_IDLE_MS = 10**12  # nobody fetches, and that is no reason to be thrown out

_log = structlog.get_logger("evaluator")


class KafkaSharing(ConsumerRebalanceListener):  # type: ignore[misc]
    """Membership in the group. While brokers are away it stays with what it was last told.

    `name` set: a static member. It is not missed for `session_ms` after it stopped, and gets the same partitions when
    it is back by then, so a rolling restart moves nothing. Every process needs a name of its own.
    """

    exclusive = False

    def __init__(
        self, settings: KafkaSettings, name: str = "", group: str = GROUP, session_ms: int = SESSION_MS
    ) -> None:
        self.wanted: frozenset[int] = frozenset()
        self.changed = asyncio.Event()
        self._settings, self._name, self._group, self._session_ms = settings, name, group, session_ms
        self._opened = Opened(settings, f"joining the group {group}", self._make)
        self._assignor = Assignor()
        self._watching: asyncio.Task[None] | None = None

    def _make(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            # A rebalance is answered when all have joined: that is waited for.
            **self._settings.connection("evaluator", request_ms=self._session_ms + 10_000),
            group_id=self._group,
            group_instance_id=self._name or None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(self._assignor,),
            session_timeout_ms=self._session_ms,
            rebalance_timeout_ms=self._session_ms,
            heartbeat_interval_ms=max(100, self._session_ms // 10),
            max_poll_interval_ms=_NEVER_IDLE_MS,
        )

    async def start(self) -> None:
        """Join; what is `wanted` is told once the group has agreed. Raises Unavailable when no broker is there."""
        await self._join()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Leave, so that the others take over at once; a static member stays a member until its session ends."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
            self._watching = None
        await self._opened.close()

    async def _join(self) -> AIOKafkaConsumer:
        consumer = await self._opened.get(_OPEN_S)
        if not consumer.subscription():
            consumer.subscribe([self._settings.events_topic], listener=self)
        return consumer

    # -- what the group says ------------------------------------------------------------------------------------------

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing yet: who gets what is told by the next assignment."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        wanted = frozenset(each.partition for each in assigned)
        if wanted != self.wanted:
            _log.info("partitions shared out", mine=sorted(wanted), gone=sorted(self.wanted - wanted))
        self.wanted = wanted
        self.changed.set()

    async def _watch(self) -> None:
        """See that the membership lives: aiokafka stops it at errors that nobody has looked at."""
        while True:
            try:
                consumer = await self._join()
                await self._look(consumer)
                await asyncio.sleep(_WATCH_S)
            except (Unavailable, KafkaError) as error:
                _log.warning("the group is out of reach: going on with the same partitions", reason=_said(error))
                if isinstance(error, KafkaError):
                    self._opened.drop()
                await asyncio.sleep(_AGAIN_S)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Raises what went wrong in the background. Of records there are none: no offset was ever committed."""
        with contextlib.suppress(TimeoutError, NoOffsetForPartitionError):
            async with asyncio.timeout(_WATCH_S):
                await consumer.getmany()


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, Unavailable) else type(error).__name__
