"""`replay`: the same events in any form give the same transitions; what is bad is told with its line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.service.cli.conftest import Ran, Run

Write = Callable[[str, str], Path]
SEGMENT = "id: buyers\nenter: {event: purchase, within: 1d, where: {amount: {gte: 5}}}\n"
EVENTS: list[dict[str, Any]] = [
    {"id": "1", "type": "purchase", "customer_id": "ana", "ts": "2026-01-01T00:00:00Z", "properties": {"amount": 5.0}},
    {"id": "2", "type": "purchase", "customer_id": "bob", "ts": "2026-01-01T12:00:00Z", "properties": {"amount": 4.0}},
    {
        "id": "3",
        "type": "purchase",
        "customer_id": "bob",
        "ts": "2026-01-01T12:00:00.5Z",
        "properties": {"amount": 9.5},
    },
    {"id": "4", "type": "page_view", "customer_id": "ana", "ts": "2026-01-02T06:00:00Z", "properties": {}},
]
LINES = "".join(orjson.dumps(event).decode() + "\n" for event in EVENTS)
MAP = pa.map_(pa.string(), pa.float64())
MEMBERS = [{"customer_id": "bob", "segment": "buyers", "since": "2026-01-01T12:00:00.500Z"}]
CHANGES = [
    ("buyers:ana:1", "segment.entered", "2026-01-01T00:00:00Z", "event"),
    ("buyers:bob:1", "segment.entered", "2026-01-01T12:00:00.500Z", "event"),
    ("buyers:ana:2", "segment.exited", "2026-01-02T00:00:00Z", "clock"),
]


@pytest.fixture
def segment(write: Write) -> Path:
    return write("buyers.yaml", SEGMENT)


def results(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def played(run: Run, segment: Path, events: Path, *more: object) -> Ran:
    out = segment.parent
    return run(
        "replay",
        events,
        "--segments",
        segment,
        "--transitions",
        out / "t.jsonl",
        "--memberships",
        out / "m.jsonl",
        *more,
    )


def changes(segment: Path) -> list[tuple[str, str, str, str]]:
    found = results(segment.parent / "t.jsonl")
    return [(each["id"], each["type"], each["time"], each["data"]["cause"]) for each in found]


def as_text(path: Path) -> Path:
    path.write_text(LINES)
    return path


def as_gzip(path: Path) -> Path:
    path.write_bytes(gzip.compress(LINES.encode()))
    return path


def as_parquet(path: Path, **columns: Any) -> Path:
    plain = {key: [event[key] for event in EVENTS] for key in ("id", "type", "customer_id", "ts", "properties")}
    pq.write_table(pa.table({**plain, **columns}), path)
    return path


def moments() -> list[datetime]:
    return [datetime.fromisoformat(event["ts"]) for event in EVENTS]


FORMS: dict[str, Callable[[Path], Path]] = {
    "lines": lambda at: as_text(at / "e.jsonl"),
    "lines without a last end": lambda at: _written(at / "e.jsonl", LINES.rstrip("\n")),
    "lines with blanks and carriage returns": lambda at: _written(
        at / "e.jsonl", "\n" + LINES.replace("\n", "\r\n\r\n")
    ),
    "lines with a byte order mark": lambda at: _written(at / "e.jsonl", "\ufeff" + LINES),
    "gzip": lambda at: as_gzip(at / "e.jsonl.gz"),
    "parquet, struct": lambda at: as_parquet(at / "e.parquet"),
    "parquet, JSON": lambda at: as_parquet(
        at / "e.parquet", properties=[orjson.dumps(event["properties"]).decode() for event in EVENTS]
    ),
    "parquet, map": lambda at: as_parquet(
        at / "e.parquet", properties=pa.array([list(event["properties"].items()) for event in EVENTS], MAP)
    ),
    "parquet, timestamps": lambda at: as_parquet(at / "e.parquet", ts=pa.array(moments(), pa.timestamp("us", "UTC"))),
    "parquet, timestamps elsewhere": lambda at: as_parquet(
        at / "e.parquet", ts=pa.array(moments(), pa.timestamp("ns", "America/Sao_Paulo"))
    ),
    "parquet, timestamps of no zone": lambda at: as_parquet(
        at / "e.parquet", ts=pa.array([each.replace(tzinfo=None) for each in moments()], pa.timestamp("ms"))
    ),
    "parquet, ms": lambda at: as_parquet(at / "e.parquet", ts=[round(each.timestamp() * 1000) for each in moments()]),
    "parquet, dictionary": lambda at: as_parquet(
        at / "e.parquet", type=pa.array([event["type"] for event in EVENTS]).dictionary_encode()
    ),
}  # fmt: skip


def _written(path: Path, text: str) -> Path:
    path.write_text(text, newline="")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_the_same_events_in_any_form_give_the_same_changes(run: Run, segment: Path, tmp_path: Path, form: str) -> None:
    ran = played(run, segment, FORMS[form](tmp_path))
    assert (ran.status, ran.err) == (0, "")
    assert changes(segment) == CHANGES
    assert results(tmp_path / "m.jsonl") == MEMBERS
    assert "4 events in" in ran.out
    assert "3 transitions, up to 2026-01-02T06:00:00Z" in ran.out
    assert ran.out.splitlines()[1].split() == ["buyers", "1", "2", "1"]


def test_transitions_are_cloud_events(run: Run, segment: Path, tmp_path: Path) -> None:
    played(run, segment, as_text(tmp_path / "e.jsonl"))
    first = results(tmp_path / "t.jsonl")[0]
    assert first["specversion"] == "1.0"
    assert first["data"]["leaves_at"] == "2026-01-02T00:00:00Z"
    assert first["data"]["event_id"] == "1"


def test_at_plays_on_by_the_clock_and_does_what_is_due_then(run: Run, segment: Path, tmp_path: Path) -> None:
    events = as_text(tmp_path / "e.jsonl")
    played(run, segment, events, "--at", "2026-01-02T12:00:00.499Z")
    assert results(tmp_path / "m.jsonl") == MEMBERS
    played(run, segment, events, "--at", "2026-01-02T12:00:00.500Z")
    assert results(tmp_path / "m.jsonl") == []


def test_reading_stops_at_the_first_event_past_the_end(run: Run, segment: Path, tmp_path: Path) -> None:
    late = EVENTS[0] | {"id": "9", "customer_id": "eva", "ts": "2026-01-01T11:00:00Z"}
    path = _written(tmp_path / "e.jsonl", LINES + orjson.dumps(late).decode())
    ran = played(run, segment, path, "--at", "2026-01-01T12:00:00Z")
    assert [each[0] for each in changes(segment)] == ["buyers:ana:1"]
    assert "2 events in" in ran.out
    assert "reading stopped at the first event past that" in ran.out


def test_a_line_may_carry_the_logs_time(run: Run, segment: Path, tmp_path: Path) -> None:
    event = EVENTS[0] | {"log_ts": "2026-01-01T08:00:00Z"}
    played(run, segment, _written(tmp_path / "e.jsonl", orjson.dumps(event).decode()), "--at", "2026-01-05T00:00:00Z")
    assert [each[2] for each in changes(segment)] == ["2026-01-01T08:00:00Z", "2026-01-02T00:00:00Z"]


def test_parquet_may_carry_the_logs_time(run: Run, segment: Path, tmp_path: Path) -> None:
    stamps = pa.array([datetime(2026, 1, 1, 8, tzinfo=UTC), *moments()[1:]], pa.timestamp("ms", "UTC"))
    played(run, segment, as_parquet(tmp_path / "e.parquet", log_ts=stamps))
    assert changes(segment)[0][2] == "2026-01-01T08:00:00Z"


def test_bad_records_are_told_with_their_line_and_the_rest_is_played(run: Run, segment: Path, tmp_path: Path) -> None:
    bad = ['{"id": 1}', "[", '{"id":"x","type":"purchase","ts":"2026-01-01T00:00:00Z"}']
    path = _written(tmp_path / "e.jsonl", LINES + "\n" + "\n".join(bad))
    ran = played(run, segment, path)
    assert ran.status == 1
    assert ran.err.splitlines() == [
        f"{path}:6: type: is missing",
        f"{path}:7: is not JSON: unexpected end of data (character 3)",
        f"{path}:8: customer_id: is missing",
        "3 bad records were left out (--skip-bad makes that no failure)",
    ]
    assert changes(segment) == CHANGES
    assert played(run, segment, path, "--skip-bad").status == 0


def test_of_many_bad_records_twenty_are_told_and_all_are_counted(run: Run, segment: Path, tmp_path: Path) -> None:
    ran = played(run, segment, _written(tmp_path / "e.jsonl", "{}\n" * 30))
    assert len(ran.err.splitlines()) == 22
    assert "... and 10 more" in ran.err
    assert "30 bad records were left out" in ran.err


def test_bad_rows_are_told_with_their_number(run: Run, segment: Path, tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "e.parquet", customer_id=["ana", None, "bob", ""], properties=["{", "{}", "[]", "{}"])
    ran = played(run, segment, path)
    assert [line.partition(": ")[0] for line in ran.err.splitlines()[:4]] == [f"{path}:{row}" for row in (1, 2, 3, 4)]
    assert ran.status == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("e.jsonl.gz", gzip.compress(LINES.encode())[:-12], "the compressed file is damaged after line"),
        ("e.jsonl.gz", b"no gzip", "the compressed file is damaged after line 0"),
        ("e.parquet", b"no parquet at all", "is no Parquet file"),
        ("e.csv", b"", "a recording ends in .jsonl, .jsonl.gz or .parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    run: Run, segment: Path, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    ran = played(run, segment, path)
    assert ran.status == 2
    assert f"{path}: {told}" in ran.err


def test_a_parquet_file_without_the_columns_is_told_which(run: Run, segment: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "who": ["ana"]}), tmp_path / "e.parquet")
    ran = played(run, segment, tmp_path / "e.parquet")
    assert ran.status == 2
    assert "has no column type, customer_id, ts; there are id, who" in ran.err


def test_what_was_named_and_is_not_there_is_told(run: Run, segment: Path, tmp_path: Path) -> None:
    assert run("replay", tmp_path / "none.jsonl", "--segments", segment).status == 2
    events = as_text(tmp_path / "e.jsonl")
    assert run("replay", events, "--segments", tmp_path / "none.yaml").status == 2
    assert run("replay", events, "--segments", segment, "--at", "noon").status == 2
    assert run("replay", events, "--segments", segment, "--transitions", tmp_path / "no" / "t.jsonl").status == 2


def test_wrong_segments_are_told_before_anything_is_played(run: Run, write: Write, tmp_path: Path) -> None:
    bad = write("bad.yaml", "id: bad\nenter: {segment: bad}\n")
    ran = run("replay", as_text(tmp_path / "e.jsonl"), "--segments", bad)
    assert ran.status == 1
    assert f"{bad}: enter: " in ran.err


def test_an_empty_recording_gives_nothing(run: Run, segment: Path, tmp_path: Path) -> None:
    ran = played(run, segment, _written(tmp_path / "e.jsonl", ""))
    assert ran.status == 0
    assert "0 events in" in ran.out
    assert results(tmp_path / "m.jsonl") == []
