"""Workers killed at any moment under load: every transition reaches every target that wants it, in order per customer,
and what comes twice comes with the same key."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from consumers.embedded import Embedded
from consumers.state.store import Store
from tests.consumers.delivery.worlds import FeedWriter
from tests.integration.delivery_child import NAMES, wanted

PARTITIONS = 4
CUSTOMERS = [f"c{n}" for n in range(60)]
DEADLINE_S = 180.0


class Receiver:
    """An HTTP server that answers 503 to one post of twenty. `taken`: by target, (item, key) in order."""

    def __init__(self, seed: int) -> None:
        self.taken: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.refused = 0
        self._random = random.Random(seed)
        self._open: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                target, item, _, key, _ = msgspec.json.decode(await reader.readexactly(length))
                status = b"503 No" if self._random.random() < 0.05 else b"200 OK"
                if status.startswith(b"200"):
                    self.taken[target].append((item, key))
                else:
                    self.refused += 1
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Children:
    """Two workers; `kill` ends one of them and starts another."""

    def __init__(self, url: str, port: int, seed: int) -> None:
        since_s = str(time.time())
        script = "tests.integration.delivery_child"
        self._command = [sys.executable, "-m", script, url, str(PARTITIONS), str(port), since_s]
        self._running: list[asyncio.subprocess.Process] = []
        self._random = random.Random(seed)

    async def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": "."}
        log = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, stdout=log, env=environment)
        self._running.append(process)
        assert process.stdout is not None
        assert (await process.stdout.readline()).strip() == b"ready"
        self._drain = asyncio.create_task(_read_on(process.stdout))

    async def kill(self) -> None:
        process = self._running.pop(self._random.randrange(len(self._running)))
        process.kill()
        await process.wait()
        await self.start()

    async def close(self) -> None:
        for process in self._running:
            process.kill()
            await process.wait()


async def _read_on(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass


async def _load(feed: FeedWriter, said: list[str], ends: asyncio.Event, seed: int) -> None:
    rng = random.Random(seed)
    while not ends.is_set():
        said += await feed.say(*rng.sample(CUSTOMERS, rng.randrange(1, 10)))
        await asyncio.sleep(rng.random() * 0.06)


def _missing(said: list[str], receiver: Receiver) -> int:
    return sum(len(_expected(name, said)) - len({item for item, _ in receiver.taken[name]}) for name in NAMES)


def _expected(target: str, said: list[str]) -> list[str]:
    kinds = ("exited", "entered")
    return [item for item in said if wanted(target, kinds[int(item.rpartition(":")[2]) % 2])]


def _by_customer(items: list[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for item in items:
        found[item.split(":")[1]].append(item)
    return found


async def kill_and_check(directory: Path, kills: int, seed: int) -> None:
    rng, receiver, said, ends = random.Random(seed), Receiver(seed), list[str](), asyncio.Event()
    with Embedded(directory) as embedded:
        store = Store.connect(embedded.url)
        feed = FeedWriter(store, PARTITIONS)
        await feed.own()
        server = await asyncio.start_server(receiver, "127.0.0.1", 0)
        children = Children(embedded.url, server.sockets[0].getsockname()[1], seed)
        await children.start()
        await children.start()
        loading = asyncio.create_task(_load(feed, said, ends, seed))
        try:
            for _ in range(kills):
                await asyncio.sleep(0.1 + rng.random() * 1.5)
                await children.kill()
            ends.set()
            await loading
            until = time.monotonic() + DEADLINE_S
            while _missing(said, receiver):
                assert time.monotonic() < until, f"{_missing(said, receiver)} of {len(said)} transitions are missing"
                await asyncio.sleep(0.1)
        finally:
            ends.set()
            await asyncio.gather(loading, return_exceptions=True)
            await children.close()
            server.close()
            await server.wait_closed()
            await store.close()
    _check(said, receiver, kills)


def _check(said: list[str], receiver: Receiver, kills: int) -> None:
    assert len(said) > 20 * kills
    assert receiver.refused > 0
    for name in NAMES:
        items = [item for item, _ in receiver.taken[name]]
        firsts = list(dict.fromkeys(items))
        assert _by_customer(firsts) == _by_customer(_expected(name, said)), name
        assert {key for _, key in receiver.taken[name]} == {f"{name}:{item}" for item in firsts}
        assert len(items) < 2 * len(firsts) + 100 * kills, "few come twice"


async def test_no_transition_is_lost_when_workers_are_killed(tmp_path: Path) -> None:
    await kill_and_check(tmp_path / "data", kills=3, seed=1)


@pytest.mark.long
async def test_no_transition_is_lost_when_workers_are_killed_thirty_times(tmp_path: Path) -> None:
    await kill_and_check(tmp_path / "data", kills=30, seed=2)
