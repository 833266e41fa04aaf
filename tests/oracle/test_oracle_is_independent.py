"""The oracle is worth something because it shares nothing with what it checks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SHARED = {"rules.language", "rules.language.documents"}  # `parse_document`, and the types it gives
FILES = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_"))


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_oracle_takes_nothing_from_the_rules_but_documents(path: Path) -> None:
    taken = {name for name in imported(path) if name.split(".")[0] in ("rules", "consumers", "service")}
    assert taken <= SHARED
    assert not {name for name in imported(path) if name.startswith("tests.") and not name.startswith("tests.oracle")}
