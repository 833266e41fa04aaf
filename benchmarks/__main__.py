"""`make bench`: what an event costs, and what a storm does. A table at the end; `--json` for machines."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from benchmarks import tables
from benchmarks.evaluator import Whole, whole
from benchmarks.floor import floor_us
from benchmarks.progress import track
from benchmarks.server import server
from benchmarks.step import Cost, measure
from benchmarks.storm import Storm, storm
from benchmarks.workload import DAY_MS, DAYS, events

PARTS = ("step", "whole", "storm")
_EVENTS_A_CUSTOMER = 8.5


@dataclass
class Results:
    """`floors`: µs an event, one pass before each of `wholes` and one after the last."""

    events: int
    steps: list[Cost] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    storm: Storm | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _arguments().parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    results = Results(asked.events)
    customers = max(1, int(asked.events / _EVENTS_A_CUSTOMER))
    if "step" in asked.only:
        n = min(asked.events, asked.step_events)
        for segments in asked.segments:
            results.steps.append(measure(segments, n, max(1, int(n / _EVENTS_A_CUSTOMER)), asked.rounds))
    if "whole" in asked.only:
        asyncio.run(_wholes(results, asked.segments, customers))
    if "storm" in asked.only:
        results.storm = asyncio.run(_storm(asked.storm_customers))
    tables.show(results.steps, results.wholes, results.floors, results.storm)
    if asked.json:
        asked.json.write_text(json.dumps(asdict(results), indent=2) + "\n")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=400_008, help="of the whole evaluator (default: %(default)s)")
    parser.add_argument("--step-events", type=int, default=100_000, help="of `step` alone (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of `step` alone, the least counts (default: %(default)s)"
    )
    parser.add_argument("--segments", type=_numbers, default=[20, 200, 1000], help="sizes (default: 20,200,1000)")
    parser.add_argument("--storm-customers", type=int, default=100_000, help="(default: %(default)s)")
    parser.add_argument("--only", type=_parts, default=PARTS, help="some of step,whole,storm")
    parser.add_argument("--json", type=Path, help="write the results there")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if not set(parts) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"some of {','.join(PARTS)}, please")
    return parts


async def _wholes(results: Results, sizes: Sequence[int], customers: int) -> None:
    """One log; each pass over it has a floor before and after it, so that the machine's moods are in both."""
    n = results.events
    async with server() as used:
        # The log ends a day ahead of the clock on the wall, so that no evaluator asks for ticks while it catches up.
        start_ms = time.time_ns() // 1_000_000 - (DAYS - 1) * DAY_MS
        with track("loading the log", n) as advance:
            await used.load(events(n, customers, start_ms), advance)
        gc.collect()
        results.floors.append(await floor_us(used, n))
        for segments in sizes:
            results.wholes.append(await whole(used, segments, n))
            results.floors.append(await floor_us(used, n))


async def _storm(customers: int) -> Storm:
    async with server() as used:
        return await storm(used, customers)


if __name__ == "__main__":
    main()
