"""Dead letters are listed, and taken back in once their source is mended: on Kafka's topic, and in the store."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.embedded import Embedded
from consumers.log.dead_letters import DeadLetter, Origin
from consumers.log.kafka.dead_letters import RAW_BYTES_MAX, KafkaDeadLetters
from consumers.log.kafka.settings import KafkaSettings
from consumers.log.port import START, NewRecord
from consumers.log.redis_streams import RedisLog
from consumers.state.keys import PartitionKeys
from consumers.state.store import Store
from rules.times import format_instant
from tests.consumers.intake.topics import unique
from tests.consumers.intake.worlds import native
from tests.service.cli.conftest import Ran, Run, running
from tests.service.cli.topics import held

NOW_MS = time.time_ns() // 1_000_000
NOW = format_instant(NOW_MS)
Write = Callable[[str, str], Path]


def lines(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


# -- in the store, without Kafka --------------------------------------------------------------------------------------

PARTITIONS = 2


@pytest.fixture
def without_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


@pytest.fixture
def data(without_kafka: None, tmp_path: Path) -> Iterator[Path]:
    """The directory of an embedded store that has a log, and runs."""
    with Embedded(tmp_path / "data") as embedded:
        asyncio.run(put(embedded.directory))
        yield embedded.directory


async def with_store(directory: Path, do: Callable[[Store, RedisLog], Any]) -> Any:
    store = Store.connect(f"unix://{(directory / 'socket').read_text()}")
    try:
        log = RedisLog(store, PARTITIONS)
        await log.prepare()
        return await do(store, log)
    finally:
        await store.close()


async def put(directory: Path, *letters: tuple[int, str, bytes]) -> None:
    """(partition, reason, bytes) each, as a commit puts them."""

    async def do(store: Store, _log: RedisLog) -> None:
        for number, (partition, reason, raw) in enumerate(letters):
            fields = ("reason", reason, "origin", f"{number}@{NOW_MS - 60_000}", "raw", raw)
            # a millisecond each: nothing says which of two partitions' letters was first within one
            await store.call("XADD", PartitionKeys(partition).dead, f"{NOW_MS + number}-0", *fields)

    await with_store(directory, do)


def in_the_log(directory: Path) -> list[dict[str, Any]]:
    async def do(_store: Store, log: RedisLog) -> list[dict[str, Any]]:
        return [json.loads(each.payload) for each in await log.read({0: START, 1: START}, 1000, 0)]

    found: list[dict[str, Any]] = asyncio.run(with_store(directory, do))
    return found


@pytest.mark.usefixtures("without_kafka")
def test_letters_in_the_store_are_listed_newest_first_while_the_service_runs_and_while_not(
    run: Run, tmp_path: Path
) -> None:
    with Embedded(tmp_path / "data") as embedded:
        asyncio.run(put(embedded.directory, (0, "first", b"\xffa"), (1, "second", b"[" * 1000), (0, "third", b"")))
        beside = run("dlq", "list", "--data-dir", embedded.directory)
        assert [line.split("  ")[-1] for line in beside.out.splitlines()[::2]] == ["third", "second", "first"]
        assert "\n    \ufffda\n" in beside.out
        assert beside.out.count("[" * 160 + " …") == 1
    alone = run("dlq", "list", "--data-dir", embedded.directory, "--json", "--limit", 2)
    assert [(each["reason"], each["source"], each["record"]) for each in lines(alone)] == [
        ("third", "log", ""),
        ("second", "log", "[" * 1000),
    ]
    [first] = lines(run("dlq", "list", "--data-dir", embedded.directory, "--json", "--reason", "irs"))
    assert (first["record"], first["record_base64"], first["origin"]) == (None, "/2E=", f"log:0:0@{NOW_MS - 60_000}")


def test_a_store_without_letters_says_so_and_one_without_a_log_too(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("dlq", "list", "--data-dir", data).out == "no dead letters\n"
    assert run("dlq", "list", "--data-dir", data, "--reason", "x").out == "no dead letters with that reason\n"
    empty = run("dlq", "list", "--data-dir", tmp_path / "new")
    assert (empty.status, "there is no log in this store yet" in empty.err) == (1, True)


def test_what_is_good_now_goes_to_the_log_and_what_is_still_bad_stays_and_is_told(run: Run, data: Path) -> None:
    asyncio.run(
        put(
            data,
            (0, "is missing", native("ana", id="1", ts=NOW)),
            (1, "is missing", b"{}"),
            (1, "other", native("bob", id="2", ts=None)),
            (1, "is no definition", b'{"type": "definition", "segment": 5}'),
        )
    )
    some = run("dlq", "replay", "--data-dir", data, "--all", "--reason", "is missing")
    assert some.out == "2 dead letters: 1 taken back, 1 still bad\n"
    assert (some.status, "still bad: type: is missing" in some.err) == (1, True)
    rest = run("dlq", "replay", "--data-dir", data, "--all")
    assert rest.out == "3 dead letters: 1 taken back, 2 still bad\n"
    assert "still bad: type: `definition` is the service's own" in rest.err
    assert {each["id"]: each["ts"] for each in in_the_log(data)} == {"1": NOW, "2": format_instant(NOW_MS - 60_000)}
    assert [each["reason"] for each in lines(run("dlq", "list", "--data-dir", data, "--json"))] == [
        "is no definition",
        "is missing",
    ]


def test_single_letters_are_taken_back_by_their_id(run: Run, data: Path) -> None:
    asyncio.run(put(data, *((n % 2, "x", native(id=str(n), ts=NOW)) for n in range(4))))
    listed = lines(run("dlq", "list", "--data-dir", data, "--json"))
    ids = {json.loads(each["record"])["id"]: each["id"] for each in listed}
    done = run("dlq", "replay", "--data-dir", data, "--id", ids["1"], "--id", ids["2"])
    assert (done.out, done.status) == ("2 dead letters: 2 taken back, 0 still bad\n", 0)
    assert {each["id"] for each in in_the_log(data)} == {"1", "2"}
    again = run("dlq", "replay", "--data-dir", data, "--id", ids["1"])
    assert (again.status, f"{ids['1']}: no such dead letter" in again.err) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["--reason", "x"], ["--all", "--id", "0:1-1"]])
def test_a_replay_must_be_told_which_letters(run: Run, arguments: list[str]) -> None:
    done = run("dlq", "replay", *arguments)
    assert (done.status, "say which dead letters" in done.err) == (2, True)


@pytest.mark.usefixtures("without_kafka")
def test_what_an_evaluator_sets_aside_is_listed_from_beside_it(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running("up", "--port", 0, "--data-dir", data) as process:
        process.wait_for(r"is up at (http://\S+)")

        async def append(_store: Store, log: RedisLog) -> None:
            await log.append([NewRecord(0, b"\xff broken")])

        asyncio.run(with_four(data, append))
        deadline = time.monotonic() + 30
        while not (found := lines(run("dlq", "list", "--data-dir", data, "--json"))):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [each["reason"] for each in found] == ["is not UTF-8 (byte 0)"]
        assert process.end() == 0


async def with_four(directory: Path, do: Callable[[Store, RedisLog], Any]) -> None:
    """On a log of the service's own making, which has four partitions."""
    store = Store.connect(f"unix://{(directory / 'socket').read_text()}")
    try:
        await do(store, RedisLog(store, 4))
    finally:
        await store.close()


# -- on Kafka's topic -------------------------------------------------------------------------------------------------

WRONG = """
defaults: false
sources: [{topic: shop.orders, type: purchase, map: {customer_id: buyer, id: order, ts: at}}]
"""


class OnKafka:
    """A topic of dead letters of this test's own, and the log's."""

    def __init__(self, kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka, self.letters, self.events = kafka, unique("letters"), unique("events")
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
        monkeypatch.setenv("SEGMENTD_DEAD_LETTERS_TOPIC", self.letters)
        monkeypatch.setenv("SEGMENTD_EVENTS_TOPIC", self.events)
        monkeypatch.setenv("SEGMENTD_PARTITIONS", "2")

    def put(self, *letters: DeadLetter) -> None:
        async def do() -> None:
            box = KafkaDeadLetters(KafkaSettings(self.kafka), self.letters)
            try:
                await box.put(letters)
            finally:
                await box.close()

        asyncio.run(do())

    def in_the_log(self) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for record in asyncio.run(held(self.kafka, self.events))]


@pytest.fixture
def on_kafka(kafka: str, monkeypatch: pytest.MonkeyPatch) -> OnKafka:
    return OnKafka(kafka, monkeypatch)


def letter(number: int, raw: bytes | None, source: str = "shop.orders", reason: str = "ts: bad") -> DeadLetter:
    return DeadLetter(source, Origin(source, 3, number, NOW_MS), reason, raw, key=b"any \xff key")


def order(number: int) -> bytes:
    return json.dumps({"order": number, "buyer": number % 3, "at": NOW_MS}).encode()


def test_foreign_records_are_taken_back_once_their_map_is_mended(run: Run, on_kafka: OnKafka, write: Write) -> None:
    on_kafka.put(*(letter(n, order(n)) for n in range(250)), letter(250, None), letter(251, b"\xff"))
    wrong, mended = write("wrong.yaml", WRONG), write("mended.yaml", WRONG.replace("ts: at}", "ts: at}, ts_unit: ms"))
    still = run("dlq", "replay", "--all", "--sources", wrong)
    assert (still.out, still.status) == ("252 dead letters: 0 taken back, 252 still bad\n", 1)
    assert still.err.count("still bad: ") == 20
    assert "... and 232 more" in still.err
    assert on_kafka.in_the_log() == []
    done = run("dlq", "replay", "--all", "--sources", mended)
    assert (done.out, done.status) == ("252 dead letters: 250 taken back, 2 still bad\n", 1)
    events = on_kafka.in_the_log()
    assert sorted(int(each["id"]) for each in events) == list(range(250))
    assert {each["ts"] for each in events} == {NOW}
    again = run("dlq", "replay", "--all", "--sources", mended)
    assert again.out == "2 dead letters: 0 taken back, 2 still bad\n"
    assert len(on_kafka.in_the_log()) == 250
    left = lines(run("dlq", "list", "--json"))
    assert {(each["record"], each["record_base64"]) for each in left} == {(None, None), (None, "/w==")}
    assert {each["key_base64"] for each in left} == {"YW55IP8ga2V5"}


def test_letters_on_the_topic_are_listed_newest_first_and_without_those_taken_back(
    run: Run, on_kafka: OnKafka, write: Write
) -> None:
    for n in range(3):
        on_kafka.put(letter(n, native(id=str(n), ts=NOW), source=on_kafka.events))
    found = lines(run("dlq", "list", "--json"))
    assert [json.loads(each["record"])["id"] for each in found] == ["2", "1", "0"]
    assert found[0]["origin"] == f"{on_kafka.events}:3:2@{NOW_MS}"
    done = run("dlq", "replay", "--id", found[1]["id"])
    assert (done.out, done.status) == ("1 dead letters: 1 taken back, 0 still bad\n", 0)
    left = lines(run("dlq", "list", "--json"))
    assert [json.loads(each["record"])["id"] for each in left] == ["2", "0"]
    assert [each["id"] for each in on_kafka.in_the_log()] == ["1"]
    limited = run("dlq", "list", "--limit", 1)
    assert (len(limited.out.splitlines()), "more than 1" in limited.err) == (2, True)


def test_a_letter_of_a_source_that_is_not_in_the_file_stays(run: Run, on_kafka: OnKafka) -> None:
    on_kafka.put(letter(1, order(1)))
    done = run("dlq", "replay", "--all")
    assert (done.status, "its source `shop.orders` is not in the sources file" in done.err) == (1, True)


def test_a_value_too_large_to_keep_is_cut_and_says_so(run: Run, on_kafka: OnKafka) -> None:
    large, largest = b"x" * (RAW_BYTES_MAX + 1), b"y" * RAW_BYTES_MAX
    on_kafka.put(letter(1, large, on_kafka.events), letter(2, largest, on_kafka.events))
    cut = {each["record"][:1]: (len(each["record"]), each["cut_bytes"]) for each in lines(run("dlq", "list", "--json"))}
    assert cut == {"x": (RAW_BYTES_MAX, RAW_BYTES_MAX + 1), "y": (RAW_BYTES_MAX, 0)}
    assert "was too large to be kept whole" in run("dlq", "replay", "--all", "--reason", "ts").err


def test_without_a_topic_there_are_no_dead_letters(run: Run, on_kafka: OnKafka) -> None:
    assert run("dlq", "list").out == "no dead letters\n"


def test_brokers_that_are_away_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    done = run("dlq", "list")
    assert (done.status, "Kafka (127.0.0.1:1)" in done.err) == (1, True)
