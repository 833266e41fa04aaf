"""What happens in one run: segments of seconds, customers who come late, twice, all at once or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from consumers.log.partition import partition_of
from consumers.log.port import NewRecord
from rules.events import Event
from rules.hidden import hidden_id
from rules.records import DefinitionRecord, encode_definition, encode_event
from tests.simulation.loop import BEGIN_MS

SEGMENTS: dict[str, list[dict[str, Any]]] = {  # each with the shapes that edits give it; all windows are seconds
    "active": [
        {"enter": {"event": "page_view", "within": "6s", "count": {"gte": 2}}},
        {"enter": {"event": "page_view", "within": "4s"}},
        {"enter": {"event": "page_view", "within": "9s", "count": {"gte": 3}}, "hold": {"min_stay": "5s"}},
    ],
    "spenders": [
        {
            "enter": {"event": "purchase", "within": "15s", "sum": {"of": "amount", "gte": 50}},
            "exit": {"event": "refund", "within": "4s"},
            "hold": {"min_stay": "3s"},
        },
        {"enter": {"event": "purchase", "within": "10s", "sum": {"of": "amount", "gte": 30}}},
    ],
    "lapsing": [
        {"enter": {"all": [{"segment": "active"}, {"event": "purchase", "since_last": {"gte": "3s", "lt": "8s"}}]}},
        {"enter": {"all": [{"segment": "active"}, {"not": {"event": "purchase", "within": "5s"}}]}},
    ],
    "quiet": [
        {"enter": {"not": {"event": ["page_view", "purchase"], "within": "7s"}}},
        {"enter": {"not": {"event": "page_view", "within": "11s"}}, "hold": {"cooldown": "4s"}},
    ],
    "saw-and-bought": [
        {"enter": {"event": "page_view", "within": "12s", "followed_by": {"event": "purchase", "within": "5s"}}},
        {"enter": {"event": "cart", "within": "9s", "not_followed_by": {"event": "purchase", "within": "4s"}}},
    ],
    "by-hand": [
        {"enter": {"any": [{"tag": "vip"}, {"attribute": "country", "eq": "BR"}]}},
        {"enter": {"attribute": "country", "eq": "PT"}},
    ],
    "band": [
        {"enter": {"event": "cart", "within": "10s", "before": "4s"}},
        {"enter": {"event": "refund", "within": "10s", "before": "2s", "count": {"gte": 1}}},
    ],
}


ACTIONS: list[list[dict[str, Any]]] = [  # what evaluators hear of a segment's actions, and the edits of that
    [{"id": "a", "on": {"event": "purchase"}}],
    [{"id": "a", "on": {"event": ["purchase", "page_view"]}, "with": {"x": 1}}],
    [{"id": "a", "on": "entered", "unless": {"event": "refund", "within": "5s"}}],
    [{"id": "a", "on": {"event": "cart"}}, {"id": "b", "on": "exited", "unless": {"event": "cart", "within": "6s"}}],
    [],
]


class Arrival(NamedTuple):
    """Records that somebody sends at a second of the run, until they are acknowledged."""

    second: float
    records: list[NewRecord]
    ids: list[str]


class World:
    """One run's plan, all of it drawn from `rng`. `ends`: the second after the last arrival."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.partitions = rng.choice((2, 2, 3, 4))
        self.customers = [f"c{n}" for n in range(rng.choice((5, 12, 30)))]
        self.segments = rng.sample(sorted(SEGMENTS), rng.randrange(2, 5))
        if "lapsing" in self.segments and "active" not in self.segments:
            self.segments.append("active")
        self.edits = rng.random() < 0.5
        self.misplaced = 0.05 if rng.random() < 0.3 else 0.0
        self._versions: dict[str, int] = {}
        self._shapes: dict[str, int] = {}
        self._count = 0
        self.arrivals: list[Arrival] = []
        self.broken: set[bytes] = set()  # payloads that must come to the dead letters
        self._actor = random.Random(len(self.customers))  # of its own: runs without actions stay as they are
        self.acts = len(self.customers) == 12
        self.definitions = [self._define(name) for name in self._in_order()]
        self.definitions += [self._define_actions(name, 0) for name in self.segments if self.acts]
        self._fill()

    # -- definitions --------------------------------------------------------------------------------------------------

    def _in_order(self) -> list[str]:
        return sorted(self.segments, key=lambda name: name == "lapsing")

    def _define(self, name: str, state: Any = "active", shape: int = 0) -> bytes:
        version = self._versions[name] = self._versions.get(name, 0) + 1
        self._shapes[name] = shape
        document = {"id": name, **SEGMENTS[name][shape]}
        return encode_definition(DefinitionRecord(name, version, state, None if state == "deleted" else document))

    def _define_actions(self, segment: str, shape: int) -> bytes:
        name = hidden_id(segment)
        version = self._versions[name] = self._versions.get(name, 0) + 1
        actions = [{"use": "mail.send", **each} for each in ACTIONS[shape]]
        if not actions:
            return encode_definition(DefinitionRecord(name, version, "deleted", None))
        return encode_definition(DefinitionRecord(name, version, "paused", {"id": name, "actions": actions}))

    def _edit(self) -> bytes:
        rng = self.rng
        name = rng.choice(self.segments)
        what = rng.random()
        deletable = not (name == "active" and "lapsing" in self.segments)
        if what < 0.15 and deletable:
            return self._define(name, "deleted")
        if what < 0.35:
            return self._define(name, "paused", self._shapes[name])
        return self._define(name, "active", rng.randrange(len(SEGMENTS[name])))

    # -- events -------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        rng = self.rng
        self._arrive(0.1, [(p, payload, "") for payload in self.definitions for p in range(self.partitions)])
        at = 0.5
        for _ in range(rng.choice((15, 30, 45))):
            at += rng.choice((0.02, 0.1, 0.3, 1.0, 1.0, 2.5)) * rng.random() * 2
            if rng.random() < 0.06:
                at += rng.choice((4.0, 9.0))  # nothing comes: only the clock moves
            kind = rng.random()
            if self.edits and kind < 0.12:
                payload = self._edit()
                self._arrive(at, [(p, payload, "") for p in range(self.partitions)])
                if self.acts and self._actor.random() < 0.6:
                    segment, shape = self._actor.choice(self.segments), self._actor.randrange(len(ACTIONS))
                    hidden = self._define_actions(segment, shape)
                    self._arrive(at + 0.01, [(p, hidden, "") for p in range(self.partitions)])
            elif kind < 0.2:
                self._storm(at)
            else:
                self._arrive(at, [self._event(at, rng.choice(self.customers)) for _ in range(rng.choice((1, 1, 2, 4)))])
        self.ends = at
        self.sourced = sorted(rng.random() * at for _ in range(rng.choice((10, 40))))
        """When others' systems write something, where an intake is there to read it."""

    def _storm(self, at: float) -> None:
        """Everybody at one instant: so much is due at one instant, later."""
        ts = BEGIN_MS + int(at * 1000)
        make = self.rng.choice((_view, _purchase, _cart))
        self._arrive(at, [self._event(at, customer, make, ts) for customer in self.customers])

    def _event(
        self, at: float, customer: str, make: Callable[[random.Random], Any] | None = None, ts: int | None = None
    ) -> tuple[int, bytes, str]:
        rng = self.rng
        if self._count and rng.random() < 0.03:  # a broken one
            broken = rng.choice((b"{", b'{"type":"nothing"}', b"\xff\xfe"))
            self.broken.add(broken)
            return rng.randrange(self.partitions), broken, ""
        self._count += 1
        if ts is None:
            ts = BEGIN_MS + int(at * 1000) - rng.choice((0, 0, 0, 700, 4_000, 20_000)) + rng.choice((0, 0, 0, 0, 3_000))
        if make is None:
            make = rng.choice((_view, _view, _view, _purchase, _purchase, _refund, _cart, _attributes, self._by_hand))
        kind, properties = make(rng)
        event = Event(kind, customer, ts, f"e{self._count}", properties)
        partition = partition_of(customer, self.partitions)
        if self.misplaced and rng.random() < self.misplaced:
            partition = rng.randrange(self.partitions)
        return partition, encode_event(event), event.id

    def _by_hand(self, rng: random.Random) -> tuple[str, dict[str, Any]]:
        action = rng.choice(("add", "remove", "clear"))
        properties = {"segment": rng.choice(self.segments), "action": action}
        return "membership", properties

    def _arrive(self, at: float, records: list[tuple[int, bytes, str]]) -> None:
        new = [NewRecord(partition, payload) for partition, payload, _ in records]
        self.arrivals.append(Arrival(at, new, [each for _, _, each in records if each]))
        if self.rng.random() < 0.08:  # its sender sends it again
            again = at + self.rng.random() * 3
            self.arrivals.append(Arrival(again, new, []))


def _view(rng: random.Random) -> tuple[str, dict[str, Any]]:
    return "page_view", {}


def _purchase(rng: random.Random) -> tuple[str, dict[str, Any]]:
    return "purchase", {"amount": rng.randrange(5, 60)}


def _refund(rng: random.Random) -> tuple[str, dict[str, Any]]:
    return "refund", {}


def _cart(rng: random.Random) -> tuple[str, dict[str, Any]]:
    return "cart", {}


def _attributes(rng: random.Random) -> tuple[str, dict[str, Any]]:
    change = rng.choice(("tags_add", "tags_remove"))
    return "profile", {"set": {"country": rng.choice(("BR", "PT"))}, change: ["vip"]}
