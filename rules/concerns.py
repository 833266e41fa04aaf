"""Whom a change of level concerns: the way from slots back to segments, so that few are judged in vain.

A segment of the form `all: [x, y, ...]` that is no member can only enter if y holds too. So among those that hang on
a step of x, the ones guarded by `y >= k` are sorted by k, and bisection by the customer's own level of y lists the
few that may enter. Members are always looked at (they may leave, whatever the guards say).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection

from rules.profile import Profile

Guard = tuple[int, int, int]
"""Slot index, the slot's default level, the least level at which the guarding leaf holds."""


class Concern:
    """The segments (by place) that hang on one mark of a slot: `free` ones, and `guarded` by (slot, default, levels,
    places), levels ascending. `behind_guards`: all places of the latter."""

    __slots__ = ("behind_guards", "free", "guarded")

    def __init__(self, places: Collection[tuple[int, Guard | None]]) -> None:
        grouped: dict[tuple[int, int], list[tuple[int, int]]] = {}
        free: list[int] = []
        self.behind_guards = frozenset(place for place, guard in places if guard is not None)
        for place, guard in places:
            if guard is None:
                free.append(place)
            else:
                grouped.setdefault(guard[:2], []).append((guard[2], place))
        self.free = tuple(free)
        self.guarded = tuple(
            (slot, default, [level for level, _ in sorted(entries)], [place for _, place in sorted(entries)])
            for (slot, default), entries in grouped.items()
        )

    def into(self, found: set[int], profile: Profile) -> None:
        """Adds the segments that may change for one who is no member of them; all levels must be up to date."""
        if self.free:
            found.update(self.free)
        for slot, default, levels, places in self.guarded:
            passed = bisect_right(levels, profile.levels.get(slot, default))
            if passed:
                found.update(places[:passed])


Moved = list[Concern]
"""What moved at an instant, by whom it concerns."""
