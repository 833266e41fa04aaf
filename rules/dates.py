"""Comparisons that the clock can change: ages, anniversaries, `in_last` and `in_next` of a date, since_*.

A `Timed` test says whether it holds at an instant and when it may next change its mind (never too late).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rules.compare import DATE_OPERATORS, predicate
from rules.identity import identity
from rules.language.documents import Comparison, Duration, Test
from rules.limits import DAY_MS
from rules.times import (
    NEVER,
    add,
    age,
    anniversary,
    local_date,
    midnight,
    next_anniversary,
    parse_local_date,
    parse_moment,
)

Holds = Callable[[Any, int], bool]
Until = Callable[[Any, int], int]


class Timed:
    """A comparison over a value at an instant. `still` when no part of it depends on the clock."""

    def __init__(self, comparison: Comparison, tz: str) -> None:
        plain = tuple(test for test in comparison.tests if test.op not in DATE_OPERATORS)
        dated = [test for test in comparison.tests if test.op in DATE_OPERATORS]
        self._plain = predicate(Comparison(plain)) if plain else None
        self._dated = [_DATED[test.op](test.operand, tz) for test in dated]
        self.still = not dated
        self.identity = identity((comparison, tz))

    def holds(self, value: Any, now: int) -> bool:
        if self._plain is not None and not self._plain(value):
            return False
        return all(holds(value, now) for holds, _ in self._dated)

    def until(self, value: Any, now: int) -> int:
        if self._plain is not None and not self._plain(value):
            return NEVER
        return min((until(value, now) for _, until in self._dated), default=NEVER)


def _stay(holds_from: int, holds_to: int, now: int) -> int:
    """When something that holds in [from, to) next changes."""
    if now < holds_from:
        return holds_from
    return holds_to if now < holds_to else NEVER


def _span(bounds: Callable[[int], tuple[int, int]], tz: str) -> tuple[Holds, Until]:
    def holds(value: Any, now: int) -> bool:
        moment = parse_moment(value, tz)
        if moment is None:
            return False
        start, end = bounds(moment)
        return start <= now < end

    def until(value: Any, now: int) -> int:
        moment = parse_moment(value, tz)
        return NEVER if moment is None else _stay(*bounds(moment), now)

    return holds, until


def _in_last(operand: Duration, tz: str) -> tuple[Holds, Until]:
    return _span(lambda moment: (moment, add(moment, operand, tz)), tz)


def _in_next(operand: Duration, tz: str) -> tuple[Holds, Until]:
    return _span(lambda moment: (add(moment, operand, tz, -1), moment), tz)


def _anniversary_in_next(operand: Duration, tz: str) -> tuple[Holds, Until]:
    """The next anniversary's local date is one of the `days` that begin with today."""
    days = operand.ms // DAY_MS

    def holds(value: Any, now: int) -> bool:
        born = parse_local_date(value, tz)
        if born is None:
            return False
        today = local_date(now, tz)
        return (next_anniversary(born, today) - today).days < days

    def until(value: Any, now: int) -> int:
        born = parse_local_date(value, tz)
        if born is None:
            return NEVER
        today = local_date(now, tz)
        coming = next_anniversary(born, today)
        opens = midnight(coming - timedelta(days=days - 1), tz)
        return opens if now < opens else midnight(coming + timedelta(days=1), tz)

    return holds, until


def _age(operand: Comparison, tz: str) -> tuple[Holds, Until]:
    asked = predicate(operand)

    def holds(value: Any, now: int) -> bool:
        born = parse_local_date(value, tz)
        return born is not None and asked(age(born, local_date(now, tz)))

    def until(value: Any, now: int) -> int:
        """The first coming birthday on which the answer differs (looked for over 150 years)."""
        born = parse_local_date(value, tz)
        if born is None:
            return NEVER
        today = local_date(now, tz)
        years = age(born, today)
        answer = asked(years)
        for more in range(1, min(151, 9999 - today.year)):
            if asked(years + more) != answer:
                return midnight(anniversary(born, born.year + years + more), tz)
        return NEVER

    return holds, until


_DATED: dict[str, Callable[[Any, str], tuple[Holds, Until]]] = {
    "in_last": _in_last,
    "in_next": _in_next,
    "anniversary_in_next": _anniversary_in_next,
    "age": _age,
}


class Since:
    """`since_first`/`since_last` in any units: how the age of an instant compares with durations."""

    def __init__(self, comparison: Comparison, tz: str) -> None:
        self.tests, self.tz = comparison.tests, tz
        self.identity = identity((comparison, tz))

    def holds(self, instant: int | None, now: int) -> bool:
        return instant is not None and all(self._holds(test, instant, now) for test in self.tests)

    def _holds(self, test: Test, instant: int, now: int) -> bool:
        assert isinstance(test.operand, Duration)
        due = add(instant, test.operand, self.tz)
        return _SINCE[test.op](now, due)

    def until(self, instant: int | None, now: int) -> int:
        if instant is None:
            return NEVER
        coming = NEVER
        for test in self.tests:
            assert isinstance(test.operand, Duration)
            due = add(instant, test.operand, self.tz)
            if due < NEVER:
                coming = min([coming, *(t for t in (due, due + 1) if t > now)])
        return coming


_SINCE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda now, due: now > due,
    "gte": lambda now, due: now >= due,
    "lt": lambda now, due: now < due,
    "lte": lambda now, due: now <= due,
    "eq": lambda now, due: now == due,
    "ne": lambda now, due: now != due,
}
