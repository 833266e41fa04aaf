"""One process from start to end: settings, address, parts, the server, and a stop in which nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI
from pydantic import ValidationError

from consumers import failpoints
from rules.errors import SegmentdError
from service.app import create_app
from service.deliveries import make_worker
from service.guard import Process
from service.ops_app import create_ops_app
from service.server import Server
from service.settings import Settings
from service.wiring import Services, open_services

_STARTING_S = 0.01  # between two looks at whether the server listens
Beside = Callable[[Services, str], Coroutine[Any, Any, None]]
"""What runs beside the server, given the parts and the address; it is cancelled when the server ends."""


class CannotStart(SegmentdError):
    """The process cannot run like this; the message says what to change."""


def _variable(where: tuple[int | str, ...]) -> str:
    """The environment variable of a setting."""
    name = ".".join(map(str, where))
    return name if name.isupper() else f"SEGMENTD_{name.upper()}"


def settings_from(**overrides: Any) -> Settings:
    """The settings of the environment, with those of the command line (None: not given) over them."""
    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value is not None})
        if settings.failpoint:
            failpoints.kill_at(settings.failpoint)
        return settings
    except ValidationError as error:
        told = [f"{_variable(found['loc'])}: {found['msg']}" for found in error.errors()]
        raise CannotStart("the settings are wrong:\n" + "\n".join(told)) from None


def ops_settings(*, host: str | None, port: int | None) -> Settings:
    """The settings of a process that answers only to whoever operates it. Where no port is set it takes a free one, so
    that several run on one machine."""
    settings = settings_from(http_host=host, http_port=port)
    refuse_open_door(settings)
    return settings if "http_port" in settings.model_fields_set else settings.model_copy(update={"http_port": 0})


def refuse_open_door(settings: Settings) -> None:
    """Without tokens anybody who reaches the service may do everything: so only this machine may reach it."""
    if not settings.tokens and not is_loopback(settings.http_host):
        raise CannotStart(
            f"without tokens the service listens on loopback only, not on {settings.http_host}: set SEGMENTD_TOKENS "
            "(`token:ingest+read,other:manage`), or leave --host away"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """A socket bound to the address; raises CannotStart where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}; --port chooses another") from None
    return bound


def address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Signals:
    """SIGINT and SIGTERM mean: end well. Before and after the server's own time they are only remembered."""

    def __init__(self) -> None:
        self.asked = False

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    @contextlib.contextmanager
    def held(self) -> Iterator[Signals]:
        before = {number: signal.signal(number, self._remember) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(main: Callable[[Signals], Coroutine[Any, Any, bool]]) -> None:
    """Runs an asyncio main that answers whether all went well; exits with 1 otherwise."""
    with Signals().held() as signals:
        well = asyncio.run(main(signals))
    if not well:
        sys.exit(1)


async def serve(
    settings: Settings,
    signals: Signals,
    *,
    evaluate: bool,
    deliver: bool = False,
    prepare: Callable[[Services], Awaitable[None]] | None = None,
    beside: Sequence[Beside] = (),
    create: Callable[[Services], FastAPI] = create_app,
) -> bool:
    """The parts, opened, and the HTTP server over them until a signal or until `services.closing` is set.

    `evaluate`, `deliver`: what it does besides. `create`: what is answered over HTTP (`create_ops_app`: only what
    operators need). False if the evaluator or the deliveries ended by themselves. What goes wrong beside the server
    ends it, and is raised.
    """
    with contextlib.closing(listening(settings.http_host, settings.http_port)) as bound:
        services = await open_services(settings, evaluate=evaluate)
        try:
            services.start_evaluator()
            if prepare is not None:
                await prepare(services)
            if signals.asked:
                return True
            evaluating = services.start_evaluator()
            mains = [evaluating] if evaluating is not None else []
            if deliver:
                mains.append(services.start_deliveries(make_worker(services)))
            calls = [functools.partial(each, services) for each in beside]
            return await _serving(services, create(services), bound, calls, mains)
        finally:
            await services.close()


async def serve_ops(process: Process, signals: Signals, work: Callable[[str], Coroutine[Any, Any, None]]) -> bool:
    """`/healthz`, `/readyz` and `/metrics` of a process beside `work(url)`, until a signal or until it ends.

    At a signal `process.closing` is set: `work` then ends by itself, well, within `shutdown_seconds`, or is cancelled.
    False if it ended unasked; what it raises is raised.
    """
    with contextlib.closing(listening(process.settings.http_host, process.settings.http_port)) as bound:
        if signals.asked:
            return True
        working: asyncio.Task[None] = asyncio.create_task(work(address(bound)))
        try:
            well = await _serving(process, create_ops_app(process), bound, (), [working])
            await asyncio.wait([working], timeout=process.settings.shutdown_seconds)
            return well
        finally:
            await _end([working])


async def _serving(
    process: Process,
    app: FastAPI,
    bound: socket.socket,
    beside: Sequence[Callable[[str], Coroutine[Any, Any, Any]]],
    mains: Sequence[asyncio.Task[None]],
) -> bool:
    """The HTTP server until a signal, or until one of `mains` has ended (unasked: False).

    What goes wrong beside the server ends it, and is raised; what `mains` raise is their owner's to tell.
    """
    server = Server(process, app)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not (server.started or serving.done()):  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(_STARTING_S)
    tasks = [asyncio.create_task(each(address(bound))) for each in beside]
    closing = asyncio.create_task(process.closing.wait())
    endings = [serving, closing, *mains]
    while not any(ending.done() for ending in endings) and not any(_failed(task) for task in tasks):
        pending = [task for task in (*endings, *tasks) if not task.done()]
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    well = not any(main.done() for main in mains) or process.closing.is_set()
    server.stop()
    await serving
    await closing
    await _end(tasks)
    return well


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels what still runs, and raises what one of them died of."""
    for task in tasks:
        task.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(found, Exception):
            raise found


def data_place(settings: Settings) -> str:
    """Where the data is, as told to people; a URL may hold a password."""
    if settings.redis_url is not None:
        return "the Redis or Valkey of REDIS_URL"
    return f"{Path(settings.data_dir).resolve()} (embedded Valkey, every event synced to disk)"
