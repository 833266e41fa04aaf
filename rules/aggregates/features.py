"""Features: one fold for each kind of series. `add` puts an event's values in, wherever in time they belong.

`keep` is how far back (ms) any slot of the feature looks: ALL for no bound, 0 when only the total is asked for.
Entries no slot can see any more are dropped, entries beyond the cap are summed by day.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

from rules.aggregates.series import COUNT, FIRST, LAST, Series, widen
from rules.events import Event
from rules.extract import Accepts, Reads
from rules.limits import DAY_MS, DISTINCT_VALUES_MAX, SERIES_ENTRIES_MAX

if TYPE_CHECKING:
    from rules.slots import Slot


class Feature:
    """One series a customer may have. `accepts`: what is left of its filter once the index has found it."""

    kind = "instants"

    def __init__(self, key: int, accepts: Accepts | None, reads: Reads | None, keep: int, totals: bool) -> None:
        self.key, self.accepts, self.reads, self.keep, self.totals = key, accepts, reads, keep, totals
        self.slots: list[Slot] = []

    def add(self, series: Series, event: Event, now: int) -> int:
        """Folds an event that passed the filter; returns 0 if it gave no value, else 1, or 2 if a cap was met."""
        ts = event.ts
        if self.totals:
            total = series.total  # as `widen` with an amount of 0
            if not total:
                series.total = widen(total, ts)
            else:
                total[COUNT] += 1
                if ts > total[LAST]:
                    total[LAST] = ts
                elif ts < total[FIRST]:
                    total[FIRST] = ts
        if self.keep and now - ts < self.keep:
            instants = series.ts
            if not instants or ts >= instants[-1]:
                instants.append(ts)
            else:
                instants.insert(bisect_right(instants, ts), ts)
            if now - instants[0] >= self.keep or len(instants) > SERIES_ENTRIES_MAX:
                if series.aged or len(instants) > SERIES_ENTRIES_MAX:
                    return self.trim(series, now)
                del instants[: bisect_right(instants, now - self.keep)]
        return 1

    def trim(self, series: Series, now: int) -> int:
        """Drops what no slot sees any more, then ages what is beyond the cap."""
        instants = series.ts
        drop = bisect_right(instants, now - self.keep)
        if drop:
            self.cut(series, drop)
        if series.aged:
            gone = [day for day, summary in series.aged.items() if now - summary[LAST] >= self.keep]
            for day in gone:
                del series.aged[day]
        over = self.over(series)
        if over <= 0:
            return 1
        if not series.aged:
            series.aged = {}
        for i in range(over):
            day = instants[i] // DAY_MS
            series.aged[day] = widen(series.aged.get(day, []), instants[i], self.amount(series, i))
        self.forget(series, over)
        self.cut(series, over)
        return 2

    def forget(self, series: Series, n: int) -> None:
        """Called before the n oldest entries, now summed by day, are cut."""

    def entries_max(self) -> int:
        """How many entries stand exactly."""
        return SERIES_ENTRIES_MAX

    def over(self, series: Series) -> int:
        """How many of the oldest entries are beyond the cap."""
        return len(series.ts) - SERIES_ENTRIES_MAX

    def amount(self, series: Series, i: int) -> int:
        """Entry i's amount in millionths, for the sums of its day."""
        return 0

    def cut(self, series: Series, n: int) -> None:
        """Forgets the n oldest entries."""
        del series.ts[:n]

    def merge(self, series: Series, older: Series, now: int) -> None:
        """Puts all of another series of this feature in (both hold different events)."""
        series.ts = sorted(series.ts + older.ts)
        self._merge_summaries(series, older, now)

    def merge_total(self, series: Series, older: Series) -> None:
        series.total = merge_summary(series.total, older.total)

    def _merge_summaries(self, series: Series, older: Series, now: int) -> None:
        self.merge_total(series, older)
        if older.aged and not series.aged:
            series.aged = {}
        for day, summary in older.aged.items():
            series.aged[day] = merge_summary(series.aged.get(day, []), summary)
        if series.ts:
            self.trim(series, now)


class Amounts(Feature):
    """Numbers in millionths. `sums[i + 1] - sums[i]` is the amount at `ts[i]`; of one instant, the smaller first."""

    kind = "amounts"

    def add(self, series: Series, event: Event, now: int) -> int:
        assert self.reads is not None
        amounts = self.reads(event.properties)
        if not amounts:
            return 0
        ts = event.ts
        if self.totals:
            for amount in amounts:
                widen_total(series, ts, amount)
        if not series.sums:
            series.sums = [0]
        if not self.keep or now - ts >= self.keep:
            return 1
        instants, sums = series.ts, series.sums
        for amount in amounts:
            if amount < 0:
                series.falls = True
            if not instants or ts > instants[-1]:
                instants.append(ts)
                sums.append(sums[-1] + amount)
            else:
                self._insert(instants, sums, ts, amount)
        if now - instants[0] >= self.keep or len(instants) > SERIES_ENTRIES_MAX:
            return self.trim(series, now)
        return 1

    @staticmethod
    def _insert(instants: list[int], sums: list[int], ts: int, amount: int) -> None:
        at = bisect_right(instants, ts)
        while at and instants[at - 1] == ts and sums[at] - sums[at - 1] > amount:
            at -= 1
        instants.insert(at, ts)
        sums.insert(at, sums[at])
        for i in range(at + 1, len(sums)):
            sums[i] += amount

    def amount(self, series: Series, i: int) -> int:
        return series.sums[i + 1] - series.sums[i]

    def cut(self, series: Series, n: int) -> None:
        del series.ts[:n]
        del series.sums[:n]

    def merge(self, series: Series, older: Series, now: int) -> None:
        pairs = sorted([*entries(series), *entries(older)])
        series.ts = [ts for ts, _ in pairs]
        series.falls = series.falls or older.falls
        series.sums = [0]
        for _, amount in pairs:
            series.sums.append(series.sums[-1] + amount)
        self._merge_summaries(series, older, now)


class Rows(Feature):
    """Instants with one row each, ordered by instant and row."""

    def rows_of(self, event: Event) -> list[Any]:
        raise NotImplementedError

    def widen(self, series: Series, ts: int, row: Any) -> None:
        """Puts a row into the total (only where one is kept)."""

    def add(self, series: Series, event: Event, now: int) -> int:
        rows = self.rows_of(event)
        if not rows:
            return 0
        if self.totals:
            for row in rows:
                self.widen(series, event.ts, row)
        if not self.keep or now - event.ts >= self.keep:
            return 1
        if not series.rows:
            series.rows = []
        for row in rows:
            insert_row(series.ts, series.rows, event.ts, row)
        if now - series.ts[0] >= self.keep or self.over(series) > 0:
            return self.trim(series, now)
        return 1

    def cut(self, series: Series, n: int) -> None:
        del series.ts[:n]
        del series.rows[:n]

    def merge(self, series: Series, older: Series, now: int) -> None:
        if older.rows and not series.rows:
            series.rows = []
        for ts, row in zip(older.ts, older.rows, strict=True):
            insert_row(series.ts, series.rows, ts, row)
        self._merge_summaries(series, older, now)


class Distinct(Rows):
    """Values as texts (`compare.key`), each once an event. The newest entries with at most DISTINCT_VALUES_MAX
    values stand exactly; an aged entry counts as one value more, so that an old distinct is never too small."""

    kind = "distinct"

    def rows_of(self, event: Event) -> list[Any]:
        assert self.reads is not None
        return sorted(set(self.reads(event.properties)))

    def over(self, series: Series) -> int:
        """All entries up to the instant at which a cap is exceeded, counted from the newest. That instant is kept in
        `total`, for what comes later and is as old belongs to its day too: no order of arrival shows."""
        ts = series.ts
        cut = bisect_right(ts, series.total[0]) if series.total else 0
        if len(ts) - cut > SERIES_ENTRIES_MAX:
            cut = bisect_right(ts, ts[-SERIES_ENTRIES_MAX - 1])
        if len(ts) - cut > DISTINCT_VALUES_MAX:
            seen: set[str] = set()
            for i in range(len(ts) - 1, cut - 1, -1):
                seen.add(series.rows[i])
                if len(seen) > DISTINCT_VALUES_MAX:
                    return bisect_right(ts, ts[i])
        return cut

    def forget(self, series: Series, n: int) -> None:
        series.total = [max([series.ts[n - 1], *series.total])]

    def merge_total(self, series: Series, older: Series) -> None:
        if older.total:
            series.total = max(list(series.total), older.total)


class Edge(Rows):
    """[rank, value as text] of each event, for `first` and `last`; the total is the one row at the edge."""

    def __init__(self, *args: Any, last: bool) -> None:
        super().__init__(*args)
        self.last = last
        self.kind = "last" if last else "first"

    def rows_of(self, event: Event) -> list[Any]:
        assert self.reads is not None
        texts = self.reads(event.properties)
        return [[event.rank, texts[-1 if self.last else 0]]] if texts else []

    def widen(self, series: Series, ts: int, row: Any) -> None:
        self._widen(series, [ts, *row])

    def _widen(self, series: Series, row: list[Any]) -> None:
        at = series.total
        if not at or ((row[:2] >= at[:2]) if self.last else (row[:2] < at[:2])):
            series.total = row

    def merge_total(self, series: Series, older: Series) -> None:
        if older.total:
            self._widen(series, older.total)


def entries(series: Series) -> list[tuple[int, int]]:
    """An amounts series as (instant, amount) pairs."""
    sums = series.sums
    return [(ts, sums[i + 1] - sums[i]) for i, ts in enumerate(series.ts)]


def insert_row(instants: list[int], rows: list[Any], ts: int, row: Any) -> None:
    if not instants or ts > instants[-1]:
        instants.append(ts)
        rows.append(row)
        return
    low, at = bisect_left(instants, ts), bisect_right(instants, ts)
    while at > low and rows[at - 1] > row:
        at -= 1
    instants.insert(at, ts)
    rows.insert(at, row)


def widen_total(series: Series, ts: int, amount: int = 0) -> None:
    series.total = widen(series.total, ts, amount)


def merge_summary(a: list[int], b: list[int]) -> list[int]:
    if not a or not b:
        return a or b
    return [a[0] + b[0], a[1] + b[1], min(a[2], b[2]), max(a[3], b[3]), max(a[4], b[4]), min(a[5], b[5])]
