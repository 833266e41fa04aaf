"""What a slot says exactly of a level, against what evaluating it at every instant finds."""

from __future__ import annotations

import pytest

from rules.times import NEVER
from rules.tree import leaves
from tests.rules.building import DAY, HOUR, event, plan_of, played

ASKED = (
    "event: purchase, within: 5h, count: {gte: 2}",
    "event: purchase, within: 5h, count: {gt: 2}",
    "event: purchase, within: 5h, sum: {of: amount, gte: 20}",
    "event: purchase, within: 9h, sum: {of: amount, gt: 0}",
    "event: purchase, count: {gte: 3}",
    "event: purchase, since_last: {gte: 4h}",
    "event: purchase, since_first: {gt: 6h}",
)


@pytest.mark.parametrize("asked", ASKED)
def test_it_stands_exactly_as_long_as_evaluating_finds_it_so(asked: str) -> None:
    others = ", ".join(f"{{{each}}}" for each in ASKED)  # so that the slots have more than the one threshold
    plan = plan_of(f"{{id: x, enter: {{{asked}}}}}", f"{{id: y, enter: {{any: [{others}]}}}}")
    purchases = [event("purchase", at * HOUR, amount=at * 3) for at in (0, 1, 1, 3, 4, 8)]
    partition, _ = played(plan, purchases)
    profile, tree = partition.profiles["ana"], plan.segments["x"].enter
    assert tree is not None
    (leaf,) = leaves(tree)
    slot, least = leaf.slot, leaf.least
    assert slot is not None
    assert least is not None

    for now in range(8 * HOUR, 8 * HOUR + DAY, HOUR // 2):
        found = slot.reaches(profile, now, least)
        assert found is not None
        assert found[0] == (slot.evaluate(profile, now)[0] >= least)
        if found[1] < NEVER:
            assert now < found[1]
            assert (slot.evaluate(profile, found[1] - 1)[0] >= least) == found[0]
            assert (slot.evaluate(profile, found[1])[0] >= least) != found[0]
        else:
            assert (slot.evaluate(profile, now + 300 * DAY)[0] >= least) == found[0]
