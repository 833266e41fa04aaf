"""The README's first segment, to the letter: its shell blocks are run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCAL = "http://127.0.0.1:8080"


def first_segment_blocks() -> list[str]:
    part = (ROOT / "README.md").read_text().partition("<!-- first segment -->")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with `.venv/bin/segmentd` in it, as a clone has after `make install`."""
    command = tmp_path / ".venv" / "bin" / "segmentd"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from service.cli import main; main()' \"$@\"\n")
    command.chmod(0o755)
    return tmp_path


def test_the_first_segment_of_the_readme_works_to_the_letter(shop: Path, server: str) -> None:
    blocks = first_segment_blocks()
    assert len(blocks) == 3
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SEGMENTD_SERVER": server, "COLUMNS": "200"}
    printed = ""
    for block in blocks:
        script = block.replace(LOCAL, server)
        ran = subprocess.run(["sh", "-ec", script], cwd=shop, env=env, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        printed += ran.stdout
    assert "two-looks: viewed a page at least 2 times in the last 30 seconds" in printed
    assert "1 passed, 0 failed" in printed
    assert "added two-looks" in printed
    assert '"applied":true' in printed
    assert re.search(r'"segment":"two-looks","since":"[^"]+","sequence":1,"leaves_at":"[^"]+"', printed)
    assert '"explanation":{"enter":{' in printed


def test_what_the_documents_point_to_is_there() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
