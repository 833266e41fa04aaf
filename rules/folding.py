"""The fold of one feature as generated code: an event into its series, and the slots that are told of it.

The plain form of the same is `plain` here with `Feature.add` and `Slot.touched`; `tests/rules/test_folding.py` compares
the two. What is written out are the usual kinds (counts; of slots those that mostly have nothing to do), calls are the
rest. The source is made of fixed lines and of names for constants, so that features of one shape share their code.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

from rules.aggregates.features import Feature
from rules.aggregates.series import Series
from rules.concerns import Moved
from rules.events import Event
from rules.levels import NONE
from rules.profile import Profile
from rules.slots import Slot
from rules.slots_numbers import AgeSlot, RollingCount, RollingSum, TotalCount
from rules.tally import Tally

Fold = Callable[[Profile, Event, int, Moved, Tally | None], None]
"""Folds an event, whose type is right, at the clock `now` if it passes the feature's filter; notes what it moved."""


def plain(feature: Feature) -> Fold:
    """The same as `compiled`, in the words of features and slots."""

    def fold(profile: Profile, event: Event, now: int, moved: Moved, tally: Tally | None) -> None:
        if feature.accepts is not None and not feature.accepts(event.properties):
            return
        series = profile.features.get(feature.key)
        found = Series() if series is None else series
        added = feature.add(found, event, now)
        if not added:
            return
        if series is None:
            profile.features[feature.key] = found
        if added == 2 and tally is not None:
            tally.capped += 1
        for slot in feature.slots:
            if slot.gate < 0:
                slot.touched(profile, found, now, moved)
        for slot in feature.slots:
            if slot.gate >= 0 and profile.levels.get(slot.gate, 0) >= slot.opens:
                slot.touched(profile, found, now, moved)

    return fold


def compiled(feature: Feature) -> Fold:
    """Once its slots are known: the feature's fold."""
    names = dict(_KNOWN, key=feature.key, keep=feature.keep, accepts=feature.accepts, add=feature.add)
    names |= {"trim": feature.trim, "most": feature.entries_max()}
    source = "def fold(profile, event, now, moved, tally):\n"
    if feature.accepts is not None:
        source += " if not accepts(event.properties):\n  return\n"
    if type(feature) is Feature:
        source += _COUNTED + (_TOTAL if feature.totals else "") + (_KEPT if feature.keep else "")
    else:
        source += _ADDED + (" total = series.total\n" if feature.totals else "")
    source += "\n".join(_told(feature.slots, names))
    exec(_code(source), names)
    fold: Fold = names["fold"]
    return fold


@lru_cache(maxsize=1024)
def _code(source: str) -> CodeType:
    return compile(source, "<fold>", "exec")  # made of the lines of this module only


_KNOWN: dict[str, Any] = {
    "Series": Series,
    "bisect_right": bisect_right,
    "insort": insort,
    "none": NONE,
}

# As `Feature.add`, whose series takes every event. The places in a total are those of `rules.aggregates.series`.
_COUNTED = """\
 series = profile.features.get(key)
 if series is None:
  series = profile.features[key] = Series()
 ts = event.ts
"""
_TOTAL = """\
 total = series.total
 if total:
  total[0] += 1
  if ts > total[4]:
   total[4] = ts
  elif ts < total[5]:
   total[5] = ts
 else:
  total = series.total = [1, 0, 0, 0, ts, ts]
"""
_KEPT = """\
 if now - ts < keep:
  instants = series.ts
  if not instants or ts >= instants[-1]:
   instants.append(ts)
  else:
   insort(instants, ts)
  if now - instants[0] >= keep or len(instants) > most:
   if not series.aged and len(instants) <= most:
    del instants[:bisect_right(instants, now - keep)]
   elif trim(series, now) == 2 and tally is not None:
    tally.capped += 1
"""

# Any other kind: an event without a value makes no series.
_ADDED = """\
 series = profile.features.get(key)
 if series is None:
  series = Series()
  if not add(series, event, now):
   return
  profile.features[key] = series
 else:
  added = add(series, event, now)
  if not added:
   return
  if added == 2 and tally is not None:
   tally.capped += 1
"""


def _told(slots: list[Slot], names: dict[str, Any]) -> Iterator[str]:
    """Telling the slots: those awake first, for they may wake others."""
    awake = [slot for slot in slots if slot.gate < 0]
    if slots:
        yield " levels = profile.levels"
    counts = [slot for slot in awake if type(slot) is RollingCount and slot.bounds[0] > 0]
    yield from _told_counts(counts, names)
    for slot in awake:
        if slot not in counts:
            yield from _told_one(slot, names)
    by_gate: dict[int, list[Slot]] = {}
    for slot in slots:
        if slot.gate >= 0:
            by_gate.setdefault(slot.gate, []).append(slot)
    for gate, sleepers in by_gate.items():
        g = _named("gate", gate, names)
        yield f" reached = levels.get({g}, 0)"
        yield f" if reached >= {_named('opens', min(slot.opens for slot in sleepers), names)}:"
        for slot in sleepers:
            yield f"  if reached >= {_named('opens', slot.opens, names)}:"
            yield f"   {_named('touched', slot.touched, names)}(profile, series, now, moved)"


def _told_counts(counts: list[RollingCount], names: dict[str, Any]) -> Iterator[str]:
    """Counts in rolling windows: below the least number that any of them asks for, there is nothing to look at."""
    if not counts:
        return
    yield " instants = series.ts"
    yield " n = len(instants)"
    yield " if series.aged:"
    for slot in counts:
        yield f"  {_named('touched', slot.touched, names)}(profile, series, now, moved)"
    yield f" elif n >= {_named('least', min(slot.bounds[0] for slot in counts), names)}:"
    for slot in counts:
        bounds = _named("bounds", slot.bounds, names)
        yield f"  level = levels.get({_named('index', slot.index, names)}, 0)"
        yield f"  if level < {_named('steps', len(slot.bounds), names)}:"
        yield f"   asked = {bounds}[level]"
        yield f"   if asked <= n and instants[-asked] > now - {_named('within', slot.within, names)}:"
        yield f"    {_named('refresh', slot.refresh, names)}(profile, now, moved)"


def _told_one(slot: Slot, names: dict[str, Any]) -> Iterator[str]:
    """A slot awake: what says at once that it has nothing to do, where there is such, and then the call."""
    if type(slot) is TotalCount and slot.bounds[0] > 0:
        yield from _told_total(slot, names)
        return
    index = _named("index", slot.index, names)
    test = ""
    if isinstance(slot, AgeSlot | RollingSum):
        least = _named("least", slot.bounds[0], names)
        if type(slot) is AgeSlot and slot.meter.from_total and slot.meter.kind == "since_last":
            test = f"now - total[4] >= {least} or levels.get({index}, none) or {index} not in profile.wakes"
        elif type(slot) is RollingSum and slot.bounds[0] > 0:
            test = f"series.sums[-1] - series.sums[0] >= {least} or levels.get({index}, 0)"
            test += " or series.falls or series.aged"
    if test:
        yield f" if {test}:"
    yield f" {'' if not test else ' '}{_named('touched', slot.touched, names)}(profile, series, now, moved)"


def _told_total(slot: TotalCount, names: dict[str, Any]) -> Iterator[str]:
    yield f" if total[0] >= {_named('least', slot.bounds[0], names)}:"
    yield f"  level = levels.get({_named('index', slot.index, names)}, 0)"
    yield f"  if level < {_named('steps', len(slot.bounds), names)}:"
    yield f"   if total[0] >= {_named('bounds', slot.bounds, names)}[level]:"
    yield f"    {_named('refresh', slot.refresh, names)}(profile, now, moved)"


def _named(kind: str, value: Any, names: dict[str, Any]) -> str:
    """A name of its own for a constant of this feature."""
    name = f"{kind}_{len(names)}"
    names[name] = value
    return name
