"""The servers: a Kafka broker (or the one KAFKA_BOOTSTRAP_SERVERS names) and a Valkey reached over TCP, as deployed."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from consumers.embedded import Embedded
from consumers.state.store import Store
from tests.kafka import ADDRESS, Broker

Fsync = Literal["everysec", "always"]
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Machine:
    """`store`: a client of the benchmark's own."""

    bootstrap: str
    store_url: str
    store_pid: int
    store: Store

    def store_cpu_s(self) -> float:
        """What Valkey has used of the CPU so far, in seconds, all its threads."""
        fields = Path(f"/proc/{self.store_pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND

    async def empty_store(self, fsync: Fsync = "everysec") -> None:
        """As a newly started server with this setting. Its file is not rewritten meanwhile: that would be anybody's."""
        await self.store.call("FLUSHALL")
        await self.store.call("CONFIG", "SET", "appendfsync", fsync)

    async def used_memory(self) -> int:
        """Bytes, by the server's own account."""
        info: bytes = await self.store.call("INFO", "memory")
        return int(info.split(b"used_memory:")[1].split(b"\r\n")[0])


@contextlib.asynccontextmanager
async def machine() -> AsyncIterator[Machine]:
    """Both servers, on directories that are gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="segmentd-bench-") as directory,
        _broker(Path(directory)) as bootstrap,
        Embedded(Path(directory) / "valkey") as embedded,
    ):
        assert embedded.pid is not None
        url = await _by_network(embedded)
        store = Store.connect(url)
        try:
            yield Machine(bootstrap, url, embedded.pid, store)
        finally:
            await store.close()


async def _by_network(embedded: Embedded) -> str:
    """The server's URL on a port of loopback, with a deployed server's settings where the embedded one has others."""
    port = _free_port()
    local = Store.connect(embedded.url)
    for name, value in (("auto-aof-rewrite-percentage", "0"), ("hz", "10"), ("bind", "127.0.0.1"), ("port", str(port))):
        await local.call("CONFIG", "SET", name, value)
    await local.close()
    return f"redis://127.0.0.1:{port}"


@contextlib.contextmanager
def _broker(directory: Path) -> Iterator[str]:
    if address := os.environ.get(ADDRESS):
        yield address
        return
    broker = Broker(directory / "kafka")
    try:
        yield broker.start()
    finally:
        broker.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unique(what: str) -> str:
    """A name for a topic or a group that nobody else has on a shared broker."""
    return f"bench-{what}-{uuid.uuid4().hex[:8]}"
