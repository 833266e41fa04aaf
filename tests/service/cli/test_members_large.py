"""A file of a million rows: in bounded memory, whole, and none lost."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import httpx2
import pytest

from consumers.embedded import Embedded
from tests.service.cli.conftest import Run, running

ROWS = 1_000_000
GROWTH_BYTES_MAX = 96 * 1024 * 1024  # a batch, a piece, and what an allocator keeps; the file has 23 MB, its events 200


def rss_bytes(pid: int, what: str = "VmRSS") -> int:
    [kib] = re.findall(rf"^{what}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(kib) * 1024


class Peak:
    """The most memory that a process has while this is open."""

    def __init__(self, pid: int) -> None:
        self.before = self.most = rss_bytes(pid)
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.most = max(self.most, rss_bytes(self._pid))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@pytest.mark.long
def test_a_million_rows_are_taken_in_bounded_memory(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    with file.open("w") as out:
        out.write("customer_id,action,until\n")
        for number in range(ROWS):
            out.write(f"customer-{number:08d},{'ad' if number % 100_000 == 7 else 'add'},\n")
    with Embedded(tmp_path / "data") as store, running("api", "--port", 0, env={"REDIS_URL": store.url}) as process:
        server = process.wait_for(r"(http://127.0.0.1:\d+)")
        with httpx2.Client(base_url=server, timeout=60) as client:
            assert client.put("/v1/segments/all", json={"id": "all", "list": True}).status_code == 201
            began = time.monotonic()
            with Peak(process.pid) as peak:
                ran = run("members", "import", "all", file, "--server", server)
            seconds = time.monotonic() - began
            assert f"all: {ROWS:,} rows: {ROWS - 10:,} taken, 10 refused" in ran.out, ran.err
            [told] = client.get("/v1/imports").json()["imports"]
        assert (told["rows"], told["accepted"], told["rejected"], told["state"]) == (ROWS, ROWS - 10, 10, "done")
        print(
            f"{seconds:.0f} s, {ROWS / seconds:,.0f} rows/s; memory {peak.before >> 20} MiB, at most {peak.most >> 20}"
        )
        assert peak.most - peak.before < GROWTH_BYTES_MAX
