"""One action of a segment as a target of deliveries: which items are its own, when, and one call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from consumers.actions.calling import Caller
from consumers.connectors.port import Connector, Connectors
from consumers.delivery.port import Call, Failed, Item, Outcome, Turn
from consumers.state.entries import Entry
from rules.actions import Action, Every, OnEvent
from rules.times import add

KEY_CHARS_MAX = 300


def target_id(segment: str, action: str) -> str:
    return f"act/{segment}/{action}"


def call_key(action: str, item_id: str) -> str:
    """`action:transition id`, `action:run:<run>:<customer>`; with a hash where that is too long."""
    key = f"{action}:{item_id}"
    return key if len(key) <= KEY_CHARS_MAX else f"{action}:{hashlib.sha256(item_id.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Spec:
    """One action as its segment's entry has it. `version`: of what evaluators were told of the segment's actions."""

    segment: str
    action: Action
    timezone: str
    name: str
    about: str
    active: bool
    begin: str
    since_ms: int  # runs that were due before do not concern it
    version: int

    @property
    def target(self) -> str:
        return target_id(self.segment, self.action.id)


def specs_of(entry: Entry, actions: Sequence[Action], timezone: str) -> list[Spec]:
    """The actions of a segment that is there."""
    found = []
    for action in actions:
        begin = entry.begins.get(action.id)
        found.append(
            Spec(
                segment=entry.segment,
                action=action,
                timezone=timezone,
                name=str(entry.document.get("name") or ""),
                about=str(entry.document.get("about") or ""),
                active=entry.state == "active",
                begin=begin.position if begin is not None else "now",
                since_ms=begin.at if begin is not None else entry.updated_at,
                version=entry.actions_version,
            )
        )
    return found


class ActionTarget:
    """See `consumers.delivery.port.Target`."""

    def __init__(self, spec: Spec, connectors: Connectors, caller: Caller) -> None:
        self.spec = spec
        self._action = spec.action
        self._caller = caller
        self._connector: Connector | None = None
        self._call = ""
        if (found := connectors.find(spec.action.use)) is not None:
            self._connector, self._call = found

    @property
    def id(self) -> str:
        return self.spec.target

    @property
    def active(self) -> bool:
        return self.spec.active

    @property
    def begin(self) -> str:
        return self.spec.begin

    @property
    def concurrency(self) -> int:
        return self._connector.concurrency(self._call) if self._connector is not None else 1

    @property
    def per_second(self) -> float | None:
        return self._action.rate.per_second if self._action.rate is not None else None

    @property
    def batch_max(self) -> int:
        return self._connector.batch_max(self._call) if self._connector is not None else 1

    @property
    def remembers_done(self) -> bool:
        return True

    def key(self, item: Item) -> str:
        return call_key(self._action.id, item.id)

    def turn(self, item: Item) -> Turn | None:
        """In order per customer. A run is no reason for those who wait to come first, nor do they keep it waiting."""
        if item.segment != self.spec.segment or not self._wants(item):
            return None
        wait = self._action.wait
        if item.kind == "run" or wait is None:
            return Turn(item.customer_id if wait is None else f"run {item.customer_id}")
        return Turn(item.customer_id, add(item.time_ms, wait, self.spec.timezone) - item.time_ms)

    def _wants(self, item: Item) -> bool:
        on = self._action.on
        if item.kind == "run":
            return True
        if isinstance(on, OnEvent):
            return item.kind == "event" and item.cause in on.events
        if isinstance(on, Every):
            return False
        return item.kind in ("entered", "exited") and on in ("member", item.kind) and item.cause in self._action.causes

    async def call(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        if self._connector is None:
            return [Failed(f"there is no connector's call `{self._action.use}` here")] * len(calls)
        return await self._caller.call(self.spec, self._connector, self._call, calls)
