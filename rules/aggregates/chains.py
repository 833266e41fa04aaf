"""Sequences: events e that are, or are not, followed by an event f (contract §2, Sequences).

A chain keeps both kinds, and with each e whether an f has followed it, so that an event is compared only with those it
may belong to. What is beyond the cap is forgotten: the newest 4,096 of each are looked at, and no e that is not newer
than an f that was forgotten (whether it was followed is not known any more).
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
from rules.times import NEVER, add, span_ms

RANK, TYPE, VALUES, MATCH, FOLLOWED = range(5)
F_TS, F_TYPE, F_MATCH = range(3)


class Chain(Feature):
    """`rows[i]` = [rank, type, values, match, followed] of e at `ts[i]`; `follows` = [ts, type, match] of f.

    `values` are what the measure reads (nothing for count and since), `match` one list of texts a pair. `total` is
    [the instant before which an e is not looked at] once something was forgotten (-NEVER: only e's were).
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
        if not self._add_e(series, event) | self._add_f(series, event):
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
        row = [event.rank, event.type, values, match, False]
        row[FOLLOWED] = self._followed(series.follows, event.ts, row)
        if not series.rows:
            series.rows = []
        insert_row(series.ts, series.rows, event.ts, row)
        return True

    def _add_f(self, series: Series, event: Event) -> bool:
        properties = event.properties
        if event.type not in self.f_types or (self.f_accepts is not None and not self.f_accepts(properties)):
            return False
        match = [sorted(set(read(properties))) for read in self.f_match]
        if not all(match):
            return False
        f = [event.ts, event.type, match]
        if not series.follows:
            series.follows = []
        follows = series.follows
        at = len(follows)
        while at and follows[at - 1] > f:
            at -= 1
        follows.insert(at, f)
        self._follow(series, f)
        return True

    def _follow(self, series: Series, f: list[Any]) -> None:
        """Marks the e's that a new f follows."""
        first = bisect_left(series.ts, f[F_TS] - span_ms(self.within)) if self.within else 0
        for at in range(first, bisect_right(series.ts, f[F_TS])):
            row = series.rows[at]
            if not row[FOLLOWED] and f[F_TS] <= self.deadline(series.ts[at]):
                row[FOLLOWED] = _belong(series.ts[at], row, f)

    def _followed(self, follows: list[Any], ts: int, row: list[Any]) -> bool:
        """Whether an f that is already here follows a new e."""
        deadline = self.deadline(ts)
        for at in range(bisect_left(follows, ts, key=lambda f: f[F_TS]), len(follows)):
            if follows[at][F_TS] > deadline:
                return False
            if _belong(ts, row, follows[at]):
                return True
        return False

    def deadline(self, ts: int) -> int:
        """The last instant at which an f follows an e of `ts`."""
        return add(ts, self.within, self.tz) if self.within else NEVER

    def trim(self, series: Series, now: int) -> int:
        """Drops what is out of every window, then what is beyond the cap: whatever came first, the same is left."""
        follows, capped = series.follows, False
        stale = bisect_right(follows, now - self.keep, key=lambda f: f[F_TS])
        if stale:
            del follows[:stale]
        over = len(follows) - SERIES_ENTRIES_MAX
        if over > 0:
            capped = True
            series.total = [max([follows[over - 1][F_TS] + 1, *series.total])]
            del follows[:over]
        drop = bisect_right(series.ts, now - self.keep)
        if series.total:
            drop = max(drop, bisect_left(series.ts, series.total[0]))
        over = len(series.ts) - drop - SERIES_ENTRIES_MAX
        if over > 0:
            capped = True
            drop += over
            series.total = series.total or [-NEVER]
        if drop > 0:
            self.cut(series, drop)
        return 2 if capped else 1

    def cut(self, series: Series, n: int) -> None:
        del series.ts[:n]
        del series.rows[:n]

    def merge(self, series: Series, older: Series, now: int) -> None:
        if older.rows and not series.rows:
            series.rows = []
        for ts, row in zip(older.ts, older.rows, strict=True):
            insert_row(series.ts, series.rows, ts, row)
        if older.follows:
            series.follows = sorted([*series.follows, *older.follows])
        series.total = (
            [max(*series.total, *older.total)] if series.total and older.total else series.total or older.total
        )
        for ts, row in zip(series.ts, series.rows, strict=True):
            row[FOLLOWED] = row[FOLLOWED] or self._followed(series.follows, ts, row)
        self.trim(series, now)

    def counting(self, series: Series, now: int) -> list[tuple[int, list[Any]]]:
        """The (instant, row) of each e that counts at `now` as far as its follower decides."""
        negated = self.negated
        pairs = zip(series.ts, series.rows, strict=True)
        kept = [(ts, row) for ts, row in pairs if row[FOLLOWED] != negated]
        if not (negated and self.within):
            return kept
        # Of the newest, the time for an f may not be over yet.
        sure = len(kept)
        while sure and now < kept[sure - 1][0] + span_ms(self.within):
            sure -= 1
        return kept[:sure] + [(ts, row) for ts, row in kept[sure:] if self.deadline(ts) <= now]

    def decided(self, series: Series, now: int) -> list[int]:
        """The instants after `now` at which an e begins to count because no f came in time."""
        if not (self.negated and self.within):
            return []
        first = bisect_right(series.ts, now - span_ms(self.within))
        waiting = (series.ts[at] for at in range(first, len(series.ts)) if not series.rows[at][FOLLOWED])
        return sorted({due for ts in waiting if now < (due := self.deadline(ts)) < NEVER})


def _belong(ts: int, row: list[Any], f: list[Any]) -> bool:
    """Whether f matches e at `ts` (of one type, f comes strictly later)."""
    if f[F_TS] < ts or (f[F_TS] == ts and f[F_TYPE] == row[TYPE]):
        return False
    return all(any(value in theirs for value in mine) for mine, theirs in zip(row[MATCH], f[F_MATCH], strict=True))
