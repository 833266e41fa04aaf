"""The subscriptions there are: documents, secrets and states, changed one at a time and durably."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.state.keys import SUBSCRIPTIONS, SUBSCRIPTIONS_FAILING, SUBSCRIPTIONS_REVISION
from consumers.state.store import Run, Script, Store
from consumers.webhooks.documents import Document, Signature
from consumers.webhooks.sealing import Seal
from consumers.webhooks.signing import new_pair, new_secret
from rules.limits import DAY_MS

_KEYS = [SUBSCRIPTIONS, SUBSCRIPTIONS_REVISION, SUBSCRIPTIONS_FAILING]
OVERLAP_MS = DAY_MS
State = Literal["active", "paused", "disabled"]
_REPLACE = Script("registry", "consumers.webhooks")
_ENDING_MAX = 4  # keys that sign beside the newest: a header has its bounds, and the newest are enough
_TRIES_MAX = 20  # of a change that others keep getting ahead of


class Key(msgspec.Struct, frozen=True):
    """What signs. `stored`: the secret as `Seal` keeps it; `public`: of a pair; `until_ms`: the last of it, 0: open."""

    kind: Signature
    stored: str
    made_at: int
    public: str = ""
    until_ms: int = 0


class Subscription(msgspec.Struct, frozen=True):
    """One. `version` grows with every change, the ETag follows it. Instants in ms.

    `since`: of its `state`, whose `why` is told where the service chose it. `begin`: the feed's position when it was
    made; transitions up to `skip_to`, a position too, are left out ("" for none). `told`: of being disabled.
    """

    id: str
    version: int
    document: Document
    keys: list[Key]
    begin: str
    state: State = "active"
    why: str = ""
    since: int = 0
    skip_to: str = ""
    told: bool = True
    created_at: int = 0
    updated_at: int = 0

    @property
    def etag(self) -> str:
        """The entity tag, quotes included."""
        return f'"{self.version}"'

    @property
    def target(self) -> str:
        """Its name among the targets of deliveries."""
        return f"sub/{self.id}"

    def signing_keys(self, now_ms: int) -> list[Key]:
        """Those that sign now: the newest of each kind that the document asks for, and others until they end."""
        return [key for key in self.keys if key.kind in self.document.signatures and _signs(key, now_ms)]


class Snapshot(msgspec.Struct, frozen=True):
    """All subscriptions, by id, at one `revision`."""

    revision: int
    entries: dict[str, Subscription]


class Conflict(Exception):
    """It is not at the version expected (`entry` is what it is now; None: there is none)."""

    def __init__(self, entry: Subscription | None) -> None:
        super().__init__("the subscription changed meanwhile")
        self.entry = entry


class TooMany(Exception):
    """There are as many as may be."""


_decoder = msgspec.json.Decoder(Subscription)
_encoder = msgspec.json.Encoder()
Change = Callable[[Subscription], Subscription]


class Subscriptions:
    """All calls may raise Unavailable. `expected`: the version that is to be changed (If-Match), None for any."""

    def __init__(self, store: Store, seal: Seal | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._store, self._seal, self._clock = store, seal or Seal(), clock

    async def snapshot(self) -> Snapshot:
        """What is there now. (The revision is read first, so that a change in between is noticed, not missed.)"""
        revision, flat = await self._store.calls([("GET", SUBSCRIPTIONS_REVISION), ("HGETALL", SUBSCRIPTIONS)])
        entries = [_decoder.decode(raw) for raw in flat[1::2]]
        return Snapshot(int(revision or 0), {each.id: each for each in entries})

    async def get(self, subscription: str) -> Subscription | None:
        raw = await self._store.call("HGET", SUBSCRIPTIONS, subscription)
        return _decoder.decode(raw) if raw else None

    async def create(self, document: Document, begin: str, most: int) -> tuple[Subscription, str]:
        """The subscription, and the secret it shares ("" without `v1`): nobody is told again. Raises TooMany."""
        now = self._clock.now_ms()
        keys, secret = self._new_keys(document.signatures, now)
        subscription = f"sub_{now:012x}{secrets.token_hex(6)}"
        entry = Subscription(subscription, 1, document, keys, begin, since=now, created_at=now, updated_at=now)
        answer = await self._replace(subscription, b"", _encoder.encode(entry), most=most)
        if answer == b"full":
            raise TooMany
        assert answer == b"ok", "nobody else has this id"
        return entry, secret

    async def put(
        self, subscription: str, document: Document, *, expected: int | None = None
    ) -> tuple[Subscription | None, str]:
        """Another document; None: there is none to change. The secret, where it is the first of its kind. Raises
        Conflict. The same document again changes nothing."""
        secret = ""

        def change(old: Subscription) -> Subscription:
            nonlocal secret
            if old.document == document:
                return old
            missing = [kind for kind in document.signatures if not any(key.kind == kind for key in old.keys)]
            more, secret = self._new_keys(missing, self._clock.now_ms())
            return msgspec.structs.replace(old, document=document, keys=[*old.keys, *more])

        return await self.change(subscription, change, expected=expected), secret

    async def rotate(
        self, subscription: str, *, overlap_ms: int = OVERLAP_MS, expected: int | None = None
    ) -> tuple[Subscription | None, str]:
        """New keys; those there were sign beside them for `overlap_ms`. Answers the new secret. Raises Conflict."""
        secret = ""

        def change(old: Subscription) -> Subscription:
            nonlocal secret
            now = self._clock.now_ms()
            keys, secret = self._new_keys(old.document.signatures, now)
            ending = [
                key if key.until_ms else msgspec.structs.replace(key, until_ms=now + overlap_ms)
                for key in old.keys
                if _signs(key, now) and overlap_ms and key.kind in old.document.signatures
            ]
            return msgspec.structs.replace(old, keys=[*keys, *ending[:_ENDING_MAX]])

        return await self.change(subscription, change, expected=expected), secret

    async def set_state(
        self,
        subscription: str,
        state: State,
        why: str = "",
        *,
        skip_to: str | None = None,
        expected: int | None = None,
    ) -> Subscription | None:
        """Another state; `skip_to`: what is left out from now on. None: there is none. Raises Conflict."""

        def change(old: Subscription) -> Subscription:
            skipping = old.skip_to if skip_to is None else skip_to
            if old.state == state:
                return msgspec.structs.replace(old, skip_to=skipping)
            told = state != "disabled"
            now = self._clock.now_ms()
            return msgspec.structs.replace(old, state=state, why=why, since=now, skip_to=skipping, told=told)

        return await self.change(subscription, change, expected=expected, forget_failing=state == "active")

    async def delete(self, subscription: str, *, expected: int | None = None) -> bool:
        """Whether there was one. Raises Conflict."""
        for _ in range(_TRIES_MAX):
            raw = await self._store.call("HGET", SUBSCRIPTIONS, subscription)
            if not raw:
                return False
            _expect(_decoder.decode(raw), expected)
            if await self._replace(subscription, raw, b"") == b"ok":
                return True
        raise Conflict(None)

    async def change(
        self, subscription: str, change: Change, *, expected: int | None = None, forget_failing: bool = False
    ) -> Subscription | None:
        """Read, change, replace if nobody else did meanwhile. What `change` leaves as it is keeps its version."""
        for _ in range(_TRIES_MAX):
            raw = await self._store.call("HGET", SUBSCRIPTIONS, subscription)
            if not raw:
                return None
            old = _decoder.decode(raw)
            _expect(old, expected)
            new = change(old)
            if new == old:
                return old
            new = msgspec.structs.replace(new, version=old.version + 1, updated_at=self._clock.now_ms())
            if await self._replace(subscription, raw, _encoder.encode(new), forget_failing=forget_failing) == b"ok":
                return new
        raise Conflict(None)

    def signing_secrets(self, entry: Subscription) -> list[str]:
        """What signs now, readable. Raises SealBroken."""
        return [self._seal.open(key.stored) for key in entry.signing_keys(self._clock.now_ms())]

    def _new_keys(self, kinds: Sequence[Signature], now_ms: int) -> tuple[list[Key], str]:
        """One key of each kind, and the secret that is shared, if one of them is."""
        keys, shared = [], ""
        for kind in kinds:
            if kind == "v1":
                shared = new_secret()
                keys.append(Key(kind, self._seal.close(shared), now_ms))
            else:
                private, public = new_pair()
                keys.append(Key(kind, self._seal.close(private), now_ms, public))
        return keys, shared

    async def _replace(
        self, subscription: str, old: bytes, new: bytes, *, most: int | None = None, forget_failing: bool = False
    ) -> bytes:
        args = [subscription, old, new, "" if most is None else most, "1" if forget_failing else "0"]
        (answer,) = await self._store.run_durably([Run(_REPLACE, _KEYS, args)])
        assert isinstance(answer, bytes)
        return answer


def _signs(key: Key, now_ms: int) -> bool:
    return not key.until_ms or key.until_ms > now_ms


def _expect(entry: Subscription, version: int | None) -> None:
    if version is not None and entry.version != version:
        raise Conflict(entry)
