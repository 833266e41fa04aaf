"""Windows: from which instant until which an event counts.

Most windows see, at an instant, one contiguous range of event times (`bounds`). A rolling window in calendar units
does not (of 30 and 31 January plus a month, the earlier may end later): it knows each event's own stay instead.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush, merge

from rules.language.documents import Duration, Window
from rules.limits import DAY_MS
from rules.times import NEVER, add, period_bounds, period_stay, shortest_ms, span_ms

ALL = NEVER


class Range:
    """A window that is, at `now`, the event times `low <= ts < high`."""

    def bounds(self, now: int) -> tuple[int, int]:
        raise NotImplementedError

    def select(self, ts: Sequence[int], now: int) -> tuple[int, int]:
        """The index range of the (sorted) instants that count at `now`."""
        low, high = self.bounds(now)
        return bisect_left(ts, low), bisect_left(ts, high)

    def pick(self, ts: Sequence[int], now: int) -> Sequence[int]:
        return range(*self.select(ts, now))

    def counts(self, ts: int, now: int) -> bool:
        low, high = self.bounds(now)
        return low <= ts < high

    def changes(self, ts: Sequence[int], now: int) -> Iterator[int]:
        """The instants after `now`, ascending, at which the selection may change without an event."""
        raise NotImplementedError

    def span(self) -> int:
        """How far back (ms) an event can count; ALL for no bound."""
        return ALL


class Ever(Range):
    def bounds(self, now: int) -> tuple[int, int]:
        return -NEVER, now + 1

    def changes(self, ts: Sequence[int], now: int) -> Iterator[int]:
        return iter(())


class Rolling(Range):
    """`now - within < ts <= now - before`, both exact; `within` 0 is open to the past."""

    def __init__(self, within: int, before: int) -> None:
        self.within, self.before = within, before

    def bounds(self, now: int) -> tuple[int, int]:
        return (now - self.within + 1 if self.within else -NEVER), now - self.before + 1

    def changes(self, ts: Sequence[int], now: int) -> Iterator[int]:
        low, high = self.select(ts, now)
        streams = []
        if self.within:
            streams.append(ts[i] + self.within for i in range(low, len(ts)))
        if self.before:
            streams.append(ts[i] + self.before for i in range(high, len(ts)))
        return _distinct(streams[0] if len(streams) == 1 else merge(*streams))

    def span(self) -> int:
        return self.within or ALL


class Between(Range):
    def __init__(self, start: int | None, end: int | None) -> None:
        self.start = -NEVER if start is None else start
        self.end = NEVER if end is None else end

    def bounds(self, now: int) -> tuple[int, int]:
        return self.start, min(self.end, now + 1)

    def changes(self, ts: Sequence[int], now: int) -> Iterator[int]:
        return iter(())


_PERIOD_DAYS = {"today": 2, "yesterday": 3, "this_week": 8, "last_week": 15, "this_month": 32, "last_month": 63}


class Period(Range):
    def __init__(self, period: str, tz: str) -> None:
        self.period, self.tz = period, tz

    def bounds(self, now: int) -> tuple[int, int]:
        low, high, _ = period_bounds(now, self.period, self.tz)
        return low, min(high, now + 1)

    def changes(self, ts: Sequence[int], now: int) -> Iterator[int]:
        if not ts:
            return iter(())
        last = period_stay(ts[-1], self.period, self.tz)[1]  # after it nothing is left to change
        return self._boundaries(now, last)

    def _boundaries(self, now: int, last: int) -> Iterator[int]:
        """The beginnings of the periods to come, at each of which the window moves on."""
        while now < last:
            now = period_bounds(now, self.period, self.tz)[2]
            yield now

    def span(self) -> int:
        return _PERIOD_DAYS.get(self.period, 368) * DAY_MS


class Calendar:
    """A rolling window in calendar units: each event counts from `ts + before` until `ts + within`, in local time.

    Only events near the ends are asked one by one: a calendar duration is at least `shortest_ms`, at most `span_ms`.
    """

    def __init__(self, within: Duration | None, before: Duration | None, tz: str) -> None:
        self.within, self.before, self.tz = within, before, tz

    def stay(self, ts: int) -> tuple[int, int]:
        start = add(ts, self.before, self.tz) if self.before else ts
        return start, add(ts, self.within, self.tz) if self.within else NEVER

    def counts(self, ts: int, now: int) -> bool:
        start, end = self.stay(ts)
        return start <= now < end

    def pick(self, ts: Sequence[int], now: int) -> Sequence[int]:
        """The indexes of the (sorted) instants that count at `now`: a range, unless the ends are ragged."""
        low, sure_low = 0, 0
        if self.within:
            low, sure_low = (
                bisect_right(ts, now - span_ms(self.within)),
                bisect_right(ts, now - shortest_ms(self.within)),
            )
        high = sure_high = bisect_right(ts, now)
        if self.before:
            high = bisect_right(ts, now - shortest_ms(self.before))
            sure_high = bisect_right(ts, now - span_ms(self.before))
        if sure_low >= sure_high:
            ragged = [i for i in range(low, high) if self.counts(ts[i], now)]
        else:
            ends = (*range(low, sure_low), *range(sure_high, high))
            ragged = [i for i in ends if self.counts(ts[i], now)]
            if len(ragged) == 0 or (ragged[0] == sure_low - len(ragged) and ragged[-1] == sure_low - 1):
                return range(sure_low - len(ragged), sure_high)
            ragged = sorted([*ragged, *range(sure_low, sure_high)])
        if ragged and ragged[-1] - ragged[0] == len(ragged) - 1:
            return range(ragged[0], ragged[-1] + 1)
        return ragged

    def changes(self, ts: Sequence[int], now: int) -> Iterator[int]:
        low = bisect_right(ts, now - span_ms(self.within)) if self.within else 0
        return _distinct(self._coming(ts, low, now))

    def _coming(self, ts: Sequence[int], low: int, now: int) -> Iterator[int]:
        """Ends and beginnings in order, asking for an event's own only when no earlier one can come."""
        least = min(shortest_ms(each) for each in (self.within, self.before) if each)
        coming: list[int] = []
        for instant in ts[low:]:
            while coming and coming[0] <= instant + least:
                yield heappop(coming)
            for due in self.stay(instant):
                if now < due < NEVER:
                    heappush(coming, due)
        yield from sorted(coming)

    def span(self) -> int:
        return span_ms(self.within) if self.within else ALL


AnyWindow = Range | Calendar


def compile_window(window: Window, tz: str) -> AnyWindow:
    if window.kind == "ever":
        return Ever()
    if window.kind == "between":
        return Between(window.start_ms, window.end_ms)
    if window.kind == "period":
        return Period(window.period or "", tz)
    within, before = window.within, window.before
    if (within and within.months) or (before and before.months):
        return Calendar(within, before, tz)
    return Rolling(within.ms if within else 0, before.ms if before else 0)


def _distinct(instants: Iterator[int]) -> Iterator[int]:
    last = None
    for instant in instants:
        if instant != last:
            yield instant
            last = instant
