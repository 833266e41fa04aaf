"""Levels: where a slot's number lies among all the thresholds anyone asks of it.

A level is an integer: NONE where there is no value (then every comparison is false), else how many thresholds the
value has passed. A comparison is a truth for each level, so that only a change of level can change a verdict.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from rules.language.documents import Comparison, Duration, Test

NONE = -1
Threshold = tuple[Fraction, int]
"""(x, 0) is passed by values >= x, (x, 1) by values > x."""


def exact(value: Any, scale: int) -> Fraction:
    """A document's number (by its decimal text) in units of 1/scale; a duration in ms."""
    if isinstance(value, Duration):
        return Fraction(value.ms)
    return Fraction(str(value)) * scale


def thresholds_of(comparison: Comparison, scale: int) -> list[Threshold]:
    return [threshold for test in comparison.tests for threshold in _thresholds(test, scale)]


def _thresholds(test: Test, scale: int) -> list[Threshold]:
    operand: Any = test.operand
    values = operand if isinstance(operand, tuple) else (operand,)
    exacts = [exact(value, scale) for value in values]
    if test.op in ("gte", "lt"):
        return [(exacts[0], 0)]
    if test.op in ("gt", "lte"):
        return [(exacts[0], 1)]
    return [(value, strict) for value in exacts for strict in (0, 1)]


class Levels:
    """The sorted thresholds of one slot. `whole`: values are integers, so that bisection runs on plain ints."""

    def __init__(self, thresholds: Iterable[Threshold], whole: bool) -> None:
        self.whole = whole
        if whole:
            # A strict bound on integers is the next integer up.
            bounds = {math.floor(x) + 1 if strict else math.ceil(x) for x, strict in thresholds}
            self.bounds: list[Any] = sorted(bounds)
        else:
            self.bounds = sorted(set(thresholds))

    def of(self, value: Any) -> int:
        """The level of a value (int if `whole`, else Fraction); NONE for None."""
        if value is None:
            return NONE
        if self.whole:
            return bisect_right(self.bounds, value)
        level = 0
        for x, strict in self.bounds:  # few; a fraction compares ten times as dear as an int
            if value < x or (strict and value == x):
                break
            level += 1
        return level

    def truths(self, comparison: Comparison, scale: int) -> tuple[bool, ...]:
        """Whether the comparison holds, by level + 1 (the first is NONE)."""
        tests = [self._passed(test, scale) for test in comparison.tests]
        return (False, *(all(test(level) for test in tests) for level in range(len(self.bounds) + 1)))

    def _passed(self, test: Test, scale: int) -> Callable[[int], bool]:
        at = [self._place(threshold) for threshold in _thresholds(test, scale)]
        if test.op in ("gte", "gt"):
            return lambda level: level > at[0]
        if test.op in ("lt", "lte"):
            return lambda level: level <= at[0]
        # eq and in: passed (x, 0) but not (x, 1); whole numbers between two integers have both at one place.
        pairs = list(zip(at[::2], at[1::2], strict=True))
        if test.op in ("eq", "in"):
            return lambda level: any(low < level <= high for low, high in pairs)
        return lambda level: not any(low < level <= high for low, high in pairs)

    def _place(self, threshold: Threshold) -> int:
        x, strict = threshold
        if self.whole:
            return self.bounds.index(math.floor(x) + 1 if strict else math.ceil(x))
        return self.bounds.index(threshold)
