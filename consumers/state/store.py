"""One connection pool to the Redis protocol: raw replies, explicit timeouts, and errors that say "wait"."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
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
    """A Lua script: its source is the `.lua` file of that name in `package`."""

    def __init__(self, name: str, package: str = "consumers.state") -> None:
        self.source = resources.files(package).joinpath(f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class Run(NamedTuple):
    """A call of a script."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]


class Store:
    """The server. The client never resends by itself: whoever calls knows whether that is right."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    @classmethod
    def connect(cls, url: str, connections_max: int = 64) -> Store:
        """A store at `redis://…`, `rediss://…` or `unix:///path`; connects on first use."""
        pool = BlockingConnectionPool.from_url(  # who finds all of them taken waits for one
            url,
            protocol=2,
            max_connections=connections_max,
            timeout=ANSWER_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        client = Redis.from_pool(pool)
        client.response_callbacks.clear()  # replies as the server sent them, at no cost
        return cls(client)

    async def call(self, *command: Argument) -> Any:
        """One command. Raises Unavailable when the server is away, `redis.ResponseError` when it is a mistake."""
        try:
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            if _is_away(error):
                raise Unavailable(f"the store is away: {error}") from error
            raise

    async def calls(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Several commands in one round trip, not atomic; the first error is raised."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            answers = await pipeline.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return list(answers)
        except (RedisError, OSError) as error:
            if _is_away(error):
                raise Unavailable(f"the store is away: {error}") from error
            raise

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """A script, atomically. Loads it where the server doesn't know it (nothing ran in that case)."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            await self.call("SCRIPT", "LOAD", script.source)
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)

    async def run_durably(self, runs: Sequence[Run]) -> list[Any]:
        """Scripts in one round trip (each atomic by itself), back when all they wrote is on the server's disk.

        Raises Unavailable when that could not be had; what they wrote may then stand all the same.
        """
        try:
            return await self._run_durably(runs)
        except NoScriptError:  # a restarted server. Whatever did run may run again: see each caller
            for script in {run.script.sha: run.script for run in runs}.values():
                await self.call("SCRIPT", "LOAD", script.source)
            return await self._run_durably(runs)

    async def _run_durably(self, runs: Sequence[Run]) -> list[Any]:
        commands: list[Sequence[Argument]] = [
            ("EVALSHA", run.script.sha, len(run.keys), *run.keys, *run.args) for run in runs
        ]
        *answers, durable = await self.calls([*commands, ("WAITAOF", 1, 0, DURABLE_MS_MAX)])
        if durable[0] < 1:
            raise Unavailable("the store did not sync to its disk in time")
        return answers

    def subscription(self) -> PubSub:
        """A new subscription, on a connection of its own."""
        return self._client.pubsub(ignore_subscribe_messages=True)

    async def close(self) -> None:
        await self._client.aclose()


_WAIT = ("MISCONF", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED")
"""Answers that mean "not now" (a full disk, a long script, a fail-over), for which the client has no class."""


def _is_away(error: Exception) -> bool:
    """Whether to wait; otherwise it is a mistake of ours."""
    return isinstance(error, _AWAY) or (isinstance(error, ResponseError) and str(error).startswith(_WAIT))
