"""The one place that says who is a member: rule, exit, hold and override as a table (contract §2).

| override in force | member | has `exit` | becomes a member if |
|---|---|---|---|
| add | any | any | always |
| remove | any | any | never |
| none | no, or just released | any | `enter` and not `exit` |
| none | yes | no | `enter` |
| none | yes | yes | not `exit` |

A change that the table wants is delayed by `hold`, unless it comes from an override, its end, or an edit.
"""

from __future__ import annotations

from rules.language.documents import Duration
from rules.plan import SegmentPlan
from rules.profile import ACTION, CHANGED, IN_FORCE, SEQUENCE, UNTIL, Profile
from rules.times import NEVER, add


def wanted(segment: SegmentPlan, profile: Profile, now: int, *, free: bool = False) -> tuple[bool, int]:
    """Whether the customer is a member at `now`, and when a hold or an override next has a say (NEVER if not).

    `free`: hold delays nothing (an edit). Levels must be those of `now`. Notes on the profile which override is in
    force, so that its end is seen.
    """
    released, due = False, NEVER
    override = profile.overrides.get(segment.id)
    if override is not None:
        in_force = override[ACTION] != "clear" and now < override[UNTIL]
        released = override[IN_FORCE] and not in_force
        override[IN_FORCE] = in_force
        if in_force:
            return override[ACTION] == "add", override[UNTIL]
    state = profile.members.get(segment.id)
    member = state is not None and state[SEQUENCE] % 2 == 1
    if member and segment.exit_holds is not None and not released:
        becomes = not segment.exit_holds(profile)
    else:
        becomes = segment.enter_holds(profile) and not (segment.exit_holds is not None and segment.exit_holds(profile))
    if becomes == member or released or free or state is None:
        return becomes, due
    due = held_until(segment, member, state[CHANGED])
    return (member, due) if now < due else (becomes, NEVER)


def held_until(segment: SegmentPlan, member: bool, changed: int) -> int:
    """Until when `hold` keeps the customer where the last change (ms) put them."""
    hold: Duration | None = segment.hold.min_stay if member else segment.hold.cooldown
    return changed if hold is None else add(changed, hold, segment.timezone)
