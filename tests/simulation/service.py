"""The service's processes as the simulation runs them: started, killed at named places, put to sleep, started again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import consumers
from consumers.evaluator import Evaluator, Settings
from consumers.evaluator.letters import LogLetters
from consumers.evaluator.sharing import Everything, Sharing
from consumers.intake.intake import Intake
from consumers.intake.settings import IntakeSettings
from consumers.relay.relay import Relay
from consumers.relay.settings import Settings as RelaySettings
from tests.simulation.loop import Process, SimClock
from tests.simulation.sharing import SimSharing
from tests.simulation.sources import SOURCES, SimLetters, SimReader
from tests.simulation.topic import SimOutlet

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

PLACES = sorted(
    {
        place
        for path in sorted(Path(consumers.__file__).parent.rglob("*.py"))
        if path.name != "failpoints.py" and path.parent.name != "delivery"
        for place in re.findall(r'\breach\(\s*"([^"]+)"', path.read_text())
    }
)
"""Every named place of the code that runs here; deliveries are killed in `tests/integration`."""

SETTINGS = Settings(
    batch_records_max=50,
    drain_customers_max=7,
    collect_records_max=20,
    hot_profiles_max=20,
    lease_ms=3_000,
)
INTAKE_SETTINGS = IntakeSettings(batch_records_max=10, held_records_min=5, wait_s=2.0)
RELAY_SETTINGS = RelaySettings(
    transaction_transitions_max=12,
    memory_transitions_max=15,
    read_transitions_max=7,
    outbox_transitions_max=60,
    note_ms=1_500,
    note_idle_ms=700,
)


class Runner(Protocol):
    @property
    def reason(self) -> str: ...
    async def run(self) -> None: ...
    async def stop(self) -> None: ...


class Service:
    """A process, again and again: each start is a new `Process`. `build` makes what runs in it."""

    def __init__(self, simulation: Simulation, name: str, build: Build) -> None:
        self.simulation, self.name, self._build = simulation, name, build
        self.process = Process(name)
        self.process.alive = False
        self.runner: Runner | None = None
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
        self.runner = runner = self._build(self, clock)
        await runner.run()
        self.simulation.trace.note(process, "has ended")

    def _ended(self, process: Process, task: asyncio.Task[None]) -> None:
        if process.alive:
            error = task.exception() if not task.cancelled() else asyncio.CancelledError("cancelled")
            if error is not None:
                self.simulation.fail(error)
            process.alive = False

    def reason(self) -> str:
        return self.runner.reason if self.runner is not None else "never started"

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
        if self.process.alive and self.runner is not None:
            self.simulation.trace.note(self.process, "stops")
            self.simulation.loop.go(self.runner.stop(), self.process)


Build = Callable[[Service, SimClock], Runner]


def evaluator(service: Service, clock: SimClock) -> Evaluator:
    """An evaluator, with its relay where there is a topic."""
    simulation, name = service.simulation, service.process.name
    sharing: Sharing = Everything(simulation.world.partitions)
    if simulation.group is not None:
        sharing = SimSharing(simulation.group, simulation.loop)
    relay, letters = None, None
    if simulation.topic is not None:
        outlet_name = service.name if simulation.static_names else name
        outlet = SimOutlet(simulation.topic, outlet_name, simulation.network)
        letters = LogLetters(SimLetters(simulation.letters, simulation.network), "segmentd.events")
        relay = Relay(outlet, simulation.store, clock, RELAY_SETTINGS)
    return Evaluator(
        simulation.store,
        simulation.log,
        SETTINGS,
        name=name,
        clock=clock,
        sharing=sharing,
        relay=relay,
        dead_letters=letters,
    )


def intake(service: Service, clock: SimClock) -> Intake:
    """A process that brings the sources' records into the log."""
    sources, simulation = service.simulation.sources, service.simulation
    letters = SimLetters(simulation.letters, simulation.network)
    return Intake(SOURCES, SimReader(sources), simulation.log, letters, clock=clock, settings=INTAKE_SETTINGS)
