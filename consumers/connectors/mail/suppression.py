"""Who gets no mail any more: those who unsubscribed, and addresses that do not exist.

The list is one hash in the store, `sg:{mail}:suppressed`, from the keyed hash of an address (never the address) to why
and since when: some 100 bytes each, kept for ever, for forgetting one would be mailing somebody who said no.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from consumers.connectors.mail.addresses import Address
from consumers.connectors.mail.tokens import Keys
from consumers.state.keys import SUPPRESSED
from consumers.state.store import Run, Script, Store

Why = Literal["unsubscribed", "bounced"]
_SUPPRESS = Script("suppress", package="consumers.connectors.mail")


class Suppression(NamedTuple):
    """One entry. `told`: the log has heard of it too (of those who unsubscribed)."""

    why: Why
    since_ms: int
    told: bool = False


class Suppressions:
    """The list. All calls may raise Unavailable; what is written is durable when they return."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self.keys = store, keys

    async def find(self, address: Address) -> Suppression | None:
        """The entry of an address, under whatever secret it was made."""
        raw = await self._store.call("HMGET", SUPPRESSED, *self.keys.hashes(address))
        found = [_decoded(each) for each in raw if each is not None]
        return min(found, key=lambda each: (each.why != "unsubscribed", each.since_ms), default=None)

    async def find_hash(self, hashed: str) -> Suppression | None:
        """The entry of an address, by its hash under any one secret."""
        raw = await self._store.call("HGET", SUPPRESSED, hashed)
        return _decoded(raw) if raw is not None else None

    async def count(self) -> int:
        return int(await self._store.call("HLEN", SUPPRESSED))

    async def add(self, address: Address, why: Why, now_ms: int) -> Suppression:
        return await self.add_hash(self.keys.hashes(address)[0], why, now_ms)

    async def add_hash(self, hashed: str, why: Why, now_ms: int) -> Suppression:
        """Answers the entry that stands afterwards: who unsubscribed once has done so since then."""
        (raw,) = await self._store.run_durably([Run(_SUPPRESS, [SUPPRESSED], [hashed, why, now_ms])])
        return _decoded(raw)

    async def told(self, hashed: str, entry: Suppression) -> None:
        """Notes that the log has it: the same again is not written there once more."""
        await self._store.call("HSET", SUPPRESSED, hashed, f"{entry.why} {entry.since_ms} told")

    async def lift(self, address: Address) -> bool:
        """Takes an address off the list; answers whether it was on it."""
        return bool(await self._store.call("HDEL", SUPPRESSED, *self.keys.hashes(address)))


def _decoded(raw: bytes) -> Suppression:
    why, since, *told = raw.decode().split(" ")
    assert why in ("unsubscribed", "bounced"), "nothing else is written"
    return Suppression("unsubscribed" if why == "unsubscribed" else "bounced", int(since), bool(told))
