"""Why somebody is, or is not, in a segment: the condition tree with what each part finds, and what comes next.

Everything is read from the series a profile keeps, so a profile judged by an older edition is explained all the same.
"""

from __future__ import annotations

from typing import Any

from rules import forecast as ahead
from rules import show
from rules.hidden import is_hidden
from rules.judge import judge, reading
from rules.language.documents import EventNode
from rules.meters import Meter
from rules.plan import Plan, SegmentPlan
from rules.profile import ACTION, CHANGED, SEQUENCE, UNTIL, Profile, done_by
from rules.slots import EdgeSlot, SinceSlot
from rules.slots_numbers import NumberSlot, PairSlot
from rules.times import NEVER, format_instant
from rules.tree import Leaf, Tree, leaves


def explain(profile: Profile, plan: Plan, segment_id: str, now: int) -> dict[str, Any]:
    """The announced membership and the evaluated `enter` and `exit` at `now` (ms). KeyError for an unknown segment.

    {"member", "since" or "left", "sequence", "override"?, "held_until"?, "leaves_at"/"enters_at"?, "enter", "exit"?},
    each tree {"at", "kind", "holds", "until", "value"?, "asked"?, "approximate"?, "of"?}; `until` null stands for ever.
    """
    segment = plan.segments[segment_id]
    member = profile.is_member(segment_id)
    told: dict[str, Any] = {"segment": segment_id, "segment_version": segment.version, "member": member}
    state = profile.members.get(segment_id)
    if state is not None:
        told["sequence"] = state[SEQUENCE]
        told["since" if member else "left"] = format_instant(state[CHANGED])
    told |= _override(profile, segment_id, now)
    if segment_id in profile.delays:
        told["held_until"] = instant(profile.delays[segment_id])
    coming = ahead.forecast(profile, plan, segment, now)
    if coming is not None:
        told["leaves_at" if member else "enters_at"] = instant(coming)
    told["enter"] = None if segment.enter is None else tree(segment.enter, profile, now)
    if segment.exit is not None:
        told["exit"] = tree(segment.exit, profile, now)
    return told


def forecast(profile: Profile, plan: Plan, segment_id: str, now: int) -> int | None:
    """When the next change comes if nothing happens (ms): NEVER for none, None where it is not known."""
    return ahead.forecast(profile, plan, plan.segments[segment_id], now)


def tree(node: Tree, profile: Profile, now: int) -> dict[str, Any]:
    """One condition, evaluated."""
    verdict = judge(node, profile, now)
    told: dict[str, Any] = {"at": node.node.at if isinstance(node, Leaf) else node.at}
    if isinstance(node, Leaf):
        told |= {"kind": _kind(node)} | reading(node, verdict.holds, profile, now)
        told["until"] = instant(verdict.until)
        return told
    told |= {"kind": node.kind, "holds": verdict.holds, "until": instant(verdict.until)}
    if node.kind == "at_least":
        told["n"] = node.n
    told["of"] = [tree(child, profile, now) for child in node.of]
    return told


def aggregates(profile: Profile, plan: Plan, now: int) -> list[dict[str, Any]]:
    """What the customer's events amount to, once for each thing that any segment asks: [{"segments", "at", "event",
    "measure", "of"?, "value", "approximate"?}]; only what is not empty."""
    found: dict[int, dict[str, Any]] = {}
    for segment in plan.order:
        if is_hidden(segment.id):
            continue
        for leaf in _all_leaves(segment):
            if leaf.slot is None or not isinstance(leaf.node, EventNode) or not _kept(leaf, profile):
                continue
            known = found.get(leaf.slot.index)
            if known is None:
                found[leaf.slot.index] = known = _aggregate(leaf, leaf.node, profile, now)
            if segment.id not in known["segments"]:
                known["segments"].append(segment.id)
    return list(found.values())


def _aggregate(leaf: Leaf, node: EventNode, profile: Profile, now: int) -> dict[str, Any]:
    told: dict[str, Any] = {"segments": [], "at": node.at, "event": list(node.events), "measure": node.measure.kind}
    if node.measure.of is not None:
        told["of"] = node.measure.of
    assert leaf.slot is not None
    told["value"] = show.value(leaf, leaf.slot.value(profile, now), now)
    if leaf.slot.approximate(profile):
        told["approximate"] = True
    return told


def _kept(leaf: Leaf, profile: Profile) -> bool:
    return any(meter.key in profile.features for meter in _meters(leaf))


def _meters(leaf: Leaf) -> list[Meter]:
    slot = leaf.slot
    if isinstance(slot, PairSlot):
        return [slot.left, slot.right]
    return [slot.meter] if isinstance(slot, NumberSlot | SinceSlot | EdgeSlot) else []


def _all_leaves(segment: SegmentPlan) -> list[Leaf]:
    return [leaf for node in (segment.enter, segment.exit) if node is not None for leaf in leaves(node)]


def _kind(leaf: Leaf) -> str:
    return type(leaf.node).__name__.removesuffix("Node").lower()


def _override(profile: Profile, segment_id: str, now: int) -> dict[str, Any]:
    override = profile.overrides.get(segment_id)
    if override is None or override[ACTION] == "clear" or now >= override[UNTIL]:
        return {}
    by = done_by(override)
    told = {"action": override[ACTION], "until": instant(override[UNTIL])}
    return {"override": told | ({"by": by} if by else {})}


def instant(ms: int) -> str | None:
    """An instant in text; None for never."""
    return None if ms >= NEVER else format_instant(ms)


__all__ = ["aggregates", "explain", "forecast", "instant", "tree"]
