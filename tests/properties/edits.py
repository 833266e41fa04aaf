"""Random edits: segments are made, changed, paused, resumed and deleted in the middle of a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappush
from typing import Any

from rules.backfill import Collector
from rules.language import parse_document
from rules.plan import Definition, compile_plan, missing_features
from rules.play import Partition
from rules.step import step
from rules.times import NEVER
from rules.transitions import Transition
from tests.oracle import Edit, Oracle, Outcome
from tests.oracle.oracle import Entry
from tests.properties.chooser import Chooser, chance, pick
from tests.properties.documents import NAMES, Raw, document
from tests.properties.incremental import in_order, members
from tests.properties.stages import STAGES, Step
from tests.properties.streams import Kind, Log, stream


@dataclass
class Chapter:
    """An edit and the records after it. `lag`: how many of these are read before what it needs is collected again."""

    definition: Definition
    sweep: bool
    lag: int
    log: Log


@dataclass
class Story:
    zone: str
    documents: list[Raw]
    log: Log
    chapters: list[Chapter]
    until: int


def story(c: Chooser) -> Story:
    stage = pick(c, *STAGES)
    size = pick(c, 1, 2, 3)
    documents = [document(c, stage, NAMES[place], NAMES[:place]) for place in range(size)]
    log = stream(c, stage, Kind(most=20, named=chance(c, 2)))
    live: dict[str, Raw] = {each["id"]: each for each in documents}
    chapters: list[Chapter] = []
    cuts = sorted(c.below(len(log) + 1) for _ in range(pick(c, 1, 2, 3)))
    for number, cut in enumerate(cuts):
        following = log[cut : cuts[number + 1] if number + 1 < len(cuts) else len(log)]
        definition = _definition(c, stage, live, number + 2)
        chapters.append(Chapter(definition, chance(c, 2), c.below(len(following) + 1), following))
    end = max(event.ts if stamp is None else stamp for event, stamp in log)
    for text in stage.durations * 2:
        end = max(end, Step(text).from_(end, stage.zone))
    return Story(stage.zone, documents, log[: cuts[0]], chapters, end)


def _definition(c: Chooser, stage: Any, live: dict[str, Raw], version: int) -> Definition:
    """A change to the segments alive, which it notes. Only the last of them, which nobody names, may be deleted."""
    last = [name for name in NAMES if name in live][-1]
    if len(live) > 1 and chance(c, 5):
        del live[last]
        return Definition(last, version, "deleted")
    if chance(c, 4):
        name = pick(c, *live)
        return Definition(name, version, "paused", live[name])
    places = [place for place in range(len(NAMES)) if all(name in live for name in NAMES[:place])]
    place = pick(c, *places)
    live[NAMES[place]] = changed = document(c, stage, NAMES[place], NAMES[:place])
    return Definition(NAMES[place], version, "active", changed)


class Shard(Partition):
    """A partition whose customers can be visited without a record of theirs."""

    def visit(self, customer_id: str) -> list[Transition]:
        """Brings one customer to the clock and the newest edition."""
        _, changes, wake = step(self.profiles[customer_id], (), self.plan, self.clock)
        if wake < NEVER:
            heappush(self._timers, (wake, customer_id))
        return changes


@dataclass
class Teller:
    """Plays a story as the evaluator does, and notes the log as the oracle is to read it."""

    partition: Shard
    told: list[Transition] = field(default_factory=list)
    read: Log = field(default_factory=list)  # every event so far, with the clock after reading it
    entries: list[Entry] = field(default_factory=list)

    def events(self, log: Log) -> None:
        for event, stamp in log:
            self.told += self.partition.feed(event, stamp)
            self.read.append((event, self.partition.clock))
            self.entries.append((event, stamp))

    def chapter(self, number: int, chapter: Chapter) -> None:
        """Each edit comes some odd milliseconds after the clock, where nothing is due: then its cause is plain."""
        partition, definition = self.partition, chapter.definition
        partition.clock += 113 + 10 * number
        self.entries.append((None, partition.clock))
        lag = 0
        if definition.state != "deleted" and missing_features(partition.plan, definition):
            lag = chapter.lag
            self._collect(definition, chapter.log[:lag])
            partition.clock += 337
        self._adopt(definition, chapter.sweep)
        self.events(chapter.log[lag:])

    def _collect(self, definition: Definition, meanwhile: Log) -> None:
        """As evaluators do, in an edition of its own: what one collects is renamed before the next begins."""
        partition, plan = self.partition, self.partition.plan
        known = plan.definitions.values()
        waiting = compile_plan(known, plan.edition + 1, partition.clock, plan, collecting=[definition])
        collector = Collector(waiting, missing_features(plan, definition), partition.clock)
        for event, clock in self.read:
            assert clock is not None
            collector.add(event, clock)
        partition.plan = waiting
        self.events(meanwhile)
        for customer_id in collector.customers():
            self.told += partition.visit(customer_id)
            collector.merge_into(partition.profiles[customer_id], waiting, partition.clock)

    def _adopt(self, definition: Definition, sweep: bool) -> None:
        partition, plan = self.partition, self.partition.plan
        merged = {**plan.definitions, definition.segment: definition}
        partition.plan = compile_plan(
            merged.values(), plan.edition + 1, partition.clock, plan, frozenset({definition.segment})
        )
        parsed = None if definition.state == "deleted" else parse_document(definition.document)
        self.entries.append((Edit(definition.segment, parsed, definition.state == "paused"), partition.clock))
        if sweep:
            self.sweep()

    def sweep(self) -> None:
        for customer_id in self.partition.profiles:
            self.told += self.partition.visit(customer_id)


def told(world: Story) -> tuple[Outcome, Outcome]:
    """What the evaluator says of a story, and what the oracle says."""
    plan = compile_plan([Definition(each["id"], document=each) for each in world.documents])
    teller = Teller(Shard(plan))
    teller.events(world.log)
    for number, chapter in enumerate(world.chapters):
        teller.chapter(number, chapter)
    teller.sweep()
    until = max(world.until, teller.partition.clock)
    teller.told += teller.partition.run_to(until)
    oracle = Oracle([parse_document(each) for each in world.documents])
    return Outcome(in_order(teller.told), members(teller.partition)), oracle.run(teller.entries, until)
