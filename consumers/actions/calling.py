"""One call of an action: first what may speak against it, then the connector.

In this order: quiet hours, membership, `unless`, `limit`. What speaks against a call is judged when it is made, by the
customer's profile as of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from consumers.actions.conditions import Conditions
from consumers.actions.settings import Settings
from consumers.actions.store import Counts, Reservation
from consumers.clock import Clock
from consumers.connectors.port import Connector, Direction, Subject, customer_view
from consumers.delivery.port import Call, Done, Dropped, Failed, Gone, Item, Later, Outcome, Refused
from rules.actions import Limit
from rules.profile import SEQUENCE, VALUE, Profile
from rules.schedules import quiet_until
from rules.times import add, span_ms

if TYPE_CHECKING:
    from consumers.actions.target import Spec


class Profiles(Protocol):
    """Where profiles come from (`consumers.state.reads.Reads`)."""

    async def profiles(self, customer_ids: Sequence[str]) -> list[Profile | None]:
        """In the order asked, None for one never seen. Raises Unavailable."""
        ...


class Caller:
    """What all actions of a process share. An exception (the store is away) is a failure of the whole call."""

    def __init__(
        self, profiles: Profiles, conditions: Conditions, counts: Counts, clock: Clock, settings: Settings
    ) -> None:
        self._profiles, self._conditions, self._counts = profiles, conditions, counts
        self._clock, self._settings = clock, settings

    async def call(self, spec: Spec, connector: Connector, call: str, calls: Sequence[Call]) -> Sequence[Outcome]:
        """One outcome for each, in order."""
        found = await self._profiles.profiles([each.item.customer_id for each in calls])
        outcomes: dict[int, Outcome] = {}
        subjects: dict[int, Subject] = {}
        for place, (each, profile) in enumerate(zip(calls, found, strict=True)):
            against = await self._against(spec, each, profile)
            if against is None:
                subjects[place] = subject_of(spec, each.item, profile)
            else:
                outcomes[place] = against
        if subjects:
            keys = [calls[place].key for place in subjects]
            ends = [_own(each) for each in await connector.call(call, spec.action.with_, list(subjects.values()), keys)]
            outcomes |= dict(zip(subjects, ends, strict=True))
            await self._release(spec, [calls[place] for place in subjects], ends)
        return [outcomes[place] for place in range(len(calls))]

    async def _against(self, spec: Spec, call: Call, profile: Profile | None) -> Outcome | None:
        """Why a call is not made, or not now."""
        now, limit = self._clock.now_ms(), spec.action.limit
        found = await against(spec, call, profile, now, self._conditions, self._settings.unready_ms)
        if found is None and limit is not None and not await self._reserved(spec, limit, call, now):
            return Dropped(f"the limit: {limit.per_customer} per {limit.per.text}")
        return found

    async def _reserved(self, spec: Spec, limit: Limit, call: Call, now: int) -> bool:
        since = add(now, limit.per, spec.timezone, -1)
        one = Reservation(call.item.customer_id, call.key, now, since, span_ms(limit.per), limit.per_customer)
        return await self._counts.reserve(spec.target, one)

    async def _release(self, spec: Spec, calls: Sequence[Call], ends: Sequence[Outcome]) -> None:
        """A call that was not made counts toward no limit; one that failed may yet be made, and may have been."""
        if spec.action.limit is None:
            return
        for call, end in zip(calls, ends, strict=True):
            if not isinstance(end, Done | Failed | Later):
                await self._counts.release(spec.target, call.item.customer_id, call.key)


def _own(end: Outcome) -> Outcome:
    """An action is nobody's subscription: where the other side says "gone", it is this customer's call that is."""
    return Refused(end.error, end.status) if isinstance(end, Gone) else end


async def against(
    spec: Spec, call: Call, profile: Profile | None, now: int, conditions: Conditions, unready_ms: int = 0
) -> Outcome | None:
    """Why a call is not made at `now` (ms), its limit aside. Changes nothing."""
    action, item = spec.action, call.item
    if action.quiet_hours is not None:
        until = quiet_until(now, action.quiet_hours, spec.timezone)
        if until is not None:
            return Later(until, "quiet hours")
    if (why := left_meanwhile(spec, item, profile)) is not None:
        return Dropped(why)
    if action.unless is not None:
        holds = await conditions.holds(spec.segment, action.id, spec.version, item.customer_id, profile, now)
        if holds is None:
            return Later(now + unready_ms, "what `unless` asks is not collected yet")
        if holds:
            return Dropped("`unless` holds")
    return None


def left_meanwhile(spec: Spec, item: Item, profile: Profile | None) -> str | None:
    """Why the membership speaks against a call; None where it does not."""
    state = profile.members.get(spec.segment) if profile is not None else None
    sequence = state[SEQUENCE] if state is not None else 0
    if item.kind == "run":
        return None if sequence % 2 else "not a member any more"
    if spec.action.on == "member":
        return "a newer change of the membership is on its way" if sequence > item.sequence else None
    if spec.action.wait is None or sequence <= item.sequence:
        return None
    return "has come back meanwhile" if item.kind == "exited" else "has left meanwhile"


def subject_of(spec: Spec, item: Item, profile: Profile | None) -> Subject:
    """What templates may speak of."""
    attributes: dict[str, Any] = {}
    tags: list[str] = []
    if profile is not None:
        attributes = {name: held[VALUE] for name, held in profile.attributes.items() if held[VALUE] is not None}
        tags = sorted(tag for tag, held in profile.tags.items() if held[VALUE])
    event = orjson.loads(item.data)["event"] if item.kind == "event" else None
    direction: Direction | None = None
    if spec.action.on == "member":
        direction = "remove" if item.kind == "exited" else "add"
    segment = {"id": spec.segment, "name": spec.name or spec.segment, "about": spec.about, "timezone": spec.timezone}
    return Subject(customer_view(item.customer_id, attributes, tags), item, segment, event, direction)
