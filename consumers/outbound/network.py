"""How connections are made for `httpcore2`: to the addresses that were checked, and to no others.

The library asks for a host and a port and brings TLS itself, with the host as server name; only where bytes go is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore2

from consumers.outbound.addresses import Address
from consumers.outbound.errors import OutboundFailed
from consumers.outbound.resolving import Resolver

_ADDRESS_TIMEOUT_S = 5.0  # for one of several addresses; the request's own time bounds them all
_TOGETHER_BYTES_MAX = 64 * 1024


class Attempt:
    """One try of a request: its URL, and whether it had to connect or found a connection open."""

    __slots__ = ("connected", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.connected = False


attempt: ContextVar[Attempt] = ContextVar("attempt")
"""The library hands a connection's maker no request; the task that makes it is the request's own."""


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Resolves, checks and connects anew for every connection."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        current = attempt.get()
        current.connected = True
        target, addresses = await self._resolver.addresses(current.url)
        assert (target.host, target.port) == (host, port), "the library asks for what the URL says"
        return Stream(await _connect(addresses, port))


async def _connect(addresses: list[Address], port: int) -> socket.socket:
    """A socket connected to the first address that takes it. Raises OutboundFailed."""
    last: Exception | None = None
    for address in addresses:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        connection: socket.socket | None = None
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(_ADDRESS_TIMEOUT_S if len(addresses) > 1 else None):
                await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
            return connection
        except OSError as error:  # a TimeoutError is one
            last = error
            if connection is not None:
                connection.close()
        except BaseException:
            if connection is not None:
                connection.close()
            raise
    raise OutboundFailed("the host takes no connection") from last


class Stream(httpcore2.AsyncNetworkStream):
    """A connected socket. Bytes flow once it is known whether they are encrypted, and leave when an answer is wanted.
    Time is bounded by whoever asks."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._unsent = b""

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            self._reader, self._writer = await asyncio.open_connection(
                sock=self._connection, ssl=ssl_context, server_hostname=server_hostname
            )
        except ssl.SSLCertVerificationError as error:
            raise OutboundFailed(f"the host's certificate does not stand: {error.verify_message}") from error
        except (ssl.SSLError, OSError) as error:
            raise OutboundFailed("the host does not speak TLS with us") from error
        finally:
            if self._writer is None:
                self._connection.close()
        return self

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        reader, _ = await self._open()
        with contextlib.suppress(httpcore2.WriteError):  # who closes early may have said why
            await self._flush()
        try:
            return await reader.read(max_bytes)
        except OSError as error:
            raise httpcore2.ReadError("the connection broke") from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent += buffer  # headers and a small body leave together: one packet, one call of the kernel
        if len(self._unsent) >= _TOGETHER_BYTES_MAX:
            await self._flush()

    async def _flush(self) -> None:
        if not self._unsent:
            return
        _, writer = await self._open()
        unsent, self._unsent = self._unsent, b""
        try:
            writer.write(unsent)
            await writer.drain()
        except OSError as error:
            raise httpcore2.WriteError("the connection broke") from error

    async def aclose(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()  # nothing of ours is left to send, and no farewell is waited for
        self._connection.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # an idle connection with something to read is at its end, or not to be trusted
            return self._reader is not None and (self._reader.at_eof() or self._writer_closing())
        return self._writer.get_extra_info(info) if self._writer is not None else None

    def _writer_closing(self) -> bool:
        return self._writer is not None and self._writer.is_closing()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(sock=self._connection)
        return self._reader, self._writer
