"""The shipped shop, replayed in event time and posted over HTTP all late: both end with the same memberships."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import httpx2
import orjson

from rules.times import format_instant
from service import sample
from tests.service.cli.conftest import Run, running

LIBRARY = Path(sample.__file__).parents[2] / "rules" / "library"
SHOP = Path(sample.__file__).parent / "online-retail-small.jsonl.gz"
CHUNK = 1000


def members_of(server: httpx2.Client, segment: str) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    cursor: str | None = None
    while True:
        page: dict[str, Any] = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
        answer = server.get(f"/v1/segments/{segment}/members", params=page).raise_for_status().json()
        found |= {(segment, member["customer_id"]) for member in answer["members"]}
        cursor = answer["cursor"]
        if cursor is None:
            return found


def test_posted_late_or_replayed_the_shop_ends_with_the_same_members(tmp_path: Path, run: Run) -> None:
    with running(
        "up", "--port", 0, "--data-dir", tmp_path / "data", env={"SEGMENTD_EVENT_AGE_MAX_DAYS": "10000"}
    ) as process:
        address = process.wait_for(r"is up at (http://\S+)")
        assert run("segments", "apply", LIBRARY, "--server", address).status == 0
        with httpx2.Client(base_url=address, timeout=60) as server:
            lines = gzip.decompress(SHOP.read_bytes()).splitlines()
            for begin in range(0, len(lines), CHUNK):
                answer = server.post(
                    "/v1/events",
                    content=b"\n".join(lines[begin : begin + CHUNK]),
                    headers={"Content-Type": "application/x-ndjson", "Prefer": "wait=30"},
                )
                assert (answer.status_code, answer.json()["rejected"]) == (202, [])
            segments = [each["id"] for each in server.get("/v1/segments").json()["segments"]]
            posted = {member for segment in segments for member in members_of(server, segment)}
        at = format_instant(time.time_ns() // 1_000_000)
        assert process.end() == 0

    memberships = tmp_path / "memberships.jsonl"
    ended = run("replay", SHOP, "--segments", LIBRARY, "--at", at, "--memberships", memberships)
    assert ended.status == 0, ended.err
    told = [orjson.loads(line) for line in memberships.read_bytes().splitlines()]
    assert {(each["segment"], each["customer_id"]) for each in told} == posted
    assert len(posted) > 1000
