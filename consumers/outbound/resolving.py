"""From a host's name to the addresses it leads to: asked once a connection, all of them checked, in threads of its own.

A name server that never answers holds one thread a name, not all that the process has.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from consumers.outbound.addresses import Address, Allowed, is_public
from consumers.outbound.errors import OutboundFailed, OutboundRefused
from consumers.outbound.urls import Target, parse

Resolve = Callable[[str], Sequence[str]]
"""A name to its addresses, as text; blocks, and raises OSError."""

_THREADS = 32
_ADDRESSES_MAX = 16  # of one name, that are tried


def resolve(name: str) -> Sequence[str]:
    """By the machine's own resolver."""
    found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found))


class Resolver:
    """Addresses that may be called. `resolve` is another one in tests."""

    def __init__(self, allowed: Allowed, resolve: Resolve = resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolve")
        self._asked: dict[str, asyncio.Future[Sequence[str]]] = {}

    async def addresses(self, url: str) -> tuple[Target, list[Address]]:
        """What the URL says, and where to connect to: every address it leads to is allowed, or it is refused whole.

        Raises OutboundRefused, OutboundFailed (the name is not known, or nobody answers what it means).
        """
        target = parse(url)
        found = [target.address] if target.address is not None else await self._look_up(target)
        self.check(target, found)
        return target, found

    def check(self, target: Target, addresses: Sequence[Address]) -> None:
        """Raises OutboundRefused unless all of them may be called."""
        if self._allowed.names(target.host):
            return
        besides = all(self._allowed.holds(address) for address in addresses)
        if besides:
            return
        if target.local_name or not all(is_public(each) or self._allowed.holds(each) for each in addresses):
            raise OutboundRefused("this host is not on the public internet, and `outbound_allow` does not name it")
        if target.scheme != "https":
            raise OutboundRefused("use https:// (http:// is only for what `outbound_allow` names)")
        if not target.usual_port:
            raise OutboundRefused(f"port {target.port} is another service's; use 443, or one that is free")

    async def _look_up(self, target: Target) -> list[Address]:
        asked = self._asked.get(target.host)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._resolve, target.host)
            self._asked[target.host] = asked
            asked.add_done_callback(lambda done: self._answered(target.host, done))
        try:
            texts = await asyncio.shield(asked)
        except (OSError, UnicodeError) as error:
            if target.local_name and not self._allowed.any:
                raise OutboundRefused("nobody on the public internet can have this host name") from error
            raise OutboundFailed("the host's name is not known") from error
        if not texts:
            raise OutboundFailed("the host's name has no address")
        return [_address(text) for text in texts][:_ADDRESSES_MAX]

    def _answered(self, host: str, done: asyncio.Future[Sequence[str]]) -> None:
        del self._asked[host]
        if not done.cancelled():
            done.exception()  # whoever waited has it; nobody may be left to

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise OutboundRefused("the host's name leads to what is no address") from error
