"""What gets killed: a worker whose targets post to a receiver.

`python delivery_child.py STORE PARTITIONS PORT TIME`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
import msgspec

from consumers.delivery.port import Call, Done, Failed, Item, Outcome, Turn
from consumers.delivery.settings import Settings
from consumers.delivery.worker import Worker
from consumers.state.store import Store
from tests.consumers.delivery.worlds import BEGIN_MS, FakeTargets

SPEED = 300  # so many times faster do the schedule's clocks go: five minutes are a second
QUICK = Settings(lease_ms=600, heartbeat_ms=100, flush_ms=20, nap_ms=50, in_hand_max=100)
NAMES = ("sub/all", "sub/entered", "act/vip/remembers")


class FastClock:
    """The same in all processes. The steady clock, by which leases run, is the machine's."""

    def __init__(self, since_s: float) -> None:
        self._since_s = since_s

    def now_ms(self) -> int:
        return BEGIN_MS + int((time.time() - self._since_s) * 1000 * SPEED)

    def monotonic(self) -> float:
        return time.monotonic()


def wanted(target: str, kind: str) -> bool:
    """Which transitions a target is to get."""
    return target != "sub/entered" or kind == "entered"


@dataclass
class Posting:
    """A target that posts to the receiver."""

    id: str
    client: httpx2.AsyncClient
    port: int
    active: bool = True
    begin: str = "start"
    concurrency: int = 8
    per_second: float | None = None
    batch_max: int = 1

    @property
    def remembers_done(self) -> bool:
        return self.id.startswith("act/")

    def key(self, item: Item) -> str:
        return f"{self.id}:{item.id}"

    def turn(self, item: Item) -> Turn | None:
        return Turn(item.customer_id) if wanted(self.id, item.kind) else None

    async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        (call,) = calls
        body = msgspec.json.encode([self.id, call.item.id, call.item.customer_id, call.key, call.attempt])
        answer = await self.client.post(f"http://127.0.0.1:{self.port}/", content=body)
        return [Done() if answer.status_code == 200 else Failed("refused", answer.status_code)]


async def main(url: str, partitions: int, port: int, since_s: float) -> None:
    store = Store.connect(url)
    async with httpx2.AsyncClient() as client:
        targets = FakeTargets(*[Posting(name, client, port) for name in NAMES])
        worker = Worker(store, partitions, targets, settings=QUICK, clock=FastClock(since_s))
        print("ready", flush=True)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
