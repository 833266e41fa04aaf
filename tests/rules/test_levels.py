"""Levels: a comparison is a truth for each level, so that only a change of level can change a verdict."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.language.documents import Comparison, Duration, Test
from rules.levels import NONE, Levels, exact, thresholds_of
from tests.rules.building import measured

NUMBERS: list[Any] = [-5, 0, 1, 2, 3, 100, 0.1, 0.5, 1.5, 2.5, -0.5, 33.3]
BY_DEFINITION: dict[str, Callable[[Fraction, list[Fraction]], bool]] = {
    "gte": lambda value, x: value >= x[0],
    "gt": lambda value, x: value > x[0],
    "lte": lambda value, x: value <= x[0],
    "lt": lambda value, x: value < x[0],
    "eq": lambda value, x: value == x[0],
    "ne": lambda value, x: value != x[0],
    "in": lambda value, x: value in x,
    "not_in": lambda value, x: value not in x,
}

one = st.sampled_from(NUMBERS)
singles = st.builds(Test, st.sampled_from(["gte", "gt", "lte", "lt", "eq", "ne"]), one)
several = st.builds(Test, st.sampled_from(["in", "not_in"]), st.lists(one, min_size=1, max_size=3).map(tuple))
comparisons = st.lists(st.one_of(singles, several), min_size=1, max_size=3).map(lambda tests: Comparison(tuple(tests)))


def holds(comparison: Comparison, value: Fraction) -> bool:
    for test in comparison.tests:
        operands = test.operand if isinstance(test.operand, tuple) else (test.operand,)
        if not BY_DEFINITION[test.op](value, [Fraction(str(operand)) for operand in operands]):
            return False
    return True


@settings(max_examples=100)
@given(st.lists(comparisons, min_size=1, max_size=4), st.integers(-7, 200), st.sampled_from([1, 10]))
def test_whole_values_compare_as_numbers_do(asked: list[Comparison], value: int, scale: int) -> None:
    levels = Levels([each for comparison in asked for each in thresholds_of(comparison, scale)], whole=True)

    for comparison in asked:
        assert levels.truths(comparison, scale)[levels.of(value) + 1] == holds(comparison, Fraction(value, scale))


@settings(max_examples=100)
@given(st.lists(comparisons, min_size=1, max_size=4), st.fractions(-6, 120, max_denominator=30))
def test_fractions_compare_as_numbers_do(asked: list[Comparison], value: Fraction) -> None:
    levels = Levels([each for comparison in asked for each in thresholds_of(comparison, 1)], whole=False)

    for comparison in asked:
        assert levels.truths(comparison, 1)[levels.of(value) + 1] == holds(comparison, value)


@settings(max_examples=100)
@given(st.lists(comparisons, min_size=1, max_size=4), st.booleans())
def test_no_value_is_a_level_of_its_own_on_which_nothing_holds(asked: list[Comparison], whole: bool) -> None:
    levels = Levels([each for comparison in asked for each in thresholds_of(comparison, 1)], whole)

    assert levels.of(None) == NONE
    assert not any(levels.truths(comparison, 1)[NONE + 1] for comparison in asked)


def test_equal_thresholds_of_many_comparisons_are_one() -> None:
    asked = [measured("count", "gte: 3"), measured("count", "lt: 3"), measured("count", "gt: 2")]
    levels = Levels([each for comparison in asked for each in thresholds_of(comparison, 1)], whole=True)

    assert levels.bounds == [3]
    assert [levels.of(value) for value in (2, 3, 4)] == [0, 1, 1]


@pytest.mark.parametrize(
    ("operand", "scale", "units"),
    [
        (0.1, 10**6, 100_000),
        (33.3, 10**6, 33_300_000),
        (1e-07, 10**6, Fraction(1, 10)),
        (1e22, 1, 10**22),
        (5, 1, 5),
        (Duration(ms=90_000), 10**6, 90_000),
    ],
)
def test_a_documents_number_is_the_decimal_it_is_written_as(operand: Any, scale: int, units: Any) -> None:
    assert exact(operand, scale) == units
