"""The programs that docs/consuming.md shows, run against a real service while things happen."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from consumers.embedded import Embedded
from tests.service.cli.conftest import running

PAGE = (Path(__file__).parents[3] / "docs" / "consuming.md").read_text()
DEADLINE_S = 120.0
WAIT = {"Prefer": "wait=30"}
CUSTOMERS = [f"c{number}" for number in range(30)]


def shown(name: str) -> str:
    """The program of that name, as the page has it."""
    [found] = re.findall(rf"```python\n(# {re.escape(name)}: .*?)```", PAGE, re.DOTALL)
    return str(found)


@contextmanager
def program(tmp_path: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    file = tmp_path / name
    file.write_text(shown(name))
    command = [sys.executable, "-u", str(file), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


class Traffic:
    """A segment of this test's own, whose members go in and out all the time."""

    def __init__(self, server: str) -> None:
        self.segment = f"s-{uuid.uuid4().hex[:8]}"
        self.client = httpx2.Client(base_url=server, headers=WAIT, timeout=60)
        document = {"id": self.segment, "list": True}
        assert self.client.put(f"/v1/segments/{self.segment}", json=document).status_code == 201
        self._turn = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def turn(self) -> None:
        """Whoever is in goes out, and the other way round."""
        self._turn += 1
        order = {"segment": self.segment, "action": "add" if self._turn % 2 else "remove"}
        events = [
            {"id": f"{self.segment}-{self._turn}", "type": "membership", "customer_id": who, "properties": order}
            for who in CUSTOMERS[: 30 - self._turn % 7]
        ]
        answer = self.client.post("/v1/events", json=events)
        assert answer.status_code == 202, answer.text
        assert answer.json()["applied"] is True

    def go_on(self) -> None:
        def run() -> None:
            while not self._stopping.is_set():
                self.turn()

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def members(self) -> set[str]:
        page = self.client.get(f"/v1/segments/{self.segment}/members", params={"limit": 1000}).json()
        return {each["customer_id"] for each in page["members"]}

    def told(self) -> list[dict[str, Any]]:
        """All that the feed has of this segment."""
        found: list[dict[str, Any]] = []
        after, more = "start", True
        while more:
            query = {"after": after, "segment": self.segment, "limit": "1000"}
            page = self.client.get("/v1/transitions", params=query).json()
            found += page["transitions"]
            after, more = page["after"], page["more"]
        return found


@pytest.fixture
def traffic(server: str) -> Iterator[Traffic]:
    traffic = Traffic(server)
    try:
        yield traffic
    finally:
        traffic.stop()
        traffic.client.close()


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path, timeout=30)) as db:
        return db.execute(query).fetchall()


def count(path: Path) -> int:
    return int(rows(path, "SELECT count(*) FROM changes")[0][0])


def sequences(ids: list[str]) -> dict[str, list[int]]:
    """Of each customer, in the order in which they came."""
    found: dict[str, list[int]] = defaultdict(list)
    for each in ids:
        _, customer, sequence = each.split(":")
        found[customer].append(int(sequence))
    return found


def test_a_copy_begun_in_the_middle_and_killed_again_and_again_has_no_gap_and_no_double(
    server: str, traffic: Traffic, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as db:  # without the key that would hide a double
        db.execute("CREATE TABLE changes (id TEXT, type TEXT, customer TEXT)")
    traffic.turn()
    traffic.go_on()
    for _ in range(4):
        wanted = count(path) + 40
        with program(tmp_path, "copy_members.py", server, traffic.segment, str(path)) as process:
            until(lambda: count(path) > wanted, process)  # noqa: B023 (it is called at once)
            process.send_signal(signal.SIGKILL)
            process.wait()
    traffic.stop()
    traffic.turn()
    last = {told["id"] for told in traffic.told()[-5:]}
    with program(tmp_path, "copy_members.py", server, traffic.segment, str(path)) as process:
        until(lambda: last <= {each for (each,) in rows(path, "SELECT id FROM changes")}, process)
        until(lambda: {each for (each,) in rows(path, "SELECT customer FROM members")} == traffic.members(), process)
    copied = [each for (each,) in rows(path, "SELECT id FROM changes ORDER BY rowid")]
    assert len(copied) == len(set(copied)) > 160
    told = sequences([told["id"] for told in traffic.told()])
    for customer, found in sequences(copied).items():
        assert found == told[customer][-len(found) :], "the end of what was told of them, whole and in order"


def test_a_copy_whose_place_is_lost_begins_anew(server: str, traffic: Traffic, tmp_path: Path) -> None:
    """What is not kept any more cannot be made here without a long feed: a service that says so is enough."""
    path = tmp_path / "copy.db"
    traffic.turn()
    with program(tmp_path, "copy_members.py", server, traffic.segment, str(path)) as process:
        until(
            lambda: path.exists() and bool(rows(path, "SELECT name FROM sqlite_master WHERE name = 'place'")), process
        )
        until(lambda: len(rows(path, "SELECT * FROM place")) == 1, process)
    names: dict[str, Any] = {}
    exec(shown("copy_members.py").rpartition("\nmain(")[0], names)
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        if request.url.path == "/v1/transitions":
            return httpx2.Response(410, json={"type": "urn:segmentd:problem:position-lost"})
        return httpx2.Response(200, json={"members": [{"customer_id": "zoe"}], "cursor": None, "position": "9.9"})

    with (
        closing(sqlite3.connect(path)) as db,
        httpx2.Client(base_url="http://test", transport=httpx2.MockTransport(answer)) as client,
    ):
        names["follow"](client, db, traffic.segment)
    assert asked == ["/v1/transitions", f"/v1/segments/{traffic.segment}/members"]
    assert rows(path, "SELECT customer FROM members") == [("zoe",)]
    assert rows(path, "SELECT position FROM place") == [("9.9",)]


def test_the_stream_without_a_library_goes_on_where_it_was(server: str, traffic: Traffic, tmp_path: Path) -> None:
    for _ in range(4):
        traffic.turn()
    told = [event["id"] for event in traffic.told()]
    query = f"from=start&segment={traffic.segment}"
    lines: list[str] = []
    last = ""
    for count in (len(told) // 3, len(told) // 2, len(told)):
        with program(tmp_path, "tail.py", server, query, *([last] if last else [])) as process:
            assert process.stdout is not None
            while len(lines) < count:
                line = process.stdout.readline()
                assert line, process.communicate()[1]
                lines.append(line.strip())
            last = lines[-1].split()[0]
    seen: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        _, kind, segment, customer = line.split()
        assert segment == traffic.segment
        seen[customer].append(kind)
    assert {customer: len(kinds) for customer, kinds in seen.items()} == {
        customer: len(numbers) for customer, numbers in sequences(told).items()
    }
    for kinds in seen.values():
        assert kinds == (["segment.entered", "segment.exited"] * len(kinds))[: len(kinds)]


def test_what_a_shell_says_works(server: str, traffic: Traffic) -> None:
    traffic.turn()
    [block] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    environment = os.environ | {"SEGMENTD": server}
    ran = subprocess.run(["sh", "-e"], input=block, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    first, second, *stream = re.split(r"(?<=\})(?=\{|retry)", ran.stdout, maxsplit=2)
    assert len(orjson.loads(first)["transitions"]) == 2
    assert orjson.loads(second)["transitions"] == []
    assert "event: segment.entered" in stream[0]


def test_the_pages_example_is_what_the_feed_says() -> None:
    [block] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    event = orjson.loads(block)
    assert event["id"] == f"{event['data']['segment']}:{event['subject']}:{event['data']['sequence']}"


# -- Kafka -------------------------------------------------------------------------------------------------------------


def test_from_kafka_each_comes_once_whatever_is_killed_and_a_gap_is_told(kafka: str, tmp_path: Path) -> None:
    name = uuid.uuid4().hex[:8]
    topic, path = f"transitions-{name}", tmp_path / "copy.db"
    with Embedded(tmp_path / "data") as store:
        env = {
            "REDIS_URL": store.url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "SEGMENTD_PARTITIONS": "2",
            "SEGMENTD_EVENTS_TOPIC": f"events-{name}",
            "SEGMENTD_TRANSITIONS_TOPIC": topic,
            "SEGMENTD_DEAD_LETTERS_TOPIC": f"dead-{name}",
        }
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE changes (id TEXT, type TEXT, customer TEXT)")
        with running("up", "--port", 0, env=env) as process:
            traffic = Traffic(process.wait_for(r"is up at (http://\S+)"))
            arguments = (kafka, str(path), topic, f"copy-{name}")
            for turns in (2, 4, 6):
                while traffic._turn < turns:
                    traffic.turn()
                with program(tmp_path, "from_kafka.py", *arguments) as reading:
                    some = len(traffic.told()) // 2 if turns == 2 else len(traffic.told())
                    until(lambda: count(path) >= some, reading)  # noqa: B023 (it is called at once)
                    reading.send_signal(signal.SIGKILL)
                    reading.wait()
            copied = [each for (each,) in rows(path, "SELECT id FROM changes ORDER BY rowid")]
            told = [event["id"] for event in traffic.told()]
            assert sorted(copied) == sorted(told)
            assert sequences(copied) == sequences(told)
            traffic.client.close()
    names: dict[str, Any] = {}
    exec(shown("from_kafka.py").rpartition("\nasyncio.run(")[0], names)
    with closing(sqlite3.connect(path)) as db:
        [(partition, number)] = db.execute("SELECT * FROM places LIMIT 1").fetchall()
        event = {"id": "x:y:1", "type": "segment.entered", "data": {"customer_id": "y"}}
        before = db.execute("SELECT count(*) FROM changes").fetchone()
        names["take"](db, partition, number, event)
        assert db.execute("SELECT count(*) FROM changes").fetchone() == before
        names["take"](db, partition, number + 3, event)
        assert db.execute("SELECT number FROM places WHERE partition = ?", (partition,)).fetchone() == (number + 3,)
