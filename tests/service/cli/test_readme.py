"""The README's first segment, to the letter: its shell blocks are run as they stand, against a service of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.cli.conftest import running

ROOT = Path(__file__).parents[3]
LOCAL = "http://127.0.0.1:8080"
TOLD_S = 40.0  # for the feed to tell something; the segment's window is 30 seconds


def first_segment_blocks() -> list[str]:
    part = (ROOT / "README.md").read_text().partition("<!-- first segment -->")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody who follows the README in a clone after `make install`."""

    def __init__(self, folder: Path, server: str) -> None:
        command = folder / ".venv" / "bin" / "segmentd"
        command.parent.mkdir(parents=True)
        command.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from service.cli import main; main()' \"$@\"\n")
        command.chmod(0o755)
        self._folder, self._server = folder, server
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "SEGMENTD_SERVER": server, "COLUMNS": "200"}

    def runs(self, block: str) -> str:
        """What a block prints; it must go well."""
        script = ["sh", "-ec", block.replace(LOCAL, self._server)]
        ran = subprocess.run(script, cwd=self._folder, env=self._env, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    @contextmanager
    def watches(self, block: str) -> Iterator[Path]:
        """A block left running in another terminal; the file it prints to."""
        told = self._folder / "third-terminal"
        with told.open("wb") as out:
            command = ["sh", "-c", "exec " + block.replace(LOCAL, self._server)]
            watching = subprocess.Popen(command, stdout=out, cwd=self._folder, env=self._env)
        try:
            yield told
        finally:
            watching.kill()
            watching.wait()


def wait_for(told: Path, text: str) -> None:
    until = time.monotonic() + TOLD_S
    while text not in told.read_text():
        assert time.monotonic() < until, f"no {text} in:\n{told.read_text()}"
        time.sleep(0.05)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[str]:
    """The address of a service that nobody has sent anything to."""
    with running("up", "--port", 0, "--data-dir", tmp_path / ".segmentd") as process:
        yield process.wait_for(r"is up at (http://\S+)")
        assert process.end() == 0


@pytest.mark.parametrize("to_the_end", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_first_segment_of_the_readme_works_to_the_letter(tmp_path: Path, fresh: str, to_the_end: bool) -> None:
    write, try_it, apply, watch, look, afterwards = first_segment_blocks()
    reader = Reader(tmp_path, fresh)
    assert "two-looks: viewed a page at least 2 times in the last 30 seconds" in reader.runs(write)
    assert "1 passed, 0 failed" in reader.runs(try_it)
    assert "added two-looks" in reader.runs(apply)
    with reader.watches(watch) as told:
        wait_for(told, "segmentd")
        printed = reader.runs(look)
        assert '"applied":true' in printed
        assert '"members":[{"customer_id":"you"' in printed
        assert re.search(r'"segment":"two-looks","since":"[^"]+","sequence":1,"leaves_at":"[^"]+"', printed)
        assert '"explanation":{"enter":{' in printed
        wait_for(told, '"id":"two-looks:you:1"')
        if to_the_end:
            wait_for(told, '"id":"two-looks:you:2"')
            assert '"cause":"clock"' in told.read_text()
            assert '"member":false' in reader.runs(afterwards)


def test_what_the_documents_point_to_is_there() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
