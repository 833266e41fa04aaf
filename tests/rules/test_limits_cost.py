"""What an event costs does not grow with the document, nor with the segments it does not touch.

Counted, not timed: Python's own profiler hook counts every call of a function of the rules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from rules.errors import SegmentInvalid
from rules.events import Event
from rules.language import parse_document
from rules.limits import DOCUMENT_DEPTH_MAX, DOCUMENT_NODES_MAX
from rules.plan import Definition, Plan, compile_plan
from rules.profile import Profile, new_profile
from rules.step import step
from tests.rules.building import HOUR, MINUTE, event, plan_of

MEASURES: list[dict[str, Any]] = [
    {"count": {"gte": 900}},
    {"sum": {"of": "amount", "gte": 90_000}},
    {"within": "30d", "count": {"gte": 900}},
    {"within": "30d", "sum": {"of": "amount", "gte": 90_000}},
    {"within": "7d", "avg": {"of": "amount", "gte": 900}},
    {"within": "7d", "before": "1d", "count": {"gte": 900}},
    {"within": "1mo", "count": {"gte": 900}},
    {"period": "this_month", "count": {"gte": 900}},
    {"since_last": {"gt": "90d"}},
    {"within": "30d", "last": {"of": "color", "eq": "x"}},
    {"within": "30d", "not_followed_by": {"event": "refund", "within": "1d"}, "count": {"gte": 900}},
]


def deep(leaf: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A condition of depth 10 and 200 nodes: a chain of nine branches, and leaves beside it."""
    branches = DOCUMENT_DEPTH_MAX - 1
    left = DOCUMENT_NODES_MAX - branches
    inner: list[dict[str, Any]] = []
    for level in range(branches):
        share = left // (branches - level)
        left -= share
        inner = [{("all", "any")[level % 2]: [*inner, *(leaf() for _ in range(share))]}]
    return inner[0]


class Leaves:
    """Different questions, of the same events or each of events of its own."""

    def __init__(self, path: str | None) -> None:
        self.made, self.path = 0, path

    def __call__(self) -> dict[str, Any]:
        self.made += 1
        if self.path is None:
            return {"event": "purchase", **MEASURES[self.made % len(MEASURES)]}
        measures = [each for each in MEASURES if "not_followed_by" not in each]  # a sequence is found by type alone
        return {"event": "purchase", **measures[self.made % len(measures)], "where": {self.path: f"v{self.made}"}}


def plan_at_the_limits(path: str | None) -> Plan:
    document = {"id": "a", "enter": deep(Leaves(path))}
    parse_document(document)
    return compile_plan([Definition("a", document=document)])


def calls(plan: Plan, log: list[Event]) -> int:
    """The calls of functions that the last event of a log costs."""
    profile: Profile = new_profile("ana")
    for each in log[:-1]:
        step(profile, (each,), plan, each.ts)
    found = 0

    def count(frame: FrameType, what: str, _: object) -> None:
        nonlocal found
        found += what == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        step(profile, log[-1:], plan, log[-1].ts)
    finally:
        sys.setprofile(before)
    return found


def purchases(count: int, every: int = MINUTE, begin: int = 0, **given: Any) -> list[Event]:
    return [event("purchase", begin + n * every, id=f"e{n}", amount=1, **given) for n in range(count)]


def test_the_document_is_at_the_limits() -> None:
    """One node more, or one branch deeper, is refused."""
    leaf = Leaves(None)
    enter = deep(leaf)
    parse_document({"id": "a", "enter": enter})
    kind = next(iter(enter))

    with pytest.raises(SegmentInvalid, match="200"):
        parse_document({"id": "a", "enter": {kind: [*enter[kind], leaf()]}})
    with pytest.raises(SegmentInvalid, match="10"):
        parse_document({"id": "a", "enter": {"not": enter}})


def test_equal_questions_of_a_large_document_are_asked_once() -> None:
    """191 leaves, eleven different ones: an event costs what eleven cost."""
    plan = plan_at_the_limits(None)
    assert len(plan.slots) == len(MEASURES)

    assert calls(plan, purchases(30)) < 80


def test_an_event_that_no_filter_accepts_costs_next_to_nothing() -> None:
    plan = plan_at_the_limits("color")
    assert len(plan.slots) == 191

    assert calls(plan, purchases(30, color="none of them")) < 12
    assert calls(plan, [event("purchase", 0), event("email_open", 1)]) < 8


def test_an_event_costs_the_questions_that_its_value_leads_to() -> None:
    """One of 191 filters is found by its value, not tried in turn."""
    plan = plan_at_the_limits("color")

    assert max(calls(plan, purchases(30, color=f"v{n}")) for n in range(1, 60, 7)) < 40


def test_what_an_event_costs_does_not_grow_with_the_segments_it_does_not_touch() -> None:
    def cost(segments: int) -> int:
        spent = "{{id: s{0}, enter: {{event: purchase, within: 30d, sum: {{of: amount, gte: {0}}}}}}}"
        return calls(plan_of(*(spent.format(n) for n in range(1000, 1000 + segments))), purchases(20))

    assert cost(20) == cost(200)


def test_nor_with_the_segments_whose_guard_keeps_them_out() -> None:
    def cost(segments: int) -> int:
        both = "{{event: purchase, count: {{gte: 20}}}}, {{event: page_view, count: {{gte: {0}}}}}"
        documents = (f"{{id: s{n}, enter: {{all: [{both.format(n)}]}}}}" for n in range(5, 5 + segments))
        return calls(plan_of(*documents), purchases(20))

    assert cost(200) == cost(20)


def test_nor_with_the_events_there_were_before() -> None:
    plan = plan_of(
        "{id: a, enter: {event: purchase, within: 30d, count: {gte: 5000}}}",
        "{id: b, enter: {event: purchase, within: 30d, sum: {of: amount, gte: 5000}}}",
        "{id: c, enter: {event: purchase, since_last: {gt: 1h}}}",
    )

    assert calls(plan, purchases(3000)) <= calls(plan, purchases(30))


def test_one_large_document_in_the_worst_case_stays_bounded() -> None:
    """Every leaf asks of every purchase and none shares with another: each is looked at once or twice, whatever the
    tree. Only the event that makes somebody enter costs more: its reasons and forecast are then looked for."""
    leaves = [{"event": "purchase", "within": f"{n}h", "sum": {"of": "amount", "gte": n % 7}} for n in range(1, 192)]
    plan = compile_plan([Definition("a", document={"id": "a", "enter": deep(lambda: leaves.pop())})])
    assert len(plan.features) == 1
    assert len(plan.slots) == 191

    costs = [calls(plan, purchases(count, HOUR)) for count in range(1, 12)]
    assert sorted(costs)[-2] < 3 * 191
    assert max(costs) < 100 * 191
