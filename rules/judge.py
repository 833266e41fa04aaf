"""Judging a condition: whether it holds, until when that stands if no event comes, and because of what (idea 1).

`until` may be early (judging again then finds nothing changed), never late.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rules import show
from rules.language.documents import SampleNode
from rules.limits import WHY_LEAVES_MAX
from rules.profile import Profile
from rules.slots import NumberSlot, PairSlot, SinceSlot
from rules.times import NEVER
from rules.tree import Branch, Leaf, Tree

_LEAF_STEPS = 4
"""How many changes of its slot's level one leaf is followed through before its `until` is given early."""


class Verdict(NamedTuple):
    holds: bool
    until: int


def judge(tree: Tree, profile: Profile, now: int) -> Verdict:
    """The verdict at `now` (ms) over what the profile has collected; memberships as announced."""
    if isinstance(tree, Leaf):
        return _leaf(tree, profile, now)
    verdicts = [judge(child, profile, now) for child in tree.of]
    return combine(tree, verdicts)


def combine(branch: Branch, verdicts: list[Verdict]) -> Verdict:
    """A branch's verdict from its children's: it stands until so many of those that decide it may have changed."""
    holding = sorted(verdict.until for verdict in verdicts if verdict.holds)
    failing = sorted(verdict.until for verdict in verdicts if not verdict.holds)
    if branch.kind == "not":
        return Verdict(not verdicts[0].holds, verdicts[0].until)
    needed = {"all": len(verdicts), "at_least": branch.n}.get(branch.kind, 1)
    if len(holding) >= needed:
        verdict = Verdict(True, holding[len(holding) - needed])
    else:
        verdict = Verdict(False, failing[needed - len(holding) - 1])
    return Verdict(not verdict.holds, verdict.until) if branch.kind == "none" else verdict


def _leaf(leaf: Leaf, profile: Profile, now: int) -> Verdict:
    if leaf.sample is not None:
        return Verdict(leaf.sample(profile.customer_id), NEVER)
    assert leaf.slot is not None
    level, wake = leaf.slot.evaluate(profile, now)
    holds = leaf.truth(level)
    for _ in range(_LEAF_STEPS):
        if wake >= NEVER:
            break
        level, after = leaf.slot.evaluate(profile, wake)
        if leaf.truth(level) != holds:
            break
        wake = after
    return Verdict(holds, wake)


def deciding(tree: Tree, profile: Profile, now: int) -> list[Leaf]:
    """The leaves that make the verdict what it is: of an `all` that fails those that fail, and so on."""
    if isinstance(tree, Leaf):
        return [tree]
    holds = [judge(child, profile, now).holds for child in tree.of]
    if tree.kind == "not":
        wanted = holds[0]
    elif tree.kind == "all":
        wanted = all(holds)
    elif tree.kind == "at_least":
        wanted = sum(holds) >= tree.n
    else:
        wanted = any(holds)
    return [
        leaf
        for child, held in zip(tree.of, holds, strict=True)
        if held == wanted
        for leaf in deciding(child, profile, now)
    ]


def why(trees: list[Tree], profile: Profile, now: int) -> tuple[dict[str, Any], ...]:
    """The deciding leaves as they go into a transition, at most 20."""
    found = [leaf for tree in trees for leaf in deciding(tree, profile, now)]
    return tuple(reading(leaf, profile, now) for leaf in found[:WHY_LEAVES_MAX])


def reading(leaf: Leaf, profile: Profile, now: int) -> dict[str, Any]:
    """What a leaf asks, what it finds and whether that is enough."""
    record: dict[str, Any] = {"at": leaf.node.at, "holds": judge(leaf, profile, now).holds}
    if leaf.slot is not None:
        raw = leaf.slot.value(profile, now)
        record["value"] = show.value(leaf, raw, now)
        if approximate(leaf, profile):
            record["approximate"] = True
    elif isinstance(leaf.node, SampleNode):
        record["value"] = record["holds"]
    record["asked"] = show.asked(leaf)
    return record


def approximate(leaf: Leaf, profile: Profile) -> bool:
    """Whether entries beyond a cap take part in what the leaf reads."""
    slot = leaf.slot
    if isinstance(slot, PairSlot):
        meters = [slot.left, slot.right]
    elif isinstance(slot, NumberSlot | SinceSlot):
        meters = [slot.meter]
    else:
        return False
    return any(meter.approximate(profile.features.get(meter.key)) for meter in meters)
