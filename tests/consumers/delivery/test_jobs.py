"""Jobs: again from a point, what was given up, to all members; with progress, once, and to be stopped."""

from __future__ import annotations

import msgspec
import pytest

from consumers.delivery.jobs import JobKind, JobReport, Jobs
from consumers.delivery.port import Done, Dropped, Failed, Item, Refused
from consumers.delivery.reads import Reads
from consumers.state.store import Store
from tests.consumers.delivery.test_deliveries import by_customer
from tests.consumers.delivery.worlds import (
    BEGIN_MS,
    PARTITIONS,
    QUICK,
    FakeTarget,
    FakeTargets,
    FeedWriter,
    HandClock,
    LeapClock,
    World,
    working,
)

CUSTOMERS = [f"c{n}" for n in range(10)]


async def ended(world: World, jobs: Jobs, job_id: str) -> JobReport:
    async def over() -> bool:
        report = await jobs.get(job_id)
        return report is not None and report.ended_ms > 0

    await world.until_true(over)
    report = await jobs.get(job_id)
    assert report is not None
    return report


async def test_a_replay_calls_again_what_came_since_then_and_nothing_later_twice(
    store: Store, feed: FeedWriter
) -> None:
    target = FakeTarget()
    jobs = Jobs(store, PARTITIONS)
    async with working(store, FakeTargets(target)) as world:
        await feed.say(*CUSTOMERS, at_ms=BEGIN_MS)
        since = await feed.say(*CUSTOMERS, at_ms=BEGIN_MS + 60_000)
        since += await feed.say(*CUSTOMERS, at_ms=BEGIN_MS + 120_000)
        await world.until(lambda: len(target.done) == 30)
        job = await jobs.start("replay", "sub/a", from_ms=BEGIN_MS + 1)
        later = await feed.say(*CUSTOMERS, at_ms=BEGIN_MS + 180_000)
        await world.until(lambda: len(target.done) >= 60)
        report = await ended(world, jobs, job.id)
        await world.rest()
    again = target.done[30:]
    assert (report.state, report.listed) == ("finished", True)
    assert 20 <= report.queued == report.done == report.found <= 30, "what came as it began may be either"
    assert sorted(set(again)) == sorted(since + later)
    assert by_customer([each for each in again if each in since]) == by_customer(since)
    assert len({call.key for call in target.calls}) == 40, "the same keys again"


@pytest.mark.parametrize("chunk", [1, 3, 500])
async def test_a_replay_from_a_number_in_chunks_of_any_size(store: Store, feed: FeedWriter, chunk: int) -> None:
    target = FakeTarget()
    jobs = Jobs(store, PARTITIONS)
    settings = msgspec.structs.replace(QUICK, job_chunk=chunk, job_parked_max=4)
    async with working(store, FakeTargets(target), settings=settings) as world:
        said = await feed.say(*CUSTOMERS) + await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 20)
        job = await jobs.start("replay", "sub/a", from_number=4, partition=0)
        report = await ended(world, jobs, job.id)
    in_first = [each for each in said if feed.partition_of(each.split(":")[1]) == 0]
    assert (report.found, report.queued, report.done) == (len(in_first) - 3,) * 3
    assert sorted(target.done[20:]) == sorted(in_first[3:])


async def test_resending_all_that_was_given_up(store: Store, feed: FeedWriter) -> None:
    clock = LeapClock()
    broken = {"c1", "c2", "c3"}
    target = FakeTarget(answer=lambda call: Refused("no") if call.item.customer_id in broken else Done())
    jobs, reads = Jobs(store, PARTITIONS, clock), Reads(store, PARTITIONS)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say(*CUSTOMERS)

        async def dead() -> bool:
            return (await reads.standings(["sub/a"]))[0].dead == 3

        await world.until_true(dead)
        broken.discard("c1")
        broken.discard("c2")
        clock.leap_ms += 1_000
        first = await ended(world, jobs, (await jobs.start("resend", "sub/a")).id)
        assert (first.found, first.queued, first.done, first.failed) == (3, 3, 2, 1)
        assert [item.item_id for item in (await reads.dead("sub/a", 10)).items] == ["vip:c3:1"]
        broken.clear()
        clock.leap_ms += 1_000
        second = await ended(world, jobs, (await jobs.start("resend", "sub/a", item_id="vip:c3:1")).id)
        assert (second.queued, second.done) == (1, 1)
        assert (await reads.dead("sub/a", 10)).items == []
    assert sorted(target.done) == sorted(f"vip:{customer}:1" for customer in CUSTOMERS)


async def test_resending_one_that_waits_for_its_next_attempt_and_one_that_was_delivered(
    store: Store, feed: FeedWriter
) -> None:
    clock = HandClock()
    broken = {"c1"}
    target = FakeTarget(answer=lambda call: Failed("no") if call.item.customer_id in broken else Done())
    jobs = Jobs(store, PARTITIONS, clock)
    async with working(store, FakeTargets(target), clock=clock) as world:
        await feed.say("c1", "c2")
        await world.until(lambda: len(target.calls) == 2)
        await world.rest()
        broken.clear()
        waiting = await jobs.start("resend", "sub/a", item_id="vip:c1:1")
        assert (await ended(world, jobs, waiting.id)).done == 1
        delivered = await jobs.start("resend", "sub/a", item_id="vip:c2:1")
        assert (await ended(world, jobs, delivered.id)).done == 1
        unknown = await jobs.start("resend", "sub/a", item_id="vip:c9:1")
        assert (await ended(world, jobs, unknown.id)).found == 0
    assert target.called == ["vip:c1:1", "vip:c2:1", "vip:c1:1", "vip:c2:1"] or sorted(target.called) == [
        *["vip:c1:1"] * 2,
        *["vip:c2:1"] * 2,
    ]


async def test_a_run_over_ten_thousand_members_with_few_of_them_in_memory(store: Store, feed: FeedWriter) -> None:
    members = [f"m{n:05}" for n in range(10_000)]
    for partition in range(PARTITIONS):
        mine = {each: BEGIN_MS + int(each[1:]) // 3 for each in members if feed.partition_of(each) == partition}
        await feed.commit(partition, members={"vip": mine})
    target = FakeTarget("act/vip/ads", batch_max=50, concurrency=4, remembers_done=True)
    target.wants = lambda item: item.kind == "run" and not item.customer_id.endswith("9")
    jobs = Jobs(store, PARTITIONS)
    settings = msgspec.structs.replace(QUICK, in_hand_max=200)
    most = 0
    async with working(store, FakeTargets(target), settings=settings) as world:
        job = await jobs.start("run", "act/vip/ads", job_id="run-1", segment="vip", data=b'{"why":"x"}')
        same = await jobs.start("run", "act/vip/ads", job_id="run-1", segment="vip")
        assert same == job

        def done() -> bool:
            nonlocal most
            runners = world.worker._roster.runners.values()
            most = max([most, *(branch.works for runner in runners for branch in runner.branches.values())])
            return len(target.done) >= 9_000

        await world.until(done)
        report = await ended(world, jobs, job.id)
        assert (await jobs.start("run", "act/vip/ads", job_id="run-1", segment="vip")).id == job.id
        await world.rest()
    assert sorted(target.done) == sorted(f"run:run-1:{each}" for each in members if not each.endswith("9"))
    assert (report.found, report.queued, report.done, report.failed) == (10_000, 9_000, 9_000, 0)
    assert most <= 200
    assert target.calls[0].item.data == b'{"why":"x"}'
    assert max(target.sizes) <= 50


async def test_a_stopped_run_calls_nobody_any_more(store: Store, feed: FeedWriter) -> None:
    members = {f"m{n}": BEGIN_MS for n in range(500)}
    await feed.commit(0, members={"vip": members})
    target = FakeTarget("act/vip/ads", per_second=100.0, ordered=False)
    jobs = Jobs(store, PARTITIONS)
    async with working(store, FakeTargets(target)) as world:
        job = await jobs.start("run", "act/vip/ads", segment="vip")
        await world.until(lambda: len(target.calls) >= 5)
        stopped = await jobs.stop(job.id)
        assert stopped is not None
        assert stopped.state == "stopped"
        report = await ended(world, jobs, job.id)
        calls = len(target.calls)
        await world.rest()
        assert len(target.calls) == calls
    assert report.state == "stopped"
    assert report.done + report.dropped == report.queued <= 500
    assert report.dropped > 0
    assert await jobs.stop("no-such-job") is None


async def test_a_job_goes_on_where_a_crashed_worker_was(store: Store, feed: FeedWriter) -> None:
    members = {f"m{n:03}": BEGIN_MS + n for n in range(300)}
    await feed.commit(0, members={"vip": members})
    settings = msgspec.structs.replace(QUICK, job_chunk=20, job_parked_max=40, lease_ms=200)
    target = FakeTarget("act/vip/ads", remembers_done=True)
    jobs = Jobs(store, PARTITIONS)
    job = await jobs.start("run", "act/vip/ads", segment="vip")
    for enough in (50, 120):
        async with working(store, FakeTargets(target), settings=settings) as world:
            await world.until(lambda enough=enough: len(target.calls) >= enough)  # type: ignore[misc]
            await world.crash()
    async with working(store, FakeTargets(target), settings=settings) as world:
        report = await ended(world, jobs, job.id)
    assert set(target.done) == {f"run:{job.id}:{each}" for each in members}
    assert (report.found, report.queued, report.done) == (300, 300, 300)
    assert len(target.done) < 300 + 2 * 40


async def test_explicit_items_are_called_as_any_others(store: Store, feed: FeedWriter) -> None:
    target = FakeTarget()
    jobs = Jobs(store, PARTITIONS)
    notice = Item("notice:1", "notice", 1, "", "", data=b'{"type":"subscription.disabled"}')
    async with working(store, FakeTargets(target)) as world:
        job = await jobs.start("items", "sub/a", items=[notice])
        report = await ended(world, jobs, job.id)
    assert [call.item for call in target.calls] == [notice]
    assert report.done == 1


async def test_jobs_are_listed_newest_first_and_the_oldest_are_forgotten(store: Store, feed: FeedWriter) -> None:
    clock = LeapClock()
    settings = msgspec.structs.replace(QUICK, jobs_max=3)
    jobs = Jobs(store, PARTITIONS, clock, settings)
    target = FakeTarget(answer=lambda call: Dropped("not wanted"))
    started = []
    async with working(store, FakeTargets(target, FakeTarget("sub/b")), clock=clock, settings=settings) as world:
        for n in range(5):
            clock.leap_ms += 10
            job = await jobs.start("items", "sub/b" if n == 4 else "sub/a", items=[Item(f"x{n}", "notice", 0, "", "")])
            await ended(world, jobs, job.id)
            started.append(job.id)

        async def tidy() -> bool:
            return not any([await store.call("HLEN", keys.delivery_jobs) for keys in feed.keys])

        await world.until_true(tidy)
    assert [report.job.id for report in await jobs.list()] == started[:1:-1]
    assert [report.job.id for report in await jobs.list("sub/b")] == started[4:]
    assert [report.dropped for report in await jobs.list("sub/a")] == [1, 1]
    assert await jobs.get(started[0]) is None


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("run", {}),
        ("items", {}),
        ("replay", {}),
        ("replay", {"from_ms": 1, "from_number": 2}),
        ("replay", {"after": "not a position"}),
        ("replay", {"from_number": 1, "partition": 2}),
        ("resend", {"job_id": "a b"}),
        ("items", {"items": [Item("x", "notice", 7, "", "")]}),
    ],
)
async def test_what_is_no_job_is_refused(store: Store, kind: JobKind, what: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        await Jobs(store, PARTITIONS).start(kind, "sub/a", **what)  # type: ignore[arg-type]


async def test_a_replay_after_a_position_of_the_feed(store: Store, feed: FeedWriter) -> None:
    from consumers.state.feed import Feed

    target = FakeTarget()
    jobs = Jobs(store, PARTITIONS)
    async with working(store, FakeTargets(target)) as world:
        await feed.say(*CUSTOMERS)
        position = await Feed(store, PARTITIONS).now()
        later = await feed.say(*CUSTOMERS)
        await world.until(lambda: len(target.done) == 20)
        report = await ended(world, jobs, (await jobs.start("replay", "sub/a", after=position)).id)
    assert report.done == 10
    assert sorted(target.done[20:]) == sorted(later)
