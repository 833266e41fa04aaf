"""The small parts: the schedule, who shares what, targets of several sources, what is counted."""

from __future__ import annotations

import asyncio
import doctest
from collections import Counter
from random import Random

import pytest

from consumers.delivery import schedule, sharing
from consumers.delivery.metrics import Ending, NullMetrics, TargetKind
from consumers.delivery.port import Call, Done, Dropped, Failed, Outcome, Refused
from consumers.delivery.schedule import DELAYS_MS, next_attempt_ms
from consumers.delivery.sharing import share_of
from consumers.delivery.targets import AllTargets
from consumers.state.store import Store
from rules.errors import Unavailable
from tests.consumers.delivery.worlds import BEGIN_MS, FakeTarget, FakeTargets, FeedWriter, HandClock, working


@pytest.mark.parametrize("module", [schedule, sharing])
def test_examples_in_the_code_are_true(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("seed", range(5))
def test_delays_are_never_shorter_than_planned_and_a_tenth_longer_at_most(seed: int) -> None:
    random = Random(seed)
    for attempts in range(1, 10):
        due_ms = next_attempt_ms(attempts, BEGIN_MS, None, random, 0)
        assert due_ms is not None
        assert DELAYS_MS[attempts] <= due_ms - BEGIN_MS <= 1.1 * DELAYS_MS[attempts]
    assert next_attempt_ms(10, BEGIN_MS, None, random, 0) is None
    assert sum(DELAYS_MS) > 72 * 3_600_000, "whoever is down for three days is still being tried"


@pytest.mark.parametrize(
    ("attempts", "asked_s", "waits_ms"), [(1, 60.0, 60_000), (1, 1.0, 5_000), (1, 1e9, 100_000), (4, 60.0, 7_200_000)]
)
def test_what_was_asked_for_can_only_put_off_and_is_bounded(attempts: int, asked_s: float, waits_ms: int) -> None:
    random = Random(1)
    random.random = lambda: 0.0  # type: ignore[method-assign]
    assert next_attempt_ms(attempts, 0, asked_s, random, 100_000) == waits_ms


@pytest.mark.parametrize("partitions", [1, 4, 16, 256])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_partition_has_one_worker_and_nobody_more_than_a_fair_part(partitions: int, count: int) -> None:
    workers = [f"worker-{n}" for n in range(count)]
    shares = [share_of(worker, workers, partitions) for worker in workers]
    assert sorted(partition for share in shares for partition in share) == list(range(partitions))
    assert max(map(len, shares)) <= -(-partitions // count)
    assert shares == [share_of(worker, workers[::-1], partitions) for worker in workers]


async def test_targets_of_several_sources_are_one() -> None:
    class Late(FakeTargets):
        starts = 0

        async def start(self) -> None:
            self.starts += 1
            if self.starts == 1:
                raise Unavailable("not yet")

    one, two = FakeTargets(FakeTarget("sub/a")), Late(FakeTarget("act/x/y"))
    both = AllTargets([one, two])
    with pytest.raises(Unavailable):
        await both.start()
    await both.start()
    assert set(both.current) == {"sub/a", "act/x/y"}
    both.changed.clear()
    two.set()
    await asyncio.wait_for(both.changed.wait(), 20)
    assert set(both.current) == {"sub/a"}
    await both.ended("sub/a", Done())
    assert (one.endings, two.endings) == ([("sub/a", Done())], [])
    await both.close()


class Counting(NullMetrics):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.endings: Counter[tuple[TargetKind, Ending]] = Counter()
        self.calls = 0
        self.lags: dict[TargetKind, int] = {}
        self.owned_now = 0

    def ended(self, kind: TargetKind, ending: Ending, count: int) -> None:
        self.endings[(kind, ending)] += count

    def call_seconds(self, kind: TargetKind, seconds: float) -> None:
        self.calls += 1

    def lag(self, kind: TargetKind, transitions: int) -> None:
        self.lags[kind] = transitions

    def owned(self, partitions: int) -> None:
        self.owned_now = partitions


async def test_endings_are_counted_by_kind_of_target(store: Store, feed: FeedWriter) -> None:
    ends: dict[str, Outcome] = {"c1": Refused("no"), "c2": Dropped("left"), "c3": Failed("no")}

    def answer(call: Call) -> Outcome:
        return ends.get(call.item.customer_id, Done())

    metrics, clock = Counting(), HandClock()
    hook, action = FakeTarget("sub/a", answer=answer), FakeTarget("act/vip/a", active=False)
    async with working(store, FakeTargets(hook, action), metrics=metrics, clock=clock) as world:
        await feed.say("c0", "c1", "c2", "c3")
        await world.until(lambda: len(hook.calls) == 4)
        action.active = True
        world.worker._targets.changed.set()
        await world.until(lambda: len(action.calls) == 4)
        clock.ms += 1_000
        await world.until(lambda: metrics.lags == {"webhook": 0, "action": 0} and metrics.owned_now == 2)
        await world.rest()
    assert metrics.endings == {
        ("webhook", "done"): 1,
        ("webhook", "refused"): 1,
        ("webhook", "dropped"): 1,
        ("webhook", "failed"): 1,
        ("action", "done"): 4,
    }
    assert metrics.calls == 8
