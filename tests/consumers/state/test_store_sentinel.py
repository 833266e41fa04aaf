"""A master, a replica and a Sentinel: the store follows whoever is master, and says wait until somebody is."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from consumers.state.commit import Reload, apply, take_over
from consumers.state.keys import PartitionKeys
from consumers.state.store import Run, Store
from rules.errors import Unavailable
from tests.consumers.state.servers import DURABLE, Process, until
from tests.consumers.state.test_commit import make
from tests.consumers.state.test_store import COUNT

KEYS = PartitionKeys(0)


class Group(NamedTuple):
    master: Process
    replica: Process
    sentinel: Process
    url: str


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    quick = (*DURABLE, "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
    master = Process(tmp_path / "master", *quick)
    replica = Process(tmp_path / "replica", *quick, "--replicaof", f"127.0.0.1 {master.port}")
    sentinel = Process(tmp_path / "sentinel", sentinel=True)
    processes = (master, replica, sentinel)
    try:
        await asyncio.gather(*(process.start() for process in processes))
        await until("the replica has it all", lambda: _is_online(replica))
        await sentinel.ask("SENTINEL", "MONITOR", "main", "127.0.0.1", master.port, 1)
        await sentinel.ask("SENTINEL", "SET", "main", "down-after-milliseconds", 300, "failover-timeout", 3_000)
        await until("the Sentinel knows the replica", lambda: _knows_replica(sentinel))
        yield Group(*processes, f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main")
    finally:
        for process in processes:
            process.kill()


async def _is_online(replica: Process) -> bool:
    return b"master_link_status:up" in await replica.ask("INFO", "replication")


async def _knows_replica(sentinel: Process) -> bool:
    return len(await sentinel.ask("SENTINEL", "REPLICAS", "main")) == 1


async def _again(store: Store) -> int:
    """A write, done until it is acknowledged: how many were not."""
    for failed in range(2_000):
        try:
            await store.run_durably([Run(COUNT, ["count"], [])])
        except Unavailable:
            await asyncio.sleep(0.01)
        else:
            return failed
    raise AssertionError("never acknowledged")


async def test_the_store_follows_when_the_master_dies(group: Group) -> None:
    store = Store.connect(group.url, replicas_ack=1)
    meta = await take_over(store, KEYS, "me", 10_000, force=False)
    await apply(store, KEYS, make(epoch=meta.epoch))
    assert await _again(store) == 0
    careless = Store.connect(group.url)
    assert await careless.call("GET", "count") == b"1"
    group.master.kill()
    with pytest.raises(Unavailable):
        await careless.call("GET", "count")
    assert await _again(careless) > 0
    assert int(await careless.call("GET", "count")) == 2
    assert (await careless.on_every("ROLE"))[0][0] == f"127.0.0.1:{group.replica.port}"
    assert (await apply(careless, KEYS, make(epoch=meta.epoch))).again, "what a replica acknowledged is there"
    await store.close()
    await careless.close()


async def test_a_former_master_that_wakes_up_gets_nothing_more(group: Group) -> None:
    store, idle = Store.connect(group.url), Store.connect(group.url)
    assert await _again(store) == 0
    assert await idle.call("GET", "count") == b"1"
    await until("the replica is in step", lambda: _has(group.replica, b"1"))
    blocked = asyncio.create_task(store.call("BLPOP", "nothing", 20))
    group.master.send(signal.SIGSTOP)
    await until("the replica is master", lambda: _is_master(group.replica))
    await _again(store)
    with pytest.raises(Unavailable):
        await blocked
    await until("one that asks for nothing follows, too", lambda: _is_at(idle, group.replica))
    group.master.send(signal.SIGCONT)
    await _again(idle)
    for each in (store, idle):
        assert await _is_at(each, group.replica)
        await each.close()
    assert await group.replica.ask("GET", "count") == b"3"


async def _is_at(store: Store, process: Process) -> bool:
    return (await store.on_every("ROLE"))[0][0] == f"127.0.0.1:{process.port}"


async def _has(process: Process, count: bytes) -> bool:
    return bool(await process.ask("GET", "count") == count)


async def _is_master(process: Process) -> bool:
    return bool((await process.ask("ROLE"))[0] == b"master")


async def test_without_sentinels_the_master_stays_who_it_was(group: Group) -> None:
    store = Store.connect(group.url)
    await store.call("SET", "a", "1")
    group.sentinel.kill()
    store._routes.doubt()  # type: ignore[union-attr]
    assert await store.call("GET", "a") == b"1"
    await store.close()
    late = Store.connect(group.url)
    with pytest.raises(Unavailable, match="no Sentinel"):
        await late.call("GET", "a")
    await late.close()


async def test_a_master_that_nobody_knows_is_told(group: Group) -> None:
    store = Store.connect(group.url.replace("/main", "/other"))
    with pytest.raises(Unavailable, match="no master called other"):
        await store.call("GET", "a")
    await store.close()


async def test_what_a_fail_over_lost_makes_the_owner_load_again(group: Group) -> None:
    """With no replica asked for, a fail-over rolls the store back; a commit then never stands on what is gone."""
    store = Store.connect(group.url)
    meta = await take_over(store, KEYS, "me", 10_000, force=False)
    await apply(store, KEYS, make(epoch=meta.epoch))
    await until("the replica is in step", lambda: _holds_commit(group.replica, b"1"))
    await group.replica.ask("REPLICAOF", "NO", "ONE")  # as if the link were down
    await apply(store, KEYS, make(2, epoch=meta.epoch, transitions=[]))
    group.master.kill()
    other = Store.connect(group.replica.url)
    with pytest.raises(Reload):
        await apply(other, KEYS, make(3, epoch=meta.epoch, transitions=[]))
    await store.close()
    await other.close()


async def _holds_commit(process: Process, commit: bytes) -> bool:
    return bool(await process.ask("HGET", KEYS.meta, "commit") == commit)
