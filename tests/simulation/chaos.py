"""Faults that somebody brings about at some moment: crashes, sleeps, outages, a store that forgets, new leaders."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from consumers.relay.headers import read_note
from consumers.state.keys import PartitionKeys
from consumers.state.store import Script
from tests.simulation.service import Service

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

_REBUILD = Script("rebuild")


class Chaos:
    """Each run knows some kinds only. `revive` starts again what has died; `peace` ends it all."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._rng = rng = simulation.rng
        self._dead_since: dict[str, float] = {}
        kinds = [self._kill, self._sleep, self._stop, self._cut_store, self._cut_log, self._lead, self._forget]
        if simulation.topic is not None:
            kinds += [self._cut_topic, self._forget]
            kinds += [self._empty] if rng.random() < 0.2 else []
        if simulation.group is not None:
            kinds.append(self._share)
        self._kinds = [kind for kind in kinds if rng.random() < 0.5]
        if simulation.topic is not None and not {self._forget, self._empty} & {*self._kinds}:
            self._kinds += [self._retain] if rng.random() < 0.5 else []
        self._pause_s = rng.choice((0.5, 2.0, 6.0))

    async def run(self) -> None:
        """Until the faults end."""
        simulation = self._simulation
        simulation.faults.rate("a busy machine", 0.0, 0.02, 0.1)
        while simulation.faults.active:
            await asyncio.sleep(self._pause_s * (0.2 + self._rng.random() * 1.6))
            if self._kinds and simulation.faults.active:
                self._rng.choice(self._kinds)()

    def revive(self) -> None:
        """Whoever has died is started again a while later."""
        now = self._simulation.loop.seconds
        for service in self._simulation.services:
            if service.process.alive:
                self._dead_since.pop(service.name, None)
            elif now >= self._dead_since.setdefault(service.name, now + self._rng.choice((0.0, 1.0, 5.0))):
                service.start()

    def operate(self) -> None:
        """A person who reads why a partition waits: an emptied store is to be filled again (`segmentd rebuild`)."""
        simulation = self._simulation
        for service in simulation.services:
            if "segmentd rebuild" in service.reason() and self._rng.random() < 0.2:
                self._count("store rebuilt")
                for partition in range(simulation.world.partitions):
                    simulation.server.run(_REBUILD, [PartitionKeys(partition).meta], [], "rebuild")

    def peace(self) -> None:
        """No faults any more; who sleeps is woken, who is dead starts again."""
        simulation = self._simulation
        simulation.network.down.clear()
        for service in simulation.services:
            if service.process.paused:
                simulation.loop.resume(service.process)
        for partition in range(simulation.world.partitions):
            simulation.log.change_leader(partition, 0)

    def _service(self) -> Service:
        return self._rng.choice(self._simulation.services)

    def _count(self, kind: str) -> None:
        self._simulation.faults.happened[kind] += 1
        self._simulation.trace.note(kind)

    def _kill(self) -> None:
        service = self._service()
        if service.process.alive:
            self._count("crash at any moment")
            service.kill("")

    def _sleep(self) -> None:
        service = self._service()
        if not service.process.alive or service.process.paused:
            return
        self._count("sleeper")
        service.sleep(self._rng.choice((0.3, 2.0, 5.0, 12.0)))

    def _stop(self) -> None:
        service = self._service()
        if service.process.alive and not service.process.paused:
            self._count("clean stop")
            service.stop()

    def _cut_store(self) -> None:
        self._simulation.network.cut("store", self._rng.choice((0.2, 2.0, 6.0)))

    def _cut_log(self) -> None:
        self._simulation.network.cut("log", self._rng.choice((0.2, 2.0, 6.0)))

    def _cut_topic(self) -> None:
        self._simulation.network.cut("topic", self._rng.choice((0.2, 2.0, 12.0)))

    def _retain(self) -> None:
        """As after a week of idleness. (Not where the store forgets: what a topic holds no more, nobody knows.)"""
        simulation = self._simulation
        if simulation.topic is not None:
            partition = self._rng.randrange(simulation.world.partitions)
            noted = read_note(simulation.meta(partition).relayed)[0].number
            if simulation.topic.drop_old(partition, noted):
                self._count("topic: retention")

    def _share(self) -> None:
        if self._simulation.group is not None:
            self._count("rebalance")
            self._simulation.group.rebalance()
        self._simulation.sources.group.rebalance()

    def _lead(self) -> None:
        self._count("another leader's clock")
        partition = self._rng.randrange(self._simulation.world.partitions)
        self._simulation.log.change_leader(partition, self._rng.choice((-2_000, -300, 0, 200, 1_000, 7_000)))

    def _forget(self) -> None:
        writes = self._rng.choice((1, 2, 5, 20, 60))
        if self._simulation.server.written > writes:
            self._count("store rolled back")
            self._simulation.network.break_off("store")
            self._simulation.server.roll_back(writes)

    def _empty(self) -> None:
        self._count("store emptied")
        self._simulation.network.break_off("store")
        self._simulation.server.roll_back(self._simulation.server.written)
