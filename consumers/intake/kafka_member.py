"""One member of one consumer group: topics that come and go, partitions that are given and taken, records, offsets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from consumers.clock import Clock
from consumers.intake.kafka_share import MemberSettings, Share
from consumers.intake.port import Place, Polled, SourceRecord
from consumers.log.kafka.connection import Opened, broker_errors, unavailable
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import Offset

_log = structlog.get_logger("intake")
_NOTHING = Polled({}, {}, {})
_NEVER = float("-inf")
_TRACE_CHARS_MAX = 256  # more than W3C has ever defined; the rest of a longer one is not carried about


class Member:
    """`prepare`, then `look`, then `commit`, from one task. Every call may raise Unavailable."""

    def __init__(
        self, kafka: KafkaSettings, group: str, topics: Sequence[str], settings: MemberSettings, clock: Clock
    ) -> None:
        self._kafka, self._group, self._topics = kafka, group, frozenset(topics)
        self._settings, self._clock = settings, clock
        self._opened = Opened(kafka, "reading sources", self._make)
        self._consumer: AIOKafkaConsumer | None = None
        self._subscribed: frozenset[str] = frozenset()
        self._looked_s = _NEVER  # when it was last looked at which topics exist
        self._heard_s = _NEVER  # when a broker last said anything of our partitions
        self._share = Share(settings.in_hand_s, 0)

    def _make(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=self._settings.fetch_wait_ms,
            max_partition_fetch_bytes=self._settings.partition_bytes_max,
            session_timeout_ms=self._settings.session_ms,
            rebalance_timeout_ms=self._settings.session_ms,
            heartbeat_interval_ms=self._settings.heartbeat_ms,
            **self._kafka.connection("intake"),
        )

    @property
    def settled(self) -> bool:
        """Whether it is known which partitions are ours; that may be none."""
        return not self._subscribed or self._share.settled.is_set()

    async def settle(self, wait_ms: int) -> None:
        """Waits up to so long for that."""
        try:
            await asyncio.wait_for(self._share.settled.wait(), wait_ms / 1000)
        except TimeoutError:
            return

    # -- topics -----------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Nothing is in hand now; opens the consumer, and subscribes to the topics that exist."""
        self._share.free.set()
        if self._consumer is None:
            self._consumer = await self._opened.get(self._settings.open_s)
            self._heard_s = self._clock.monotonic()
        now = self._clock.monotonic()
        if now - self._looked_s < self._settings.topics_s:
            return
        with broker_errors(self._kafka, "looking which sources exist"):
            async with asyncio.timeout(self._settings.open_s):
                existing = frozenset(await self._consumer.topics()) & self._topics
        self._looked_s = now
        if existing != self._subscribed:
            self._subscribe(self._consumer, existing)

    def _subscribe(self, consumer: AIOKafkaConsumer, topics: frozenset[str]) -> None:
        for name in sorted(topics - self._subscribed):
            _log.info("a source is there", source=name)
        for name in sorted(self._subscribed - topics):
            _log.warning("a source is gone", source=name)
        self._subscribed = topics
        self._share.settled.clear()
        self._heard_s = self._clock.monotonic()
        if topics:
            consumer.subscribe(topics=sorted(topics), listener=self._share)
        else:
            consumer.unsubscribe()
            self._share.assigned = {}

    def _reopen(self) -> None:
        """A consumer that failed is left: a new one joins at the next `prepare`, and reads from what is committed."""
        self._opened.drop()
        self._consumer = None
        self._subscribed, self._looked_s = frozenset(), _NEVER
        self._share.free.set()
        self._share = Share(self._settings.in_hand_s, self._share.number)

    # -- records ----------------------------------------------------------------------------------------------------

    async def look(self, wanted: Collection[Place], wait_ms: int) -> Polled:
        """What the wanted partitions have. From its return on a batch may be in hand, until `prepare`."""
        consumer = self._consumer
        assert consumer is not None, "prepare() comes first"
        if not self._subscribed:
            await asyncio.sleep(wait_ms / 1000)
            return _NOTHING
        try:
            return await self._look(consumer, wanted, wait_ms)
        except (KafkaError, OSError) as error:
            self._reopen()
            raise unavailable(self._kafka, "reading sources", error) from error

    async def _look(self, consumer: AIOKafkaConsumer, wanted: Collection[Place], wait_ms: int) -> Polled:
        share = self._share
        share.free.set()
        if not share.settled.is_set():
            await self.settle(wait_ms)
        if not share.settled.is_set():
            self._check_heard(heard=False)
            return _NOTHING
        number = share.number
        missed = await self._missed(consumer, share)
        await self._rewind(consumer, share)
        asked = [TopicPartition(*place) for place in sorted(share.assigned) if place in wanted]
        found = await self._fetched(consumer, asked, wait_ms)
        behind = await self._behind(consumer, share.assigned)
        if share.number != number or not share.settled.is_set():
            # What was fetched may be of the former assignment or, when a rebalance ended meanwhile, of the new one.
            share.rewind = True
            return Polled({}, {}, {}, missed)
        share.free.clear()
        records = {Place(*at): [_record(each) for each in records] for at, records in found.items() if records}
        self._check_heard(heard=bool(records or behind) or len(asked) < len(share.assigned) or not share.assigned)
        return Polled(dict(share.assigned), records, behind, missed)

    async def _fetched(
        self, consumer: AIOKafkaConsumer, asked: Sequence[TopicPartition], wait_ms: int
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        if not asked:
            return {}
        try:
            async with asyncio.timeout(wait_ms / 1000 + self._settings.fresh_s):  # it waits for the end of a rebalance
                found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]
                found = await consumer.getmany(*asked, timeout_ms=wait_ms)
                return found
        except TimeoutError:
            return {}

    async def _behind(self, consumer: AIOKafkaConsumer, assigned: Mapping[Place, int]) -> dict[Place, int]:
        """As the brokers last said, where that is fresh: what a partition holds after what was handed over."""
        found: dict[Place, int] = {}
        fresh_ms = (time.time() - self._settings.fresh_s) * 1000  # the consumer's own stamps are of this clock
        try:
            async with asyncio.timeout(self._settings.fresh_s):
                for place in sorted(assigned):
                    at = TopicPartition(*place)
                    if at not in consumer.assignment() or (consumer.last_poll_timestamp(at) or 0) < fresh_ms:
                        continue
                    end = consumer.last_stable_offset(at)
                    if end is not None:
                        found[place] = max(0, end - await consumer.position(at))
        except (TimeoutError, IllegalStateError):  # a position that is being reset; a partition just taken
            pass
        return found

    async def _rewind(self, consumer: AIOKafkaConsumer, share: Share) -> None:
        """Read again from what is committed, where records were fetched and dropped."""
        if not share.rewind:
            return
        for place in sorted(share.assigned):
            at = TopicPartition(*place)
            committed = await consumer.committed(at)
            if at not in consumer.assignment():
                return  # another rebalance: it rewinds by itself
            if committed is None:
                await consumer.seek_to_beginning(at)
            else:
                consumer.seek(at, committed)
        share.rewind = False

    async def _missed(self, consumer: AIOKafkaConsumer, share: Share) -> dict[Place, int]:
        """Of partitions newly given: how many records retention dropped after what was read, and before it was."""
        found: dict[Place, int] = {}
        if share.unchecked:
            begins = await consumer.beginning_offsets([TopicPartition(*place) for place in share.unchecked])
            for place in share.unchecked:
                committed = await consumer.committed(TopicPartition(*place))
                begin = begins[TopicPartition(*place)]
                if committed is not None and committed < begin:
                    found[place] = begin - committed
            share.unchecked = []
        return found

    def _check_heard(self, *, heard: bool) -> None:
        """Raises Unavailable where the brokers have said nothing for a while."""
        now = self._clock.monotonic()
        if heard:
            self._heard_s = now
        elif now - self._heard_s > self._settings.silent_s:
            self._share.free.set()
            raise unavailable(self._kafka, "reading sources", "no answer in time")

    # -- offsets ----------------------------------------------------------------------------------------------------

    async def commit(self, offsets: Mapping[Place, Offset]) -> None:
        consumer, ours = self._consumer, self._share.assigned
        wanted: dict[Any, Any] = {TopicPartition(*place): at for place, at in offsets.items() if place in ours}
        if consumer is None or not wanted:
            return
        with broker_errors(self._kafka, "committing the sources' offsets"):
            try:
                async with asyncio.timeout(self._settings.commit_s):
                    await consumer.commit(wanted)
            except (CommitFailedError, IllegalStateError):
                _log.warning("partitions went to another member before their offsets were committed: it reads again")

    async def close(self) -> None:
        self._share.free.set()
        await self._opened.close()


def _record(record: ConsumerRecord[bytes, bytes]) -> SourceRecord:
    trace = next((value for name, value in record.headers if name == "traceparent"), b"")
    return SourceRecord(
        record.topic,
        record.partition,
        record.offset,
        -1 if record.timestamp is None else record.timestamp,
        record.key,
        record.value,
        trace[:_TRACE_CHARS_MAX].decode("ascii", "replace") if trace else "",
    )
