"""What the API asks of the state. Reads own nothing and lock nothing; each call is one or two round trips."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from consumers.log.partition import partition_of
from consumers.log.port import Log, Offset
from consumers.state.activation import Activation, activation
from consumers.state.commit import Meta
from consumers.state.cursors import CursorInvalid
from consumers.state.definitions import Definitions, compile_newest, decode
from consumers.state.feed import Feed
from consumers.state.keys import PartitionKeys
from consumers.state.members import Member, MembersPage, read_members
from consumers.state.status import PartitionStatus, read_status
from consumers.state.store import Argument, Store
from rules.plan import Plan
from rules.profile import Profile
from rules.profile import decode as decode_profile

__all__ = [
    "Activation",
    "CursorInvalid",
    "Member",
    "MembersPage",
    "PartitionStatus",
    "Reads",
]


class Reads:
    """`feed` is the process's one `Feed`; `log` is asked only for its ends."""

    def __init__(self, store: Store, log: Log, feed: Feed) -> None:
        self._store = store
        self._log = log
        self._feed = feed
        self._keys = [PartitionKeys(p) for p in range(log.partitions)]
        self._plans: dict[bytes, Plan] = {}

    def _partition(self, customer_id: str) -> PartitionKeys:
        return self._keys[partition_of(customer_id, len(self._keys))]

    async def profile(self, customer_id: str) -> Profile | None:
        """A fresh copy of the customer's profile; None for one never seen."""
        return (await self.profiles([customer_id]))[0]

    async def profiles(self, customer_ids: Sequence[str]) -> list[Profile | None]:
        """The same for many, in the order asked, by one MGET a partition."""
        by_partition: dict[int, list[int]] = {}
        for index, customer_id in enumerate(customer_ids):
            by_partition.setdefault(partition_of(customer_id, len(self._keys)), []).append(index)
        commands: list[Sequence[Argument]] = [
            ("MGET", *(self._keys[p].profile(customer_ids[index]) for index in indexes))
            for p, indexes in by_partition.items()
        ]
        found: list[Profile | None] = [None] * len(customer_ids)
        if commands:
            answers = await self._store.calls(commands)
            for indexes, values in zip(by_partition.values(), answers, strict=True):
                for index, value in zip(indexes, values, strict=True):
                    found[index] = decode_profile(value) if value is not None else None
        return found

    async def clock(self, customer_id: str) -> int:
        """The clock (ms) of the customer's partition: the instant their profile speaks of; 0 before any record."""
        return int(await self._store.call("HGET", self._partition(customer_id).meta, "clock") or 0)

    async def plan(self, customer_id: str) -> Plan:
        """The newest plan of the customer's partition, for `rules.explain` (compiled once per change)."""
        data = await self._store.call("GET", self._partition(customer_id).definitions) or b""
        plan = self._plans.get(data)
        if plan is None:
            if len(self._plans) >= 2 * len(self._keys):
                self._plans.clear()
            plan = self._plans[data] = compile_newest(decode(data))
        return plan

    async def members(self, segment: str, limit: int = 100, cursor: str | None = None) -> MembersPage:
        """Raises CursorInvalid. An unknown segment has no members."""
        return await read_members(self._store, self._keys, segment, limit, cursor)

    async def sizes(self, segments: Iterable[str]) -> dict[str, int]:
        """Present members of each."""
        names = list(segments)
        commands: list[Sequence[Argument]] = [("ZCARD", keys.members(name)) for name in names for keys in self._keys]
        counts = await self._store.calls(commands) if commands else []
        width = len(self._keys)
        return {name: sum(counts[at * width : (at + 1) * width]) for at, name in enumerate(names)}

    async def activations(self, versions: Mapping[str, int]) -> dict[str, Activation]:
        """For each segment -> version (as in the registry): how far the partitions are with it."""
        commands: list[Sequence[Argument]] = []
        for keys in self._keys:
            commands += [("GET", keys.definitions), ("ZCARD", keys.judged)]
        answers = await self._store.calls(commands)
        states = [decode(data) for data in answers[0::2]]
        customers: list[int] = answers[1::2]
        judged = await self._judged(states)
        return {
            segment: activation(segment, version, states, customers, judged) for segment, version in versions.items()
        }

    async def _judged(self, states: Sequence[Definitions]) -> list[dict[int, int]]:
        """Per partition, for each edition not settled yet: how many customers were judged by it or a newer one."""
        asked = [(p, stage.edition) for p, state in enumerate(states) for stage in state.stages]
        commands: list[Sequence[Argument]] = [("ZCOUNT", self._keys[p].judged, edition, "+inf") for p, edition in asked]
        counts = await self._store.calls(commands) if commands else []
        judged: list[dict[int, int]] = [{} for _ in states]
        for (p, edition), count in zip(asked, counts, strict=True):
            judged[p][edition] = count
        return judged

    async def status(self) -> list[PartitionStatus]:
        """Every partition: owner, position, lags, timers, progress."""
        return await read_status(self._store, self._log, self._keys)

    async def applied(self, offsets: Mapping[int, Offset]) -> bool:
        """Whether the evaluators have durably applied everything up to these offsets (partition -> offset)."""
        commands: list[Sequence[Argument]] = [("HGETALL", self._keys[p].meta) for p in offsets]
        metas = [Meta.parse(flat) for flat in await self._store.calls(commands)] if commands else []
        return all(meta.shown_position >= offset for meta, offset in zip(metas, offsets.values(), strict=True))

    async def wait_applied(self, offsets: Mapping[int, Offset], wait_ms: int) -> bool:
        """Wait for that at most `wait_ms` (`Prefer: wait`); false when time ran out."""
        deadline = time.monotonic() + wait_ms / 1000
        while True:
            seen = self._feed.shown.count
            if await self.applied(offsets):
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            await self._feed.shown.after(seen, left)
