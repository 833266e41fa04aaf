"""`python -m benchmarks.kafka.child ROLE SETTINGS`: what a child process of the benchmark runs."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from benchmarks.kafka import bare, floor, service, traffic
from benchmarks.kafka.quiet import quiet

_ROLES: dict[str, Callable[[bytes], Awaitable[None]]] = {
    "floor": lambda data: floor.run(msgspec.json.decode(data, type=floor.Asked)),
    "service": lambda data: service.run(msgspec.json.decode(data, type=service.Asked)),
    "bare": lambda data: bare.run(msgspec.json.decode(data, type=bare.Asked)),
    "traffic": lambda data: traffic.run(msgspec.json.decode(data, type=traffic.Asked)),
}


async def _main(role: str, settings: str) -> None:
    await _ROLES[role](settings.encode())


if __name__ == "__main__":
    quiet()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(_main(*sys.argv[1:]))
