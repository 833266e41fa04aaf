"""Sequences: events e that are, or are not, followed by an event f (contract §2, Sequences).

A chain keeps both kinds. What is beyond the cap is forgotten: only the newest 4,096 of each are looked at.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

from rules.aggregates.features import Feature, insert_row
from rules.aggregates.series import Series
from rules.events import Event
from rules.extract import Accepts, Reads
from rules.language.documents import Duration
from rules.limits import SERIES_ENTRIES_MAX
from rules.times import NEVER, add

Key = tuple[list[str], ...]

RANK, TYPE, VALUES, MATCH = range(4)
F_TS, F_TYPE, F_MATCH = range(3)


class Chain(Feature):
    """`rows[i]` = [rank, type, values, match] of e at `ts[i]`; `follows` = [ts, type, match] of f.

    `values` are what the measure reads (nothing for count and since), `match` one list of texts a pair.
    """

    kind = "chain"

    def __init__(
        self,
        key: int,
        e: tuple[frozenset[str], Accepts | None, Reads | None, tuple[Reads, ...]],
        f: tuple[frozenset[str], Accepts | None, tuple[Reads, ...]],
        rule: tuple[bool, Duration | None, str],
        keep: int,
    ) -> None:
        super().__init__(key, None, None, keep, totals=False)
        self.e_types, self.e_accepts, self.e_values, self.e_match = e
        self.f_types, self.f_accepts, self.f_match = f
        self.negated, self.within, self.tz = rule

    def add(self, series: Series, event: Event, now: int) -> int:
        kept = self._add_e(series, event) | self._add_f(series, event)
        if not kept:
            return 0
        return self.trim(series, now)

    def _add_e(self, series: Series, event: Event) -> bool:
        properties = event.properties
        if event.type not in self.e_types or (self.e_accepts is not None and not self.e_accepts(properties)):
            return False
        values = self.e_values(properties) if self.e_values else []
        if self.e_values and not values:
            return False
        match = [sorted(set(read(properties))) for read in self.e_match]
        insert_row(series.ts, series.rows, event.ts, [event.rank, event.type, values, match])
        return True

    def _add_f(self, series: Series, event: Event) -> bool:
        properties = event.properties
        if event.type not in self.f_types or (self.f_accepts is not None and not self.f_accepts(properties)):
            return False
        match = [sorted(set(read(properties))) for read in self.f_match]
        if not all(match):
            return False
        follows = series.follows
        row = [event.ts, event.type, match]
        at = len(follows)
        while at and follows[at - 1] > row:
            at -= 1
        follows.insert(at, row)
        return True

    def trim(self, series: Series, now: int) -> int:
        drop = bisect_right(series.ts, now - self.keep)
        over = len(series.ts) - drop - SERIES_ENTRIES_MAX
        capped = over > 0
        if capped:
            drop += over
            series.total = [1]  # remembers that something was forgotten
        if drop:
            self.cut(series, drop)
        early = bisect_right(series.follows, now - self.keep, key=lambda row: row[F_TS])
        over = len(series.follows) - early - SERIES_ENTRIES_MAX
        if over > 0:
            capped, early, series.total = True, early + over, [1]
        del series.follows[:early]
        return 2 if capped else 1

    def cut(self, series: Series, n: int) -> None:
        del series.ts[:n]
        del series.rows[:n]

    def merge(self, series: Series, older: Series, now: int) -> None:
        for ts, row in zip(older.ts, older.rows, strict=True):
            insert_row(series.ts, series.rows, ts, row)
        series.follows = sorted(series.follows + older.follows)
        series.total = series.total or older.total
        self.trim(series, now)

    def counting(self, series: Series, now: int) -> list[tuple[int, list[Any]]]:
        """The (instant, row) of each e that counts at `now` as far as its follower decides."""
        stands = ((ts, row, self.since(series, ts, row)) for ts, row in zip(series.ts, series.rows, strict=True))
        return [(ts, row) for ts, row, since in stands if since <= now]

    def decided(self, series: Series, now: int) -> list[int]:
        """The instants after `now` at which an e begins to count because no f came in time."""
        if not (self.negated and self.within):
            return []
        since = (self.since(series, ts, row) for ts, row in zip(series.ts, series.rows, strict=True))
        return sorted({instant for instant in since if now < instant < NEVER})

    def since(self, series: Series, ts: int, row: list[Any]) -> int:
        """From when an e counts by its follower: its own instant, its deadline, or NEVER."""
        deadline = add(ts, self.within, self.tz) if self.within else NEVER
        if self._followed(series.follows, ts, row, deadline) != self.negated:
            return ts if not (self.negated and self.within) else deadline
        return NEVER

    def _followed(self, follows: list[Any], ts: int, row: list[Any], deadline: int) -> bool:
        for at in range(bisect_left(follows, ts, key=lambda f: f[F_TS]), len(follows)):
            f = follows[at]
            if f[F_TS] > deadline:
                return False
            if f[F_TS] == ts and f[F_TYPE] == row[TYPE]:
                continue  # of one type, f comes strictly later
            if all(_meet(mine, theirs) for mine, theirs in zip(row[MATCH], f[F_MATCH], strict=True)):
                return True
        return False


def _meet(mine: list[str], theirs: list[str]) -> bool:
    return any(value in theirs for value in mine)
