"""Sends the sample shop's traffic into the log of this process, a few events a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from rules.errors import Unavailable
from rules.events import Event, check_event
from service.ingest import append
from service.sample import excerpt
from service.sample.traffic import history, visits
from service.wiring import Services

EVENTS_A_SECOND = 4.0
BATCH = 250  # of the history
SETTLE_MS = 30_000


async def send_history(services: Services) -> int:
    """The excerpt with its times moved to end now, if nobody is known yet; answers how many events were sent."""
    if any(partition.customers for partition in await services.reads.status()):
        return 0
    now_ms = time.time_ns() // 1_000_000
    events = [check_event(raw, now_ms) for raw in history(list(excerpt()), now_ms)]
    last: dict[int, int] = {}
    for begin in range(0, len(events), BATCH):
        last |= await append(services, events[begin : begin + BATCH])
    await services.reads.wait_applied(last, SETTLE_MS)
    return len(events)


async def send_visits(services: Services) -> None:
    """Live events, until it is cancelled."""
    recorded = list(excerpt())
    run = f"live-{time.time_ns() // 1_000_000:x}"
    for raw in visits(recorded, run, seed=time.time_ns()):
        await _send(services, [_now(raw)])
        await asyncio.sleep(1 / EVENTS_A_SECOND)


async def _send(services: Services, events: Sequence[Event]) -> None:
    while True:
        try:
            await append(services, events)
            return
        except Unavailable as error:
            await asyncio.sleep(error.retry_after_s)


def _now(raw: dict[str, Any]) -> Event:
    return check_event(raw, time.time_ns() // 1_000_000)
