"""Subscriptions in the store: versions, secrets that overlap, states, and changes that never overwrite one another."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from consumers.state.keys import SUBSCRIPTIONS, SUBSCRIPTIONS_FAILING
from consumers.state.store import Store
from consumers.webhooks.documents import Document
from consumers.webhooks.registry import Conflict, Subscription, Subscriptions, TooMany
from consumers.webhooks.sealing import Seal, SealBroken
from tests.consumers.webhooks.worlds import DAY_MS, SECRET_URL, FakeClock

DOCUMENT = Document(SECRET_URL)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def subscriptions(store: Store, clock: FakeClock) -> Subscriptions:
    return Subscriptions(store, clock=clock)


async def made(subscriptions: Subscriptions, document: Document = DOCUMENT) -> tuple[Subscription, str]:
    return await subscriptions.create(document, "1.0-1.0", 100)


async def test_a_subscription_is_kept_with_a_secret_that_signs(subscriptions: Subscriptions, clock: FakeClock) -> None:
    entry, secret = await made(subscriptions)
    assert (entry.version, entry.etag, entry.state, entry.begin) == (1, '"1"', "active", "1.0-1.0")
    assert entry.created_at == entry.updated_at == entry.since == clock.ms
    assert entry.target == f"sub/{entry.id}"
    assert await subscriptions.get(entry.id) == entry
    assert subscriptions.signing_secrets(entry) == [secret]
    assert secret.startswith("whsec_")
    assert (await subscriptions.snapshot()).entries == {entry.id: entry}


async def test_the_revision_grows_with_every_change(subscriptions: Subscriptions) -> None:
    revisions = [(await subscriptions.snapshot()).revision]
    entry, _ = await made(subscriptions)
    revisions.append((await subscriptions.snapshot()).revision)
    await subscriptions.set_state(entry.id, "paused")
    revisions.append((await subscriptions.snapshot()).revision)
    await subscriptions.delete(entry.id)
    revisions.append((await subscriptions.snapshot()).revision)
    assert revisions == [0, 1, 2, 3]


async def test_there_are_no_more_than_may_be(subscriptions: Subscriptions) -> None:
    await subscriptions.create(DOCUMENT, "", 1)
    with pytest.raises(TooMany):
        await subscriptions.create(DOCUMENT, "", 1)


async def test_another_document_is_another_version_and_the_same_is_none(subscriptions: Subscriptions) -> None:
    entry, _ = await made(subscriptions)
    same, secret = await subscriptions.put(entry.id, DOCUMENT)
    assert (same, secret) == (entry, "")
    other, secret = await subscriptions.put(entry.id, Document(SECRET_URL, concurrency=9), expected=1)
    assert other is not None
    assert (other.version, other.document.concurrency, other.keys, secret) == (2, 9, entry.keys, "")
    with pytest.raises(Conflict) as conflict:
        await subscriptions.put(entry.id, DOCUMENT, expected=1)
    assert conflict.value.entry == other


async def test_a_key_pair_is_made_when_it_is_asked_for_and_a_secret_when_it_is(subscriptions: Subscriptions) -> None:
    entry, secret = await made(subscriptions, Document(SECRET_URL, signatures=["v1a"]))
    assert secret == ""
    [key] = entry.keys
    assert key.public.startswith("whpk_")
    both, secret = await subscriptions.put(entry.id, Document(SECRET_URL, signatures=["v1", "v1a"]))
    assert both is not None
    assert secret.startswith("whsec_")
    assert subscriptions.signing_secrets(both) == [*subscriptions.signing_secrets(entry), secret]
    back, secret = await subscriptions.put(entry.id, Document(SECRET_URL, signatures=["v1a"]))
    assert back is not None
    assert (subscriptions.signing_secrets(back), secret) == (subscriptions.signing_secrets(entry), "")


async def test_rotated_secrets_sign_together_until_the_overlap_ends(
    subscriptions: Subscriptions, clock: FakeClock
) -> None:
    entry, first = await made(subscriptions)
    rotated, second = await subscriptions.rotate(entry.id)
    assert rotated is not None
    assert second not in ("", first)
    assert subscriptions.signing_secrets(rotated) == [second, first]
    clock.ms += DAY_MS - 1
    assert subscriptions.signing_secrets(rotated) == [second, first]
    clock.ms += 1
    assert subscriptions.signing_secrets(rotated) == [second]
    at_once, third = await subscriptions.rotate(entry.id, overlap_ms=0)
    assert at_once is not None
    assert subscriptions.signing_secrets(at_once) == [third]
    assert [key.until_ms for key in at_once.keys] == [0]


async def test_rotating_again_and_again_keeps_a_bounded_number_of_keys(subscriptions: Subscriptions) -> None:
    entry, _ = await made(subscriptions)
    rotated: Subscription | None = None
    for _ in range(10):
        rotated, _ = await subscriptions.rotate(entry.id)
    assert rotated is not None
    assert len(subscriptions.signing_secrets(rotated)) == 5


async def test_a_secret_is_nowhere_in_the_store_where_a_key_was_given(store: Store) -> None:
    sealed = Subscriptions(store, Seal(["k" * 32]))
    entry, secret = await made(sealed)
    raw = await store.call("HGET", SUBSCRIPTIONS, entry.id)
    assert secret.removeprefix("whsec_").encode() not in raw
    assert sealed.signing_secrets(entry) == [secret]
    with pytest.raises(SealBroken):
        Subscriptions(store).signing_secrets(entry)


async def test_states_change_with_why_and_since(store: Store, subscriptions: Subscriptions, clock: FakeClock) -> None:
    entry, _ = await made(subscriptions)
    clock.ms += 5
    disabled = await subscriptions.set_state(entry.id, "disabled", "nobody there")
    assert disabled is not None
    assert (disabled.state, disabled.why, disabled.since, disabled.told) == (
        "disabled",
        "nobody there",
        clock.ms,
        False,
    )
    await store.call("HSET", SUBSCRIPTIONS_FAILING, entry.id, 3)
    active = await subscriptions.set_state(entry.id, "active", skip_to="2.9-1.0")
    assert active is not None
    assert (active.state, active.why, active.skip_to, active.told) == ("active", "", "2.9-1.0", True)
    assert await store.call("HGET", SUBSCRIPTIONS_FAILING, entry.id) is None, "who is begun anew has not failed yet"
    again = await subscriptions.set_state(entry.id, "active")
    assert again == active
    cleared = await subscriptions.set_state(entry.id, "active", skip_to="")
    assert cleared is not None
    assert cleared.skip_to == ""


async def test_what_is_deleted_is_gone_and_cannot_be_changed(subscriptions: Subscriptions) -> None:
    entry, _ = await made(subscriptions)
    with pytest.raises(Conflict):
        await subscriptions.delete(entry.id, expected=2)
    assert await subscriptions.delete(entry.id, expected=1)
    assert not await subscriptions.delete(entry.id)
    assert await subscriptions.get(entry.id) is None
    assert await subscriptions.set_state(entry.id, "paused") is None
    assert await subscriptions.put(entry.id, DOCUMENT) == (None, "")
    assert await subscriptions.rotate(entry.id) == (None, "")


async def test_of_changes_made_at_once_none_is_lost(subscriptions: Subscriptions) -> None:
    entry, _ = await made(subscriptions)

    def longer(old: Subscription) -> Subscription:
        document = msgspec.structs.replace(old.document, description=old.document.description + "x")
        return msgspec.structs.replace(old, document=document)

    await asyncio.gather(*(subscriptions.change(entry.id, longer) for _ in range(10)))
    last = await subscriptions.get(entry.id)
    assert last is not None
    assert (last.version, last.document.description) == (11, "x" * 10)
