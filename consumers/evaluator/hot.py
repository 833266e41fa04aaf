"""The profiles an owner keeps decoded: true as long as nobody else commits, which the commit's fence makes sure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.profile import Profile, decode, new_profile
from rules.times import NEVER


class Kept(msgspec.Struct, gc=False):
    """A profile, and what the store's indexes say of it: its timer (NEVER: none) and edition (None: a new customer)."""

    profile: Profile
    wake: int
    edition: int | None


class HotProfiles:
    """At most `profiles_max` of one partition, the least recently used going first. `load` before `get`."""

    def __init__(self, store: Store, keys: PartitionKeys, profiles_max: int) -> None:
        self._store = store
        self._keys = keys
        self._profiles_max = profiles_max
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, customer_id: str) -> Kept:
        """The profile of a customer that was loaded; a new one for somebody never heard of."""
        kept = self._kept.get(customer_id)
        if kept is None:
            kept = self._kept[customer_id] = Kept(new_profile(customer_id), NEVER, None)
        return kept

    async def load(self, customer_ids: Iterable[str]) -> list[str]:
        """Have these at hand: misses are read by one MGET. Answers those nobody has heard of."""
        missing: list[str] = []
        unheard: list[str] = []
        for customer_id in customer_ids:
            if customer_id in self._kept:
                self._kept.move_to_end(customer_id)
            else:
                missing.append(customer_id)
        if not missing:
            return unheard
        values = await self._store.call("MGET", *map(self._keys.profile, missing))
        for customer_id, value in zip(missing, values, strict=True):
            if value is None:
                unheard.append(customer_id)
            else:
                profile = decode(value)
                self._kept[customer_id] = Kept(profile, profile.wake, profile.edition)
        return unheard

    def forget(self, customer_ids: Iterable[str]) -> None:
        """These are not of this partition after all."""
        for customer_id in customer_ids:
            self._kept.pop(customer_id, None)

    def shrink(self) -> None:
        """Let go of what is too many. Only between commits: what is not yet stored must stay."""
        while len(self._kept) > self._profiles_max:
            self._kept.popitem(last=False)
