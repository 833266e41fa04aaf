"""Topics of other teams, over the simulated network, and the intake that reads them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Collection, Mapping, Sequence

from consumers.intake.port import Place, Polled, SourceRecord
from consumers.intake.sources_file import read_sources
from consumers.log.dead_letters import DeadLetter
from consumers.log.port import Offset
from rules.errors import Unavailable
from tests.simulation.faults import Network
from tests.simulation.sharing import SimGroup, SimSharing

SOURCES = read_sources(
    b"""
defaults: false
sources:
  - topic: events.page_view
    type: page_view
  - topic: shop.orders
    type: purchase
    map:
      id: order.number
      customer_id: $key
      ts: order.at
      properties.amount: order.total
    ts_unit: ms
"""
)
_PARTITIONS = {"events.page_view": 3, "shop.orders": 1}
PLACES = [Place(topic, partition) for topic, count in sorted(_PARTITIONS.items()) for partition in range(count)]


class SimSources:
    """The broker's side: records, committed offsets, and who may commit them."""

    def __init__(self, network: Network, rng: random.Random) -> None:
        self.network, self.rng = network, rng
        self.group = SimGroup(len(PLACES), network.loop, rng)
        self.records: dict[Place, list[SourceRecord]] = {place: [] for place in PLACES}
        self.committed: dict[Place, Offset] = dict.fromkeys(PLACES, 0)
        self.ids: set[str] = set()  # of events that must come to the log
        self.broken: set[bytes] = set()  # values that must come to the dead letters
        self._count = 0
        self._commits: dict[SimSharing, int] = {}

    def write(self, customer: str) -> None:
        """Somebody else's system writes down that a customer did something."""
        self._count += 1
        now_ms, rng = self.network.loop.now_ms(), self.rng
        place, number = rng.choice(PLACES), self._count
        ts = now_ms - rng.choice((0, 0, 300, 5_000))
        if rng.random() < 0.08:
            value = rng.choice((b"{", b"[1]", b'"text"')) + b" " * number
            self.broken.add(value)
        elif place.topic == "shop.orders":
            order = {"order": {"number": f"o{number}", "at": ts, "total": rng.randrange(5, 60)}}
            value = json.dumps(order).encode()
            self.ids.add(f"o{number}")
        else:
            value = json.dumps({"id": f"v{number}", "customer_id": customer}).encode()
            self.ids.add(f"v{number}")
        column = self.records[place]
        stamp = now_ms - rng.choice((0, 0, 1_000))
        column.append(SourceRecord(place.topic, place.partition, len(column), stamp, customer.encode(), value))

    def commit(self, member: SimSharing, number: int, offsets: Mapping[Place, tuple[int, Offset]]) -> None:
        """Of partitions that are the member's since the turn it names; and not after a later commit of its own."""
        if number < self._commits.get(member, 0):
            return
        self._commits[member] = number
        for place, (turn, offset) in offsets.items():
            if self.group.holds(member, PLACES.index(place), turn):
                self.committed[place] = offset

    def settled(self) -> bool:
        return all(self.committed[place] == len(self.records[place]) for place in PLACES)


class SimReader:
    """A member's side: a `SourceReader`."""

    def __init__(self, sources: SimSources) -> None:
        self._sources, self._network = sources, sources.network
        self._sharing = SimSharing(sources.group, self._network.loop)
        self._joined = False
        self._commits = 0
        self._assigned: dict[Place, int] = {}
        self._positions: dict[Place, Offset] = {}

    async def poll(self, wanted: Collection[Place], wait_ms: int) -> Polled:
        if not self._joined:
            await self._sharing.start()
            self._joined = True
        new = self._adjust()
        asked = {*wanted, *new} & self._assigned.keys()
        found = await self._network.ask("log", lambda: self._fetch(asked))
        if not any(found.records.values()) and not new:
            await asyncio.sleep(wait_ms / 1000)
        for place, records in found.records.items():
            self._positions[place] = records[-1].offset + 1
        return found

    def _adjust(self) -> list[Place]:
        """What we know to be ours by now; what is new is read from its committed offset."""
        if not self._sharing.changed.is_set():
            return []
        self._sharing.changed.clear()
        before = self._assigned
        self._assigned = {PLACES[number]: turn for number, turn in sorted(self._sharing.since.items())}
        new = [place for place, turn in self._assigned.items() if before.get(place) != turn]
        for place in new:
            self._positions.pop(place, None)
        return new

    def _fetch(self, asked: Collection[Place]) -> Polled:
        records: dict[Place, Sequence[SourceRecord]] = {}
        behind: dict[Place, int] = {}
        for place in sorted(self._assigned):
            column = self._sources.records[place]
            position = self._positions.setdefault(place, self._sources.committed[place])
            if place in asked and self._sources.rng.random() < 0.9:
                chunk = column[position : position + self._sources.rng.choice((1, 3, 20))]
                if chunk:
                    records[place] = chunk
                    position += len(chunk)
            behind[place] = len(column) - position
        return Polled(dict(self._assigned), records, behind)

    async def commit(self, offsets: Mapping[Place, Offset]) -> None:
        asked = {place: (self._assigned[place], at) for place, at in offsets.items() if place in self._assigned}
        self._commits += 1
        number = self._commits
        await self._network.ask("log", lambda: self._sources.commit(self._sharing, number, asked))

    async def close(self) -> None:
        try:
            await self._sharing.stop()
        except Unavailable:
            return


class SimLetters:
    """The topic of dead letters: a `DeadLetterSink`."""

    def __init__(self, letters: list[DeadLetter], network: Network) -> None:
        self._letters, self._network = letters, network

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        await self._network.ask("log", lambda: self._letters.extend(letters))
