"""The evaluator keeps the feed for whoever is behind, up to a bound."""

from __future__ import annotations

import msgspec
import pytest

from consumers.clock import SYSTEM_CLOCK
from consumers.delivery.port import Done, Failed
from consumers.evaluator.metrics import NullMetrics
from consumers.evaluator.owned import Tools
from consumers.evaluator.partition import Partition
from consumers.evaluator.settings import Settings
from consumers.log.redis_streams import RedisLog
from consumers.state.store import Store
from tests.consumers.delivery.worlds import QUICK, FakeTarget, FakeTargets, FeedWriter, HandClock, working


@pytest.mark.parametrize(("undelivered_max", "kept"), [(1_000, 37), (20, 20), (0, 5)])
async def test_the_feed_waits_for_the_slowest_active_target_up_to_a_bound(
    store: Store, log: RedisLog, feed: FeedWriter, undelivered_max: int, kept: int
) -> None:
    slow = FakeTarget("sub/slow", answer=lambda call: Done() if call.item.number <= 2 else Failed("no"), concurrency=1)
    paused = FakeTarget("sub/paused", active=False)
    quick = FakeTarget("sub/quick")
    one_parked = msgspec.structs.replace(QUICK, down_failures=1, probes_max=1)
    async with working(store, FakeTargets(slow, paused, quick), clock=HandClock(), settings=one_parked) as world:
        await feed.say("c1", "c3", "c5")
        await world.until(lambda: len(slow.done) == 2 and len(quick.done) == 3)
        for _ in range(37):
            await feed.say("c1")
        await world.until(lambda: len(quick.done) == 40)
        await world.rest()
        partition = Partition(feed.partition_of("c1"), Tools(store, log, Settings(), NullMetrics(), SYSTEM_CLOCK))
        await partition.open("evaluator", force=True)
        await partition.trim_feed(5, undelivered_max)
        await partition.release()
    entries = await store.call("XLEN", feed.keys[feed.partition_of("c1")].out)
    assert entries == kept  # the third is parked: the fourth is the first that is needed
