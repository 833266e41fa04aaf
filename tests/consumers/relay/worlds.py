"""Processes with a relay over one real store and one topic: take partitions over, commit, crash, be rolled back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from consumers.clock import SYSTEM_CLOCK
from consumers.relay.port import Outlet, Place
from consumers.relay.relay import Relay
from consumers.relay.settings import Settings
from consumers.relay.takeover import Recovery
from consumers.state.commit import Commit, Meta, apply, take_over
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from tests.consumers.relay.memory_outlet import MemoryOutlet, MemoryTopic

SECONDS = 30.0
QUICK = Settings(gather_ms=1)


class Crashed(BaseException):
    """The process ends here."""


def transition(name: str, text: str = "") -> bytes:
    """The transition `vip:<name>:1` of the customer `<name>`."""
    return orjson.dumps({"id": f"vip:{name}:1", "subject": name, "data": {"text": text}})


def names(values: Sequence[bytes]) -> list[str]:
    return [orjson.loads(value)["subject"] for value in values]


async def until(holds: Callable[[], bool | Awaitable[bool]], what: str = "") -> None:
    """Poll, with a deadline."""
    deadline = SYSTEM_CLOCK.monotonic() + SECONDS
    while True:
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        if SYSTEM_CLOCK.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.005)


class Process:
    """An evaluator as far as a relay sees one."""

    def __init__(self, store: Store, outlet: Outlet, settings: Settings = QUICK) -> None:
        self.store, self.outlet = store, outlet
        self.relay = Relay(outlet, store, SYSTEM_CLOCK, settings)
        self.metas: dict[int, Meta] = {}
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> Process:
        await self.relay.open()
        self.task = asyncio.create_task(self.relay.run())
        return self

    async def take(self, partition: int = 0) -> Recovery | None:
        """(T1) to (T4)."""
        meta = await self.raise_epoch(partition)
        recovery = await self.relay.take(partition, meta, meta.epoch)
        self.metas[partition] = await read_meta(self.store, partition)
        return recovery

    async def raise_epoch(self, partition: int = 0) -> Meta:
        return await take_over(
            self.store, PartitionKeys(partition), self.outlet.name, 1000, force=True, relay=self.relay.name
        )

    async def commit(self, *said: str, partition: int = 0, offer: bool = True, text: str = "") -> None:
        """A commit that read one record; `said`: whose transitions it made."""
        meta = self.metas[partition]
        transitions = [transition(name, text) for name in said]
        position = meta.position + 1
        commit = Commit(
            epoch=meta.epoch,
            commit=meta.commit + 1,
            token=f"{self.outlet.name}:{meta.commit}",
            position=position,
            clock=position,
            numbered=meta.numbered,
            edition=0,
            cursor="",
            profiles={},
            members={},
            timers={},
            timers_off=[],
            judged={},
            transitions=transitions,
            dead=[],
            definitions=None,
        )
        await apply(self.store, PartitionKeys(partition), commit)
        meta.commit, meta.position, meta.numbered = commit.commit, position, meta.numbered + len(transitions)
        if offer:
            self.relay.offer(partition, commit.commit, position, transitions)

    async def published(self, *partitions: int) -> None:
        """Wait until all that was committed is."""
        await until(lambda: not any(self.relay.backlog(each) for each in partitions or self.metas), "publishing")

    async def ended(self) -> BaseException | None:
        """Wait until the relay's task has ended by itself; with what."""
        assert self.task is not None
        await asyncio.wait({self.task}, timeout=SECONDS)
        return self.task.exception()

    async def kill(self) -> None:
        """As a crash: nothing is said to anybody."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task}, timeout=SECONDS)
            assert self.task.done(), "a cancelled relay ends"

    async def stop(self) -> None:
        await self.relay.close()
        await self.kill()


async def read_meta(store: Store, partition: int = 0) -> Meta:
    return Meta.parse(await store.call("HGETALL", PartitionKeys(partition).meta))


class Snapshot:
    """Everything that the store holds, to be put back: as a fail-over to a replica that lags does."""

    def __init__(self, store: Store, dumps: dict[bytes, bytes]) -> None:
        self._store, self._dumps = store, dumps

    @classmethod
    async def of(cls, store: Store) -> Snapshot:
        keys = await store.call("KEYS", "*")
        return cls(store, {key: await store.call("DUMP", key) for key in keys})

    async def restore(self) -> None:
        await self._store.call("FLUSHALL")
        for key, dump in self._dumps.items():
            await self._store.call("RESTORE", key, 0, dump)


class World:
    """One store, one topic in memory."""

    def __init__(self, store: Store, partitions: int = 2) -> None:
        self.store = store
        self.topic = MemoryTopic(partitions)
        self.processes: list[Process] = []

    async def process(self, name: str, settings: Settings = QUICK) -> Process:
        process = Process(self.store, MemoryOutlet(self.topic, name), settings)
        self.processes.append(process)
        return await process.start()

    def seen(self, partition: int = 0) -> list[str]:
        """Whose transitions a read-committed reader sees; their running numbers have no gap."""
        outgoing: list[Any] = [entry.outgoing for entry in self.topic.committed(partition)]
        numbers = [each.place.number for each in outgoing]
        first = numbers[0] if numbers else 1
        assert numbers == list(range(first, first + len(numbers))), numbers
        assert [each.key.decode() for each in outgoing] == names([each.value for each in outgoing])
        return names([each.value for each in outgoing])

    def places(self, partition: int = 0) -> list[Place]:
        return [entry.outgoing.place for entry in self.topic.committed(partition) if entry.outgoing is not None]

    async def close(self) -> None:
        for process in self.processes:
            with contextlib.suppress(Exception):
                await process.kill()
