"""`make bench`: what an event costs, how long it takes, what a storm does. Tables at the end, `--json` for machines.

Parts: `step` alone; `kafka...` the whole service on a real Kafka; `webhooks` from an event to its call (these are
run by default); `whole` and `storm` on the embedded server.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from benchmarks import tables
from benchmarks.evaluator import Whole, whole
from benchmarks.floor import floor_us
from benchmarks.kafka import runs as kafka
from benchmarks.kafka.tables import tables as kafka_tables
from benchmarks.progress import track
from benchmarks.server import server
from benchmarks.step import Cost, measure
from benchmarks.storm import Storm, storm
from benchmarks.webhooks import run as webhooks
from benchmarks.webhooks.tables import table as webhooks_table
from benchmarks.workload import DAY_MS, DAYS, events

PARTS = ("step", *kafka.PARTS, "webhooks", "whole", "storm")
_DEFAULT = ("step", *kafka.PARTS, "webhooks")
_EVENTS_A_CUSTOMER = 8.5


@dataclass
class Results:
    """`floors`: µs an event, one pass before each of `wholes` and one after the last."""

    events: int
    steps: list[Cost] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    storm: Storm | None = None
    kafka: kafka.Results | None = None
    webhooks: webhooks.Results | None = None


def main(arguments: Sequence[str] | None = None) -> int:
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
    if set(asked.only) & set(kafka.PARTS):
        results.kafka = asyncio.run(kafka.run(asked.only, _kafka_settings(asked)))
    if "webhooks" in asked.only:
        results.webhooks = asyncio.run(webhooks.run(asked.webhook_rate, asked.seconds))
    if asked.json:
        asked.json.write_text(json.dumps(asdict(results), indent=2) + "\n")
    others = kafka_tables(results.kafka) if results.kafka else []
    others += [webhooks_table(results.webhooks)] if results.webhooks else []
    tables.show(results.steps, results.wholes, results.floors, results.storm, others)
    return _last_words(results)


def _last_words(results: Results) -> int:
    """Profiles and problems; the exit status."""
    if results.kafka is None:
        return 0
    profiles = [(each.label, each.profile) for each in results.kafka.backlogs]
    profiles += [(f"live, {each.rate:.0f} events/s", each.profile) for each in results.kafka.lives]
    for what, profile in profiles:
        if profile:
            print(f"\nprofile of {what}\n{profile}")
    for problem in results.kafka.problems:
        print(f"no number: {problem}", file=sys.stderr)
    return 1 if results.kafka.problems else 0


def _kafka_settings(asked: argparse.Namespace) -> kafka.Settings:
    return kafka.Settings(
        events=asked.events,
        live_rate=asked.rate,
        live_s=asked.seconds,
        half_rate=asked.half_rate,
        storm_customers=asked.storm_customers,
        customers=asked.customers,
        customers_events=min(asked.events, kafka.Settings.customers_events),
        profile=asked.profile,
        verify=asked.verify,
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=400_008, help="of the whole evaluator (default: %(default)s)")
    parser.add_argument("--step-events", type=int, default=100_000, help="of `step` alone (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of `step` alone, the least counts (default: %(default)s)"
    )
    parser.add_argument("--segments", type=_numbers, default=[20, 200, 1000], help="sizes (default: 20,200,1000)")
    parser.add_argument("--storm-customers", type=int, default=100_000, help="(default: %(default)s)")
    parser.add_argument("--rate", type=int, default=5_000, help="live events a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of live traffic measured (default: %(default)s)")
    parser.add_argument("--half-rate", type=int, default=0, help="events/s of `kafkahalf` (default: half of --rate)")
    parser.add_argument("--webhook-rate", type=int, default=200, help="events a second (default: %(default)s)")
    parser.add_argument("--customers", type=_numbers, default=[10_000, 1_000_000], help="(default: 10000,1000000)")
    parser.add_argument("--only", type=_parts, default=_DEFAULT, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--profile", action="store_true", help="of the service's own process, in each part on Kafka")
    parser.add_argument(
        "--verify", action="store_true", help="check each backlog's output against the rules alone, too"
    )
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
    sys.exit(main())
