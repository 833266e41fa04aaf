"""Judging a condition: whether it holds, until when that stands if no event comes, and because of what (idea 1).

`until` may be early (judging again then finds nothing changed), never late.
"""

from __future__ import annotations

from typing import Any

from rules import show
from rules.language.documents import SampleNode
from rules.limits import WHY_LEAVES_MAX
from rules.profile import Profile
from rules.slots import Verdict
from rules.times import NEVER
from rules.tree import Branch, Leaf, Tree

_LEAF_STEPS = 4
"""How many changes of its slot's level one leaf is followed through before its `until` is given early."""


def judge(tree: Tree, profile: Profile, now: int) -> Verdict:
    """The verdict at `now` (ms) over what the profile has collected; memberships as announced."""
    if isinstance(tree, Leaf):
        return _leaf(tree, profile, now)
    return combine(tree, [judge(child, profile, now) for child in tree.of])


def combine(branch: Branch, verdicts: list[Verdict]) -> Verdict:
    """A branch's verdict from its children's: it stands until so many of those that decide it may have changed."""
    kind = branch.kind
    if kind == "not":
        return Verdict(not verdicts[0].holds, verdicts[0].until)
    if kind == "at_least":
        return _at_least(branch.n, verdicts)
    whole = kind == "all"
    deciding = [until for holds, until in verdicts if holds != whole]  # any one of them is enough
    until = max(deciding) if deciding else min([until for _, until in verdicts])
    return Verdict(bool(deciding) == (kind == "any"), until)


def _at_least(needed: int, verdicts: list[Verdict]) -> Verdict:
    holding = sorted([until for holds, until in verdicts if holds])
    if len(holding) >= needed:
        return Verdict(True, holding[len(holding) - needed])
    failing = sorted([until for holds, until in verdicts if not holds])
    return Verdict(False, failing[needed - len(holding) - 1])


def _leaf(leaf: Leaf, profile: Profile, now: int) -> Verdict:
    if leaf.sample is not None:
        return Verdict(leaf.sample(profile.customer_id), NEVER)
    assert leaf.slot is not None
    if leaf.least is not None:
        exact = leaf.slot.reaches(profile, now, leaf.least)
        if exact is not None:
            return exact
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


def deciding(tree: Tree, profile: Profile, now: int) -> tuple[Verdict, list[tuple[Leaf, bool]]]:
    """The verdict, and the leaves that make it what it is, each with whether it holds: of an `all` that fails those
    that fail, and so on. Every leaf is judged once."""
    if type(tree) is Leaf:
        verdict = _leaf(tree, profile, now)
        return verdict, [(tree, verdict.holds)]
    assert type(tree) is Branch
    if tree.kind == "not":
        inner, found = deciding(tree.of[0], profile, now)
        return Verdict(not inner.holds, inner.until), found
    parts = [deciding(child, profile, now) for child in tree.of]
    verdict = combine(tree, [part for part, _ in parts])
    wanted = verdict.holds != (tree.kind == "none")
    return verdict, [each for part, found in parts if part.holds == wanted for each in found]


def why(trees: list[Tree], profile: Profile, now: int) -> tuple[list[Verdict], tuple[dict[str, Any], ...]]:
    """The verdict of each tree, and the deciding leaves as they go into a transition, at most 20."""
    verdicts: list[Verdict] = []
    decided: list[tuple[Leaf, bool]] = []
    for tree in trees:
        verdict, found = deciding(tree, profile, now)
        verdicts.append(verdict)
        decided += found
    return verdicts, tuple([reading(leaf, holds, profile, now) for leaf, holds in decided[:WHY_LEAVES_MAX]])


def reading(leaf: Leaf, holds: bool, profile: Profile, now: int) -> dict[str, Any]:
    """What a leaf asks, what it finds and whether that is enough (`holds`)."""
    record: dict[str, Any] = {"at": leaf.node.at, "holds": holds}
    slot = leaf.slot
    if slot is not None:
        record["value"] = show.value(leaf, slot.value(profile, now), now)
        if slot.approximate(profile):
            record["approximate"] = True
    elif isinstance(leaf.node, SampleNode):
        record["value"] = holds
    record["asked"] = show.asked(leaf)
    return record


__all__ = ["Verdict", "combine", "deciding", "judge", "reading", "why"]
