"""The client for calls to addresses that others chose: no detours, no endless answers, no waiting past the time given.

It follows no redirects, unpacks nothing, keeps no cookies and asks no proxy. A connection is kept for further calls to
the same host and port; each new one resolves and checks anew (`resolving.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpcore2

from consumers.outbound.addresses import Allowed
from consumers.outbound.errors import OutboundFailed, OutboundRefused
from consumers.outbound.network import Attempt, CheckedNetwork, attempt
from consumers.outbound.resolving import Resolve, Resolver, resolve
from consumers.outbound.urls import Target, parse

KIB = 1024
HEADER_BYTES_MAX = 32 * KIB
HEADERS_MAX = 200
_OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "trailer", "upgrade"}
_IDLE_S = 20.0  # that a connection is kept without use: less than servers and balancers keep it
_IDLE_MAX = 32  # of one host
_TRIES_MAX = 3  # where a connection that was kept turns out to be closed


class Answer(NamedTuple):
    """What came back. `headers` by their names in lower case (the same one twice: joined by `, `); `body` as sent, cut
    at the bound (`cut` says so)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


class Outbound:
    """One for a process. `allow`: networks and host names beside the public internet; `ca_file`: further authorities
    (PEM) whose certificates stand. Raises ValueError for an `allow` that says nothing, OSError for a bad `ca_file`."""

    def __init__(
        self,
        allow: Sequence[str] = (),
        timeout_s: float = 15.0,
        answer_bytes_max: int = 64 * KIB,
        *,
        ca_file: Path | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._timeout_s = timeout_s
        self._answer_bytes_max = answer_bytes_max
        self._resolver = Resolver(Allowed(allow), resolve)
        self._tls = httpcore2.default_ssl_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._network = CheckedNetwork(self._resolver)
        self._pools: dict[tuple[str, str, int], _Pool] = {}
        self._swept_at = 0.0

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float | None = None,
        answer_bytes_max: int | None = None,
    ) -> Answer:
        """One call; `timeout_s` is for all of it, from the name's look-up to the answer's last byte.

        Raises OutboundRefused, OutboundFailed. Redirects are answers (3xx).
        """
        target = parse(url)
        request = _request(method, target, headers, body)
        most = self._answer_bytes_max if answer_bytes_max is None else answer_bytes_max
        seconds = self._timeout_s if timeout_s is None else timeout_s
        pool = await self._pool(target)
        pool.open += 1
        try:
            async with asyncio.timeout(seconds):
                return await _called(pool.connections, request, url, most)
        except TimeoutError as error:
            raise OutboundFailed(f"no whole answer within {seconds:g} s") from error
        finally:
            pool.open -= 1
            pool.used_at = asyncio.get_running_loop().time()

    async def close(self) -> None:
        """Closes what is open; calls under way fail."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.connections.aclose()
        self._resolver.close()

    async def _pool(self, target: Target) -> _Pool:
        await self._sweep()
        key = (target.scheme, target.host, target.port)
        if key not in self._pools:
            self._pools[key] = _Pool(
                httpcore2.AsyncConnectionPool(
                    ssl_context=self._tls,
                    max_connections=None,  # how many calls are open at once is the caller's to say
                    max_keepalive_connections=_IDLE_MAX,
                    keepalive_expiry=_IDLE_S,
                    network_backend=self._network,
                )
            )
        return self._pools[key]

    async def _sweep(self) -> None:
        """Lets go of the connections of hosts that are not called any more."""
        now = asyncio.get_running_loop().time()
        if now - self._swept_at < _IDLE_S:
            return
        self._swept_at = now
        idle = [key for key, pool in self._pools.items() if not pool.open and now - pool.used_at > _IDLE_S]
        for connections in [self._pools.pop(key).connections for key in idle]:
            await connections.aclose()


class _Pool:
    """The connections to one host and port: one host's many take no time of the others'."""

    __slots__ = ("connections", "open", "used_at")

    def __init__(self, connections: httpcore2.AsyncConnectionPool) -> None:
        self.connections = connections
        self.open = 0
        self.used_at = asyncio.get_running_loop().time()


def _request(method: str, target: Target, headers: Mapping[str, str], body: bytes | None) -> httpcore2.Request:
    fields = [(b"host", target.authority.encode("ascii")), (b"accept-encoding", b"identity")]
    for name, value in headers.items():
        if name.lower() in _OURS:
            raise OutboundRefused(f"the header {name} is not to be chosen")
        if not value.isascii() or not value.isprintable():
            raise OutboundRefused(f"the header {name} has characters that no header has")
        fields.append((name.encode("ascii", "replace"), value.encode("ascii")))
    if body is not None or method not in ("GET", "HEAD"):
        fields.append((b"content-length", str(len(body or b"")).encode()))
    url = httpcore2.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    return httpcore2.Request(method, url, headers=fields, content=body)


async def _called(
    connections: httpcore2.AsyncConnectionPool, request: httpcore2.Request, url: str, most: int
) -> Answer:
    """The answer; again where a connection that was kept had been closed meanwhile, as any server may at any time."""
    for left in reversed(range(_TRIES_MAX)):
        current = Attempt(url)
        token = attempt.set(current)
        try:
            response = await connections.handle_async_request(request)
        except (httpcore2.ReadError, httpcore2.RemoteProtocolError) as error:
            if current.connected or not left:
                raise OutboundFailed("the connection broke before an answer, or the answer is no HTTP") from error
            continue
        except _BROKEN as error:
            raise OutboundFailed("the connection broke") from error
        except httpcore2.LocalProtocolError as error:
            raise OutboundRefused("the method or a header is no HTTP") from error
        finally:
            attempt.reset(token)
        return await _read(response, most)
    raise AssertionError("the last try answers or raises")


_BROKEN = (httpcore2.NetworkError, httpcore2.TimeoutException, ssl.SSLError, OSError)


async def _read(response: httpcore2.Response, most: int) -> Answer:
    """Takes what is wanted of an answer and closes it; one that goes on past the bound loses its connection."""
    body = bytearray()
    cut = False
    try:
        _check_headers(response)
        async with contextlib.aclosing(response.aiter_stream()) as parts:
            async for part in parts:
                cut = len(body) + len(part) > most
                body += part[: most - len(body)]
                if cut:
                    break
    except (httpcore2.ProtocolError, *_BROKEN) as error:
        raise OutboundFailed("the answer broke off") from error
    finally:
        await response.aclose()
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(response.status, headers, bytes(body), cut)


def _check_headers(response: httpcore2.Response) -> None:
    size = sum(len(name) + len(value) for name, value in response.headers)
    if size > HEADER_BYTES_MAX or len(response.headers) > HEADERS_MAX:
        raise OutboundFailed("the answer's headers are more than we read")
