"""What the docstrings of the rules show is what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import rules

MODULES = sorted(found.name for found in pkgutil.walk_packages(rules.__path__, "rules."))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_a_modules_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_such_examples() -> None:
    tried = [doctest.testmod(importlib.import_module(name)).attempted for name in MODULES]

    assert sum(tried) >= 5
