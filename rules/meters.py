"""Meters: what one measure reads off one series through one window, at an instant, and when that may change.

Values are exact: counts are ints, amounts ints of millionths, means fractions of millionths, `first`/`last` are texts
(`compare.key`), `since_*` are the instant of the event whose age is asked. None: no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from heapq import merge
from typing import Any

from rules.aggregates.chains import RANK, VALUES, Chain
from rules.aggregates.features import Feature
from rules.aggregates.series import COUNT, FIRST, LAST, LEAST, MOST, SUM, Series
from rules.numbers import MICRO
from rules.windows import AnyWindow, Ever, Range

Value = Any
"""int, Fraction or text by the kind of measure; None for no value."""
Picked = Sequence[int]

EMPTY = Series()
LOOKAHEAD = 64


class Meter:
    """`kind` is the measure. `scale` is the unit a document's number is in: 1, or MICRO for amounts."""

    def __init__(self, feature: Feature, window: AnyWindow, kind: str) -> None:
        self.feature, self.window, self.kind = feature, window, kind
        self.key = feature.key
        self.from_total = isinstance(window, Ever) and feature.totals
        self.scale = MICRO if kind in ("sum", "avg", "min", "max") else 1
        self.whole = kind != "avg"
        self.cheap = kind in ("count", "sum") and isinstance(window, Range) and not isinstance(feature, Chain)
        self._read = _TOTALS[kind] if self.from_total else _READS[kind]

    def value(self, series: Series | None, now: int) -> Value:
        if self.from_total:
            return self._read(series or EMPTY, (), ())
        if series is None:
            return self._read(EMPTY, (), ())
        if isinstance(self.feature, Chain):
            series = chain_view(self.feature, series, now, self.kind)
        picked = self.window.pick(series.ts, now)
        days: Sequence[list[int]] = ()
        if series.aged:
            days = [day for day in series.aged.values() if self.window.counts(day[LAST], now)]
        return self._read(series, picked, days)

    def lookahead(self, series: Series | None) -> int:
        """How many candidate instants are worth trying before waking early instead: fewer, the dearer a value is."""
        if series is None or (self.cheap and not series.aged):
            return LOOKAHEAD
        return max(1, LOOKAHEAD // (4 + len(series.ts)))

    def changes(self, series: Series | None, now: int) -> Iterator[int]:
        """Instants after `now`, ascending, at which the value may change without an event."""
        if series is None or self.from_total:
            return iter(())
        streams = [self.window.changes(series.ts, now)]
        if isinstance(self.feature, Chain):
            streams.append(iter(self.feature.decided(series, now)))
        elif series.aged:
            streams.append(self.window.changes(sorted(day[LAST] for day in series.aged.values()), now))
        return merge(*streams) if len(streams) > 1 else streams[0]

    def approximate(self, series: Series | None) -> bool:
        """Whether entries beyond a cap take part, as sums of their day."""
        if series is None or self.from_total:
            return False
        return bool(series.aged) or (isinstance(self.feature, Chain) and bool(series.total))


def chain_view(feature: Chain, series: Series, now: int, kind: str) -> Series:
    """The events of a sequence that count at `now`, as the series its measure would have without one."""
    view = Series(sums=[0], rows=[])
    for ts, row in feature.counting(series, now):
        for value in _chain_values(row[VALUES], kind):
            view.ts.append(ts)
            if kind in ("sum", "avg", "min", "max"):
                view.sums.append(view.sums[-1] + value)
            else:
                view.rows.append([row[RANK], value] if kind in ("first", "last") else value)
    return view


def _chain_values(values: list[Any], kind: str) -> list[Any]:
    if kind in ("first", "last"):
        return [values[0 if kind == "first" else -1]]
    return values if kind in ("sum", "avg", "min", "max", "distinct") else [None]


def _sum(series: Series, picked: Picked, days: Sequence[list[int]]) -> int:
    if not picked:
        total = 0
    elif isinstance(picked, range):
        total = series.sums[picked.stop] - series.sums[picked.start]
    else:
        total = sum(_amounts(series, picked))
    return total + sum(day[SUM] for day in days)


def _amounts(series: Series, picked: Picked) -> list[int]:
    sums = series.sums
    return [sums[i + 1] - sums[i] for i in picked]


def _count(series: Series, picked: Picked, days: Sequence[list[int]]) -> int:
    return len(picked) + sum(day[COUNT] for day in days)


def _avg(series: Series, picked: Picked, days: Sequence[list[int]]) -> Fraction | None:
    n = _count(series, picked, days)
    return Fraction(_sum(series, picked, days), n) if n else None


def _min(series: Series, picked: Picked, days: Sequence[list[int]]) -> int | None:
    return min([*_amounts(series, picked), *(day[LEAST] for day in days)], default=None)


def _max(series: Series, picked: Picked, days: Sequence[list[int]]) -> int | None:
    return max([*_amounts(series, picked), *(day[MOST] for day in days)], default=None)


def _distinct(series: Series, picked: Picked, days: Sequence[list[int]]) -> int:
    return len({series.rows[i] for i in picked}) + sum(day[COUNT] for day in days)


def _first(series: Series, picked: Picked, days: Sequence[list[int]]) -> str | None:
    return series.rows[picked[0]][1] if picked else None  # entries stand in order of (instant, rank)


def _last(series: Series, picked: Picked, days: Sequence[list[int]]) -> str | None:
    return series.rows[picked[-1]][1] if picked else None


def _since_first(series: Series, picked: Picked, days: Sequence[list[int]]) -> int | None:
    return min([*(series.ts[i] for i in picked[:1]), *(day[FIRST] for day in days)], default=None)


def _since_last(series: Series, picked: Picked, days: Sequence[list[int]]) -> int | None:
    return max([*(series.ts[i] for i in picked[-1:]), *(day[LAST] for day in days)], default=None)


Read = Callable[[Series, Picked, Sequence[list[int]]], Any]

_READS: dict[str, Read] = {
    "count": _count,
    "sum": _sum,
    "avg": _avg,
    "min": _min,
    "max": _max,
    "distinct": _distinct,
    "first": _first,
    "last": _last,
    "since_first": _since_first,
    "since_last": _since_last,
}

_TOTALS: dict[str, Read] = {
    "count": lambda series, _p, _d: series.total[COUNT] if series.total else 0,
    "sum": lambda series, _p, _d: series.total[SUM] if series.total else 0,
    "avg": lambda series, _p, _d: Fraction(series.total[SUM], series.total[COUNT]) if series.total else None,
    "min": lambda series, _p, _d: series.total[LEAST] if series.total else None,
    "max": lambda series, _p, _d: series.total[MOST] if series.total else None,
    "first": lambda series, _p, _d: series.total[2] if series.total else None,
    "last": lambda series, _p, _d: series.total[2] if series.total else None,
    "since_first": lambda series, _p, _d: series.total[FIRST] if series.total else None,
    "since_last": lambda series, _p, _d: series.total[LAST] if series.total else None,
}
