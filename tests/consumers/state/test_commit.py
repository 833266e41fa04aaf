"""One commit: all of it or nothing, once, by its owner only."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from consumers.log.port import START
from consumers.state.commit import (
    Commit,
    Committed,
    DeadLetter,
    Held,
    Meta,
    OutboxEntry,
    Reload,
    Timers,
    apply,
    release,
    show,
    take_over,
)
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store

KEYS = PartitionKeys(0)


def make(commit: int = 1, epoch: int = 1, **changes: Any) -> Commit:
    plain = Commit(
        epoch=epoch,
        commit=commit,
        token=f"token-{commit}",
        position=(1_795_000_000_000 << 20) + commit,
        clock=1_795_000_000_000,
        numbered=0,
        edition=1,
        cursor="",
        profiles={"ana": b"\x00profile of ana", "zé": b""},
        members={"vip": ({"ana": 1_794_999_999_999}, []), "new": ({}, ["ana"])},
        timers={"ana": 1_795_000_500_000},
        timers_off=[],
        judged={"ana": 1, "zé": 1},
        transitions=[b"{1}", b"{22}"],
        dead=[DeadLetter("not JSON", 7, 1_795_000_000_000, b"\xff{")],
        definitions=b"definitions",
    )
    return msgspec.structs.replace(plain, **changes)


async def everything(store: Store) -> dict[bytes, Any]:
    """All that the partition holds."""
    keys = [key for _, found in await store.on_every("KEYS", "*") for key in found]
    return {key: await store.call("DUMP", key) for key in keys}


@pytest.fixture
async def owned(store: Store) -> Store:
    await take_over(store, KEYS, "me", 10_000, force=False)
    return store


async def test_everything_is_written(owned: Store) -> None:
    nearest = Timers([b"ana", b"1795000500000"])
    assert await apply(owned, KEYS, make()) == Committed(again=False, nearest=nearest, customers=2)
    assert await owned.call("MGET", KEYS.profile("ana"), KEYS.profile("zé")) == [b"\x00profile of ana", b""]
    assert await owned.call("ZRANGE", KEYS.members("vip"), 0, -1, "WITHSCORES") == [b"ana", b"1794999999999"]
    assert await owned.call("EXISTS", KEYS.members("new")) == 0
    assert await owned.call("ZRANGE", KEYS.judged, 0, -1) == [b"ana", "zé".encode()]
    [(entry_id, (_, packed))] = await owned.call("XRANGE", KEYS.out, "-", "+")
    assert entry_id == b"1-0"
    entry = msgspec.msgpack.decode(packed, type=OutboxEntry)
    assert entry == OutboxEntry(1, 1_795_000_000_000, [b"{1}", b"{22}"])
    [(_, letter)] = await owned.call("XRANGE", KEYS.dead, "-", "+")
    assert letter == [b"reason", b"not JSON", b"origin", b"7@1795000000000", b"raw", b"\xff{"]
    assert await owned.call("GET", KEYS.definitions) == b"definitions"
    meta = Meta.parse(await owned.call("HGETALL", KEYS.meta))
    assert (meta.commit, meta.numbered, meta.position) == (1, 2, (1_795_000_000_000 << 20) + 1)


async def test_what_ended_is_removed_from_the_indexes(owned: Store) -> None:
    await apply(owned, KEYS, make())
    second = make(2, members={"vip": ({}, ["ana"])}, timers={}, timers_off=["ana"], definitions=None, transitions=[])
    assert (await apply(owned, KEYS, second)).nearest.first is None
    assert await owned.call("EXISTS", KEYS.members("vip"), KEYS.timers) == 0
    assert await owned.call("GET", KEYS.definitions) == b"definitions"
    assert await owned.call("XLEN", KEYS.out) == 1


async def test_the_same_again_changes_nothing_and_answers_the_same(owned: Store) -> None:
    first = await apply(owned, KEYS, make())
    before = await everything(owned)
    again = await apply(owned, KEYS, make())
    assert (again.again, again.nearest, again.customers) == (True, first.nearest, first.customers)
    assert await everything(owned) == before


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param(make(1, token="another's"), id="same number, other content"),
        pytest.param(make(3), id="a number ahead"),
        pytest.param(make(2, epoch=0), id="an older owner"),
        pytest.param(make(2, epoch=2), id="an owner of another store"),
    ],
)
async def test_anything_else_is_refused_and_changes_nothing(owned: Store, stale: Commit) -> None:
    await apply(owned, KEYS, make())
    before = await everything(owned)
    with pytest.raises(Reload):
        await apply(owned, KEYS, stale)
    assert await everything(owned) == before


async def test_a_new_owner_ends_the_commits_of_the_old(owned: Store) -> None:
    await apply(owned, KEYS, make())
    meta = await take_over(owned, KEYS, "other", 10_000, force=True)
    assert (meta.epoch, meta.commit, meta.owner) == (2, 1, "other")
    with pytest.raises(Reload, match="epoch 2"):
        await apply(owned, KEYS, make(2))
    with pytest.raises(Reload):
        await show(owned, KEYS, 0, Meta(epoch=1, commit=1))
    await apply(owned, KEYS, make(2, epoch=2))


async def test_a_living_owner_is_not_pushed_aside_unless_forced(owned: Store) -> None:
    with pytest.raises(Held, match="me"):
        await take_over(owned, KEYS, "other", 10_000, force=False)
    assert (await take_over(owned, KEYS, "me", 10_000, force=False)).epoch == 2
    assert (await take_over(owned, KEYS, "other", 0, force=False)).epoch == 3


async def test_a_partition_given_back_is_free_at_once(owned: Store) -> None:
    await release(owned, KEYS, 1)
    assert (await take_over(owned, KEYS, "other", 10_000, force=False)).epoch == 2
    await release(owned, KEYS, 1)  # no longer ours to give
    with pytest.raises(Held):
        await take_over(owned, KEYS, "third", 10_000, force=False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (KEYS.timers, "a string"),
        (KEYS.judged, "a string"),
        (KEYS.out, "a string"),
        (KEYS.dead, "a string"),
        (KEYS.members("new"), "a string"),
    ],
)
async def test_nothing_is_written_where_something_would_fail(owned: Store, key: str, value: str) -> None:
    await owned.call("SET", key, value)
    before = await everything(owned)
    with pytest.raises(ResponseError, match="is a string"):
        await apply(owned, KEYS, make())
    assert await everything(owned) == before


async def test_an_outbox_ahead_of_the_commits_is_told_before_anything_is_written(owned: Store) -> None:
    await owned.call("XADD", KEYS.out, "5-0", "t", b"")
    before = await everything(owned)
    with pytest.raises(ResponseError, match="ahead"):
        await apply(owned, KEYS, make())
    assert await everything(owned) == before


async def test_many_customers_fit_one_commit(owned: Store) -> None:
    names = [f"customer-{n}" for n in range(20_000)]
    big = make(
        profiles={name: name.encode() for name in names},
        members={"vip": (dict.fromkeys(names, 5), []), "new": ({}, names)},
        timers=dict.fromkeys(names, 9),
        judged=dict.fromkeys(names, 1),
    )
    assert (await apply(owned, KEYS, big)).customers == 20_000
    assert await owned.call("ZCARD", KEYS.members("vip")) == 20_000
    assert await owned.call("GET", KEYS.profile("customer-19999")) == b"customer-19999"
    gone = make(2, profiles={}, members={"vip": ({}, names)}, timers={}, timers_off=names, judged={}, dead=[])
    assert (await apply(owned, KEYS, gone)).nearest.first is None
    assert await owned.call("EXISTS", KEYS.members("vip")) == 0


async def test_showing_never_goes_back(owned: Store) -> None:
    await apply(owned, KEYS, make())
    await apply(owned, KEYS, make(2))
    await show(owned, KEYS, 0, Meta(epoch=1, commit=2, trouble="waits"))
    with pytest.raises(Reload, match="commit 2"):
        await show(owned, KEYS, 0, Meta(epoch=1, commit=1))
    await show(owned, KEYS, 0, Meta(epoch=1, commit=2))
    meta = Meta.parse(await owned.call("HGETALL", KEYS.meta))
    assert (meta.shown, meta.shown_position) == (2, make(2).position)


async def test_a_fresh_partition_begins_before_everything(store: Store) -> None:
    meta = await take_over(store, KEYS, "me", 10_000, force=False)
    assert (meta.position, meta.clock, meta.commit) == (START, 0, 0)
