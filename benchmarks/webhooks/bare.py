"""What the service is compared with, a process of its own: reads the same log and posts every event, nothing else.

`python -m benchmarks.webhooks.bare REDIS_URL RECEIVER_URL`, until it is killed. Several calls are open at once, as the
service's are; nothing is checked, signed, put in order, repeated or remembered.
"""

from __future__ import annotations

import asyncio
import sys

import httpx2

from benchmarks.server import PARTITIONS
from consumers.log.redis_streams import RedisLog
from consumers.state.store import Store

CONCURRENCY = 4  # the default of a subscription
_WAIT_MS = 1_000
_RECORDS = 500


async def main(store_url: str, receiver_url: str) -> None:
    store = Store.connect(store_url)
    log = RedisLog(store, PARTITIONS)
    bounds = await log.bounds()
    positions = {partition: each.last for partition, each in enumerate(bounds)}
    open_calls = asyncio.Semaphore(CONCURRENCY)
    async with httpx2.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as calls:

        async def post(payload: bytes) -> None:
            async with open_calls:
                await client.post(receiver_url, content=payload, headers={"content-type": "application/json"})

        print("ready", flush=True)
        while True:
            for record in await log.read(positions, _RECORDS, _WAIT_MS):
                positions[record.partition] = record.offset
                calls.create_task(post(record.payload))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
