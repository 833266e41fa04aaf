"""`segmentd members import` and `export` against a running service."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx2
import pytest

from tests.service.cli.conftest import Run

SEGMENT = {"id": "staff", "name": "Staff", "list": True}
WAIT = {"Prefer": "wait=30"}


@pytest.fixture
def staff(server: str) -> str:
    """A running service with an empty list `staff`."""
    with httpx2.Client(base_url=server, headers=WAIT, timeout=60) as client:
        client.delete("/v1/segments/staff")
        assert client.put("/v1/segments/staff", json=SEGMENT).status_code == 201
    return server


def settled(server: str) -> None:
    """Everything sent so far was applied: each partition has applied what was sent to it last."""
    events = [{"id": f"settled-{n}", "type": "page_view", "customer_id": f"nobody-{n}"} for n in range(64)]
    with httpx2.Client(base_url=server, headers=WAIT, timeout=60) as client:
        assert client.post("/v1/events", json=events).json()["applied"] is True


def test_what_is_imported_is_exported(run: Run, staff: str, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text('customer_id\nana\n"o""neil, bea"\n')
    ran = run("members", "import", "staff", file, "--server", staff)
    assert (ran.out.strip(), ran.status) == ("staff: 2 rows: 2 taken, 0 refused", 0), ran.err
    settled(staff)
    ran = run("members", "export", "staff", "--server", staff)
    header, *rows = ran.out.splitlines()
    assert header == "customer_id,since"
    assert sorted(row.rpartition(",")[0] for row in rows) == ['"o""neil, bea"', "ana"]
    exported = tmp_path / "exported.csv.gz"
    exported.write_bytes(gzip.compress(ran.out.encode()))
    ran = run("members", "import", "staff", exported, "--server", staff)
    assert ran.out.strip() == "staff: 2 rows: 2 taken, 0 refused", ran.err


def test_bad_rows_are_told_with_their_place_and_a_dry_run_changes_nothing(run: Run, staff: str, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text("customer_id,action\nana,add\nbea,ad\n,add\n")
    ran = run("members", "import", "staff", file, "--dry-run", "--server", staff)
    assert ran.out.strip() == "staff: 3 rows: 1 would be taken, 2 refused"
    assert "row 3, action: `ad` is none of add, remove, clear" in ran.err
    assert "row 4, customer_id: is empty" in ran.err
    assert ran.status == 1
    settled(staff)
    assert run("members", "export", "staff", "--server", staff).out == "customer_id,since\n"


def test_a_file_that_cannot_be_read_says_what_would_be_right(run: Run, staff: str, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text("customer\nana\n")
    ran = run("members", "import", "staff", file, "--server", staff)
    assert "row 1, customer_id: is no column of the first row" in ran.err
    assert ran.status == 1
    file.write_text("name,customer_id\nAna,ana\n")
    assert run("members", "import", "staff", file, "--server", staff).status == 1
    assert run("members", "import", "staff", file, "--ignore-columns", "--server", staff).status == 0


def test_what_the_service_refuses_is_told_and_how_to_go_on(run: Run, staff: str, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text("customer_id\nana\n")
    ran = run("members", "import", "nobody", file, "--server", staff, "--key", "k1")
    assert "There is no segment 'nobody'" in ran.err
    assert "--key k1" in ran.err
    assert ran.status == 1
    assert run("members", "export", "nobody", "--server", staff).status == 1
    ran = run("members", "import", "staff", tmp_path / "none.csv", "--server", staff)
    assert "No such file" in ran.err
    assert ran.status == 2


def test_an_import_sent_again_under_its_key_counts_once(run: Run, staff: str, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text("customer_id\nana\n")
    for action in (None, "remove", None):
        if action:
            with httpx2.Client(base_url=staff, headers=WAIT, timeout=60) as client:
                client.delete("/v1/segments/staff/members/ana")
        else:
            assert run("members", "import", "staff", file, "--server", staff, "--key", "monday").status == 0
        settled(staff)
    assert run("members", "export", "staff", "--server", staff).out == "customer_id,since\n"
