"""One evaluator process as deployed: log and transitions on Kafka, its share of the partitions, the store on Valkey."""

from __future__ import annotations

import asyncio
import cProfile
import io
import pstats
import time
from typing import Any

import msgspec

from benchmarks.kafka.inside import cpu_s, serve
from benchmarks.kafka.loading import log_settings
from consumers.clock import SYSTEM_CLOCK
from consumers.evaluator import Evaluator, NullMetrics, Settings
from consumers.log.kafka.log import KafkaLog
from consumers.log.kafka.sharing import KafkaSharing
from consumers.relay.kafka import KafkaOutlet
from consumers.relay.metrics import NullMetrics as RelayNullMetrics
from consumers.relay.relay import Relay
from consumers.state.store import Store
from service.wiring import GATHER_MS_ON_KAFKA

_PROFILED = 60  # functions told


class Asked(msgspec.Struct):
    """`durably`: each commit waits for Valkey's disk. `gather_ms` 0: the default on Kafka."""

    bootstrap: str
    events_topic: str
    transitions_topic: str
    store_url: str
    group: str
    name: str
    stamped: bool
    durably: bool = False
    gather_ms: int = 0
    profile: bool = False


class CountingStore(Store):
    """Counts what goes to the server and comes back: each is one round trip."""

    trips = 0

    async def _exchange(self, *asked: Any, **options: Any) -> list[Any]:
        self.trips += 1
        return await super()._exchange(*asked, **options)


class _Counting(NullMetrics):
    """Batches, and when they were done (steady seconds, the same for all processes of a machine)."""

    def __init__(self) -> None:
        self.records = self.batches = 0
        self.seconds: dict[str, float] = {}
        self.timeline: list[tuple[float, int]] = []

    def batch(self, records: int) -> None:
        self.records += records
        self.batches += 1
        self.timeline.append((time.monotonic(), self.records))

    def step_seconds(self, step: str, seconds: float) -> None:
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds


class _RelayCounting(RelayNullMetrics):
    def __init__(self) -> None:
        self.published = self.transactions = 0

    def relay_published(self, transitions: int) -> None:
        self.published += transitions

    def relay_transaction(self, seconds: float) -> None:
        self.transactions += 1


class _Service:
    """Built before the measuring begins; runs from `go` to `stop`."""

    def __init__(self, asked: Asked) -> None:
        kafka = log_settings(asked.bootstrap, asked.events_topic, stamped=asked.stamped)
        self.store = CountingStore.connect(asked.store_url)
        self.log = KafkaLog(kafka)
        self.outlet = KafkaOutlet(kafka, f"{asked.transitions_topic}-{asked.name}", asked.transitions_topic)
        self.counting, self.relaying = _Counting(), _RelayCounting()
        self.evaluator_settings = Settings(gather_ms=asked.gather_ms or GATHER_MS_ON_KAFKA)
        self.asked, self.kafka = asked, kafka
        self.profile = cProfile.Profile() if asked.profile else None
        self.running: asyncio.Task[None] | None = None

    async def go(self, _: dict[str, Any]) -> dict[str, Any]:
        await self.log.prepare()
        await self.outlet.prepare(self.log.partitions)
        asked = self.asked
        relay = Relay(self.outlet, self.store, SYSTEM_CLOCK, metrics=self.relaying)
        self.evaluator = Evaluator(
            self.store,
            self.log,
            self.evaluator_settings,
            self.counting,
            asked.name,
            sharing=KafkaSharing(self.kafka, group=asked.group),
            durably=asked.durably,
            relay=relay,
        )
        if self.profile is not None:
            self.profile.enable()
        self.running = asyncio.create_task(self.evaluator.run())
        return {}

    async def alive(self, _: dict[str, Any]) -> dict[str, Any]:
        """Why it does not evaluate; raises what ended it."""
        assert self.running is not None, "not asked to go yet"
        if self.running.done():
            self.running.result()
        return {"reason": "" if self.evaluator.ready else self.evaluator.reason}

    async def mark(self, _: dict[str, Any]) -> dict[str, Any]:
        """Where it stands, and what it has used."""
        counting, relaying = self.counting, self.relaying
        timeline, counting.timeline = counting.timeline, []
        return {
            "cpu_s": cpu_s(),
            "records": counting.records,
            "batches": counting.batches,
            "trips": self.store.trips,
            "published": relaying.published,
            "transactions": relaying.transactions,
            "seconds": dict(counting.seconds),
            "timeline": timeline,
        }

    async def stop(self, _: dict[str, Any]) -> dict[str, Any]:
        profiled = ""
        if self.profile is not None:
            self.profile.disable()
            out = io.StringIO()
            pstats.Stats(self.profile, stream=out).sort_stats("tottime").print_stats(_PROFILED)
            profiled = out.getvalue()
        if self.running is not None:
            await self.evaluator.stop()
            await self.running
        await self.log.close()
        await self.store.close()
        return {"profile": profiled}


async def run(asked: Asked) -> None:
    service = _Service(asked)
    await serve({"go": service.go, "alive": service.alive, "mark": service.mark, "stop": service.stop})
