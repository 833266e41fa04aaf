"""Slots: numbers that events and the clock move, and the levels at which somebody asks about them.

`evaluate` tells a slot's level at an instant and a wake: the first instant after it at which the level may change by
the clock alone (early at worst). A customer's levels change only here, and only a change concerns a segment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rules.aggregates.series import Series
from rules.compare import scalar
from rules.concerns import Concern, Moved
from rules.dates import Since, Timed
from rules.language.documents import Duration
from rules.meters import Meter
from rules.profile import CHANGED, SEQUENCE, VALUE, Profile
from rules.times import NEVER, add


class Verdict(NamedTuple):
    """Whether something holds, and until when that stands if no event comes (early at worst)."""

    holds: bool
    until: int


class Slot:
    """`default`: the level of a customer who has nothing here. `concerns`: by step (the level below) or bit.

    A slot with a `gate` (the index of another, which only grows) sleeps below its level `opens`: whoever asks this one
    asks that one too. Its level and wake mean nothing until then. `gated`: those that this one wakes.
    """

    default = 0
    gate = -1
    opens = 0
    gated: tuple[Slot, ...] = ()

    def __init__(self, index: int) -> None:
        self.index = index
        self.concerns: dict[int, Concern] = {}

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        raise NotImplementedError

    def reaches(self, profile: Profile, now: int, least: int) -> Verdict | None:
        """Whether the level is at least so much, and until exactly when that stands if no event comes. None: whoever
        asks has to find out by evaluating."""
        return None

    def value(self, profile: Profile, now: int) -> Any:
        """What it reads at `now`, for people."""
        raise NotImplementedError

    def approximate(self, profile: Profile) -> bool:
        """Whether entries beyond a cap take part in what it reads."""
        return False

    def concerned(self, old: int, new: int) -> Iterable[Concern]:
        """Whom a change from one level to another concerns."""
        raise NotImplementedError

    def feature_keys(self) -> tuple[int, ...]:
        """The series it reads."""
        return ()

    def describe(self) -> object:
        """What its stored levels mean, for the plan's `layout`."""
        raise NotImplementedError

    def refresh(self, profile: Profile, now: int, moved: Moved) -> None:
        """Evaluates at `now` and notes whom a change of level concerns."""
        level, wake = self.evaluate(profile, now)
        index = self.index
        old = profile.levels.get(index, self.default)
        if level != old:
            if level == self.default:
                profile.levels.pop(index, None)
            else:
                profile.levels[index] = level
            moved.extend(self.concerned(old, level))
            for slot in self.gated:
                if old < slot.opens <= level:
                    slot.refresh(profile, now, moved)
        if wake < NEVER:
            profile.wakes[index] = wake
            if wake < profile.wake:
                profile.wake = wake
        elif index in profile.wakes:
            del profile.wakes[index]

    def touched(self, profile: Profile, series: Series, now: int, moved: Moved) -> None:
        """An event was folded into `series`."""
        self.refresh(profile, now, moved)


class MaskSlot(Slot):
    """A slot whose level is a bit for each comparison asked of it."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.tests: list[Any] = []

    def describe(self) -> object:
        return [type(self).__name__, *self.feature_keys(), [test.identity for test in self.tests]]

    def concerned(self, old: int, new: int) -> Iterable[Concern]:
        changed = old ^ new
        while changed:
            bit = changed.bit_length() - 1
            if bit in self.concerns:
                yield self.concerns[bit]
            changed ^= 1 << bit


class SinceSlot(MaskSlot):
    """`since_*` against durations in calendar units, one test a bit."""

    def __init__(self, index: int, meter: Meter) -> None:
        super().__init__(index)
        self.meter, self.key = meter, meter.key
        self.tests: list[Since] = []

    def feature_keys(self) -> tuple[int, ...]:
        return (self.key,)

    def value(self, profile: Profile, now: int) -> Any:
        return self.meter.value(profile.features.get(self.key), now)

    def approximate(self, profile: Profile) -> bool:
        return self.meter.approximate(profile.features.get(self.key))

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        series = profile.features.get(self.key)
        if series is None:
            return 0, NEVER
        instant: Any = self.meter.value(series, now)
        mask = sum(test.holds(instant, now) << bit for bit, test in enumerate(self.tests))
        wake = min((test.until(instant, now) for test in self.tests), default=NEVER)
        return mask, min(wake, next(self.meter.changes(series, now), NEVER))


class EdgeSlot(MaskSlot):
    """`first`/`last` value, one comparison a bit."""

    def __init__(self, index: int, meter: Meter) -> None:
        super().__init__(index)
        self.meter, self.key = meter, meter.key
        self.tests: list[Timed] = []

    def feature_keys(self) -> tuple[int, ...]:
        return (self.key,)

    def value(self, profile: Profile, now: int) -> Any:
        text: Any = self.meter.value(profile.features.get(self.key), now)
        return None if text is None else scalar(text)

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        series = profile.features.get(self.key)
        if series is None:
            return 0, NEVER
        level, wake = self._at(series, now)
        most = self.meter.lookahead(series)
        for tried, instant in enumerate(self.meter.changes(series, now), 1):
            if instant >= wake:
                break
            other, wake = self._at(series, instant)  # another value has dates of its own
            if tried >= most or other != level:
                return level, instant
        return level, wake

    def _at(self, series: Series, now: int) -> tuple[int, int]:
        text: Any = self.meter.value(series, now)
        if text is None:
            return 0, NEVER
        value = scalar(text)
        mask = sum(test.holds(value, now) << bit for bit, test in enumerate(self.tests))
        return mask, min((test.until(value, now) for test in self.tests), default=NEVER)


class AttributeSlot(MaskSlot):
    """A profile attribute, one comparison a bit."""

    def __init__(self, index: int, path: str) -> None:
        super().__init__(index)
        self.path = path
        self.parts = path.split(".")
        self.tests: list[Timed] = []

    def describe(self) -> object:
        return ["attribute", self.path, [test.identity for test in self.tests]]

    def value(self, profile: Profile, now: int) -> Any:
        attributes = profile.attributes
        if self.path in attributes:
            return attributes[self.path][VALUE]
        if self.parts[0] not in attributes:
            return None
        found = attributes[self.parts[0]][VALUE]
        for part in self.parts[1:]:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        value = self.value(profile, now)
        mask = sum(test.holds(value, now) << bit for bit, test in enumerate(self.tests))
        return mask, min((test.until(value, now) for test in self.tests), default=NEVER)

    def seal(self) -> None:
        """Called once all tests are in: the level of a missing attribute."""
        self.default = sum(test.holds(None, 0) << bit for bit, test in enumerate(self.tests))


class SwitchSlot(Slot):
    """A slot that is on (1) or off (0)."""

    def concerned(self, old: int, new: int) -> Iterable[Concern]:
        return self.concerns.values()


class TagSlot(SwitchSlot):
    def __init__(self, index: int, any_of: tuple[str, ...], all_of: tuple[str, ...], none_of: tuple[str, ...]) -> None:
        super().__init__(index)
        self.any_of, self.all_of, self.none_of = any_of, all_of, none_of
        self.default = 0 if any_of or all_of else 1

    def describe(self) -> object:
        return ["tag", self.any_of, self.all_of, self.none_of]

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        tags = {tag for tag, record in profile.tags.items() if record[VALUE]}
        holds = tags.issuperset(self.all_of) and tags.isdisjoint(self.none_of)
        return int(holds and (not self.any_of or not tags.isdisjoint(self.any_of))), NEVER

    def value(self, profile: Profile, now: int) -> Any:
        named = (*self.any_of, *self.all_of, *self.none_of)
        return sorted({tag for tag in named if tag in profile.tags and profile.tags[tag][VALUE]})


class MembershipSlot(SwitchSlot):
    """Is an announced member of another segment, for at least so long."""

    def __init__(self, index: int, segment: str, lasting: Duration | None, tz: str) -> None:
        super().__init__(index)
        self.segment, self.lasting, self.tz = segment, lasting, tz

    def describe(self) -> object:
        return ["segment", self.segment, self.lasting, self.tz]

    def evaluate(self, profile: Profile, now: int) -> tuple[int, int]:
        state = profile.members.get(self.segment)
        if state is None or state[SEQUENCE] % 2 == 0:
            return 0, NEVER
        if self.lasting is None:
            return 1, NEVER
        due = add(state[CHANGED], self.lasting, self.tz)
        return (1, NEVER) if now >= due else (0, due)

    def value(self, profile: Profile, now: int) -> Any:
        return profile.is_member(self.segment)
