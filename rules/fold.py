"""Folding one event into a profile: its features, attributes, tags and overrides, whatever the order of arrival."""

from __future__ import annotations

from typing import Any

from rules.concerns import Moved
from rules.events import Event
from rules.plan import Plan
from rules.profile import IN_FORCE, OVERRIDE_RANK, OVERRIDE_TS, RANK, TS, Profile
from rules.tally import Tally
from rules.times import NEVER, parse_instant


def fold(profile: Profile, event: Event, plan: Plan, now: int, moved: Moved, tally: Tally | None) -> None:
    """Folds an event whose `ts` has come; notes what it moved."""
    index = plan.by_type.get(event.type)
    if index is not None:
        for add in index.folds:
            add(profile, event, now, moved, tally)
        for read, table in index.folds_by_value:
            value = read(event.properties)
            if type(value) is str and value in table:
                for add in table[value]:
                    add(profile, event, now, moved, tally)
    if event.type == "profile":
        _set_profile(profile, event, plan, now, moved)
    elif event.type == "membership":
        _set_override(profile, event, plan, moved)


def _set_profile(profile: Profile, event: Event, plan: Plan, now: int, moved: Moved) -> None:
    """Last writer by (ts, rank) wins, per attribute and per tag; unsetting is writing None."""
    properties = event.properties
    written: dict[str, Any] = dict(properties.get("set") or {})
    written.update(dict.fromkeys(properties.get("unset") or ()))
    if written and not profile.attributes:
        profile.attributes = {}
    for name, value in written.items():
        if _newer(profile.attributes.get(name), event):
            profile.attributes[name] = [value, event.ts, event.rank]
            for slot in plan.by_attribute.get(name, ()):
                slot.refresh(profile, now, moved)
    tags = dict.fromkeys(properties.get("tags_add") or (), True)
    tags.update(dict.fromkeys(properties.get("tags_remove") or (), False))
    if tags and not profile.tags:
        profile.tags = {}
    for tag, there in tags.items():
        if _newer(profile.tags.get(tag), event):
            profile.tags[tag] = [there, event.ts, event.rank]
            for tag_slot in plan.by_tag.get(tag, ()):
                tag_slot.refresh(profile, now, moved)


def _newer(record: list[Any] | None, event: Event) -> bool:
    return record is None or (event.ts, event.rank) >= (record[TS], record[RANK])


def _set_override(profile: Profile, event: Event, plan: Plan, moved: Moved) -> None:
    """The override with the highest (ts, rank) stands; whether one was in force when last judged is carried over."""
    properties = event.properties
    name = properties["segment"]
    known = profile.overrides.get(name)
    if known is not None and (event.ts, event.rank) < (known[OVERRIDE_TS], known[OVERRIDE_RANK]):
        return
    until = parse_instant(properties["until"]) if properties.get("until") else None
    was_in_force = known is not None and known[IN_FORCE]
    if not profile.overrides:
        profile.overrides = {}
    profile.overrides[name] = [
        properties["action"],
        event.ts,
        event.rank,
        NEVER if until is None else until,
        was_in_force,
        *([properties["by"]] if properties.get("by") else ()),
    ]
    if name in plan.segments:
        moved.append(plan.segments[name].itself)
