"""Reading the log again, from its start, for what a new definition asks and nobody asked before."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.log.partition import partition_of
from consumers.log.port import START, Log, Offset
from consumers.state.definitions import Collection
from rules.backfill import Collector
from rules.errors import EventRejected
from rules.events import Event
from rules.plan import Plan, missing_features
from rules.profile import Profile
from rules.records import decode_record


class Collecting:
    """First `read_some` until `read`, then merge customer by customer until `merged`; then it is `announced`.

    All in memory, but for `cursor`: the last customer merged, which each merging commit stores. A restart reads again
    and goes on after it, so nobody is merged twice.
    """

    def __init__(self, partition: int, collection: Collection, plan: Plan, cursor: str) -> None:
        self._partition = partition
        self._until = collection.until
        keys = frozenset[int]().union(*(missing_features(plan, each) for each in collection.definitions))
        self._collector = Collector(plan, keys, collection.at)
        self._position: Offset = START
        self._clock = 0
        self._customers: list[str] = []
        self.first_ms: int | None = None  # the oldest log timestamp there is
        self.cursor = cursor
        self.read = False
        self.announced = False

    @property
    def merged(self) -> bool:
        return self.read and not self._customers

    async def read_some(self, log: Log, records_max: int) -> None:
        """Collect from the next records of the log, up to the definition's own."""
        records = await log.reread(self._partition, self._position, records_max)
        for record in records:
            if record.offset >= self._until:
                break
            if self.first_ms is None:
                self.first_ms = record.timestamp_ms
            self._clock = max(self._clock, record.timestamp_ms)
            try:
                event = decode_record(record.payload, record.timestamp_ms)
            except EventRejected:
                continue
            if type(event) is Event and partition_of(event.customer_id, log.partitions) == self._partition:
                self._collector.add(event, self._clock)
        if records and records[-1].offset < self._until:
            self._position = records[-1].offset
            return
        self.read = True
        self._customers = sorted((c for c in self._collector.customers() if c > self.cursor), reverse=True)

    def next_customers(self, customers_max: int) -> Sequence[str]:
        """The next to merge, in order; the cursor moves on to the last of them."""
        chunk = self._customers[-customers_max:][::-1]
        del self._customers[-customers_max:]
        if chunk:
            self.cursor = chunk[-1]
        return chunk

    def merge_into(self, profile: Profile, plan: Plan, now: int) -> None:
        self._collector.merge_into(profile, plan, now)
