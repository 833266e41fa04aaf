"""When the next change comes if nothing happens: judging forward without events (contract §3)."""

from __future__ import annotations

import msgspec

from rules.judge import Verdict, judge
from rules.limits import FORECAST_STEPS_MAX
from rules.membership import wanted
from rules.plan import Plan, SegmentPlan
from rules.profile import SEQUENCE, Profile
from rules.times import NEVER
from rules.tree import leaves


def forecast(
    profile: Profile, plan: Plan, segment: SegmentPlan, now: int, standing: Verdict | None = None
) -> int | None:
    """The instant (ms) after `now` of the next change: NEVER for none, None where 64 steps did not tell.

    `standing`: the verdict of `enter` at `now`, where it is known already.
    """
    if segment.paused:
        return NEVER
    if segment.exit is None and not segment.held and segment.id not in profile.overrides and not segment.names:
        return _plain(profile, segment, now, standing)
    return _with_others(profile, _closure(plan, segment), segment, now)


def _plain(profile: Profile, segment: SegmentPlan, now: int, standing: Verdict | None) -> int | None:
    """A segment that hangs on nothing but its own condition."""
    if segment.enter is None:
        return NEVER
    member = profile.is_member(segment.id)
    instant = (standing or judge(segment.enter, profile, now)).until
    for _ in range(FORECAST_STEPS_MAX - 1):
        if instant >= NEVER:
            return NEVER
        verdict = judge(segment.enter, profile, instant)
        if verdict.holds != member:
            return instant
        instant = verdict.until
    return NEVER if instant >= NEVER else None


def _closure(plan: Plan, segment: SegmentPlan) -> list[SegmentPlan]:
    """The segment and all it names, directly or not, in order of dependency."""
    found: dict[str, SegmentPlan] = {}
    stack = [segment]
    while stack:
        each = stack.pop()
        if each.id not in found:
            found[each.id] = each
            stack.extend(plan.segments[name] for name in each.names if name in plan.segments)
    return sorted(found.values(), key=lambda each: each.place)


def _with_others(profile: Profile, closure: list[SegmentPlan], segment: SegmentPlan, now: int) -> int | None:
    view = msgspec.structs.replace(
        profile,
        members={name: list(state) for name, state in profile.members.items()},
        overrides={name: list(override) for name, override in profile.overrides.items()},
        levels={},
    )
    member = view.is_member(segment.id)
    instant = now
    for _ in range(FORECAST_STEPS_MAX):
        coming = min(_move(view, each, instant, still=instant == now) for each in closure)
        if instant > now and view.is_member(segment.id) != member:
            return instant
        instant = coming
        if instant >= NEVER:
            return NEVER
    return None


def _move(view: Profile, segment: SegmentPlan, instant: int, *, still: bool) -> int:
    """Applies what `instant` changes in one segment (nothing, if `still`); returns when to look again."""
    if segment.paused:
        return NEVER
    coming = NEVER
    for tree in (segment.enter, segment.exit):
        if tree is not None:
            coming = min(coming, judge(tree, view, instant).until)
            for leaf in leaves(tree):
                if leaf.slot is not None:
                    view.levels[leaf.slot.index] = leaf.slot.evaluate(view, instant)[0]
    becomes, due = wanted(segment, view, instant)
    if not still and becomes != view.is_member(segment.id):
        state = view.members.get(segment.id, [0, 0])
        view.members[segment.id] = [state[SEQUENCE] + 1, instant]
        due = min(due, _move(view, segment, instant, still=True))
    return min(coming, due if due > instant else NEVER)
