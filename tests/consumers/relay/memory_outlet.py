"""A topic of transitions in memory that keeps Kafka's promises on transactions, deterministic and without a clock.

Epochs per transactional id, open, committed and aborted transactions, control markers that take offsets, the last
stable offset, retention. Whoever owns the topic decides by `fault` what goes wrong: it is called at each step of each
call, before it (`.before`) and after (`.after`); to raise Unavailable there is a request or an answer that got lost, to
sleep there is a delay, during which other processes go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import orjson

from consumers.failpoints import reach
from consumers.log.port import Offset
from consumers.relay.port import Fenced, Outgoing, Published, digest_of
from rules.errors import Unavailable

Fault = Callable[[str, str], Awaitable[None]]
"""`await fault("commit.after", name)`; steps: open, produce, commit, fence, tail, published, value."""


class State(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass
class Transaction:
    name: str
    partitions: set[int] = field(default_factory=set)
    state: State = State.OPEN


@dataclass(frozen=True)
class Entry:
    """A record, or with `outgoing` None the marker at a transaction's end."""

    offset: Offset
    outgoing: Outgoing | None
    transaction: Transaction


async def no_fault(step: str, name: str) -> None:
    """Nothing goes wrong."""


class MemoryTopic:
    """The broker's side: all that outlets of several processes share."""

    def __init__(self, partitions: int) -> None:
        self.partitions: list[list[Entry]] = [[] for _ in range(partitions)]
        self.fault: Fault = no_fault
        self.transactions = 0
        self._ends = [0] * partitions
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}

    def initialise(self, name: str) -> int:
        """A new epoch of this transactional id; what it had open is aborted."""
        self._end(name, State.ABORTED)
        self._epochs[name] = self._epochs.get(name, -1) + 1
        return self._epochs[name]

    def produce(self, name: str, epoch: int, partition: int, outgoing: Sequence[Outgoing]) -> None:
        self._check(name, epoch)
        transaction = self._open.setdefault(name, Transaction(name))
        transaction.partitions.add(partition)
        for each in outgoing:
            self._append(partition, each, transaction)

    def commit(self, name: str, epoch: int) -> None:
        self._check(name, epoch)
        self._end(name, State.COMMITTED)

    def time_out(self, name: str) -> None:
        """The broker gives up waiting for the end of a transaction."""
        if name in self._open:
            self.initialise(name)

    def retain(self, partition: int, first: Offset) -> None:
        """Retention: let go of what is before this offset."""
        self.partitions[partition] = [entry for entry in self.partitions[partition] if entry.offset >= first]

    def truncate(self, partition: int, end: Offset) -> None:
        """An unclean leader: records from this offset on are gone."""
        self.partitions[partition] = [entry for entry in self.partitions[partition] if entry.offset < end]
        self._ends[partition] = end

    def end(self, partition: int) -> Offset:
        return self._ends[partition]

    def is_open(self, partition: int) -> bool:
        """Whether a transaction holds the last stable offset of this partition back."""
        return any(partition in transaction.partitions for transaction in self._open.values())

    def committed(self, partition: int) -> list[Entry]:
        """What a read-committed reader sees, in order."""
        seen = []
        for entry in self.partitions[partition]:
            if entry.transaction.state is State.OPEN:
                break
            if entry.outgoing is not None and entry.transaction.state is State.COMMITTED:
                seen.append(entry)
        return seen

    def _check(self, name: str, epoch: int) -> None:
        if self._epochs.get(name) != epoch:
            raise Fenced(f"another process initialised {name}")

    def _end(self, name: str, state: State) -> None:
        transaction = self._open.pop(name, None)
        if transaction is None:
            return
        transaction.state = state
        self.transactions += state is State.COMMITTED
        for partition in sorted(transaction.partitions):
            self._append(partition, None, transaction)

    def _append(self, partition: int, outgoing: Outgoing | None, transaction: Transaction) -> None:
        self.partitions[partition].append(Entry(self._ends[partition], outgoing, transaction))
        self._ends[partition] += 1


class MemoryOutlet:
    """One process's side of it. An `Outlet`."""

    def __init__(self, topic: MemoryTopic, name: str) -> None:
        self._topic = topic
        self._name = name
        self._epoch: int | None = None

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> None:
        await self._fault("open.before")
        self._epoch = self._topic.initialise(self._name)
        await self._fault("open.after")

    async def publish(self, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        epoch, self._epoch = self._epoch, None  # until it has ended well
        if epoch is None:
            raise Unavailable("the outlet is not open")
        for partition, outgoing in batches.items():
            await self._fault("produce.before")
            self._topic.produce(self._name, epoch, partition, outgoing)
            await self._fault("produce.after")
        reach("relay.produced")
        await self._fault("commit.before")
        self._topic.commit(self._name, epoch)
        await self._fault("commit.after")
        self._epoch = epoch

    async def fence(self, name: str) -> None:
        await self._fault("fence.before")
        self._topic.initialise(name)
        await self._fault("fence.after")

    async def tail(self, partition: int) -> Published | None:
        await self._fault("tail.before")
        if self._topic.is_open(partition):
            raise Unavailable(f"a transaction is open at the end of partition {partition}")
        newest = self._topic.committed(partition)[-1:]
        await self._fault("tail.after")
        if not newest:
            return None
        outgoing = _outgoing(newest[0])
        return Published(newest[0].offset, digest_of(outgoing.value), outgoing.place)

    async def published(self, partition: int, after_commit: int) -> dict[str, Published]:
        await self._fault("published.before")
        found = {}
        for entry in self._topic.committed(partition):
            outgoing = _outgoing(entry)
            if outgoing.place.commit > after_commit:
                told = orjson.loads(outgoing.value)
                found[told["id"]] = Published(entry.offset, digest_of(outgoing.value), outgoing.place)
        return found

    async def value(self, partition: int, offset: Offset) -> bytes:
        await self._fault("value.before")
        for entry in self._topic.committed(partition):
            if entry.offset == offset:
                return _outgoing(entry).value
        raise Unavailable(f"offset {offset} of partition {partition} is not kept any more")

    async def close(self) -> None:
        self._epoch = None

    async def _fault(self, step: str) -> None:
        await self._topic.fault(step, self._name)


def _outgoing(entry: Entry) -> Outgoing:
    assert entry.outgoing is not None
    return entry.outgoing
