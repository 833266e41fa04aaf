"""`segmentd repair` on an embedded store, and beside a running service on Redis and on Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from consumers.embedded import Embedded
from consumers.log.port import START, Appended, NewRecord
from consumers.log.redis_streams import RedisLog
from consumers.state.keys import PartitionKeys
from consumers.state.repair import Outside
from consumers.state.store import Store
from service.cli.repair import told
from tests.service.cli.conftest import Run

META = PartitionKeys(1).meta


class World:
    """A server with a log of two partitions, spoken to from outside of any loop."""

    def __init__(self, url: str) -> None:
        self.url = url

    def calls(self, *commands: Sequence[Any]) -> list[Any]:
        async def do() -> list[Any]:
            store = Store.connect(self.url)
            try:
                return await store.calls(commands)
            finally:
                await store.close()

        return asyncio.run(do())

    def append(self, count: int) -> list[Appended]:
        """To partition 1, one by one."""

        async def do() -> list[Appended]:
            store = Store.connect(self.url)
            try:
                log = RedisLog(store, 2)
                await log.prepare()
                return [(await log.append([NewRecord(1, b"%d" % n)]))[0] for n in range(count)]
            finally:
                await store.close()

        return asyncio.run(do())

    def position(self) -> int:
        return int(self.calls(("HGET", META, "position"))[0])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with Embedded(tmp_path) as embedded:
        monkeypatch.setenv("REDIS_URL", embedded.url)
        yield World(embedded.url)


@pytest.fixture
def gap(world: World) -> list[Appended]:
    """The places of ten records, of which four are kept; the second was read last."""
    places = world.append(10)
    clock = places[1].timestamp_ms
    world.calls(
        ("XTRIM", PartitionKeys(1).log, "MAXLEN", 4), ("HSET", META, "position", places[1].offset, "clock", clock)
    )
    return places


def test_where_every_position_is_in_the_log_there_is_nothing_to_repair(run: Run, world: World) -> None:
    places = world.append(3)
    world.calls(("HSET", META, "position", places[1].offset))
    ran = run("repair", "--accept-gap")
    assert (ran.status, ran.out) == (
        0,
        "nothing to repair: the log has what follows every position (2 partitions looked at)\n",
    )
    assert world.position() == places[1].offset


def test_a_gap_is_told_and_nothing_is_changed(run: Run, world: World, gap: list[Appended]) -> None:
    ran = run("repair")
    assert ran.status == 1
    (line,) = ran.out.splitlines()
    assert line.startswith(f"partition 1: position {gap[1].offset} is before what the log keeps")
    assert f"({gap[6].offset} is the oldest kept)" in line
    assert "--accept-gap" in ran.err
    assert world.position() == gap[1].offset


def test_an_accepted_gap_is_left_behind(run: Run, world: World, gap: list[Appended]) -> None:
    ran = run("repair", "--accept-gap")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines()[1] == f"partition 1: goes on after {gap[6].offset - 1}"
    assert world.position() == gap[6].offset - 1
    assert run("repair").status == 0


def test_only_the_partitions_named_are_touched(run: Run, world: World, gap: list[Appended]) -> None:
    assert run("repair", "--accept-gap", "--partition", 0).status == 0
    assert world.position() == gap[1].offset
    assert run("repair", "--accept-gap", "--partition", 0, "--partition", 1).status == 0
    assert world.position() == gap[6].offset - 1


def test_a_partition_that_is_not_there_is_an_error(run: Run, world: World, gap: list[Appended]) -> None:
    ran = run("repair", "--partition", 2)
    assert ran.status == 2
    assert "there is no partition 2: the log has 0 to 1" in ran.err


@pytest.mark.parametrize("from_start", [False, True])
def test_a_log_made_anew_goes_on_at_its_end_or_from_its_start(run: Run, world: World, from_start: bool) -> None:
    places = world.append(3)
    world.calls(("HSET", META, "position", places[2].offset + 10**9))
    options = ["--from-start"] if from_start else []
    ran = run("repair", "--accept-gap", *options)
    assert ran.status == 0, ran.err
    assert "was truncated or made anew" in ran.out
    assert ("counts again, where that was more than 72 hours ago" in ran.out) == from_start
    assert world.position() == (places[0].offset - 1 if from_start else places[2].offset)


@pytest.mark.parametrize(
    ("outside", "counts", "expected"),
    [
        (
            Outside(3, 41, 0, Appended(3, 1_100, 1_700_000_000_000), 1_200),
            True,
            "partition 3: position 41 is before what the log keeps; gone: 1,058 records at most, written after it and "
            "before 2023-11-14T22:13:20Z (1100 is the oldest kept)",
        ),
        (
            Outside(3, 41, 1_600_000_000_000, None, 1_200),
            False,
            "partition 3: position 41 is before what the log keeps; gone: what came next, written after "
            "2020-09-13T12:26:40Z",
        ),
        (
            Outside(0, 41, 0, Appended(0, 3, 0), 7),
            True,
            "partition 0: position 41 is beyond the newest record, 7: the log was truncated or made anew",
        ),
        (
            Outside(0, 41, 0, None, START),
            True,
            "partition 0: position 41 is beyond the end of the log, which is empty: the log was truncated or made anew",
        ),
    ],
)
def test_what_is_gone_is_said(outside: Outside, counts: bool, expected: str) -> None:
    assert told(outside, counts=counts) == expected
