"""One connection pool to the Redis protocol: raw replies, explicit timeouts, and errors that say "wait"."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from rules.errors import Unavailable

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 15.0
"""Longer than any wait we ask of the server (`BLOCK_MS_MAX`, `DURABLE_MS_MAX`)."""
BLOCK_MS_MAX = 5_000
DURABLE_MS_MAX = 5_000

Argument = str | bytes | int
_AWAY = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, OSError)


class Script:
    """A Lua script of this package: its source is the `.lua` file of that name."""

    def __init__(self, name: str) -> None:
        self.source = resources.files(__package__).joinpath(f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class Store:
    """The server. The client never resends by itself: whoever calls knows whether that is right."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    @classmethod
    def connect(cls, url: str, connections_max: int = 64) -> Store:
        """A store at `redis://…`, `rediss://…` or `unix:///path`; connects on first use."""
        client = Redis.from_url(
            url,
            protocol=2,
            max_connections=connections_max,
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        client.response_callbacks.clear()  # replies as the server sent them, at no cost
        return cls(client)

    async def call(self, *command: Argument) -> Any:
        """One command. Raises Unavailable when the server is away, `redis.ResponseError` when it is a mistake."""
        try:
            return await self._client.execute_command(*command)
        except _AWAY as error:
            raise Unavailable(f"the store is away: {error}") from error

    async def calls(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Several commands in one round trip, not atomic; the first error is raised."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            return list(await pipeline.execute())
        except _AWAY as error:
            raise Unavailable(f"the store is away: {error}") from error

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """A script, atomically. Loads it where the server doesn't know it (nothing ran in that case)."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self.call("EVAL", script.source, len(keys), *keys, *args)

    async def durable(self) -> None:
        """Return when everything this process wrote before is on disk. Raises Unavailable when it can't be had.

        WAITAOF speaks of the connection's own last write, so what is to be durable must be on the same one: use
        `run_durably` or `calls` with `WAITAOF` for that; this is for what an earlier process wrote.
        """
        await self.calls([("PUBLISH", "sg:durable", ""), DURABLE])

    async def close(self) -> None:
        await self._client.aclose()


DURABLE: tuple[Argument, ...] = ("WAITAOF", 1, 0, DURABLE_MS_MAX)


def check_durable(answer: Any) -> None:
    """Raise Unavailable unless a `DURABLE` command's answer says that the server's own disk has it."""
    if isinstance(answer, ResponseError):
        raise answer
    if not answer or answer[0] < 1:
        raise Unavailable("the store did not sync to disk in time")
