"""`segmentd connectors`: what there is, and what is wrong in one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli import main

GOOD = (
    "connector: crm\nbase: https://crm.example\ncalls: {note: {about: Notes it., post: /n, json: {t: '{{ text }}'}}}\n"
)


def test_the_list_has_every_call_and_what_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "crm.yaml").write_text(GOOD)
    assert run("connectors", "list", "--dir", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"crm  ({tmp_path / 'crm.yaml'})" in lines
    assert "  crm.note: Notes it." in lines
    assert "    text" in lines
    assert "kommo" in lines
    assert "    user  (not needed): id of the responsible user; without it, the one whom the token belongs to" in lines
    assert any(line.startswith("  kommo.tag, also `on: member`: ") for line in lines)


def test_the_check_tells_every_mistake_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(GOOD.replace("crm", "bad").replace("post: /n", "post: n"))
    assert run("connectors", "check", str(tmp_path / "good.yaml")) == 0
    assert capsys.readouterr().out.splitlines() == ["crm: note", "1 valid, 0 invalid"]
    assert run("connectors", "check", str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml")) == 1
    told = capsys.readouterr()
    assert f"{tmp_path / 'bad.yaml'}: calls.note.post: `n` is no path" in told.err
    assert told.out.splitlines() == ["crm: note", "1 valid, 1 invalid"]


def run(*arguments: str) -> int:
    try:
        main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
