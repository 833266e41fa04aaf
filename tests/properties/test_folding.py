"""The generated folds against the words they stand for: of any log, the same transitions and the same profiles."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.aggregates import chains, features
from rules.folding import plain
from rules.plan import Plan
from rules.play import Partition
from rules.transitions import render
from tests.properties.incremental import planned
from tests.properties.strategies import Play, plays
from tests.properties.streams import Log
from tests.rules.building import DAY, HOUR, event, plan_of, state

OF_EVERY_KIND = [
    "{event: purchase, within: 5h, count: {gte: 2}}",
    "{event: purchase, within: 2h, count: {gte: 3}}",
    "{event: purchase, within: 9h, count: {lt: 1}}",
    "{event: purchase, within: 9h, count: {gte: 0}}",
    "{event: purchase, within: 3h, sum: {of: amount, gte: 10}}",
    "{event: purchase, sum: {of: amount, gt: 30}}",
    "{event: purchase, count: {gte: 4}}",
    "{event: purchase, since_last: {gt: 2h}}",
    "{event: purchase, since_first: {gt: 9h}}",
    "{event: purchase, where: {color: red}, within: 5h, count: {gte: 2}}",
    "{event: purchase, where: {amount: {gte: 3}}, within: 5h, count: {gte: 2}}",
    "{event: purchase, within: 6h, distinct: {of: color, gte: 2}}",
    "{event: [purchase, page_view], within: 5h, last: {of: color, eq: red}}",
    "{event: page_view, not_followed_by: {event: purchase, within: 2h}}",
    "{all: [{event: purchase, count: {gte: 2}}, {not: {event: page_view, within: 3h}}]}",
    "{all: [{event: purchase, count: {gte: 5}}, {event: page_view, since_last: {gt: 2h}}]}",
]


def as_written(plan: Plan) -> Plan:
    """The plan, whose folds are no generated code."""
    for index in plan.by_type.values():
        index.fold_by({key: plain(feature) for key, feature in plan.features.items()})
    return plan


def everything(plan: Plan, log: Log, until: int) -> tuple[list[bytes], dict[str, Any], Any]:
    """All that a partition says of a log, and what it keeps."""
    partition = Partition(plan)
    found = [render(change) for each, stamp in log for change in partition.feed(each, stamp)]
    found += [render(change) for change in partition.run_to(until)]
    kept = {name: state(profile) for name, profile in partition.profiles.items()}
    return found, kept, {name: getattr(partition.tally, name) for name in partition.tally.__slots__}


@given(plays())
def test_any_rules_over_any_log(play: Play) -> None:
    found = everything(planned(play), play.log, play.until)

    assert found == everything(as_written(planned(play)), play.log, play.until)


@pytest.mark.parametrize("seed", range(40))
def test_rules_of_every_kind_over_a_log_that_comes_late_and_beyond_the_caps(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (features, chains):
        monkeypatch.setattr(module, "SERIES_ENTRIES_MAX", 6)
    random = Random(seed)
    asked = random.sample(OF_EVERY_KIND, random.randint(1, len(OF_EVERY_KIND)))
    documents = [f"{{id: s{n}, enter: {text}}}" for n, text in enumerate(asked)]
    log: Log = []
    clock = 0
    for _ in range(80):
        clock += random.choice([0, 1, 1, 2, 7]) * HOUR // 4
        late = random.choice([0, 0, 0, 1, 5, -1]) * HOUR // 2
        properties: dict[str, Any] = {"amount": random.randint(-1, 6), "color": random.choice(["red", "blue", 5])}
        kind = random.choice(["purchase", "purchase", "page_view"])
        log.append((event(kind, clock - late, random.choice(["ana", "bob"]), **properties), clock))

    found = everything(plan_of(*documents), log, clock + DAY)

    assert found == everything(as_written(plan_of(*documents)), log, clock + DAY)


@given(st.integers(1, 5))
def test_features_of_one_shape_share_their_code(n: int) -> None:
    plan = plan_of("{id: a, enter: {event: x, within: 1d}}", f"{{id: b, enter: {{event: y, within: {n}d}}}}")
    (x,), (y,) = plan.by_type["x"].folds, plan.by_type["y"].folds

    assert x is not y
    assert x.__code__ is y.__code__
