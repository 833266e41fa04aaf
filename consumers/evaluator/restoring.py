"""A store that lost commits (a fail-over, a restart from an older file) whose transitions the topic has already.

Reading the lost stretch of the log again makes the same transitions with the same ids, which the relay leaves out. This
compares them with what was published: where they differ, or do not come again (other code was rolled out within the
lost stretch), what was published stands: the profile, the member lists and the outbox are made to say the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import orjson

from consumers.evaluator.draft import Draft
from consumers.evaluator.owned import Owned
from consumers.log.port import Offset
from consumers.relay.port import Published, digest_of
from rules.profile import CHANGED, NEW, SEQUENCE
from rules.times import parse_instant
from rules.transitions import Transition, render

_CHUNK = 500  # transitions looked at in one commit, in the end


class Lost(Protocol):
    """What was published beyond the store's last commit: by transition id, and up to which position of the log."""

    @property
    def ids(self) -> Mapping[str, Published]: ...

    @property
    def lost_position(self) -> Offset: ...


class Restoring:
    """While it lasts: `reconcile` every draft before it is committed; `finish_some` once the lost stretch is read."""

    def __init__(self, owned: Owned, lost: Lost, value: Callable[[int, Offset], Awaitable[bytes]]) -> None:
        self._owned, self._value = owned, value
        self._missing = dict(lost.ids)
        self.until = lost.lost_position

    @property
    def complete(self) -> bool:
        """Whether all that was lost has been done again, or was found not to come again."""
        return not self._missing and self.read

    @property
    def read(self) -> bool:
        return self._owned.position >= self.until

    async def reconcile(self, draft: Draft) -> None:
        """Where a transition that comes again is not what was published, the published one stands."""
        for nth, change in enumerate(draft.transitions):
            published = self._missing.pop(change.id, None)
            if published is not None and digest_of(render(change)) != published.digest:
                value = await self._value(self._owned.number, published.offset)
                draft.transitions[nth], draft.instead[nth] = _as_published(change, value), value
                state = draft.touched[change.customer_id].profile.members[change.segment]
                if state[SEQUENCE] == change.sequence:
                    state[CHANGED] = draft.transitions[nth].time
                draft.adopted.append(("differs", change))

    async def finish_some(self) -> None:
        """Adopt a chunk of what did not come again."""
        chunk = sorted(self._missing, key=_order)[:_CHUNK]
        parts = {each: _parts(each) for each in chunk}
        await self._owned.have_profiles({customer: None for _, customer, _ in parts.values()})
        draft = Draft()
        for each, (segment, customer, sequence) in parts.items():
            kept = self._owned.hot.get(customer)
            state = kept.profile.members.get(segment)
            if state is not None and state[SEQUENCE] >= sequence:
                continue  # it came before this process took the partition over
            value = await self._value(self._owned.number, self._missing[each].offset)
            change = _as_published(Transition(segment, 0, customer, sequence, 0, "event"), value)
            if kept.profile.edition == NEW:  # nothing of this customer came again: what was published is all we know
                kept.profile.edition, kept.profile.at = self._owned.editions.plan.edition, self._owned.meta.clock
            draft.touch(customer, kept)
            draft.instead[len(draft.transitions)] = value
            draft.transitions.append(change)
            kept.profile.changes(segment, sequence, change.time)
            draft.adopted.append(("absent", change))
        if draft.transitions:
            await self._owned.commit(draft, self._owned.begin_commit(draft))
        for each in chunk:
            del self._missing[each]


def _parts(transition_id: str) -> tuple[str, str, int]:
    """Segment, customer, sequence: only a customer's id may hold a colon."""
    segment, _, rest = transition_id.partition(":")
    customer, _, sequence = rest.rpartition(":")
    return segment, customer, int(sequence)


def _order(transition_id: str) -> tuple[str, str, int]:
    segment, customer, sequence = _parts(transition_id)
    return customer, segment, sequence


def _as_published(change: Transition, value: bytes) -> Transition:
    told = orjson.loads(value)
    time = parse_instant(told["time"])
    assert time is not None, "what was published has an instant"
    return msgspec.structs.replace(
        change, time=time, version=told["data"]["segment_version"], cause=told["data"]["cause"]
    )
