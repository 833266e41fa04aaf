"""Which parts there are, and running those that are asked for, on one machine and (where they share it) one topic."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.kafka.customers import Population, measure_customers
from benchmarks.kafka.live import Live, LiveAsked, Storm, bare_loop, live, storm
from benchmarks.kafka.machine import Fsync, Machine, machine
from benchmarks.kafka.parts import Asked, Backlog, Cost, filled_topic, measure_backlog, measure_floor
from benchmarks.kafka.quiet import quiet
from benchmarks.workload import documents, events
from rules.errors import SegmentdError

_SETS = {"kafka20": (20, False), "kafka200": (200, False), "kafka1000": (1000, False), "kafkanoisy": (20, True)}
BACKLOGS = (*_SETS, "kafkasync", "kafkatwo")
PARTS = (*BACKLOGS, "kafkalive", "kafkahalf", "kafkastorm", "kafkacustomers")
_EVENTS_A_CUSTOMER = 8.5


@dataclass(frozen=True)
class Settings:
    """`events`: of a backlog. `half_rate` 0: half of the live rate."""

    events: int = 400_008
    live_rate: int = 5_000
    live_s: float = 20.0
    half_rate: int = 0
    storm_customers: int = 100_000
    storm_rate: int = 1_000
    customers: Sequence[int] = (10_000, 1_000_000)
    customers_events: int = 200_000
    profile: bool = False
    verify: bool = False


@dataclass
class Results:
    """`floors`: a pass before each of `backlogs` and one after the last. `problems`: why parts have no number."""

    floors: list[Cost] = field(default_factory=list)
    backlogs: list[Backlog] = field(default_factory=list)
    lives: list[Live] = field(default_factory=list)
    storm: Storm | None = None
    populations: list[Population] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


async def run(parts: Collection[str], settings: Settings) -> Results:
    """Each part that is asked for. Where one fails, that is told, and the others go on."""
    results = Results()
    quiet()
    async with machine() as used:
        if backlogs := [part for part in BACKLOGS if part in parts]:
            await _backlogs(used, backlogs, settings, results)
        for part in PARTS:
            if part in parts and part in _OTHERS:
                with _told(part, results):
                    await _OTHERS[part](used, settings, results)
    return results


@contextlib.contextmanager
def _told(part: str, results: Results) -> Iterator[None]:
    try:
        yield
    except (AssertionError, RuntimeError, TimeoutError, SegmentdError) as error:
        results.problems.append(f"{part}: {str(error) or type(error).__name__}")


async def _backlogs(used: Machine, parts: Sequence[str], settings: Settings, results: Results) -> None:
    """One topic; each pass over it has a floor before and after it, so that the machine's moods are in both."""
    n = settings.events
    customers = max(1, int(n / _EVENTS_A_CUSTOMER))
    async with filled_topic(used, "the shop", events(n, customers), n) as topic:
        floor = await measure_floor(used, topic)
        for part in parts:
            with _told(part, results):
                backlog = await measure_backlog(used, _asked(part, topic, settings))
                results.backlogs.append(backlog)
                results.floors.append(floor)
            floor = await measure_floor(used, topic)
        results.floors.append(floor)


def _asked(part: str, topic: str, settings: Settings) -> Asked:
    segments, noisy = _SETS.get(part, (20, False))
    return Asked(
        part,
        topic,
        documents(segments, noisy=noisy),
        settings.events,
        fsync="always" if part == "kafkasync" else "everysec",
        processes=2 if part == "kafkatwo" else 1,
        profile=settings.profile,
        verify=settings.verify,
    )


async def _lives(used: Machine, settings: Settings, results: Results) -> None:
    fsyncs: tuple[Fsync, ...] = ("everysec", "always")
    results.lives.append(await bare_loop(used, settings.live_rate, settings.live_s))
    for fsync in fsyncs:
        asked = LiveAsked(settings.live_rate, settings.live_s, fsync, profile=settings.profile)
        results.lives.append(await live(used, asked))


async def _half(used: Machine, settings: Settings, results: Results) -> None:
    rate = settings.half_rate or settings.live_rate // 2
    results.lives.append(await bare_loop(used, rate, settings.live_s))
    results.lives.append(await live(used, LiveAsked(rate, settings.live_s)))


async def _storm(used: Machine, settings: Settings, results: Results) -> None:
    results.storm = await storm(used, settings.storm_customers, settings.storm_rate)


async def _customers(used: Machine, settings: Settings, results: Results) -> None:
    for customers in settings.customers:
        results.populations.append(await measure_customers(used, customers, settings.customers_events))


_OTHERS: dict[str, Callable[[Machine, Settings, Results], Awaitable[None]]] = {
    "kafkalive": _lives,
    "kafkahalf": _half,
    "kafkastorm": _storm,
    "kafkacustomers": _customers,
}
