"""One server: nothing is sent twice, and every outage is a wait."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from consumers.state.checks import check_store
from consumers.state.commit import Meta, apply, show, take_over
from consumers.state.keys import SHOWN_CHANNEL, PartitionKeys
from consumers.state.store import Run, Script, Store
from consumers.state.store_node import Node, pack
from consumers.state.store_url import Access, Address
from rules.errors import Unavailable
from tests.consumers.state.servers import DURABLE, Process, Wire, until
from tests.consumers.state.test_commit import make

KEYS = PartitionKeys(0)


class Inline(Script):
    """A script of a test's own."""

    def __init__(self, source: bytes) -> None:
        self.source, self.sha = source, hashlib.sha1(source, usedforsecurity=False).hexdigest()


COUNT = Inline(b"return redis.call('INCR', KEYS[1])")
FOREVER = Inline(b"while true do end")
Way = Callable[[Store], Awaitable[Any]]
WAYS: dict[str, Way] = {
    "call": lambda store: store.call("INCR", "count"),
    "calls": lambda store: store.calls([("INCR", "count"), ("GET", "count")]),
    "run": lambda store: store.run(COUNT, ["count"], []),
    "run_durably": lambda store: store.run_durably([Run(COUNT, ["count"], [])]),
}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(
        tmp_path_factory.mktemp("server") / "data",
        *DURABLE,
        *("--busy-reply-threshold", "50", "--enable-debug-command", "yes", "--stop-writes-on-bgsave-error", "yes"),
    )
    asyncio.run(process.start())
    yield process
    process.kill()


@pytest.fixture
async def alone(process: Process) -> AsyncIterator[Store]:
    """A store on a server that a test may harm."""
    store = Store.connect(process.url)
    await store.call("FLUSHALL")
    yield store
    await store.close()


@pytest.mark.parametrize("way", WAYS)
async def test_a_write_whose_answer_is_lost_was_done_once(process: Process, alone: Store, way: str) -> None:
    async with Wire(process.port) as wire:
        store = Store.connect(f"redis://127.0.0.1:{wire.port}")
        await WAYS[way](store)  # the connection is made, the script is known
        wire.cut = True
        with pytest.raises(Unavailable, match="away"):
            await WAYS[way](store)
        assert await alone.call("GET", "count") == b"2"
        await WAYS[way](store)  # it connects again by itself
        assert await alone.call("GET", "count") == b"3"
        await store.close()


async def test_a_cancelled_call_leaves_no_answer_to_another(alone: Store) -> None:
    for _ in range(20):
        waiting = asyncio.create_task(alone.calls([("BLPOP", "nothing", 5), ("GET", "nothing")]))
        await asyncio.sleep(0.005)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await alone.calls([("SET", "a", 1), ("GET", "a")]) == [b"OK", b"1"]


@pytest.mark.parametrize("hello", [b"", b"+OK\r\n"])
async def test_a_server_that_says_nothing_is_not_waited_for_without_end(hello: bytes) -> None:
    """Whether it is silent from the start or stops in the middle of its answers."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            writer.write(hello)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    node = Node(address, Access(timeout_s=0.2), 1)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"did not answer in 0\.2 s"):
            await node.exchange([("GET", "a")] * 20)
    await node.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_is_down_is_waited_for(tmp_path: Path, way: str) -> None:
    process = Process(tmp_path / "data", *DURABLE)
    store = Store.connect(process.url)
    with pytest.raises(Unavailable, match="away"):
        await WAYS[way](store)
    try:
        await process.start()
        await WAYS[way](store)
        process.kill()
        with pytest.raises(Unavailable, match="away"):
            await WAYS[way](store)
        await process.start()
        await WAYS[way](store)
        assert await store.call("GET", "count") == b"2"
    finally:
        await store.close()
        process.kill()


async def test_a_server_that_still_loads_is_waited_for(tmp_path: Path) -> None:
    process = Process(tmp_path / "data", *DURABLE)
    try:
        await process.start()
        store = Store.connect(process.url)
        await store.calls([("SET", f"key-{n}", n) for n in range(5_000)])
        await store.close()
        process.kill()
        process.launch("--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024")
        store = Store.connect(process.url)
        assert "loading" in (await _first_answer(store)).lower()
        await until("it has loaded", lambda: _has(store, "key-4999"))
        await store.close()
    finally:
        process.kill()


async def _first_answer(store: Store) -> str:
    """What a server that was just launched says first, once it listens."""
    for _ in range(1_000):
        try:
            return str(await store.call("GET", "key-0"))
        except Unavailable as error:
            if "Connect call failed" not in str(error):
                return str(error)
        await asyncio.sleep(0.002)
    raise AssertionError("it never listened")


async def _has(store: Store, key: str) -> bool:
    return await store.call("GET", key) is not None


async def _unchanged(store: Store, code: str) -> None:
    """A commit is refused with that code, whole."""
    before = {key: await store.call("DUMP", key) for key in await store.call("KEYS", "*")}
    for _ in range(2):
        with pytest.raises(Unavailable, match=code):
            await apply(store, KEYS, make())
    assert {key: await store.call("DUMP", key) for key in await store.call("KEYS", "*")} == before


async def test_without_memory_a_commit_waits_and_nothing_of_it_is_written(alone: Store) -> None:
    await take_over(alone, KEYS, "me", 10_000, force=False)
    await alone.call("CONFIG", "SET", "maxmemory", "1")
    try:
        await _unchanged(alone, "OOM")
        with pytest.raises(Unavailable, match="OOM"):
            await alone.call("SET", "a", "b")
    finally:
        await alone.call("CONFIG", "SET", "maxmemory", "0")
    assert (await apply(alone, KEYS, make())).again is False


async def test_a_server_demoted_to_a_replica_is_waited_for(alone: Store) -> None:
    await take_over(alone, KEYS, "me", 10_000, force=False)
    await alone.call("REPLICAOF", "127.0.0.1", "1")
    try:
        await _unchanged(alone, "READONLY")
        with pytest.raises(Unavailable, match="READONLY"):
            await alone.call("SET", "a", "b")
    finally:
        await alone.call("REPLICAOF", "NO", "ONE")
    assert (await apply(alone, KEYS, make())).again is False


async def test_a_server_that_may_not_write_is_waited_for(tmp_path: Path) -> None:
    process = Process(tmp_path / "data", "--appendonly", "yes", "--save", "100000 1", "--dbfilename", "it.rdb")
    try:
        await process.start()
        store = Store.connect(process.url)
        await take_over(store, KEYS, "me", 10_000, force=False)
        shutil.rmtree(process.directory)
        await store.call("BGSAVE")

        async def failed() -> bool:
            return b"rdb_last_bgsave_status:err" in await store.call("INFO", "persistence")

        await until("the save has failed", failed)
        await _unchanged(store, "MISCONF")
        await store.close()
    finally:
        process.kill()


async def test_a_server_held_up_by_a_script_is_waited_for(process: Process, alone: Store) -> None:
    endless = asyncio.create_task(process.ask("EVAL", FOREVER.source, 0))
    try:

        async def busy() -> bool:
            try:
                await alone.call("GET", "a")
            except Unavailable as error:
                return "BUSY" in str(error)
            return False

        await until("it is busy", busy)
        for way in WAYS.values():
            with pytest.raises(Unavailable, match="BUSY"):
                await way(alone)
    finally:
        await alone.call("SCRIPT", "KILL")
        with pytest.raises(ResponseError):
            await endless
    assert await alone.call("GET", "count") is None
    assert await WAYS["call"](alone) == 1


async def test_scripts_a_server_forgot_run_once_all_the_same(alone: Store) -> None:
    for expected in range(1, 4):
        await alone.call("SCRIPT", "FLUSH")
        assert await alone.run(COUNT, ["count"], []) == 2 * expected - 1
        await alone.call("SCRIPT", "FLUSH")
        assert await alone.run_durably([Run(COUNT, ["count"], [])]) == [2 * expected]
    await alone.call("SCRIPT", "FLUSH")
    await alone.run(COUNT, ["count"], [])
    mixed = [Run(COUNT, ["count"], []), Run(Inline(b"return redis.call('INCRBY', KEYS[1], 10)"), ["count"], [])]
    assert sorted(await alone.run_durably(mixed)) == [8, 18]


async def test_replicas_that_are_asked_for_and_do_not_have_it_are_waited_for(process: Process, alone: Store) -> None:
    careful = Store.connect(process.url, replicas_ack=1)
    waiting = asyncio.create_task(careful.run_durably([Run(COUNT, ["count"], [])]))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    [client] = [line for line in (await alone.call("CLIENT", "LIST")).decode().splitlines() if "cmd=waitaof" in line]
    await alone.call("CLIENT", "UNBLOCK", dict(part.split("=", 1) for part in client.split())["id"])
    with pytest.raises(Unavailable, match="0 of 1 replicas"):
        await waiting
    assert await alone.call("GET", "count") == b"1"
    await careful.close()


async def test_a_mistake_is_told_as_one(alone: Store) -> None:
    for wrong in (("NOSUCH", "a"), ("LPUSH", "text", "a")):
        await alone.call("SET", "text", "a")
        with pytest.raises(ResponseError):
            await alone.call(*wrong)
    with pytest.raises(ResponseError, match="boom"):
        await alone.run(Inline(b"return redis.error_reply('ERR boom')"), [], [])


async def test_one_that_is_mistaken_does_not_keep_the_others_from_their_answers(alone: Store) -> None:
    with pytest.raises(ResponseError):
        await alone.calls([("INCR", "count"), ("LPUSH", "count", "x"), ("INCR", "count")])
    assert await alone.call("GET", "count") == b"2"


@pytest.mark.parametrize("argument", ["é", b"\x00\r\n", 12, -7, "", "x" * 100_000])
async def test_arguments_arrive_as_they_are(alone: Store, argument: str | bytes | int) -> None:
    await alone.call("SET", "a", argument)
    expected = argument if isinstance(argument, bytes) else str(argument).encode()
    assert await alone.call("GET", "a") == expected
    assert b"".join(pack([("SET", argument)])).startswith(b"*2\r\n$3\r\nSET\r\n$%d\r\n" % len(expected))


# -- who may come in -------------------------------------------------------------------------------------------------


async def test_a_user_of_the_access_list(process: Process, alone: Store) -> None:
    """(With what docs/operations.md says that such a user needs.)"""
    rules = ["~sg:*", "&sg:*", "+@all", "-@dangerous", "+info"]
    await alone.call("ACL", "SETUSER", "app", "on", ">p@ss/word", *rules)
    store = Store.connect(f"redis://app:p%40ss%2Fword@127.0.0.1:{process.port}")
    await take_over(store, KEYS, "me", 10_000, force=False)
    await apply(store, KEYS, make())
    await show(store, KEYS, 0, Meta(epoch=1, commit=1))
    async with store.subscription() as subscription:
        await subscription.subscribe(SHOWN_CHANNEL)
    assert (await check_store(store, log_in_store=True)).refusals == []
    with pytest.raises(NoPermissionError):
        await store.call("SET", "other", "1")
    await store.close()
    stranger = Store.connect(f"redis://app:wrong@127.0.0.1:{process.port}")
    with pytest.raises(Unavailable, match="name and password") as caught:
        await stranger.call("GET", "sg:a")
    assert "wrong@" not in str(caught.value)
    await stranger.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    files = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, check=True, capture_output=True)
    return files


async def test_tls_reaches_only_the_server_it_was_told_to_trust(
    process: Process, alone: Store, certificate: tuple[Path, Path]
) -> None:
    async with Wire(process.port, certificate) as wire:
        store = Store.connect(f"rediss://localhost:{wire.port}?ssl_ca_certs={certificate[0]}")
        assert await store.call("PING") == b"PONG"
        await store.close()
        for untrusted in (
            f"rediss://localhost:{wire.port}",
            f"rediss://127.0.0.1:{wire.port}?ssl_ca_certs={certificate[0]}",
        ):
            store = Store.connect(untrusted)
            with pytest.raises(Unavailable, match="certificate verify failed"):
                await store.call("PING")
            await store.close()
