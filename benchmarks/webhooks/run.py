"""The benchmark's parts: bare, the service with one subscription, and with 200 of which none, then 5 %, hang."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import orjson

from benchmarks.progress import track
from benchmarks.server import PARTITIONS, Server, server
from benchmarks.webhooks.receiver import HANG, Receiver, receiver
from consumers.log.partition import partition_of
from consumers.log.port import NewRecord

SUBSCRIPTIONS = 200
HANGING = SUBSCRIPTIONS // 20
_TURN_S = 0.01
_WARM_S = 3.0  # before what counts
_ARRIVE_S = 30.0  # for the last calls
_START_S = 60.0


@dataclass(frozen=True)
class Latency:
    """From just before an event is appended to the log until its call has come, in ms, of all `events`. `missing`:
    calls that never came; `twice`: those that came again."""

    what: str
    events: int
    p50_ms: float
    p99_ms: float
    missing: int
    twice: int


@dataclass
class Results:
    rate: int
    latencies: list[Latency]


async def run(rate: int, seconds: float) -> Results:
    """All parts, one after the other, on one log; each has the machine for itself."""
    results = Results(rate, [])
    async with server() as used, receiver() as called:
        parts = _Parts(used, called, rate, seconds)
        async with _child("-m", "benchmarks.webhooks.bare", used.embedded.url, called.url) as (_, ready):
            await ready("ready")
            results.latencies.append(await parts.measure("a bare consumer that posts", 1))
        async with _service(used) as api:
            await parts.define(api, SUBSCRIPTIONS)
            one = await parts.subscribe(api, "*", called.url)
            results.latencies.append(await parts.measure("the service, one subscription", 1))
            await api.delete(one)
            names = [_segment(number) for number in range(SUBSCRIPTIONS)]
            all_of_them = [await parts.subscribe(api, name, called.url) for name in names]
            results.latencies.append(await parts.measure(f"{SUBSCRIPTIONS} subscriptions, all well", SUBSCRIPTIONS))
            for number in range(HANGING):
                await api.delete(all_of_them[number])
                await parts.subscribe(api, names[number], called.url + HANG)
            hanging = f"{HANGING} of {SUBSCRIPTIONS} hang: the others"
            results.latencies.append(await parts.measure(hanging, SUBSCRIPTIONS, without=HANGING))
    return results


class _Parts:
    def __init__(self, used: Server, called: Receiver, rate: int, seconds: float) -> None:
        self._server, self._called, self._rate, self._seconds = used, called, rate, seconds
        self._customers = 0

    async def define(self, api: httpx2.AsyncClient, segments: int) -> None:
        for number in range(segments):
            rule = {"event": "page_view", "where": {"shop": number}}
            answer = await api.put(f"/v1/segments/{_segment(number)}", json={"id": _segment(number), "enter": rule})
            answer.raise_for_status()
        for number in range(segments):
            while (await api.get(f"/v1/segments/{_segment(number)}")).json()["state"] != "active":  # noqa: ASYNC110
                await asyncio.sleep(_TURN_S)

    async def subscribe(self, api: httpx2.AsyncClient, segment: str, url: str) -> str:
        """Its address."""
        segments = "*" if segment == "*" else [segment]
        answer = await api.post("/v1/subscriptions", json={"url": url, "segments": segments, "kinds": ["entered"]})
        answer.raise_for_status()
        return str(answer.headers["location"])

    async def measure(self, what: str, shops: int, without: int = 0) -> Latency:
        """Every event is of a new customer, who enters the segment of the shop; the shops take turns."""
        self._called.calls = 0
        sent: dict[str, float] = {}
        with track(what, int(self._rate * (self._seconds + _WARM_S))):
            await self._send(_WARM_S, shops, {})
            await self._send(self._seconds, shops, sent, without)
            waiting = time.monotonic() + _ARRIVE_S
            while time.monotonic() < waiting and not sent.keys() <= self._called.came.keys():  # noqa: ASYNC110
                await asyncio.sleep(_TURN_S)
        came = {customer: self._called.came[customer] for customer in sent if customer in self._called.came}
        latencies = sorted((came[customer] - sent[customer]) * 1000 for customer in came)
        twice = self._called.calls - len(self._called.came)
        self._called.came.clear()
        return Latency(
            what,
            len(sent),
            latencies[len(latencies) // 2],
            latencies[int(len(latencies) * 0.99)],
            missing=len(sent) - len(came),
            twice=max(0, twice),
        )

    async def _send(self, seconds: float, shops: int, sent: dict[str, float], without: int = 0) -> None:
        """`without`: events of the first shops are sent, but not noted."""
        began, count = time.perf_counter(), 0
        appends: set[asyncio.Task[None]] = set()
        while (elapsed := time.perf_counter() - began) < seconds:
            for _ in range(int(elapsed * self._rate) - count):
                count += 1
                shop = self._customers % shops
                appends.add(append := asyncio.create_task(self._append(shop, sent if shop >= without else {})))
                append.add_done_callback(appends.discard)
            await asyncio.sleep(_TURN_S)
        await asyncio.gather(*appends)

    async def _append(self, shop: int, sent: dict[str, float]) -> None:
        self._customers += 1
        customer = f"customer-{self._customers}"
        event = {"id": customer, "type": "page_view", "customer_id": customer, "properties": {"shop": shop}}
        sent[customer] = time.perf_counter()
        record = NewRecord(partition_of(customer, PARTITIONS), orjson.dumps(event), customer)
        await self._server.log.append([record])


def _segment(number: int) -> str:
    return f"shop-{number:03d}"


@contextlib.asynccontextmanager
async def _service(used: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """`segmentd up` on the same server, all in one process, and a client of its API."""
    settings = {"REDIS_URL": used.embedded.url, "SEGMENTD_OUTBOUND_ALLOW": "127.0.0.0/8"}
    settings["SEGMENTD_LOG_LEVEL"] = "warning"
    async with _child("-c", "from service.cli import main; main()", "up", "--port", "0", **settings) as (_, ready):
        line = await ready("segmentd is up at ")
        url = line.rpartition(" ")[2]
        async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=_START_S) as client:
            yield client


@contextlib.asynccontextmanager
async def _child(*arguments: str, **settings: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, _Ready]]:
    environment = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**environment, **settings}, stdout=asyncio.subprocess.PIPE
    )
    ready = _Ready(process)
    try:
        yield process, ready
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _START_S)
        finally:
            await ready.close()


class _Ready:
    """Waits for a line of a child's output, and reads on behind it so that the child never waits."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._lines, self._rest = process.stdout, asyncio.get_running_loop().create_task(asyncio.sleep(0))

    async def __call__(self, beginning: str) -> str:
        async with asyncio.timeout(_START_S):
            while not (line := (await self._lines.readline()).decode()).startswith(beginning):
                if not line:
                    raise RuntimeError(f"a process ended before it said `{beginning}`")
        self._rest = asyncio.create_task(self._read_on())
        return line.strip()

    async def _read_on(self) -> None:
        while await self._lines.readline():
            pass

    async def close(self) -> None:
        self._rest.cancel()
        await asyncio.wait([self._rest])
