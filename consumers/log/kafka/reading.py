"""Reads of the log's topic from positions that the caller gives: no group, no reset, nothing skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, TopicPartition

from consumers.clock import Clock
from consumers.log.kafka.connection import Opened, broker_errors, unavailable
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.kafka.topics import Topic, TopicWrong, events_topic, other_config, other_number
from consumers.log.port import START, Offset, PositionOutside, Record
from rules.errors import Unavailable

TRACEPARENT = "traceparent"
_OPEN_S = 1.8
_ASK_S = 1.8  # for the ends of partitions
_SILENT_S = 2.0  # of waiting in vain without any answer to a fetch: ask whether a broker is there
_STUCK_S = 30.0  # one is there and answers no fetch: begin anew
_CHECK_S = 1.0
_FETCH_BYTES = 32 * 1024 * 1024  # an answer
_PARTITION_BYTES = 2 * 1024 * 1024  # of it, a partition (one record that is larger comes all the same)
_ANSWER_MS = 30  # for the answer to a fetch of what is there: also for who does not want to wait
_OTHERS_MS = 5  # for the answers of the other brokers


class Ends(NamedTuple):
    """What a partition keeps: offsets from `first` to below `end`, not all of them records that readers see."""

    first: Offset
    end: Offset

    def check(self, partition: int, position: Offset) -> None:
        """Raises PositionOutside when what follows `position` is gone, or was never there."""
        if position != START and not self.first <= position + 1 <= self.end:
            raise PositionOutside(partition, position, self.first, self.end - 1 if self.end > self.first else START)


class Reading:
    """One consumer, assigned by hand: one caller at a time, and a read may be cancelled while it waits.

    `fetch_wait_ms`: for how long a broker may hold its answer back when it has nothing. Whatever else is asked on that
    connection waits behind it, so the ends of partitions are asked through `asking`, another one.

    Who has caught up fetches nothing ahead: the client would hold what came first, and ask for no more until that is
    taken. So a reader that comes every 50 ms would get what came within 5 ms, 45 ms old, and the rest a turn later.
    """

    def __init__(
        self, settings: KafkaSettings, clock: Clock, fetch_wait_ms: int, asking: Reading | None = None
    ) -> None:
        self.partitions = 0  # of the topic, once known: it must not grow
        self._settings, self._clock = settings, clock
        self._topic = settings.events_topic
        self._doing = f"reading {self._topic}"
        self._fetch_wait_ms = fetch_wait_ms
        self._asking = asking or self
        self._opened = Opened(settings, self._doing, self._make)
        self._current: AIOKafkaConsumer | None = None  # the one that the following is about
        self._at: dict[int, Offset] = {}  # what the caller was last given, of each partition assigned
        self._resting = False
        self._stamped: set[int] = set()  # partitions where a record had the log's stamp
        self._polled_ms = 0
        self._silent_s = self._asked_silent_s = 0.0
        self._checked = 0.0

    def _make(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._settings.connection("log"),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=self._fetch_wait_ms,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
        )

    async def close(self) -> None:
        self._current = None
        await self._opened.close()

    # -- the ends -----------------------------------------------------------------------------------------------------

    async def ends(self, partitions: Iterable[int]) -> dict[int, Ends]:
        """What each partition keeps now (below what a transaction still holds open). Raises Unavailable."""
        asked = [TopicPartition(self._topic, partition) for partition in partitions]
        consumer = await self._opened.get(_OPEN_S)
        try:
            with broker_errors(self._settings, self._doing):
                async with asyncio.timeout(_ASK_S):
                    first, end = await asyncio.gather(consumer.beginning_offsets(asked), consumer.end_offsets(asked))
        except Unavailable:
            self._opened.drop(consumer)
            raise
        return {each.partition: Ends(first[each], end[each]) for each in asked}

    def next_offset(self, partition: int, position: Offset) -> Offset:
        """Where the record after `position` may be: further than the next offset when what lies between was read, and
        was nothing for readers (markers of transactions)."""
        if self._current is not None and self._at.get(partition) == position:
            return max(position + 1, self._consumer_offset(self._current, partition))
        return position + 1

    def _consumer_offset(self, consumer: AIOKafkaConsumer, partition: int) -> Offset:
        assignment = consumer._subscription.subscription.assignment  # `position()` would wait
        state = assignment.state_value(TopicPartition(self._topic, partition)) if assignment is not None else None
        return int(state.position) if state is not None and state.has_valid_position else START

    # -- reading ------------------------------------------------------------------------------------------------------

    async def read(self, positions: Mapping[int, Offset], records_max: int, wait_ms: int) -> list[Record]:
        """As `Log.read`."""
        if not positions:
            await asyncio.sleep(wait_ms / 1000)
            return []
        consumer = await self._opened.get(_OPEN_S)
        try:
            with broker_errors(self._settings, self._doing):
                await self._place(consumer, positions)
                self._check_number(consumer)
                rested = self._resume(consumer)
                records = await self._fetch(consumer, positions, records_max, wait_ms, rested)
                if not records and wait_ms:
                    await self._listen(consumer, wait_ms)
            return records
        except Unavailable:
            self._drop(consumer)
            raise

    def rest(self) -> None:
        """Fetch nothing ahead until the next read."""
        if self._current is not None:
            self._current.pause(*self._current.assignment())
            self._resting = True

    def _resume(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether it had rested: then nothing is on its way."""
        rested, self._resting = self._resting, False
        if rested:
            consumer.resume(*consumer.assignment())
        return rested

    def _drop(self, consumer: AIOKafkaConsumer) -> None:
        """Begin anew: after an error a consumer may have moved on past records that nobody was given."""
        self._current = None
        self._opened.drop(consumer)

    async def _place(self, consumer: AIOKafkaConsumer, positions: Mapping[int, Offset]) -> None:
        """Stand where the caller says. Where that is not where we stand, look whether the log has it.

        Partitions that are not asked for at the moment stay assigned: what was fetched of them waits.
        """
        anew = consumer is not self._current or not positions.keys() <= self._at.keys()
        moved = positions if anew else {p: at for p, at in positions.items() if self._at[p] != at}
        if moved:
            ends = await self._asking.ends(moved)
            for partition, position in moved.items():
                ends[partition].check(partition, position)
            if anew:
                consumer.assign([TopicPartition(self._topic, partition) for partition in positions])
                self._current, self._at, self._silent_s, self._resting = consumer, {}, 0.0, False
            for partition, position in moved.items():
                offset = ends[partition].first if position == START else position + 1
                consumer.seek(TopicPartition(self._topic, partition), offset)
                self._at[partition] = position

    async def _fetch(
        self, consumer: AIOKafkaConsumer, positions: Mapping[int, Offset], records_max: int, wait_ms: int, rested: bool
    ) -> list[Record]:
        """What is there already, of every partition; only when that is nothing, wait."""
        records: list[Record] = []
        try:
            await self._drain(consumer, positions, records_max, records)
            if rested:
                wait_ms = _OTHERS_MS if records else max(wait_ms, _ANSWER_MS)
            if wait_ms and (rested or not records):
                every = (TopicPartition(self._topic, partition) for partition in positions)
                found = await consumer.getmany(*every, timeout_ms=wait_ms, max_records=records_max)
                for each, some in found.items():
                    self._take(each.partition, some, records)
            if records and self._caught_up(consumer):
                self.rest()
                if rested and len(consumer._client.cluster.brokers()) > 1:  # each answers for its own partitions
                    await asyncio.sleep(_OTHERS_MS / 1000)
                    self._resume(consumer)
                    await self._drain(consumer, positions, records_max, records)
                    self.rest()
        except OffsetOutOfRangeError:
            if not records:
                await self._find_outside(positions, wait_ms)
            else:
                self._current = None  # it is told again by the next read
        except BaseException:
            if records:
                self._current = None  # the caller is not given them: come back to where it stands
            raise
        return records

    async def _drain(
        self, consumer: AIOKafkaConsumer, positions: Iterable[int], records_max: int, records: list[Record]
    ) -> None:
        """What the client holds, without waiting."""
        for partition in positions:
            each = TopicPartition(self._topic, partition)
            found = await consumer.getmany(each, max_records=records_max)
            self._take(partition, found.get(each, ()), records)

    def _caught_up(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether nothing more was there when the brokers last answered."""
        for partition in self._at:
            end = consumer.last_stable_offset(TopicPartition(self._topic, partition))
            if end is None or self._consumer_offset(consumer, partition) < end:
                return False
        return True

    def _take(self, partition: int, found: Iterable[ConsumerRecord], records: list[Record]) -> None:
        before, last = len(records), None
        for last in found:
            headers = _traceparent(last) if last.headers else ""
            records.append(Record(partition, last.offset, last.timestamp, last.value or b"", headers))
        if len(records) > before:
            assert last is not None
            self._at[partition] = last.offset
            self._check_stamp(partition, last)

    async def _find_outside(self, positions: Mapping[int, Offset], wait_ms: int) -> None:
        """A broker has refused an offset: say whose. Nobody's (retention has just passed START): try again."""
        self._current = None
        ends = await self._asking.ends(positions)
        for partition, position in positions.items():
            ends[partition].check(partition, position)
        await asyncio.sleep(min(wait_ms, self._fetch_wait_ms) / 1000)

    # -- what must not go unnoticed -----------------------------------------------------------------------------------

    async def _listen(self, consumer: AIOKafkaConsumer, waited_ms: int) -> None:
        """Nothing came. While brokers are away a consumer says no more than that, so see whether fetches are answered.

        Only time spent waiting counts: a process that was busy, or suspended, draws no conclusions.
        """
        polled_ms = max(consumer.last_poll_timestamp(each) or 0 for each in consumer.assignment())
        if polled_ms != self._polled_ms:
            self._polled_ms, self._silent_s, self._asked_silent_s = polled_ms, 0.0, 0.0
            return
        self._silent_s += waited_ms / 1000
        if self._silent_s > _STUCK_S:
            raise unavailable(self._settings, self._doing, "no fetch is answered")
        if self._silent_s - self._asked_silent_s > _SILENT_S:
            self._asked_silent_s = self._silent_s
            await self._asking.ends(self._at)

    def _check_number(self, consumer: AIOKafkaConsumer) -> None:
        """Somebody who adds partitions sends customers to where nobody reads."""
        now = self._clock.monotonic()
        if now - self._checked > _CHECK_S:
            self._checked = now
            found = len(consumer.partitions_for_topic(self._topic) or ())
            if self.partitions and found > self.partitions:
                raise TopicWrong(other_number(self._settings, self._wanted(), found))

    def _check_stamp(self, partition: int, record: ConsumerRecord) -> None:
        """Old records of a topic that was mended may have their own time; none after one that the log has stamped."""
        if record.timestamp_type:
            self._stamped.add(partition)
        elif partition in self._stamped and self._settings.log_time == "append":
            wanted = self._wanted()
            raise TopicWrong(other_config(self._settings, wanted, {"message.timestamp.type": "CreateTime"}))

    def _wanted(self) -> Topic:
        return events_topic(self._settings)._replace(partitions=self.partitions)


def _traceparent(record: ConsumerRecord) -> str:
    for key, value in record.headers:
        if key == TRACEPARENT and value:
            return str(value, "ascii", "replace")
    return ""
