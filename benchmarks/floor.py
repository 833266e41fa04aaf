"""The floor: what any evaluator that keeps state must do. Read, decode, load and store blobs; no rules, no output."""

from __future__ import annotations

import time

import orjson

from benchmarks.progress import track
from benchmarks.server import Server
from consumers.evaluator import Settings
from consumers.log.port import Record
from consumers.state.store import Store

BLOB = b"x" * 256


async def floor_us(server: Server, events: int) -> float:
    """µs of CPU an event, ours and the server's: the same log by the same port in the same batches."""
    store = server.database(1)
    await store.call("FLUSHDB")
    read = 0
    with track("floor", events) as advance:
        ours, theirs = time.process_time(), server.cpu_s()
        async for batches in server.read_all(Settings().batch_records_max):
            for partition, records in batches.items():
                await _batch(store, partition, records)
                read += len(records)
                advance(len(records))
        used = time.process_time() - ours + server.cpu_s() - theirs
    assert read == events, f"the log has {read} records, not {events}"
    await store.call("FLUSHDB")
    await store.close()
    return used / events * 1e6


async def _batch(store: Store, partition: int, records: list[Record]) -> None:
    customers = {orjson.loads(record.payload)["customer_id"] for record in records}
    keys = [f"floor:{{{partition}}}:{customer}" for customer in customers]
    await store.call("MGET", *keys)
    pairs: list[str | bytes] = [BLOB] * (2 * len(keys))
    pairs[0::2] = keys
    await store.call("MSET", *pairs)
