"""What tests of actions share: a clock that is set, profiles and a connector in memory, specs from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consumers.actions.calling import Caller
from consumers.actions.conditions import Conditions
from consumers.actions.settings import Settings
from consumers.actions.store import Counts
from consumers.actions.target import ActionTarget, Spec
from consumers.connectors.port import Connectors, Rendered, Subject
from consumers.delivery.port import Call, Done, Item, Outcome
from consumers.state.store import Store
from rules.errors import Mistake
from rules.language import load_yaml, parse_document
from rules.profile import Profile, new_profile
from rules.times import parse_instant

NOW = 1_795_165_200_000  # 2026-11-20T09:00:00Z


def at(text: str) -> int:
    found = parse_instant(text)
    assert found is not None
    return found


class HandClock:
    """Stands still until it is set."""

    def __init__(self, now_ms: int = NOW) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Recorder:
    """A connector that takes everything, or what `answers` says of a customer. `said`: every call's subjects."""

    def __init__(self, name: str = "mail", calls: Sequence[str] = ("send",), batch: int = 10) -> None:
        self.name, self.calls, self._batch = name, calls, batch
        self.said: list[tuple[str, Mapping[str, Any], list[Subject], list[str]]] = []
        self.answers: dict[str, Outcome] = {}

    @property
    def customers(self) -> list[str]:
        return [subject.item.customer_id for _, _, subjects, _ in self.said for subject in subjects]

    @property
    def keys(self) -> list[str]:
        return [key for _, _, _, keys in self.said for key in keys]

    def batch_max(self, call: str) -> int:
        return self._batch

    def concurrency(self, call: str) -> int:
        return 8

    def check(self, call: str, with_: Mapping[str, Any], at: str, *, both_ways: bool = False) -> list[Mistake]:
        return [Mistake(f"{at}.with.{key}", "is wrong") for key in with_ if key == "wrong"]

    async def call(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Outcome]:
        self.said.append((call, with_, list(subjects), list(keys)))
        return [self.answers.get(subject.item.customer_id, Done()) for subject in subjects]

    def render(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Rendered]:
        return [Rendered("MAIL", "somewhere", {}, str(dict(with_)), [each.item.customer_id]) for each in subjects]

    async def close(self) -> None:
        """Nothing is open."""


class Known:
    """Profiles in memory."""

    def __init__(self) -> None:
        self.by_customer: dict[str, Profile] = {}

    def member(self, customer: str, sequence: int, segment: str = "vip") -> Profile:
        """Whoever is at that sequence of the segment."""
        profile = self.by_customer.setdefault(customer, new_profile(customer))
        profile.members = {**profile.members, segment: [sequence, NOW]}
        return profile

    async def profiles(self, customer_ids: Sequence[str]) -> list[Profile | None]:
        return [self.by_customer.get(customer) for customer in customer_ids]


def spec(action: str, **changes: Any) -> Spec:
    """The action of a segment `vip` that this YAML says, at 09:00 in Bucharest (07:00 UTC) or so."""
    raw = {"id": "a", "use": "mail.send", "on": "entered", **load_yaml(action)}
    document = {"id": "vip", "enter": {"tag": "x"}, "timezone": "Europe/Bucharest", "actions": [raw]}
    (found,) = parse_document(document).actions
    plain: dict[str, Any] = {
        "segment": "vip",
        "action": found,
        "timezone": "Europe/Bucharest",
        "name": "VIPs",
        "about": "",
        "active": True,
        "begin": "now",
        "since_ms": NOW,
        "version": 1,
    }
    return Spec(**(plain | changes))


class World:
    """One action with all it needs."""

    def __init__(self, store: Store, action: str, **changes: Any) -> None:
        self.clock, self.connector, self.known = HandClock(), Recorder(), Known()
        self.spec = spec(action, **changes)
        conditions = Conditions(store, 2, self.clock, Settings())
        self.caller = Caller(self.known, conditions, Counts(store, 2), self.clock, Settings())
        self.target = ActionTarget(self.spec, Connectors([self.connector]), self.caller)

    async def call(self, *items: Item) -> list[Outcome]:
        calls = [Call(item, self.target.key(item), 1, self.clock.ms) for item in items]
        return list(await self.target.call(calls))


def entered(customer: str = "ana", sequence: int = 1, **changes: Any) -> Item:
    return transition("entered", customer, sequence, **changes)


def exited(customer: str = "ana", sequence: int = 2, **changes: Any) -> Item:
    return transition("exited", customer, sequence, **changes)


def transition(kind: Any, customer: str, sequence: int, **changes: Any) -> Item:
    plain: dict[str, Any] = {"cause": "event", "time_ms": NOW, "data": b'{"data":{}}'}
    return Item(f"vip:{customer}:{sequence}", kind, 0, customer, "vip", sequence=sequence, **(plain | changes))


def happened(
    customer: str = "ana", event_type: str = "refund", sequence: int = 1, id: str = "", **changes: Any
) -> Item:
    name = f"vip:{customer}:event:{event_type}:r1"
    data = b'{"event":{"id":"r1","type":"refund","properties":{"amount":5}},"sequence":1}'
    plain: dict[str, Any] = {"cause": event_type, "time_ms": NOW, "sequence": sequence, "data": data}
    return Item(id or name, "event", 0, customer, "vip", **(plain | changes))


def run(customer: str = "ana", name: str = "vip.a.1") -> Item:
    return Item(f"run:{name}:{customer}", "run", 0, customer, "vip", time_ms=NOW)
