"""What a run sets aside of the process that it runs in, and puts back: the log, lots, failpoints, the collector."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any
from unittest import mock

import structlog

from consumers import failpoints
from tests.simulation.loop import PROCESS, Crash

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


@contextlib.contextmanager
def surroundings(simulation: Simulation) -> Iterator[None]:
    """The service's own log goes into the trace, its failpoints come to us, its lots are drawn from the seed."""

    def note(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        simulation.trace.note(*(f"{name}={value}" for name, value in event.items()))
        simulation.faults.happened[f"told: {event['event']}"] += 1
        raise structlog.DropEvent

    lots = random.Random(simulation.rng.random())
    before = structlog.get_config()
    with (
        mock.patch("secrets.randbelow", lots.randrange),
        mock.patch("secrets.token_hex", lambda size: lots.randbytes(size).hex()),
        mock.patch("consumers.evaluator.evaluator.seldom_collected", contextlib.nullcontext),  # of a whole process
    ):
        structlog.configure(processors=[note], cache_logger_on_first_use=False)
        failpoints.set_hook(lambda place: _reached(simulation, place))
        try:
            yield
        finally:
            failpoints.set_hook(None)
            structlog.configure(**before)


def _reached(simulation: Simulation, place: str) -> None:
    """What `failpoints.reach` does in a simulation: here a process may die."""
    process = PROCESS.get()
    if process is None:
        return
    simulation.trace.note(process, "reaches", place)
    if simulation.dies_at(place):
        process.alive = False
        simulation.trace.note(process, "dies at", place)
        raise Crash(place)
