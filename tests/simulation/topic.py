"""The topic of transitions over the simulated network: what its requests come to, and what must hold in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import orjson

from consumers.failpoints import reach
from consumers.log.port import Offset
from consumers.relay.port import Outgoing, Place, Published
from rules.errors import Unavailable
from tests.consumers.relay.memory_outlet import MemoryOutlet, MemoryTopic, State, Transaction
from tests.simulation.faults import Network
from tests.simulation.invariants import Broken

T = TypeVar("T")

TRANSACTION_S = 10.0
RETENTION_S = 12.0  # longer than a transaction, and than the store may be unable to take a note down


class SimTopic(MemoryTopic):
    """Checked whenever a transaction ends: numbers and sequences go on by one, places forward."""

    def __init__(self, partitions: int, network: Network, note: Callable[..., None]) -> None:
        super().__init__(partitions)
        self._note = note
        self._network = network
        self._seen = [0] * partitions  # offsets that have been checked
        self.told: list[list[bytes]] = [[] for _ in range(partitions)]  # all that read-committed readers ever saw
        self._last = [Place(0, -1, -1, 0)] * partitions
        self._times: list[list[float]] = [[] for _ in range(partitions)]  # by offset, when it was written
        self._sequences: dict[tuple[int, str], int] = {}

    def produce(self, name: str, epoch: int, partition: int, outgoing: Sequence[Outgoing]) -> None:
        new = name not in self._open
        super().produce(name, epoch, partition, outgoing)
        if new:
            self._network.loop.outside(TRANSACTION_S, self._give_up, name, self._open[name])

    def drop_old(self, partition: int, noted: int) -> bool:
        """Retention: what is older than RETENTION_S goes, up to the running number `noted`. Whether anything went.

        (Retention is days and a note takes seconds, so the store knows of all that goes.)
        """
        until = self._network.loop.seconds - RETENTION_S
        old = []
        for entry in self.partitions[partition]:
            young = self._times[partition][entry.offset] >= until
            if young or (entry.outgoing is not None and entry.outgoing.place.number > noted):
                break
            old.append(entry)
        if not old:
            return False
        self.retain(partition, old[-1].offset + 1)
        return True

    def _append(self, partition: int, outgoing: Outgoing | None, transaction: Transaction) -> None:
        super()._append(partition, outgoing, transaction)
        self._times[partition].append(self._network.loop.seconds)

    def _give_up(self, name: str, transaction: object) -> None:
        if self._open.get(name) is transaction:
            self._network.faults.happened["topic: transaction timed out"] += 1
            self.time_out(name)

    def _end(self, name: str, state: State) -> None:
        transaction = self._open.get(name)
        super()._end(name, state)
        if transaction is not None:
            self._note(f"  topic: transaction of {name} {state.value}, partitions {sorted(transaction.partitions)}")
            self._network.faults.happened["topic: transaction aborted"] += state is State.ABORTED
            for partition in sorted(transaction.partitions):
                self._check_partition(partition)

    def _check_partition(self, partition: int) -> None:
        for entry in self.partitions[partition]:
            if entry.offset < self._seen[partition]:
                continue
            if entry.transaction.state is State.OPEN:
                break
            self._seen[partition] = entry.offset + 1
            if entry.outgoing is not None and entry.transaction.state is State.COMMITTED:
                self._check_one(partition, entry.outgoing)

    def _check_one(self, partition: int, outgoing: Outgoing) -> None:
        place, last = outgoing.place, self._last[partition]
        name, _, sequence = orjson.loads(outgoing.value)["id"].rpartition(":")
        before = self._sequences.get((partition, name), 0)
        if int(sequence) != before + 1:
            raise Broken(f"topic, partition {partition}: {name} goes on with {sequence} after {before}")
        if place.number != last.number + 1:
            raise Broken(f"topic, partition {partition}: running number {place.number} after {last.number}")
        # A store that was rolled back and goes its own way may say what is new in a commit numbered below the topic's
        # last, together with what comes again: its number goes on, and each customer's sequence.
        if place[:2] <= last[:2] and not self._network.faults.happened["store rolled back"]:
            raise Broken(f"topic, partition {partition}: place {place} after {last}")
        self._note(f"  topic {partition}: {name} {sequence} {place}")
        self._last[partition] = place
        self.told[partition].append(outgoing.value)
        self._sequences[partition, name] = int(sequence)


class SimOutlet(MemoryOutlet):
    """What a process asks of it. A request that is late arrives, though its sender gave up or is dead."""

    def __init__(self, topic: SimTopic, name: str, network: Network) -> None:
        super().__init__(topic, name)
        self._network = network

    async def open(self) -> None:
        self._epoch = await self._ask(lambda: self._topic.initialise(self._name))

    async def publish(self, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        epoch, self._epoch = self._epoch, None
        if epoch is None:
            raise Unavailable("the outlet is not open")
        for partition, outgoing in batches.items():
            await self._produce(epoch, partition, list(outgoing))
        reach("relay.produced")
        await self._ask(lambda: self._topic.commit(self._name, epoch))
        self._epoch = epoch

    async def _produce(self, epoch: int, partition: int, outgoing: Sequence[Outgoing]) -> None:
        await self._ask(lambda: self._topic.produce(self._name, epoch, partition, outgoing))

    async def fence(self, name: str) -> None:
        await self._ask(lambda: self._topic.initialise(name))

    async def tail(self, partition: int) -> Published | None:
        await self._ask(lambda: None)
        return await super().tail(partition)

    async def published(self, partition: int, after_commit: int) -> dict[str, Published]:
        await self._ask(lambda: None)
        return await super().published(partition, after_commit)

    async def value(self, partition: int, offset: Offset) -> bytes:
        await self._ask(lambda: None)
        return await super().value(partition, offset)

    async def _ask(self, serve: Callable[[], T]) -> T:
        return await self._network.ask("topic", serve)
