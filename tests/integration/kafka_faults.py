"""What is done to a world: its store ended and rolled back, while two evaluators work on it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

from consumers.embedded import Embedded
from tests.integration.kafka_worlds import PARTITIONS, Evaluator, World, until


async def two_evaluators(world: World) -> list[Evaluator]:
    evaluators = [world.evaluator(), world.evaluator()]
    await asyncio.gather(*(each.runs() for each in evaluators))

    async def owned() -> bool:
        return sum([len(await each.owned()) for each in evaluators]) == PARTITIONS

    await until("all partitions are owned", owned)
    return evaluators


async def more_said(world: World, count: int = 100) -> None:
    """So many transitions more than now: the service goes on."""
    now = len(await world.read(world.transitions))

    async def said() -> bool:
        return len(await world.read(world.transitions)) >= now + count

    await until("the service goes on", said)


def end_server(embedded: Embedded, how: str) -> int:
    """Answers the process that is no more."""
    pid = embedded.pid
    assert pid is not None
    if how == "kill":
        os.kill(pid, signal.SIGKILL)
    embedded.stop()
    return pid


def roll_files_back(embedded: Embedded, older: Path) -> None:
    """The server has ended; it will start as it was when the copy was taken."""
    files = embedded.directory / "appendonlydir"
    shutil.rmtree(files)
    shutil.copytree(older, files)


async def copied_store(world: World, name: str) -> Path:
    """Its append-only files as they are now."""
    older = world.embedded.directory / name
    await asyncio.to_thread(shutil.copytree, world.embedded.directory / "appendonlydir", older)
    return older
