"""Whether an action's `unless` holds for a customer now, by what their partition has collected for it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from consumers.actions.settings import Settings
from consumers.clock import Clock
from consumers.log.partition import partition_of
from consumers.state.definitions import decode
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.hidden import is_hidden, segment_of
from rules.judge import judge
from rules.plan import Definition, compile_plan
from rules.profile import Profile, new_profile
from rules.tree import Branch, Tree

_PLANS_MAX = 2_000


class Known(msgspec.Struct, frozen=True):
    """What a partition knows of a segment's actions: the newest version it has read, the edition by which customers
    must have been judged, and the conditions in force by action."""

    version: int
    edition: int
    trees: Mapping[str, Tree]


_NOTHING = Known(0, 0, {})


class Conditions:
    """Reads definitions at most once in a while a partition. All calls may raise Unavailable."""

    def __init__(self, store: Store, partitions: int, clock: Clock, settings: Settings) -> None:
        self._store, self._clock, self._settings = store, clock, settings
        self._keys = [PartitionKeys(p) for p in range(partitions)]
        self._read_ms: dict[int, int] = {}
        self._known: dict[int, dict[str, Known]] = {}
        self._trees: dict[bytes, Mapping[str, Tree]] = {}

    async def holds(
        self, segment: str, action: str, version: int, customer_id: str, profile: Profile | None, now_ms: int
    ) -> bool | None:
        """None: not known yet, for the partition has not read that version, or not judged the customer by it."""
        known = await self._of(partition_of(customer_id, len(self._keys)), segment, version)
        profile = profile or new_profile(customer_id)
        tree = known.trees.get(action)
        if known.version < version or tree is None:
            return None
        if 0 <= profile.edition < known.edition:
            return None
        return judge(tree, profile, now_ms).holds

    async def _of(self, partition: int, segment: str, version: int) -> Known:
        now = self._clock.now_ms()
        known = self._known.get(partition, {}).get(segment, _NOTHING)
        if known.version >= version and now - self._read_ms.get(partition, 0) < self._settings.definitions_ms:
            return known
        data = await self._store.call("GET", self._keys[partition].definitions)
        self._known[partition], self._read_ms[partition] = self._decoded(data), now
        return self._known[partition].get(segment, _NOTHING)

    def _decoded(self, data: bytes | None) -> dict[str, Known]:
        state = decode(data)
        found = {}
        for name, definition in state.in_force().items():
            note = state.notes.get(name)
            if not is_hidden(name) or note is None or definition.document is None:
                continue
            found[segment_of(name)] = Known(note.version, note.edition, self._compiled(definition))
        return found

    def _compiled(self, definition: Definition) -> Mapping[str, Tree]:
        """The conditions alone: what they read of a profile has the same keys in every plan."""
        key = msgspec.msgpack.encode(definition)
        trees = self._trees.get(key)
        if trees is None:
            if len(self._trees) >= _PLANS_MAX:
                self._trees.clear()
            plan = compile_plan([definition]).segments[definition.segment]
            asking = [action.id for action in plan.document.actions if action.unless is not None]
            branches = plan.enter.of if isinstance(plan.enter, Branch) else ()
            trees = self._trees[key] = dict(zip(asking, branches, strict=True))
        return trees
