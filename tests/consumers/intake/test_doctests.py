"""The examples in the intake's docstrings are right."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["consumers.intake.mapping", "consumers.log.dead_letters"])
def test_examples_in_docstrings_are_right(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted
    assert not result.failed
