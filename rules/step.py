"""The heart: what a customer's next records, and the clock, change. Read this page first.

A record is judged once, in log order, at the clock after reading it. What the clock alone changes at t is changed
before the customer's next record, at t. Newer editions are settled in between, each at its own place in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from rules.aggregates.series import NO_LIST
from rules.concerns import Moved
from rules.events import Event
from rules.fold import fold
from rules.forecast import forecast
from rules.judge import Verdict, why
from rules.limits import DEDUP_MS, LATE_TOLD_MS_MIN
from rules.membership import wanted
from rules.plan import SHADOW, Plan, SegmentPlan
from rules.profile import ACTION, IN_FORCE, NEW, SEQUENCE, UNTIL, Profile, done_by
from rules.recent import seen
from rules.tally import Tally
from rules.times import NEVER, format_instant
from rules.transitions import Cause, Transition

Causes = Callable[[SegmentPlan], Cause]


def step(
    profile: Profile, events: Sequence[Event], plan: Plan, now: int, tally: Tally | None = None
) -> tuple[Profile, list[Transition], int]:
    """Brings a customer to the clock `now` (ms) and judges `events` (in log order) at it.

    First everything due strictly before `now` is done at its own instant (also what newer editions than the
    profile's bring), then each event is folded at its `ts` and judged at `now`. Returns the profile (the one given,
    changed in place: after a failed commit load it again), the transitions in order, and when to wake it: once the
    clock has passed `wake_at` (NEVER: no timer), call again, with no events if there are none.
    """
    out: list[Transition] = []
    _reach(profile, plan, now, out)
    for event in events:
        step_one(profile, event, plan, now, out, tally)
    return profile, out, profile.wake


def step_one(
    profile: Profile, event: Event, plan: Plan, now: int, out: list[Transition], tally: Tally | None = None
) -> None:
    """`step` with one event, whose transitions are added to `out`: the way of every record of the log."""
    if profile.wake < now or profile.layout != plan.layout:
        _reach(profile, plan, now, out)
    if event.id:
        remembered = profile.recent if now - profile.at < DEDUP_MS else b""  # `at` is no earlier than any reading
        recent = seen(remembered, event.type, event.id, now)
        if recent is None:
            if tally is not None:
                tally.duplicates += 1
            return
        profile.recent = recent
    moved: Moved = []
    if profile.edition == NEW:
        profile.edition = plan.edition
        if plan.initial.free:
            moved.append(plan.initial)
    ts = event.ts
    if ts <= now:
        fold(profile, event, plan, now, moved, tally)
    else:
        _wait(profile, event)
    if tally is not None:
        tally.events += 1
        if ts != now:
            tally.waiting += ts > now
            tally.late += now - ts >= LATE_TOLD_MS_MIN
    if profile.wake <= now:
        _due(profile, plan, now, moved, tally)
    profile.at = now
    if moved:
        _judge(profile, plan, moved, now, out, _caused_by(event), event_id=event.id)


def _reach(profile: Profile, plan: Plan, now: int, out: list[Transition]) -> None:
    """Brings a profile to the plan's edition, and does what was due before `now`."""
    if profile.layout != plan.layout:
        _settle(profile, plan, out)
    if profile.wake < now:
        _advance(profile, plan, now, out)


def _caused_by(event: Event) -> Causes:
    if event.type != "membership":
        return _by_event
    named = event.properties["segment"]
    return lambda segment: "manual" if segment.id == named else "event"


def _by_event(segment: SegmentPlan) -> Cause:
    return "event"


def _by_clock(segment: SegmentPlan) -> Cause:
    return "clock"


def _wait(profile: Profile, event: Event) -> None:
    """Keeps an event of the future until its own time."""
    profile.waiting = sorted([*profile.waiting, event], key=lambda each: (each.ts, each.rank))
    profile.wake = min(profile.wake, event.ts)


def _advance(profile: Profile, plan: Plan, before: int, out: list[Transition]) -> None:
    """Does what is due before an instant, in order of time."""
    while profile.wake < before:
        instant = profile.wake
        moved: Moved = []
        _due(profile, plan, instant, moved, None)
        profile.at = instant
        if moved:
            _judge(profile, plan, moved, instant, out, _by_clock)


def _due(profile: Profile, plan: Plan, now: int, moved: Moved, tally: Tally | None) -> None:
    """Brings to `now` whatever was to be looked at by then, and finds the next wake."""
    while profile.waiting and profile.waiting[0].ts <= now:
        event, *rest = profile.waiting
        profile.waiting = rest or NO_LIST
        fold(profile, event, plan, now, moved, tally)
    for index in [index for index, wake in profile.wakes.items() if wake <= now]:
        plan.slots[index].refresh(profile, now, moved)
    if profile.delays:
        for name in [name for name, due in profile.delays.items() if due <= now]:
            del profile.delays[name]
            if name in plan.segments:
                moved.append(plan.segments[name].itself)
    profile.wake = _next_wake(profile)


def _next_wake(profile: Profile) -> int:
    wake = min(profile.wakes.values()) if profile.wakes else NEVER
    if profile.delays:
        wake = min(wake, *profile.delays.values())
    return min(wake, profile.waiting[0].ts) if profile.waiting else wake


def _judge(
    profile: Profile,
    plan: Plan,
    moved: Moved,
    now: int,
    out: list[Transition],
    causes: Causes,
    event_id: str = "",
    free: frozenset[str] = frozenset(),
) -> None:
    """Judges segments in order of dependency; a change concerns those that name the changed one, at the same instant.

    `free`: the segments whose hold delays nothing now.
    """
    queue = list(_concerned(profile, plan, moved))
    if not queue:
        return
    heapify(queue)
    last = -1
    while queue:
        place = heappop(queue)
        segment = plan.order[place]
        if place == last or segment.paused:
            continue
        last = place
        becomes, due = wanted(segment, profile, now, free=segment.id in free)
        if due < NEVER:
            if not profile.delays:
                profile.delays = {}
            profile.delays[segment.id] = due
            profile.wake = min(profile.wake, due)
        elif profile.delays:
            profile.delays.pop(segment.id, None)
        if becomes != profile.is_member(segment.id):
            out.append(_change(profile, plan, segment, now, causes(segment), event_id))
            for more in _watching(profile, plan, segment.id, now):
                heappush(queue, more)


def _concerned(profile: Profile, plan: Plan, moved: Moved) -> set[int]:
    """The places of the segments that what moved may change."""
    found: set[int] = set()
    for concern in moved:
        concern.into(found, profile)
    members = profile.members
    if not members:
        return found
    order, segments = plan.order, plan.segments
    for concern in moved:
        places = concern.behind_guards
        if not places:
            continue
        if len(places) < len(members):  # the shorter of the two is gone through
            found.update([place for place in places if profile.is_member(order[place].id)])
        else:
            known = [segments[name].place for name in members if name in segments and profile.is_member(name)]
            found.update(places.intersection(known))
    return found


def _watching(profile: Profile, plan: Plan, name: str, now: int) -> set[int]:
    """The places of the segments that a change of membership concerns."""
    moved: Moved = []
    for slot in plan.watchers.get(name, ()):
        slot.refresh(profile, now, moved)
    return _concerned(profile, plan, moved)


def _change(profile: Profile, plan: Plan, segment: SegmentPlan, now: int, cause: Cause, event_id: str) -> Transition:
    state = profile.members.get(segment.id)
    sequence = (state[SEQUENCE] if state else 0) + 1
    profile.changes(segment.id, sequence, now)
    verdicts, reasons = _why(profile, segment, now, sequence % 2 == 1)
    standing = verdicts[0] if verdicts and segment.exit is None else None  # then it is that of `enter`
    return Transition(
        segment.id,
        segment.version,
        profile.customer_id,
        sequence,
        now,
        cause,
        event_id,
        reasons,
        forecast(profile, plan, segment, now, standing),
    )


def _why(
    profile: Profile, segment: SegmentPlan, now: int, entered: bool
) -> tuple[list[Verdict], tuple[dict[str, Any], ...]]:
    """The verdicts of the trees that decided, and what decided them."""
    override = profile.overrides.get(segment.id)
    if override is not None and override[IN_FORCE]:
        reason: dict[str, Any] = {"at": "membership", "holds": True, "value": override[ACTION]}
        if override[UNTIL] < NEVER:
            reason["until"] = format_instant(override[UNTIL])
        if by := done_by(override):
            reason["by"] = by
        return [], (reason,)
    if entered:
        trees = [segment.enter, segment.exit]
    elif segment.exit_holds is not None and segment.exit_holds(profile):
        trees = [segment.exit]
    else:
        trees = [segment.enter]
    return why([tree for tree in trees if tree is not None], profile, now)


def _settle(profile: Profile, plan: Plan, out: list[Transition]) -> None:
    """Brings a profile to the plan's edition: what was due before each newer definition, then the definition itself."""
    if profile.edition == NEW:
        profile.layout = plan.layout
        return
    chain = plan.chain(profile.edition)
    before = chain[0].previous if chain else None
    if not chain:
        _relevel(profile, plan, profile.at)  # the same definitions, compiled otherwise
    for edition in chain:
        if before is not None:
            _advance(profile, before, edition.at, out)
        _relevel(profile, edition, max(profile.at, edition.at - 1))
        _redefine(profile, edition, out)
        before = edition


def _relevel(profile: Profile, plan: Plan, at: int) -> None:
    """Sorts what the profile keeps under another plan's features and slots, as of `at`."""
    features = profile.features
    for key in [key for key in features if key not in plan.features]:
        series = features.pop(key)
        if key ^ SHADOW in plan.features:
            features[key ^ SHADOW] = series
    profile.levels, profile.wakes = {}, {}
    nobody: Moved = []
    slots = [slot for key in features for slot in plan.features[key].slots]
    slots += [slot for name in profile.attributes for slot in plan.by_attribute.get(name, ())]
    slots += [slot for tag in profile.tags for slot in plan.by_tag.get(tag, ())]
    slots += [slot for name in profile.members for slot in plan.watchers.get(name, ())]
    for slot in slots:
        slot.refresh(profile, at, nobody)
    profile.wake = _next_wake(profile)
    profile.layout, profile.edition = plan.layout, plan.edition


def _redefine(profile: Profile, plan: Plan, out: list[Transition]) -> None:
    """Judges the segments that an edition changed (cause `definition`); what is due at that instant goes with it."""
    moved: Moved = []
    now = plan.at
    if profile.wake <= now:
        _due(profile, plan, now, moved, None)
    places = _concerned(profile, plan, moved)
    by_clock = {plan.order[place].id for place in places} - plan.changed
    moved = [plan.order[place].itself for place in places]
    for name in sorted(plan.changed):
        if name in plan.segments:
            moved.append(plan.segments[name].itself)
        else:
            moved.extend(plan.order[place].itself for place in _remove(profile, plan, name, now, out))
    profile.at = now
    causes: Causes = lambda segment: "clock" if segment.id in by_clock else "definition"  # noqa: E731
    _judge(profile, plan, moved, now, out, causes, free=plan.changed)


def _remove(profile: Profile, plan: Plan, name: str, now: int, out: list[Transition]) -> Iterable[int]:
    """A deleted segment: a member leaves; the sequence is kept, should the segment come back."""
    for kept in (profile.delays, profile.overrides):
        if name in kept:
            del kept[name]
    if not profile.is_member(name):
        return ()
    sequence = profile.members[name][SEQUENCE] + 1
    profile.changes(name, sequence, now)
    version = plan.definitions[name].version if name in plan.definitions else 0
    reason: dict[str, Any] = {"at": "", "holds": False, "value": "deleted"}
    out.append(Transition(name, version, profile.customer_id, sequence, now, "definition", "", (reason,), NEVER))
    return _watching(profile, plan, name, now)
