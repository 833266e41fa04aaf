"""The Redis protocol as the service uses it: raw replies, scripts, durable writes, and errors that say "wait".

One server, the master that Sentinels name, or a cluster (`store_url` says how a URL names them): callers don't see.
**Nothing is ever sent twice by itself**, but what a server refused without doing any of it (NOSCRIPT, MOVED, ASK).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, NamedTuple, Self

from redis.asyncio.client import PubSub
from redis.exceptions import AskError, MovedError, NoScriptError

from consumers.state.store_node import Argument, Command, Node, is_elsewhere, must_wait, waits
from consumers.state.store_routes import Cluster, Routes, find_routes, slot_of_command
from consumers.state.store_url import Target, read_url
from rules.errors import Unavailable

__all__ = ["BLOCK_MS_MAX", "DURABLE_MS_MAX", "Argument", "Run", "Script", "Store"]

BLOCK_MS_MAX = 5_000
DURABLE_MS_MAX = 5_000
_REDIRECTS_MAX = 5  # of one command: while slots move, one or two are usual


class Script:
    """A Lua script: its source is the `.lua` file of that name in `package`."""

    def __init__(self, name: str, package: str = "consumers.state") -> None:
        self.source = resources.files(package).joinpath(f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class Run(NamedTuple):
    """A call of a script. `keys` are all it touches, in one slot."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]


class Store:
    """The server or servers. Calls raise Unavailable when the same may succeed later (what was asked may then have been
    done all the same), and `redis.ResponseError` when it is a mistake."""

    def __init__(self, target: Target, connections_max: int = 64, replicas_ack: int = 0) -> None:
        self._target, self._connections_max = target, connections_max
        self.replicas_ack = replicas_ack
        self.forgets = False
        """Set where the server keeps no append-only file, and need not: then only replicas are waited for."""
        self._routes: Routes | None = None
        self._finding = asyncio.Lock()

    @classmethod
    def connect(cls, url: str, connections_max: int = 64, replicas_ack: int = 0) -> Self:
        """A store at a URL (see `store_url`); connects on first use. ValueError: what is wrong with the URL.

        `connections_max`: to one server. `replicas_ack`: how many replicas must have a write on their disks as well
        before it counts as durable; with 0 a fail-over rolls the store back by what was not replicated yet.
        """
        return cls(read_url(url), connections_max, replicas_ack)

    async def call(self, *command: Argument) -> Any:
        """One command."""
        (answer,) = await self.calls([command])
        return answer

    async def calls(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands in one round trip (to each server concerned), not atomic; the first error is raised."""
        return self._checked(await self._deliver(commands, durably=False))

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """A script, atomically."""
        (answer,) = self._checked(await self._run([Run(script, keys, args)], durably=False))
        return answer

    async def run_durably(self, runs: Sequence[Run]) -> list[Any]:
        """Scripts in one round trip (each atomic by itself), back when all they wrote is on disk.

        Raises Unavailable when that could not be had; what they wrote may then stand all the same.
        """
        return self._checked(await self._run(runs, durably=True))

    async def call_each(self, commands: Sequence[Command]) -> list[Any]:
        """Commands of several askers in one round trip: each one's answer, or the error that it alone raises."""
        return [self._told(answer) for answer in await self._deliver(commands, durably=False)]

    async def run_each(self, runs: Sequence[Run]) -> list[Any]:
        """The same for scripts."""
        return [self._told(answer) for answer in await self._run(runs, durably=False)]

    async def run_each_durably(self, runs: Sequence[Run]) -> list[Any]:
        """The same, back when all they wrote is on disk."""
        return [self._told(answer) for answer in await self._run(runs, durably=True)]

    async def on_every(self, *command: Argument) -> list[tuple[str, Any]]:
        """A command that concerns a server, not a key, on every one that holds data: its address and its answer."""
        routes = await self._ready()
        nodes = await routes.every()
        answers = await _all([self._exchange(routes, node, [command], durably=False) for node in nodes])
        return [(str(node.address), self._checked(each)[0]) for node, each in zip(nodes, answers, strict=True)]

    async def is_cluster(self) -> bool:
        """Whether keys of different slots are at different servers."""
        return (await self._ready()).clustered

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator[PubSub]:
        """A new subscription, on a connection of its own (in a cluster any node tells what all say)."""
        node = await (await self._ready()).node(None)
        async with node.subscription() as subscription:
            yield subscription

    async def close(self) -> None:
        routes, self._routes = self._routes, None
        if routes is not None:
            await routes.close()

    async def _ready(self) -> Routes:
        if self._routes is None:
            async with self._finding:
                if self._routes is None:
                    self._routes = await find_routes(self._target, self._connections_max)
        return self._routes

    def _checked(self, answers: list[Any]) -> list[Any]:
        """The answers, if none is an error."""
        for answer in answers:
            if isinstance(answer, Exception):
                told = self._told(answer)
                raise told from (answer if told is not answer else None)
        return answers

    def _told(self, answer: Any) -> Any:
        """An answer; an error as the one to raise."""
        if isinstance(answer, Exception):
            if is_elsewhere(answer) and self._routes is not None:
                self._routes.doubt()
            return must_wait(answer) if waits(answer) else answer
        return answer

    async def _run(self, runs: Sequence[Run], durably: bool) -> list[Any]:
        """By their hashes; in full those that the server doesn't know (it then does)."""
        answers = await self._deliver([_command(run, "EVALSHA", run.script.sha) for run in runs], durably)
        unknown = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = [_command(runs[at], "EVAL", runs[at].script.source) for at in unknown]
            for at, answer in zip(unknown, await self._deliver(again, durably), strict=True):
                answers[at] = answer
        return answers

    async def _deliver(self, commands: Sequence[Command], durably: bool) -> list[Any]:
        """Every command's answer, or the error that it alone met. Raises Unavailable when none could be delivered."""
        if not commands:
            return []
        routes = await self._ready()
        if isinstance(routes, Cluster):
            return await self._scatter(routes, commands, durably)
        return await self._exchange(routes, await routes.node(None), commands, durably)

    async def _scatter(self, routes: Cluster, commands: Sequence[Command], durably: bool) -> list[Any]:
        """Each command to the node that has its slot; those of a node in one round trip, in their order. A node that is
        away concerns its own commands only."""
        answers: list[Any] = [Unavailable("slots of the cluster keep moving")] * len(commands)
        slots = [slot_of_command(command) for command in commands]
        redirected: dict[int, tuple[AskError, Node]] = {}

        async def fill(node: Node, mine: Sequence[int], asking: bool = False) -> None:
            try:
                some = await self._exchange(routes, node, [commands[at] for at in mine], durably, asking)
            except Unavailable as error:
                some = [error] * len(mine)
            for at, answer in zip(mine, some, strict=True):
                if isinstance(answer, AskError):
                    redirected[at] = answer, node
                else:
                    answers[at] = answer

        left: Iterable[int] = range(len(commands))
        for _ in range(_REDIRECTS_MAX):
            groups: dict[Node, list[int]] = {}
            for at in left:
                try:
                    groups.setdefault(await routes.node(slots[at]), []).append(at)
                except Unavailable as error:
                    answers[at] = error
            await _all([fill(node, mine) for node, mine in groups.items()])
            asks: dict[Node, list[int]] = {}
            for at, (answer, told_by) in list(redirected.items()):
                if not isinstance(answer, MovedError):
                    asks.setdefault(routes.at(routes.place(answer.host, answer.port, told_by)), []).append(at)
                    del redirected[at]
            await _all([fill(node, mine, asking=True) for node, mine in asks.items()])
            for answer, told_by in redirected.values():
                if isinstance(answer, MovedError):
                    routes.moved(answer, told_by)
            left = sorted(redirected)
            redirected.clear()
            if not left:
                break
        return answers

    async def _exchange(
        self, routes: Routes, node: Node, commands: Sequence[Command], durably: bool, asking: bool = False
    ) -> list[Any]:
        """On one connection, with what must stand on the same: before each the word that lets a node answer for a slot
        it is about to get, and at the end the wait for the disk."""
        line: list[Command] = []
        for command in commands:
            line += [("ASKING",), command] if asking else [command]
        if durably:
            line.append(self._wait())
        try:
            answers = await node.exchange(line)
        except Unavailable:
            routes.doubt()
            raise
        if durably:
            (synced,) = self._checked([answers.pop()])
            if self.forgets:
                synced = [1, synced]
            if synced[0] < 1:
                raise Unavailable("the store did not sync to its disk in time")
            if synced[1] < self.replicas_ack:
                raise Unavailable(f"{synced[1]} of {self.replicas_ack} replicas had it in time")
        return answers[1::2] if asking else answers

    def _wait(self) -> Command:
        """What answers when all that was written on its connection is durable."""
        if self.forgets:
            return ("WAIT", self.replicas_ack, DURABLE_MS_MAX)
        return ("WAITAOF", 1, self.replicas_ack, DURABLE_MS_MAX)


def _command(run: Run, name: str, script: Argument) -> Command:
    return (name, script, len(run.keys), *run.keys, *run.args)


async def _all(work: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All at once, each to its end; then the first error is raised."""
    if len(work) == 1:
        return [await work[0]]
    answers = await asyncio.gather(*work, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
