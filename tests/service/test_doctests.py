"""The examples in the service's docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("auth", "bodies", "csv_rows", "cursors", "headers", "metrics", "cli.status", "dead_letters")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"service.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
