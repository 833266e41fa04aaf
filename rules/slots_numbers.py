"""Slots of numbers: a measure against thresholds, by bisection, and shorter ways for the usual measures.

`touched` looks at no more than what an event can change; `reaches` says exactly until when a level stands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from rules.aggregates.series import COUNT, LAST, SUM, Series
from rules.concerns import Concern, Moved
from rules.levels import NONE, Levels
from rules.meters import Meter
from rules.profile import Profile
from rules.slots import Slot, Verdict
from rules.times import NEVER
from rules.windows import Rolling


class NumberSlot(Slot):
    """A measure against thresholds, by bisection."""

    def __init__(self, index: int, meter: Meter, levels: Levels) -> None:
        super().__init__(index)
        self.meter, self.levels, self.key = meter, levels, meter.key
        self.bounds = levels.bounds
        self.default = levels.of(meter.value(None, 0))

    def value(self, profile: Profile, now: int) -> Any:
        return self.meter.value(profile.features.get(self.key), now)

    def approximate(self, profile: Profile) -> bool:
        return self.meter.approximate(profile.features.get(self.key))

    def feature_keys(self) -> tuple[int, ...]:
        return (self.key,)

    def describe(self) -> object:
        return [type(self).__name__, self.key, [str(bound) for bound in self.bounds]]

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        series = profile.features.get(self.key)
        if series is None:
            return self.default, NEVER
        meter, of = self.meter, self.levels.of
        level = of(meter.value(series, now))
        most = meter.lookahead(series)
        for tried, instant in enumerate(meter.changes(series, now), 1):
            if tried >= most or of(meter.value(series, instant)) != level:
                return level, instant
        return level, NEVER

    def concerned(self, old: int, new: int) -> Iterable[Concern]:
        low, high = (old, new) if old < new else (new, old)
        if high - low == 1:  # nearly always
            return (self.concerns[low],) if low in self.concerns else ()
        return [self.concerns[step] for step in range(low, high) if step in self.concerns]


class RollingSlot(NumberSlot):
    """Over the last `within` ms, exactly."""

    def __init__(self, index: int, meter: Meter, levels: Levels, within: int) -> None:
        super().__init__(index, meter, levels)
        self.within = within


class RollingCount(RollingSlot):
    """`count` in the last so many ms. Events only raise it: only the next threshold is tested."""

    def value(self, profile: Profile, now: int) -> Any:
        series = profile.features.get(self.key)
        if series is None or series.aged:
            return super().value(profile, now)
        return len(series.ts) - bisect_right(series.ts, now - self.within)

    def touched(self, profile: Profile, series: Series, now: int, moved: Moved) -> None:
        level = profile.levels.get(self.index, self.default)
        bounds = self.bounds
        if level >= len(bounds):
            return
        asked, ts = bounds[level], series.ts
        if series.aged or (asked <= len(ts) and (asked <= 0 or ts[-asked] > now - self.within)):
            self.refresh(profile, now, moved)

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        series = profile.features.get(self.key)
        if series is None or series.aged:
            return super().evaluate(profile, now)
        ts, within = series.ts, self.within
        level = bisect_right(self.bounds, len(ts) - bisect_right(ts, now - within))
        if level and (held := self.bounds[level - 1]) > 0:
            return level, ts[-held] + within
        return level, NEVER

    def reaches(self, profile: Profile, now: int, least: int) -> Verdict | None:
        series = profile.features.get(self.key)
        if series is None:
            return Verdict(self.default >= least, NEVER)
        if series.aged or not 0 < least <= len(self.bounds):
            return None
        asked, ts = self.bounds[least - 1], series.ts
        if asked <= 0:
            return Verdict(True, NEVER)
        if asked > len(ts) or ts[-asked] <= now - self.within:
            return Verdict(False, NEVER)
        return Verdict(True, ts[-asked] + self.within)


class RollingSum(RollingSlot):
    """`sum` in the last so many ms; bisection finds where it falls below as long as no amount is negative."""

    def value(self, profile: Profile, now: int) -> Any:
        series = profile.features.get(self.key)
        if series is None or series.aged or not series.ts:
            return super().value(profile, now)
        sums = series.sums
        return sums[-1] - sums[bisect_right(series.ts, now - self.within)]

    def touched(self, profile: Profile, series: Series, now: int, moved: Moved) -> None:
        if not series.falls and not series.aged:
            sums = series.sums
            total = sums[-1] - sums[bisect_right(series.ts, now - self.within)]
            if bisect_right(self.bounds, total) == profile.levels.get(self.index, self.default):
                return  # more only moves the fall further away; the wake that stands is early
        self.refresh(profile, now, moved)

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        series = profile.features.get(self.key)
        if series is None or series.falls or series.aged or not series.ts:
            return super().evaluate(profile, now)
        ts, sums, within = series.ts, series.sums, self.within
        level = bisect_right(self.bounds, sums[-1] - sums[bisect_right(ts, now - within)])
        if level and (held := self.bounds[level - 1]) > 0:
            return level, ts[bisect_right(sums, sums[-1] - held) - 1] + within
        return level, NEVER

    def reaches(self, profile: Profile, now: int, least: int) -> Verdict | None:
        series = profile.features.get(self.key)
        if series is None:
            return Verdict(self.default >= least, NEVER)
        if series.falls or series.aged or not series.ts or not 0 < least <= len(self.bounds):
            return None
        asked, ts, sums = self.bounds[least - 1], series.ts, series.sums
        if asked <= 0:
            return Verdict(True, NEVER)
        spare = sums[-1] - asked  # what may have left the window
        if sums[bisect_right(ts, now - self.within)] > spare:
            return Verdict(False, NEVER)
        return Verdict(True, ts[bisect_right(sums, spare) - 1] + self.within)


class TotalCount(NumberSlot):
    """`count` of all events ever: only grows."""

    def touched(self, profile: Profile, series: Series, now: int, moved: Moved) -> None:
        level = profile.levels.get(self.index, self.default)
        if level < len(self.bounds) and series.total[COUNT] >= self.bounds[level]:
            self.refresh(profile, now, moved)

    def reaches(self, profile: Profile, now: int, least: int) -> Verdict | None:
        series = profile.features.get(self.key)
        if series is None:
            return Verdict(self.default >= least, NEVER)
        if not series.total or not 0 < least <= len(self.bounds):
            return None
        return Verdict(series.total[COUNT] >= self.bounds[least - 1], NEVER)


class TotalSum(NumberSlot):
    """`sum` over all events ever."""

    def touched(self, profile: Profile, series: Series, now: int, moved: Moved) -> None:
        if bisect_right(self.bounds, series.total[SUM]) != profile.levels.get(self.index, self.default):
            self.refresh(profile, now, moved)


class AgeSlot(NumberSlot):
    """`since_first`/`since_last` against exact durations: the level is how many of them have passed."""

    def touched(self, profile: Profile, series: Series, now: int, moved: Moved) -> None:
        if self.meter.from_total and self.meter.kind == "since_last":
            level = bisect_right(self.bounds, now - series.total[LAST])
            same = level == profile.levels.get(self.index, self.default)
            if same and (level >= len(self.bounds) or self.index in profile.wakes):
                return
        self.refresh(profile, now, moved)

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        series = profile.features.get(self.key)
        instant = self.meter.value(series, now)
        changes = next(self.meter.changes(series, now), NEVER)
        if instant is None:
            return NONE, changes
        assert isinstance(instant, int)
        level = bisect_right(self.bounds, now - instant)
        if level < len(self.bounds):
            changes = min(changes, instant + self.bounds[level])
        return level, changes

    def reaches(self, profile: Profile, now: int, least: int) -> Verdict | None:
        series = profile.features.get(self.key)
        if series is None:
            return Verdict(self.default >= least, NEVER)
        if not self.meter.from_total or not series.total or not 0 < least <= len(self.bounds):
            return None
        passes: int = self.meter.value(series, now) + self.bounds[least - 1]
        return Verdict(True, NEVER) if passes <= now else Verdict(False, passes)


class PairSlot(NumberSlot):
    """`ratio` or `difference` of two measures, compared exactly."""

    def __init__(self, index: int, kind: str, left: Meter, right: Meter, levels: Levels) -> None:
        self.kind, self.left, self.right = kind, left, right
        self.index, self.concerns, self.meter, self.levels = index, {}, left, levels
        self.bounds = levels.bounds
        self.default = levels.of(self._value(None, None, 0))

    def feature_keys(self) -> tuple[int, ...]:
        return tuple({self.left.key: None, self.right.key: None})

    def describe(self) -> object:
        return [self.kind, self.left.key, self.right.key, [str(bound) for bound in self.bounds]]

    def _series(self, profile: Profile) -> tuple[Series | None, Series | None]:
        return profile.features.get(self.left.key), profile.features.get(self.right.key)

    def _value(self, left: Series | None, right: Series | None, now: int) -> Fraction | None:
        a: Any = self.left.value(left, now)
        b: Any = self.right.value(right, now)
        if a is None or b is None or (self.kind == "ratio" and b == 0):
            return None
        mine, theirs = Fraction(a, self.left.scale), Fraction(b, self.right.scale)
        return mine / theirs if self.kind == "ratio" else mine - theirs

    def value(self, profile: Profile, now: int) -> Any:
        return self._value(*self._series(profile), now)

    def approximate(self, profile: Profile) -> bool:
        left, right = self._series(profile)
        return self.left.approximate(left) or self.right.approximate(right)

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        left, right = self._series(profile)
        pairs = ((self.left, left), (self.right, right))
        wake = min(next(meter.changes(series, now), NEVER) for meter, series in pairs)
        return self.levels.of(self._value(left, right, now)), wake


def number_slot(index: int, meter: Meter, levels: Levels) -> NumberSlot:
    """The cheapest slot that reads this meter."""
    kind = meter.kind
    if kind in ("since_first", "since_last"):
        return AgeSlot(index, meter, levels)
    if meter.from_total and kind in ("count", "sum"):
        return (TotalCount if kind == "count" else TotalSum)(index, meter, levels)
    window = meter.window
    if meter.feature.kind != "chain" and isinstance(window, Rolling) and window.within and not window.before:
        if kind == "count":
            return RollingCount(index, meter, levels, window.within)
        if kind == "sum":
            return RollingSum(index, meter, levels, window.within)
    return NumberSlot(index, meter, levels)
