"""Round trips shared: what several partitions ask of the store at about the same time goes in one pipeline.

A round trip costs the same whatever it carries, and a process has many partitions. While a round lasts, requests wait
until everybody who takes part has asked for something or is done, but no longer than WAIT_S for who computes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from redis.asyncio.client import PubSub

from consumers.state.store import Argument, Run, Script, Store
from consumers.state.store_node import Command

WAIT_S = 0.02


class _Asked(NamedTuple):
    what: Sequence[Run] | Sequence[Command]
    how: Callable[[list[Any]], Coroutine[Any, Any, list[Any]]]
    answer: asyncio.Future[list[Any]]


class Together(Store):
    """The store for who takes part in rounds; outside of one it is the store itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._active = 0  # who takes part and is not done
        self._waiting: list[_Asked] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def round(self, works: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Do all of it side by side; the first error is raised when all have ended."""
        if len(works) == 1:
            await works[0]
            return
        self._active += len(works)
        results = await asyncio.gather(*map(self._take_part, works), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _take_part(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self._active -= 1
            self._look()

    async def call(self, *command: Argument) -> Any:
        (answer,) = await self.calls([command])
        return answer

    async def calls(self, commands: Sequence[Command]) -> list[Any]:
        if self._active < 2:
            return await self._store.calls(commands)
        return await self._ask(commands, self._store.call_each)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        if self._active < 2:
            return await self._store.run(script, keys, args)
        (answer,) = await self._ask([Run(script, keys, args)], self._store.run_each)
        return answer

    async def run_durably(self, runs: Sequence[Run]) -> list[Any]:
        if self._active < 2:
            return await self._store.run_durably(runs)
        return await self._ask(runs, self._store.run_each_durably)

    async def on_every(self, *command: Argument) -> list[tuple[str, Any]]:
        return await self._store.on_every(*command)

    async def is_cluster(self) -> bool:
        return await self._store.is_cluster()

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator[PubSub]:
        async with self._store.subscription() as subscription:
            yield subscription

    async def close(self) -> None:
        """Nothing: the store is closed by whoever opened it."""

    # -- gathering ----------------------------------------------------------------------------------------------------

    async def _ask(self, what: Any, how: Any) -> list[Any]:
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(what, how, answer))
        self._look()
        return await answer

    def _look(self) -> None:
        """Send what waits if nobody else is expected to ask; else see to it that nobody waits for long."""
        if not self._waiting:
            return
        if len(self._waiting) >= self._active:
            self._send()
        elif self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(WAIT_S, self._send)

    def _send(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        waiting, self._waiting = self._waiting, []
        for how in dict.fromkeys(asked.how for asked in waiting):
            task = asyncio.get_running_loop().create_task(_send([asked for asked in waiting if asked.how == how], how))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)


async def _send(asked: Sequence[_Asked], how: Callable[[list[Any]], Coroutine[Any, Any, list[Any]]]) -> None:
    """One pipeline; everybody gets the answers to what they asked, or the first error among these."""
    try:
        answers = await how([one for each in asked for one in each.what])
    except BaseException as error:
        for each in asked:
            if not each.answer.done():
                each.answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
        if not isinstance(error, Exception):
            raise
        return
    at = 0
    for each in asked:
        mine = answers[at : at + len(each.what)]
        at += len(each.what)
        wrong = next((answer for answer in mine if isinstance(answer, Exception)), None)
        if each.answer.done():
            continue
        if wrong is not None:
            each.answer.set_exception(wrong)
        else:
            each.answer.set_result(mine)
