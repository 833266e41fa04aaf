"""Kafka clients that are opened when needed, and what a broker that fails looks like to the rest of the service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalArgumentError, IllegalStateError, KafkaConnectionError, KafkaError

from consumers.log.kafka.hush import hush
from consumers.log.kafka.settings import KafkaSettings
from rules.errors import Unavailable

STOP_S = 2.0  # to say goodbye; who does not answer by then is left
_LEAVE_S = 1.0

Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer)


@contextlib.contextmanager
def broker_errors(settings: KafkaSettings, doing: str) -> Iterator[None]:
    """What goes wrong with the brokers becomes Unavailable, which names them and what was `doing`; a mistake of this
    program's stays what it is."""
    try:
        yield
    except (IllegalStateError, IllegalArgumentError):
        raise
    except (KafkaError, OSError, TimeoutError) as error:
        raise unavailable(settings, doing, error) from error


def unavailable(settings: KafkaSettings, doing: str, error: BaseException | str) -> Unavailable:
    """`error` as an Unavailable that says where and what, without secrets and without anybody's data."""
    if isinstance(error, TimeoutError):
        reason = "no answer in time"
    elif isinstance(error, KafkaConnectionError):
        reason = "no broker could be reached (the log's lines of aiokafka say why)"
    elif isinstance(error, KafkaError):
        reason = type(error).__name__  # its text may quote records
    elif isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
    else:
        reason = str(error)
    return Unavailable(f"Kafka ({settings.bootstrap_servers}): {doing}: {reason}")


class Opened(Generic[Client]):
    """One client, opened at the first `get`, and again at the first `get` after a `drop`.

    Opening goes on when whoever waits for it gives up (a cancelled read), so that nothing is left half open.
    """

    def __init__(self, settings: KafkaSettings, what: str, make: Callable[[], Client]) -> None:
        hush()
        self._settings, self._what, self._make = settings, what, make
        self._opening: asyncio.Task[Client] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self, seconds: float) -> Client:
        """The client, connected. Raises Unavailable, at the latest after `seconds`."""
        if self._opening is None or _failed(self._opening):
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(_failed)  # nobody may be waiting by then
        with broker_errors(self._settings, self._what):
            async with asyncio.timeout(seconds):  # `wait_for` of Python 3.11 may swallow a cancellation
                return await asyncio.shield(self._opening)

    async def _open(self) -> Client:
        client = self._make()
        try:
            await client.start()
        except BaseException:
            await stop(client)
            raise
        return client

    def drop(self, only: Client | None = None) -> None:
        """Let go of the client (with `only`: if it still is that one), whatever its state. It is closed meanwhile."""
        opening = self._opening
        if opening is not None and (only is None or (_opened(opening) and opening.result() is only)):
            self._opening = None
            closing = asyncio.create_task(_stop_opened(opening))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        self.drop()
        if self._closing:
            await asyncio.wait(self._closing)


def _opened(task: asyncio.Task[Any]) -> bool:
    return task.done() and not _failed(task)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _stop_opened(opening: asyncio.Task[Any]) -> None:
    if not opening.done():
        opening.cancel()
    with contextlib.suppress(asyncio.CancelledError, KafkaError, OSError, TimeoutError):
        await stop(await opening)


async def stop(client: Any) -> None:
    """Close a consumer or producer within STOP_S, also when no broker answers any more.

    aiokafka's own `stop` waits for what is still to be sent or answered, without an end while the brokers are away.
    """
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait({stopping}, timeout=STOP_S)
    if not stopping.done():
        if isinstance(client, AIOKafkaProducer):
            _give_up(client)
            await asyncio.wait({stopping}, timeout=_LEAVE_S)
        stopping.cancel()
        await asyncio.wait({stopping}, timeout=_LEAVE_S)
        await _cut_off(client)
    if stopping.done() and not stopping.cancelled():
        stopping.exception()  # it is closed either way, and everything that mattered was acknowledged before


def _give_up(producer: AIOKafkaProducer) -> None:
    """Fail what is still to be sent: its `stop` waits for that."""
    accumulator = producer._message_accumulator
    accumulator.fail_all(KafkaError("closed"))
    for batches in accumulator._batches.values():
        for batch in batches:
            if batch._drain_waiter.done():
                batch._drain_waiter.exception()  # nobody else looks at it


async def _cut_off(client: Any) -> None:
    """What a cancelled `stop` has left: the fetching task and the connections."""
    fetcher = getattr(client, "_fetcher", None)
    connections = client.client if isinstance(client, AIOKafkaProducer) else client._client
    for each in (fetcher, connections):
        if each is not None:
            closing = asyncio.create_task(each.close())
            await asyncio.wait({closing}, timeout=_LEAVE_S)
            closing.cancel()


@contextlib.asynccontextmanager
async def admin(settings: KafkaSettings, doing: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that makes and describes topics. What fails inside, while `doing` that, is Unavailable."""
    hush()
    client = AIOKafkaAdminClient(**settings.connection("admin"))
    try:
        with broker_errors(settings, doing):
            await client.start()
            yield client
    finally:
        await client.close()
