"""Verdicts: how long a combination stands, by trying every future; and which leaves decide."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.judge import Verdict, combine, deciding, judge, why
from rules.limits import WHY_LEAVES_MAX
from rules.plan import Plan
from rules.play import Partition
from rules.profile import Profile, new_profile
from rules.times import NEVER
from rules.tree import Branch, Tree, leaves
from tests.rules.building import DAY, HOUR, event, plan_of, played, tagged

NOW = 10


def holds_by_definition(kind: str, n: int, holds: tuple[bool, ...]) -> bool:
    meaning = {
        "all": all(holds),
        "any": any(holds),
        "none": not any(holds),
        "not": not holds[0],
        "at_least": sum(holds) >= n,
    }
    return meaning[kind]


verdicts = st.builds(Verdict, st.booleans(), st.sampled_from([11, 12, 13, 14, NEVER]))


@given(
    st.sampled_from(["all", "any", "none", "not", "at_least"]), st.lists(verdicts, min_size=1, max_size=5), st.data()
)
def test_a_combination_stands_exactly_as_long_as_no_future_can_change_it(
    kind: str, children: list[Verdict], data: st.DataObject
) -> None:
    """Up to a child's `until` it is what it is; from then on it may be anything."""
    children = children[:1] if kind == "not" else children
    n = data.draw(st.integers(1, len(children)))
    found = combine(Branch(kind, "", (), n), children)
    assert found.holds == holds_by_definition(kind, n, tuple(child.holds for child in children))

    def may_change(instant: int) -> bool:
        open_ = [(child.holds,) if instant < child.until else (False, True) for child in children]
        return any(holds_by_definition(kind, n, future) != found.holds for future in product(*open_))

    assert not any(may_change(instant) for instant in range(NOW, min(found.until, 20)))
    assert found.until == NEVER or may_change(found.until)  # and not a moment less than can be known


A, B, C = "{event: purchase, within: 1d}", "{event: page_view, within: 2d}", "{event: cart, within: 3d}"


def judged(enter: str, *kinds: str, now: int = 0) -> Verdict:
    """The verdict at `now` of someone with one event of each of some kinds at 0."""
    plan, profile = having(enter, *kinds)
    return judge(tree_of(plan), profile, now)


def having(enter: str, *kinds: str) -> tuple[Plan, Profile]:
    plan = plan_of(f"{{id: a, enter: {enter}}}")
    partition, _ = played(plan, [event("refund", 0), *(event(kind, 0) for kind in kinds)])
    return plan, partition.profiles["ana"]


def tree_of(plan: Plan) -> Tree:
    tree = plan.segments["a"].enter
    assert tree is not None
    return tree


@pytest.mark.parametrize(
    ("enter", "kinds", "holds", "until"),
    [
        (A, ["purchase"], True, DAY),
        (A, [], False, NEVER),
        (f"not: {A}", ["purchase"], False, DAY),
        (f"all: [{A}, {B}]", ["purchase", "page_view"], True, DAY),
        (f"all: [{A}, {B}]", ["page_view"], False, NEVER),
        (f"any: [{A}, {B}]", ["purchase", "page_view"], True, 2 * DAY),
        (f"any: [{A}, {B}]", ["purchase"], True, DAY),
        (f"none: [{A}, {B}]", ["purchase", "page_view"], False, 2 * DAY),
        (f"all: [{{not: {A}}}, {{not: {B}}}]", ["purchase", "page_view"], False, 2 * DAY),
        (f"at_least: {{n: 2, of: [{A}, {B}, {C}]}}", ["purchase", "page_view", "cart"], True, 2 * DAY),
        (f"at_least: {{n: 2, of: [{A}, {B}, {C}]}}", ["purchase", "cart"], True, DAY),
        (
            f"at_least: {{n: 2, of: [{{not: {A}}}, {{not: {B}}}, {{not: {C}}}]}}",
            ["purchase", "page_view", "cart"],
            False,
            2 * DAY,
        ),
        ("event: purchase, since_last: {gt: 5d}", ["purchase"], False, 5 * DAY + 1),
        ("sample: {percent: 100}", [], True, NEVER),
        ("sample: {percent: 0}", [], False, NEVER),
    ],
)
def test_a_verdict_knows_how_long_it_stands(enter: str, kinds: list[str], holds: bool, until: int) -> None:
    assert judged(enter if enter.startswith("{") else f"{{{enter}}}", *kinds) == (holds, until)


def test_a_leaf_is_followed_through_changes_that_do_not_matter_to_it() -> None:
    """Two ask different things of one number: what another's threshold changes does not end a verdict."""
    plan = plan_of(
        "{id: a, enter: {event: purchase, within: 1d, count: {gte: 1}}}",
        "{id: b, enter: {event: purchase, within: 1d, count: {gte: 3}}}",
    )
    partition, _ = played(plan, [event("purchase", n * HOUR) for n in range(4)])

    assert judge(tree_of(plan), partition.profiles["ana"], 3 * HOUR) == (True, 3 * HOUR + DAY)


DECIDING = [
    # condition over tags a b c d, tags there, paths that decide
    ("{tag: a}", "", ["enter"]),
    ("{all: [{tag: a}, {tag: b}]}", "ab", ["enter.all[0]", "enter.all[1]"]),
    ("{all: [{tag: a}, {tag: b}]}", "a", ["enter.all[1]"]),
    ("{any: [{tag: a}, {tag: b}]}", "b", ["enter.any[1]"]),
    ("{any: [{tag: a}, {tag: b}]}", "", ["enter.any[0]", "enter.any[1]"]),
    ("{none: [{tag: a}, {tag: b}]}", "a", ["enter.none[0]"]),
    ("{none: [{tag: a}, {tag: b}]}", "", ["enter.none[0]", "enter.none[1]"]),
    ("{not: {tag: a}}", "a", ["enter.not"]),
    ("{not: {any: [{tag: a}, {tag: b}]}}", "a", ["enter.not.any[0]"]),
    ("{at_least: {n: 2, of: [{tag: a}, {tag: b}, {tag: c}]}}", "ac", ["enter.at_least.of[0]", "enter.at_least.of[2]"]),
    ("{at_least: {n: 2, of: [{tag: a}, {tag: b}, {tag: c}]}}", "a", ["enter.at_least.of[1]", "enter.at_least.of[2]"]),
    ("{all: [{tag: a}, {any: [{tag: b}, {tag: c}]}, {not: {tag: d}}]}", "abd", ["enter.all[2].not"]),
    ("{all: [{tag: a}, {any: [{tag: b}, {tag: c}]}]}", "ac", ["enter.all[0]", "enter.all[1].any[1]"]),
]


@pytest.mark.parametrize(("enter", "tags", "paths"), DECIDING)
def test_the_leaves_that_make_it_what_it_is_decide(enter: str, tags: str, paths: list[str]) -> None:
    plan = plan_of(f"{{id: x, enter: {enter}}}")
    partition, _ = played(plan, [tagged(0, *tags)])
    tree = plan.segments["x"].enter
    assert tree is not None

    assert [leaf.node.at for leaf, _ in deciding(tree, partition.profiles["ana"], 0)[1]] == paths


nested = st.recursive(
    st.sampled_from("abcd").map(lambda tag: f"{{tag: {tag}}}"),
    lambda inner: st.one_of(
        inner.map(lambda one: f"{{not: {one}}}"),
        st.builds(
            lambda kind, of: f"{{{kind}: [{', '.join(of)}]}}",
            st.sampled_from(["all", "any", "none"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.lists(inner, min_size=2, max_size=3).map(lambda of: f"{{at_least: {{n: 2, of: [{', '.join(of)}]}}}}"),
    ),
    max_leaves=6,
)


@given(nested, st.sets(st.sampled_from("abcd")))
def test_the_deciding_leaves_alone_decide(enter: str, tags: set[str]) -> None:
    """Whatever the others were, it would be what it is."""
    plan = plan_of(f"{{id: x, enter: {enter}}}")
    partition, _ = played(plan, [tagged(0, *tags)])
    tree, profile = plan.segments["x"].enter, partition.profiles["ana"]
    assert tree is not None
    held = judge(tree, profile, 0).holds
    verdict, found = deciding(tree, profile, 0)
    fixed = {id(leaf) for leaf, _ in found}
    every = list(leaves(tree))
    assert verdict.holds == held
    assert all(judge(leaf, profile, 0).holds == holds for leaf, holds in found)
    assert 0 < len(fixed) <= len(every)

    others = [leaf for leaf in every if id(leaf) not in fixed]
    for values in product([False, True], repeat=len(others)):
        answers = {id(leaf): judge(leaf, profile, 0).holds for leaf in every}
        answers |= dict(zip(map(id, others), values, strict=True))
        assert evaluated(tree, answers) == held


def evaluated(tree: Tree, answers: dict[int, bool]) -> bool:
    if not isinstance(tree, Branch):
        return answers[id(tree)]
    return holds_by_definition(tree.kind, tree.n, tuple(evaluated(child, answers) for child in tree.of))


def test_at_most_twenty_reasons_are_given() -> None:
    tags = [f"t{n}" for n in range(30)]
    plan = plan_of(f"{{id: a, enter: {{all: [{', '.join(f'{{tag: {tag}}}' for tag in tags)}]}}}}")
    _, (entered,) = played(plan, [tagged(0, *tags)])

    assert len(entered.why) == WHY_LEAVES_MAX == 20
    assert [reason["at"] for reason in entered.why] == [f"enter.all[{n}]" for n in range(20)]


REASONS: list[tuple[str, dict[str, Any]]] = [
    ("{event: purchase, within: 1d}", {"holds": True, "value": 2, "asked": {"gte": 1}}),
    ("{event: purchase, sum: {of: amount, gte: 10}}", {"holds": True, "value": 12.5, "asked": {"gte": 10}}),
    ("{event: purchase, avg: {of: amount, lt: 10}}", {"holds": True, "value": 6.25, "asked": {"lt": 10}}),
    ("{event: purchase, last: {of: color, eq: red}}", {"holds": True, "value": "red", "asked": {"eq": "red"}}),
    ("{event: purchase, since_first: {gte: 1h}}", {"holds": True, "value": "1h", "asked": {"gte": "1h"}}),
    ("{attribute: city, in: [Iasi, Cluj]}", {"holds": True, "value": "Iasi", "asked": {"in": ["Iasi", "Cluj"]}}),
    ("{tag: {any: [x, y]}}", {"holds": True, "value": ["x"], "asked": {"any": ["x", "y"]}}),
    ("{segment: b, for: 1h}", {"holds": True, "value": True, "asked": {"segment": "b", "for": "1h"}}),
    ("{sample: {percent: 100}}", {"holds": True, "value": True, "asked": {"percent": 100}}),
    (
        "{ratio: [{event: purchase, sum: {of: amount}}, {event: purchase, count: {}}], gt: 1}",
        {"holds": True, "value": 6.25, "asked": {"gt": 1}},
    ),
    ("{event: refund, max: {of: amount, gt: 1}}", {"holds": False, "value": None, "asked": {"gt": 1}}),
]


@pytest.mark.parametrize(("enter", "reason"), REASONS)
def test_a_reason_says_what_was_asked_and_what_was_found(enter: str, reason: dict[str, Any]) -> None:
    plan = plan_of(f"{{id: a, enter: {enter}}}", "{id: b, enter: {tag: x}}")
    log = [
        event("profile", 0, tags_add=["x"], set={"city": "Iasi"}),
        event("purchase", 0, amount=10, color="blue"),
        event("purchase", HOUR, amount=2.5, color="red"),
    ]
    partition, _ = played(plan, log, HOUR)
    tree = plan.segments["a"].enter
    assert tree is not None

    assert why([tree], partition.profiles["ana"], HOUR)[1] == ({"at": "enter"} | reason,)


def test_a_reason_beyond_a_cap_says_that_it_is_approximate() -> None:
    plan = plan_of("{id: a, enter: {event: purchase, within: 365d, count: {gte: 4097}}}")
    _, (entered,) = played(plan, [event("purchase", n) for n in range(4097)])

    assert entered.why == ({"at": "enter", "holds": True, "value": 4097, "approximate": True, "asked": {"gte": 4097}},)


def test_of_someone_unknown_nothing_holds() -> None:
    partition = Partition(plan_of(f"{{id: a, enter: {A}}}"))

    assert judge(tree_of(partition.plan), new_profile("bob"), 0) == (False, NEVER)
