"""A real embedded server with a filled log, and what its process has used of the CPU."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from benchmarks.progress import Advance
from consumers.embedded import Embedded
from consumers.log.partition import partition_of
from consumers.log.port import START, Record
from consumers.log.redis_streams import RedisLog, Retention
from consumers.state.keys import PartitionKeys
from consumers.state.store import Argument, Store

PARTITIONS = 4
_LOAD_RECORDS = 5_000
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_RETENTION = Retention(ms=10 * 365 * 86_400_000, records_max=10_000_000)  # every pass reads the log from its start

_LOAD = """
local ids, lengths = unpack(cmsgpack.unpack(ARGV[1]))
local from = 1
for i = 1, #ids do
  redis.call('XADD', KEYS[1], ids[i], 'd', ARGV[2]:sub(from, from + lengths[i] - 1))
  from = from + lengths[i]
end
"""


@dataclass(frozen=True)
class Server:
    """The log is in database 0; `database` opens others, so that many passes can read one log."""

    embedded: Embedded
    store: Store
    log: RedisLog

    def database(self, number: int) -> Store:
        return Store.connect(f"{self.embedded.url}?db={number}")

    def cpu_s(self) -> float:
        """What the server's process has used so far, in seconds."""
        fields = Path(f"/proc/{self.embedded.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND

    async def load(self, records: Iterable[tuple[str, int, bytes]], advance: Advance) -> int:
        """Put (customer, log timestamp in ms, payload) into the log, timestamps ascending. Returns how many.

        Like the port's own append, but the records keep their own time: so windows pass over them as in life.
        """
        left, loaded = iter(records), 0
        while chunk := list(islice(left, _LOAD_RECORDS)):
            by_partition: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
            for nth, (customer, ts, payload) in enumerate(chunk):
                by_partition[partition_of(customer, PARTITIONS)].append((f"{ts}-{loaded + nth}", payload))
            commands: list[list[Argument]] = []
            for partition, mine in by_partition.items():
                head = msgspec.msgpack.encode([[key for key, _ in mine], [len(payload) for _, payload in mine]])
                blob = b"".join(payload for _, payload in mine)
                commands.append(["EVAL", _LOAD, 1, PartitionKeys(partition).log, head, blob])
            await self.store.calls(commands)
            loaded += len(chunk)
            advance(len(chunk))
        return loaded

    async def read_all(self, records_max: int) -> AsyncIterator[dict[int, list[Record]]]:
        """The whole log, a read at a time, by partition: as an evaluator reads it."""
        positions = dict.fromkeys(range(PARTITIONS), START)
        while records := await self.log.read(positions, records_max, 0):
            found: dict[int, list[Record]] = defaultdict(list)
            for record in records:
                found[record.partition].append(record)
            for partition, mine in found.items():
                positions[partition] = mine[-1].offset
            yield found


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[Server]:
    """A server of its own, on a directory that is gone afterwards; its file is never rewritten meanwhile."""
    with tempfile.TemporaryDirectory(prefix="segmentd-bench-") as directory, Embedded(Path(directory)) as embedded:
        store = Store.connect(embedded.url)
        try:
            log = RedisLog(store, PARTITIONS, _RETENTION)
            await log.prepare()
            await store.call("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)
            yield Server(embedded, store, log)
        finally:
            await store.close()
