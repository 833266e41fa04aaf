"""`segments validate` and `segments test`: what is printed, and the exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.cli.arguments import spread
from service.cli.files import good_segments
from tests.service.cli.conftest import Run

Write = Callable[[str, str], Path]
BUYERS = "id: buyers\nenter: {event: purchase, within: 1d}\n"
CASES = """segments: [buyers.yaml]
cases:
  - name: in for a day
    events: [{ts: 2026-01-01T00:00:00Z, type: purchase, customer_id: ana}]
    until: 2026-01-03T00:00:00Z
    expect:
      - 2026-01-01T00:00:00Z ana entered buyers event
      - 2026-01-02T00:00:00Z ana exited buyers clock
"""


def test_valid_documents_are_said_in_words(run: Run, write: Write) -> None:
    ran = run("segments", "validate", write("a.yaml", BUYERS + "---\n# more\nid: vips\nenter: {tag: vip}\n"))
    assert (ran.status, ran.err) == (0, "")
    assert "buyers: bought in the last day" in ran.out
    assert ran.out.endswith("2 valid, 0 invalid\n")


def test_every_mistake_of_every_file_is_told_with_its_file(run: Run, write: Write) -> None:
    good = write("d/good.yaml", BUYERS)
    bad = write("d/bad.yaml", "id: bad\nenter: {event: purchase, within: soon, sum: {gte: 1}}\n")
    several = write("d/several.yaml", "id: x\nenter: {tag: a}\n---\nid: y\nenter: {tags: a}\n")
    broken = write("d/broken.yml", "id: [\n")
    write("d/empty.yaml", "\n# nothing\n")
    ran = run("segments", "validate", good.parent)
    assert ran.status == 1
    assert f"{bad}: enter.within: " in ran.err
    assert f"{bad}: enter.sum.of: " in ran.err
    assert f"{several} (document 2): enter.tags: " in ran.err
    assert f"{broken}: " in ran.err
    assert "empty.yaml: the file is empty" in ran.err
    assert ran.out.endswith("2 valid, 4 invalid\n")


def test_documents_are_checked_together(run: Run, write: Write) -> None:
    a = write("d/a.yaml", "id: a\nenter: {segment: b}\n")
    write("d/b.yaml", "id: b\nenter: {segment: a}\n")
    write("d/c.yaml", "id: c\nenter: {segment: nowhere}\n")
    write("d/d.yaml", "id: c\nenter: {tag: x}\n")
    ran = run("segments", "validate", a.parent)
    assert ran.status == 1
    assert f"{a}: enter: " in ran.err
    assert "nowhere" in ran.err
    assert "`c` is also the id in" in ran.err


def test_passing_cases_are_counted(run: Run, write: Write) -> None:
    write("buyers.yaml", BUYERS)
    ran = run("segments", "test", write("buyers.cases.yaml", CASES))
    assert (ran.out, ran.status) == ("1 passed, 0 failed\n", 0)


def test_cases_are_found_in_folders_beside_segments_and_by_a_shells_star(run: Run, write: Write) -> None:
    segment, cases = write("d/buyers.yaml", BUYERS), write("d/buyers.cases.yaml", CASES)
    write("d/e/buyers.yaml", BUYERS)
    write("d/e/f.cases.yaml", CASES)
    assert run("segments", "test", segment.parent).out == "2 passed, 0 failed\n"
    assert run("segments", "test", segment).out == "1 passed, 0 failed\n"
    assert run("segments", "test", segment, cases).out == "1 passed, 0 failed\n"


def test_a_failed_case_is_shown_as_a_difference(run: Run, write: Write) -> None:
    write("buyers.yaml", BUYERS)
    path = write(
        "buyers.cases.yaml", CASES.replace("2026-01-02T00:00:00Z ana exited", "2026-01-02T01:00:00Z ana exited")
    )
    ran = run("segments", "test", path)
    assert ran.status == 1
    assert f"FAILED {path}: in for a day" in ran.out
    assert "- 2026-01-02T01:00:00Z ana exited buyers clock   (expected, did not happen)" in ran.out
    assert "+ 2026-01-02T00:00:00Z ana exited buyers clock   (happened, not expected)" in ran.out
    assert ran.out.endswith("0 passed, 1 failed\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("segments: []\ncases: 3\n", "cases: must be a list, not a number"),
        ("segments: [none.yaml]\ncases: []\n", "none.yaml: there is no such file or directory"),
        ("segments: [{id: x, enter: {tags: a}}]\ncases: []\n", "segments[0].enter.tags: "),
        ("segments: [{id: x, enter: {segment: y}}]\ncases: []\n", "segments[0]: enter: "),
        ("a: [", "line 2, column 1: "),
    ],
)
def test_a_file_that_cannot_be_run_is_told_and_the_others_are_run(run: Run, write: Write, text: str, told: str) -> None:
    write("buyers.yaml", BUYERS)
    good, bad = write("buyers.cases.yaml", CASES), write("bad.cases.yaml", text)
    ran = run("segments", "test", bad, good)
    assert told in ran.err
    assert "bad.cases.yaml" in ran.err or "none.yaml" in ran.err
    assert (ran.out, ran.status) == ("1 passed, 0 failed\n", 2)


@pytest.mark.parametrize("command", ["validate", "test"])
def test_nothing_to_read_is_told(run: Run, tmp_path: Path, command: str) -> None:
    assert run("segments", command, tmp_path / "none").status == 2
    ran = run("segments", command, tmp_path)
    assert ran.status == 2
    assert "there are no " in ran.err


def test_json_documents_are_files_too(run: Run, write: Write) -> None:
    path = write("a.json", '{"id": "a",\t"enter": {"tag": "x\\/y"}}')
    assert run("segments", "validate", path).status == 0
    assert good_segments([path])[0].body == ('{"id":"a","enter":{"tag":"x/y"}}', "application/json")


def test_each_document_of_a_file_keeps_its_own_text_and_comments(write: Write) -> None:
    text = "# first\nid: a\nenter: {tag: x}\n--- # second\nid: b\nenter: {tag: y}  # why\n"
    first, second = good_segments([write("ab.yaml", text)])
    assert first.body == ("# first\nid: a\nenter: {tag: x}\n", "application/yaml")
    assert second.body == ("id: b\nenter: {tag: y}  # why\n", "application/yaml")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("up --segments a b --port 1", "up --segments a --segments b --port 1"),
        ("replay e.jsonl --segments a b", "replay e.jsonl --segments a --segments b"),
        ("replay --segments a b e.jsonl.gz --at T", "replay --segments a --segments b e.jsonl.gz --at T"),
        ("replay e.parquet --segments a --segments b", "replay e.parquet --segments a --segments b"),
        ("up --segments", "up --segments"),
        ("up --segments --port 1", "up --segments --port 1"),
        ("segments validate a b", "segments validate a b"),
    ],
)
def test_segments_takes_all_the_paths_after_it(given: str, meant: str) -> None:
    assert spread(given.split()) == meant.split()
