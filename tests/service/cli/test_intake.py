"""`segmentd intake` as processes: started and stopped well, killed, sharing sources; what it refuses to start with."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.consumers.intake.topics import Sent, make_topic, send, unique
from tests.consumers.intake.worlds import native
from tests.service.cli.conftest import Run, running
from tests.service.cli.topics import held

Write = Callable[[str, str], Path]
STARTED = r"runs with \d+ sources; /readyz, /metrics at (http://\S+)"
START_S = 40.0


class Topics:
    """A source, the log and the dead letters of a test's own, and the processes' environment."""

    def __init__(self, kafka: str, write: Write) -> None:
        self.kafka = kafka
        self.source, self.events, self.letters = unique("source"), unique("events"), unique("letters")
        text = f"defaults: false\nsources: [{{topic: {self.source}, type: purchase, group: {unique('group')}}}]"
        self.file = write("sources.yaml", text)
        self.env = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "SEGMENTD_EVENTS_TOPIC": self.events,
            "SEGMENTD_DEAD_LETTERS_TOPIC": self.letters,
            "SEGMENTD_SOURCES_FILE": str(self.file),
            "SEGMENTD_PARTITIONS": "3",
            "SEGMENTD_SESSION_TIMEOUT_SECONDS": "2",
            "PYTHONPATH": os.getcwd(),
        }

    def make(self, partitions: int) -> None:
        asyncio.run(make_topic(self.kafka, self.source, partitions))

    def send(self, *records: bytes | None) -> None:
        asyncio.run(send(self.kafka, self.source, [Sent(each, str(n).encode()) for n, each in enumerate(records)]))

    def ids(self) -> Counter[str]:
        return Counter(json.loads(each.value or b"")["id"] for each in asyncio.run(held(self.kafka, self.events)))

    def until_written(self, ids: set[str]) -> Counter[str]:
        deadline = time.monotonic() + START_S
        while not (found := self.ids()).keys() >= ids:
            assert time.monotonic() < deadline, f"{len(ids - found.keys())} are missing"
            time.sleep(0.1)
        return found


@pytest.fixture
def topics(kafka: str, write: Write) -> Topics:
    return Topics(kafka, write)


def events(numbers: range) -> list[bytes]:
    return [native(f"c{n % 20}", id=str(n), ts=None, type=None) for n in numbers]


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_intake_writes_on_says_how_far_it_is_and_ends_well(topics: Topics) -> None:
    topics.make(2)
    topics.send(*events(range(100)), b"broken")
    with running("intake", env=topics.env) as process:
        url = process.wait_for(STARTED)
        topics.until_written({str(n) for n in range(100)})
        until(lambda: httpx2.get(f"{url}/readyz").status_code == 200)

        def told() -> dict[str, float]:
            text = httpx2.get(f"{url}/metrics").text.replace(topics.source, "S")
            pattern = r"^(segmentd_(?:intake_\w+|dead_letters_total)\{.*\}) (\S+)$"
            return {name: float(value) for name, value in re.findall(pattern, text, re.M)}

        expected = {
            'segmentd_intake_records_total{outcome="accepted",source="S"}': 100.0,
            'segmentd_intake_records_total{outcome="rejected",source="S"}': 1.0,
            'segmentd_dead_letters_total{from="intake"}': 1.0,
            'segmentd_intake_lag_records{source="S"}': 0.0,
            'segmentd_intake_behind_seconds{source="S"}': 0.0,
        }
        until(lambda: told().items() >= expected.items())
        assert process.end() == 0
    assert [record.value for record in asyncio.run(held(topics.kafka, topics.letters))] == [b"broken"]
    assert not any(re.search(r"\bc1\b|broken", line) for line in process.lines)  # hexadecimal names may hold a c1, too


def test_one_of_two_that_is_killed_leaves_its_share_to_the_other_and_nothing_is_lost(topics: Topics) -> None:
    topics.make(6)
    with running("intake", env=topics.env) as first, running("intake", env=topics.env) as second:
        urls = [process.wait_for(STARTED) for process in (first, second)]
        number = 0

        def feed() -> None:
            nonlocal number
            topics.send(*events(range(number, number + 120)))
            number += 120

        def both_read() -> bool:
            feed()
            return all(accepted(url) > 0 for url in urls)

        until(both_read)
        feed()
        second_read = accepted(urls[1])
        assert second_read > 0
        second.end(signal.SIGKILL)
        for _ in range(5):
            feed()
        found = topics.until_written({str(n) for n in range(number)})
        assert set(found) == {str(n) for n in range(number)}
        assert first.end() == 0


def accepted(url: str) -> float:
    pattern = r'^segmentd_intake_records_total\{outcome="accepted".*\} (\S+)$'
    found = re.search(pattern, httpx2.get(f"{url}/metrics").text, re.M)
    return float(found[1]) if found else 0.0


STEPS = ["intake.4.after", "intake.5.after"]


@pytest.mark.parametrize("step", STEPS)
def test_one_that_is_killed_at_a_step_is_followed_by_one_that_loses_nothing(topics: Topics, step: str) -> None:
    topics.make(2)
    topics.send(*events(range(200)), b"broken")
    with running("intake", env={**topics.env, "SEGMENTD_FAILPOINT": step}) as killed:
        assert killed.end(0) == -signal.SIGKILL
    with running("intake", env=topics.env):
        found = topics.until_written({str(n) for n in range(200)})
        until(lambda: bool(asyncio.run(held(topics.kafka, topics.letters))))
    assert max(found.values()) <= 2
    assert {record.value for record in asyncio.run(held(topics.kafka, topics.letters))} == {b"broken"}


def test_brokers_that_are_away_at_the_start_are_waited_for_and_told(topics: Topics) -> None:
    with running("intake", env={**topics.env, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}) as process:
        url = process.wait_for(STARTED)
        until(lambda: "Kafka (127.0.0.1:1)" in httpx2.get(f"{url}/readyz").text)
        assert httpx2.get(f"{url}/readyz").status_code == 503
        assert process.end() == 0


def test_it_does_not_start_without_kafka_or_with_a_file_that_is_wrong(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    without = run("intake", "--port", 0)
    assert (without.status, "set KAFKA_BOOTSTRAP_SERVERS" in without.err) == (1, True)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    file = write("sources.yaml", "sources:\n  - {topic: a, type: Cart}\n  - {topic: segmentd.events}\n")
    wrong = run("intake", "--port", 0, "--sources", file)
    assert wrong.status == 2
    assert [line.partition(" ")[2][:17] for line in wrong.err.splitlines()] == [
        "sources[0].type: ",
        "sources[1].topic:",
    ]
    missing = run("intake", "--port", 0, "--sources", file.parent / "none.yaml")
    assert (missing.status, "No such file" in missing.err) == (2, True)
