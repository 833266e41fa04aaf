"""The service's processes as the simulation runs them: started, killed at named places, put to sleep, started again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import consumers
from consumers.evaluator import Evaluator, Settings
from consumers.evaluator.sharing import Everything, Sharing
from consumers.relay.relay import Relay
from consumers.relay.settings import Settings as RelaySettings
from tests.simulation.loop import PROCESS, Crash, Process, SimClock
from tests.simulation.sharing import SimSharing
from tests.simulation.topic import SimOutlet

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

PLACES = sorted(
    {
        place
        for path in sorted(Path(consumers.__file__).parent.rglob("*.py"))
        for place in re.findall(r'\breach\(\s*"([^"]+)"', path.read_text())
    }
)
"""Every named place of the code."""

SETTINGS = Settings(
    batch_records_max=50,
    drain_customers_max=7,
    collect_records_max=20,
    hot_profiles_max=20,
    lease_ms=3_000,
)
RELAY_SETTINGS = RelaySettings(
    transaction_transitions_max=12,
    memory_transitions_max=15,
    read_transitions_max=7,
    outbox_transitions_max=60,
    note_ms=1_500,
    note_idle_ms=700,
)


class Service:
    """An evaluator process, again and again: each start is a new `Process`."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self.simulation, self.name = simulation, name
        self.process = Process(name)
        self.process.alive = False
        self.evaluator: Evaluator | None = None
        self._starts = 0

    def start(self) -> None:
        simulation = self.simulation
        self._starts += 1
        self.process = process = Process(f"{self.name}.{self._starts}")
        skew_ms = simulation.faults.rng.choice((0, 0, -40, 300, -1_500))
        clock = SimClock(simulation.loop, skew_ms, simulation.faults.lag)
        simulation.trace.note(process, "starts")
        task = simulation.loop.start(process, self._run(clock, process))
        task.add_done_callback(lambda done: self._ended(process, done))

    async def _run(self, clock: SimClock, process: Process) -> None:
        simulation = self.simulation
        sharing: Sharing = Everything(simulation.world.partitions)
        if simulation.group is not None:
            sharing = SimSharing(simulation.group, simulation.loop)
        relay = None
        if simulation.topic is not None:
            name = self.name if simulation.static_names else process.name
            outlet = SimOutlet(simulation.topic, name, simulation.network)
            relay = Relay(outlet, simulation.store, clock, RELAY_SETTINGS)
        self.evaluator = Evaluator(
            simulation.store, simulation.log, SETTINGS, name=process.name, clock=clock, sharing=sharing, relay=relay
        )
        await self.evaluator.run()

    def _ended(self, process: Process, task: asyncio.Task[None]) -> None:
        if process.alive:
            error = task.exception() if not task.cancelled() else asyncio.CancelledError("cancelled")
            if error is not None:
                self.simulation.fail(error)
            process.alive = False

    def reason(self) -> str:
        return self.evaluator.reason if self.evaluator is not None else "never started"

    def kill(self, why: str) -> None:
        """As SIGKILL does: nothing of it runs again, what it has sent arrives."""
        self.simulation.trace.note(self.process, "dies", why)
        self.process.alive = False

    def sleep(self, seconds: float) -> None:
        """As SIGSTOP and SIGCONT do."""
        process, loop = self.process, self.simulation.loop
        if process.alive and not process.paused:
            self.simulation.trace.note(process, "sleeps", seconds)
            process.paused = True
            loop.outside(seconds, loop.resume, process)

    def stop(self) -> None:
        """As SIGTERM does."""
        if self.process.alive and self.evaluator is not None:
            self.simulation.trace.note(self.process, "stops")
            self.simulation.loop.start(self.process, self.evaluator.stop())


def at_place(simulation: Simulation, place: str) -> None:
    """What `failpoints.reach` does in a simulation: here a process may die."""
    process = PROCESS.get()
    if process is None:
        return
    simulation.trace.note(process, "reaches", place)
    if simulation.dies_at(place):
        process.alive = False
        simulation.trace.note(process, "dies at", place)
        raise Crash(place)
