"""One seed, one run: processes that crash, sleep and share; then peace; then the comparison."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from consumers.log.dead_letters import DeadLetter
from consumers.log.port import START
from consumers.state.commit import Meta
from consumers.state.keys import PartitionKeys
from rules.errors import Unavailable
from tests.simulation.chaos import Chaos
from tests.simulation.checks import compare
from tests.simulation.faults import Faults, Network
from tests.simulation.invariants import StoreRules
from tests.simulation.log import SimLog
from tests.simulation.loop import VirtualLoop, virtual_loop
from tests.simulation.server import Edit, Server
from tests.simulation.service import PLACES, Service, evaluator, intake
from tests.simulation.sharing import SimGroup
from tests.simulation.sources import SimSources
from tests.simulation.store import SimStore
from tests.simulation.surroundings import surroundings
from tests.simulation.topic import SimTopic
from tests.simulation.trace import Trace
from tests.simulation.world import Arrival, World

SETTLES_S = 400.0  # after the last fault: more than this is a failure
OVERDUE_MS = 4_000  # what is due so long ago has been done: by then a tick has asked the log what time it is
QUIET_S = 25.0  # longer than any window: what expires is seen to expire


@dataclass
class Report:
    """What one run was. `problem` "": everything held."""

    seed: int
    problem: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    transitions: int = 0
    triggers: int = 0
    commits: int = 0
    seconds: float = 0.0  # virtual
    trace: str = ""  # its hash


class Simulation:
    """Everything of one run. `run()` raises AssertionError (`Broken`, `Stuck`, a comparison) for what it finds."""

    def __init__(self, seed: int, server: Server, loop: VirtualLoop, trace: Trace, edit: Edit | None) -> None:
        rng = random.Random(seed)
        self._failed: BaseException | None = None
        self.loop, self.server, self.trace = loop, server, trace
        self.world = World(random.Random(rng.random()))
        self.faults = Faults(random.Random(rng.random()))
        self.rng = random.Random(rng.random())
        trace.seconds = loop.time
        self.network = Network(loop, self.faults, self.fail)
        self.log = SimLog(self.world.partitions, self.network)
        self.rules = StoreRules(trace.note)
        server.begin(loop.now_ms)
        server.observer = self.rules
        if edit is not None:
            server.edit = edit
        self.store = SimStore(server, self.network)
        self.acknowledged: set[str] = set()
        self.group = SimGroup(self.world.partitions, loop, self.rng) if self.rng.random() < 0.8 else None
        self.topic = SimTopic(self.world.partitions, self.network, trace.note) if self.rng.random() < 0.8 else None
        self.static_names = self.rng.random() < 0.5
        self.letters: list[DeadLetter] = []
        self.services = [
            Service(self, name, evaluator) for name in ("one", "two", "three")[: self.rng.choice((1, 2, 2, 3))]
        ]
        self.sources = SimSources(self.network, self.rng)
        if self.rng.random() < 0.4:
            self.services += [Service(self, f"intake-{name}", intake) for name in ("one", "two")]
            for second in self.world.sourced:
                self.loop.outside(second, self._source)
        self.chaos = Chaos(self)
        self.transitions = self.triggers = 0
        self.recomputes = seed % 4 == 0  # by brute force: too dear for every seed
        self._sending = 0
        self._favourite = self.rng.choice((*PLACES, *[""] * (len(PLACES) + 1)))

    def fail(self, error: BaseException) -> None:
        """Something that must not happen did: the run ends here."""
        if self._failed is None:
            self._failed = error

    def dies_at(self, place: str) -> bool:
        """Whether a process that reaches this place dies there."""
        chance = 0.3 if place == self._favourite else 0.002
        if not self.faults.active or self.faults.rng.random() > chance:
            return False
        self.faults.happened[f"crash at {place}"] += 1
        return True

    async def run(self) -> None:
        """The whole of it."""
        for arrival in self.world.arrivals:
            self._sending += 1
            self.loop.outside(arrival.second, self._send, arrival)
        for service in self.services:
            service.start()
        chaos = self.loop.create_task(self.chaos.run())
        await self._until(lambda: self.loop.seconds > self.world.ends and not self._sending, 1_000)
        self.faults.active = False
        await chaos
        self.chaos.peace()
        quiet = self.loop.seconds + QUIET_S
        await self._until(lambda: self.loop.seconds > quiet, QUIET_S * 2)
        await self._until(self._settled, SETTLES_S)
        compare(self)

    async def _until(self, done: Callable[[], bool], seconds_max: float) -> None:
        deadline = self.loop.seconds + seconds_max
        while not done():
            await asyncio.sleep(0.25)
            if self._failed is not None:
                raise self._failed
            self.chaos.revive()
            self.chaos.operate()
            if self.group is not None:
                self.group.look()
            self.sources.group.look()
            if self.loop.seconds > deadline:
                raise AssertionError(f"not settled: {self._where()}")

    def _send(self, arrival: Arrival) -> None:
        self.loop.go(self._append(arrival))

    def _source(self) -> None:
        self.sources.write(self.rng.choice(self.world.customers))

    async def _append(self, arrival: Arrival) -> None:
        """As a sender does: again and again, until the log says that it has it."""
        while True:
            try:
                await self.log.append(arrival.records)
                break
            except Unavailable:
                await asyncio.sleep(0.5 + self.rng.random())
        self.acknowledged.update(arrival.ids)
        self._sending -= 1

    # -- when it is over ----------------------------------------------------------------------------------------------

    def meta(self, partition: int) -> Meta:
        return Meta.parse(self.server.ask(("HGETALL", PartitionKeys(partition).meta)))

    def _settled(self) -> bool:
        return self.sources.settled() and all(self._rests(partition) for partition in range(self.world.partitions))

    def _rests(self, partition: int) -> bool:
        """Everything read, nothing due, everybody judged by the newest definitions."""
        keys, meta = PartitionKeys(partition), self.meta(partition)
        column = self.log.records[partition]
        if meta.position != (column[-1].offset if column else START):
            return False
        if self.topic is not None and len(self.topic.told[partition]) != meta.numbered:
            return False
        long_due = max(meta.clock, self.loop.now_ms() - OVERDUE_MS)
        due = self.server.ask(("ZCOUNT", keys.timers, "-inf", f"({long_due}"))
        return not due and not self.server.ask(("ZCOUNT", keys.judged, "-inf", f"({meta.edition}"))

    def _where(self) -> str:
        metas = [self.meta(partition) for partition in range(self.world.partitions)]
        ends = [len(column) - 1 for column in self.log.records]
        why = [f"{each.process}: {each.reason()}" for each in self.services]
        sources = {place: (at, len(self.sources.records[place])) for place, at in self.sources.committed.items()}
        topic = [len(self.topic.told[p]) if self.topic else 0 for p in range(self.world.partitions)]
        return (
            f"positions {[meta.position for meta in metas]} of {ends}, published {topic} of"
            f" {[meta.numbered for meta in metas]}, {sources}; {'; '.join(why)}"
        )


def simulate(seed: int, server: Server, tell: Callable[[str], None] | None = None, edit: Edit | None = None) -> Report:
    """The run of one seed. Never raises for what it finds: see `Report.problem`. `tell` gets every step as a line;
    `edit` changes scripts of the store, to plant a mistake."""
    report = Report(seed)
    trace = Trace(tell)
    with virtual_loop() as loop:
        simulation = Simulation(seed, server, loop, trace, edit)
        with surroundings(simulation):
            try:
                loop.run_until_complete(simulation.run())
            except Exception as error:
                report.problem = f"{type(error).__name__}: {error}"
                trace.note("".join(traceback.format_exception(error)))
        report.faults = simulation.faults.happened
        report.transitions, report.commits = simulation.transitions, simulation.rules.commits
        report.triggers = simulation.triggers
        report.seconds = loop.seconds
    report.trace = trace.digest()
    return report
