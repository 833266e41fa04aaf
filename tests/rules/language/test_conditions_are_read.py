"""What an author writes, and the condition it becomes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from rules.language import load_yaml, parse_document
from rules.language.documents import (
    All,
    AnyOf,
    AtLeast,
    AttributeNode,
    Comparison,
    Condition,
    Duration,
    EventNode,
    Filter,
    Follow,
    Hold,
    Measure,
    NoneOf,
    Not,
    PairNode,
    SampleNode,
    Segment,
    SegmentNode,
    TagNode,
    Test,
    Window,
)
from tests.rules.language.reading import CASES, condition, document

DAY = 86_400_000
MONTH = Duration(months=1)


def asks(**asked: Any) -> Comparison:
    return Comparison(tuple(Test(op.rstrip("_"), operand) for op, operand in asked.items()))


ONCE = Measure("count", comparison=asks(gte=1))


def event(*types: str, measure: Measure = ONCE, **rest: Any) -> EventNode:
    return EventNode(types, measure, **rest)


def days(count: int) -> Duration:
    return Duration(ms=count * DAY)


VIP, GOLD = TagNode(all=("vip",)), TagNode(all=("gold",))

LOGIC: list[tuple[str, Condition]] = [
    ("{all: [{tag: vip}, {tag: gold}]}", All((VIP, GOLD))),
    ("{any: [{tag: vip}, {tag: gold}]}", AnyOf((VIP, GOLD))),
    ("{none: [{tag: vip}]}", NoneOf((VIP,))),
    ("{not: {not: {tag: vip}}}", Not(Not(VIP))),
    ("{at_least: {n: 2, of: [{tag: vip}, {tag: gold}]}}", AtLeast(2, (VIP, GOLD))),
]
LEAVES: list[tuple[str, Condition]] = [
    ("{tag: {any: [a, b], all: [c], none: [d]}}", TagNode(("a", "b"), ("c",), ("d",))),
    ("{segment: big-spenders}", SegmentNode("big-spenders")),
    ("{segment: vip, for: 7d}", SegmentNode("vip", days(7))),
    ("{sample: {percent: 10}}", SampleNode(Fraction(10), "a")),
    ("{sample: {percent: 0.1, salt: x}}", SampleNode(Fraction(1, 10), "x")),
    ("{attribute: country, in: [BR, PT]}", AttributeNode("country", asks(in_=("BR", "PT")))),
    ("{attribute: a.b, ne: no, exists: true}", AttributeNode("a.b", asks(ne="no", exists=True))),
    ("{attribute: born, age: {gte: 18, lt: 65}}", AttributeNode("born", asks(age=asks(gte=18, lt=65)))),
    ("{attribute: born, anniversary_in_next: 1w}", AttributeNode("born", asks(anniversary_in_next=days(7)))),
    ("{attribute: due, in_next: 1mo, in_last: 90s}",
     AttributeNode("due", asks(in_next=MONTH, in_last=Duration(90_000)))),
    ("{attribute: langs, size: {gte: 2}, contains: pt}", AttributeNode("langs", asks(size=asks(gte=2), contains="pt"))),
    ('{attribute: sku, matches: "^A[0-9]+", starts_with: A, ends_with: ""}',
     AttributeNode("sku", asks(matches="^A[0-9]+", starts_with="A", ends_with=""))),
]  # fmt: skip
MEASURES: list[tuple[str, Condition]] = [
    ("{event: purchase}", event("purchase")),
    ("{event: [purchase, refund]}", event("purchase", "refund")),
    ("{event: x, count: {gte: 2, lt: 5}}", event("x", measure=Measure("count", None, asks(gte=2, lt=5)))),
    ("{event: x, sum: {of: amount, in: [1, 2.5]}}", event("x", measure=Measure("sum", "amount", asks(in_=(1, 2.5))))),
    ("{event: x, avg: {gte: 5, of: items.price}}", event("x", measure=Measure("avg", "items.price", asks(gte=5)))),
    ("{event: x, min: {of: n, eq: -1}}", event("x", measure=Measure("min", "n", asks(eq=-1)))),
    ("{event: x, max: {of: n, not_in: [0]}}", event("x", measure=Measure("max", "n", asks(not_in=(0,))))),
    ("{event: x, distinct: {of: url, gt: 3}}", event("x", measure=Measure("distinct", "url", asks(gt=3)))),
    ("{event: x, first: {of: src, eq: true}}", event("x", measure=Measure("first", "src", asks(eq=True)))),
    ("{event: x, last: {of: due, in_last: 2d}}", event("x", measure=Measure("last", "due", asks(in_last=days(2))))),
    ("{event: x, since_first: {gte: 1y}}", event("x", measure=Measure("since_first", None, asks(gte=Duration(0, 12))))),
    ("{event: x, since_last: {lt: 2h}}", event("x", measure=Measure("since_last", None, asks(lt=Duration(7_200_000))))),
    ("{event: profile}", event("profile")),
    ("{event: membership}", event("membership")),
]
WINDOWS: list[tuple[str, Condition]] = [
    ("{event: x, within: 30d}", event("x", window=Window("rolling", within=days(30)))),
    ("{event: x, before: 2w}", event("x", window=Window("rolling", before=days(14)))),
    ("{event: x, before: 30d, within: 60d}", event("x", window=Window("rolling", days(60), days(30)))),
    ("{event: x, within: 1mo, before: 30d}", event("x", window=Window("rolling", MONTH, days(30)))),
    ("{event: x, period: last_week}", event("x", window=Window("period", period="last_week"))),
    (
        "{event: x, between: [1970-01-02, 1970-01-03]}",
        event("x", window=Window("between", start_ms=DAY, end_ms=2 * DAY)),
    ),
    ("{event: x, between: [1970-01-02, null]}", event("x", window=Window("between", start_ms=DAY))),
    ('{event: x, between: [null, "1970-01-01T01:00:00+01:00"]}', event("x", window=Window("between", end_ms=0))),
]
FILTERS: list[tuple[str, Condition]] = [
    ("{event: x, where: {a: b, n: [1, 2], m: {gt: 1}}}",
     event("x", where=(Filter("a", asks(eq="b")), Filter("n", asks(in_=(1, 2))), Filter("m", asks(gt=1))))),
    ("{event: x, items: {category: shoes, total: {gte: 5}}}",
     event("x", items=(Filter("category", asks(eq="shoes")), Filter("total", asks(gte=5))))),
    ("{event: x, where: {a: false}}", event("x", where=(Filter("a", asks(eq=False)),))),
]  # fmt: skip
SEQUENCES: list[tuple[str, Condition]] = [
    ("{event: x, followed_by: {event: y}}", event("x", follow=Follow(False, ("y",)))),
    ("{event: x, not_followed_by: {event: [y, z], within: 1d, match: id}}",
     event("x", follow=Follow(True, ("y", "z"), within=days(1), match=(("id", "id"),)))),
    ("{event: x, followed_by: {event: y, where: {a: 1}, items: {b: 2}, match: {p: items.p, q: r}}}",
     event("x", follow=Follow(False, ("y",), (Filter("a", asks(eq=1)),), (Filter("b", asks(eq=2)),), None,
                              (("p", "items.p"), ("q", "r"))))),
]  # fmt: skip
PAIRS: list[tuple[str, Condition]] = [
    ("{ratio: [{event: x, count: {}}, {event: y, within: 1d, sum: {of: n}}], gte: 0.5}",
     PairNode("ratio", event("x", measure=Measure("count")),
              event("y", measure=Measure("sum", "n"), window=Window("rolling", days(1))), asks(gte=0.5))),
    ("{difference: [{event: x, distinct: {of: n}}, {event: y, avg: {of: m}}], lt: 3, gt: -3}",
     PairNode("difference", event("x", measure=Measure("distinct", "n")), event("y", measure=Measure("avg", "m")),
              asks(lt=3, gt=-3))),
]  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), LOGIC + LEAVES + MEASURES + WINDOWS + FILTERS + SEQUENCES + PAIRS)
def test_a_condition_means_what_it_says(written: str, meant: Condition) -> None:
    assert condition(written) == meant


def test_every_node_knows_its_path_in_the_document() -> None:
    root = condition(
        "{all: [{not: {tag: x}}, "
        "{at_least: {n: 1, of: [{ratio: [{event: a, count: {}}, {event: b, count: {}}], gt: 1}]}}]}"
    )
    assert isinstance(root, All)
    inverse, several = root.of
    assert isinstance(inverse, Not)
    assert isinstance(several, AtLeast)
    pair = several.of[0]
    assert isinstance(pair, PairNode)
    found = [root.at, inverse.at, inverse.of.at, several.at, pair.at, pair.left.at, pair.right.at]
    assert found == [
        "enter", "enter.all[0]", "enter.all[0].not", "enter.all[1]", "enter.all[1].at_least.of[0]",
        "enter.all[1].at_least.of[0].ratio[0]", "enter.all[1].at_least.of[0].ratio[1]",
    ]  # fmt: skip


def test_equal_conditions_are_equal_wherever_they_stand() -> None:
    once, twice = condition("{tag: vip}"), condition("{all: [{tag: gold}, {tag: vip}]}")
    assert isinstance(twice, All)
    assert once == twice.of[1]
    assert once.at != twice.of[1].at


@pytest.mark.parametrize(("left", "right"), [("1", '"1"'), ("1", "true"), ("0", "false"), ('"true"', "true")])
def test_a_number_a_text_and_a_boolean_ask_different_things(left: str, right: str) -> None:
    for shape in ("{attribute: x, eq: %s}", "{attribute: x, in: [a, %s]}", "{event: e, where: {x: %s}}"):
        assert condition(shape % left) != condition(shape % right)


def test_a_whole_number_is_the_same_with_and_without_a_point() -> None:
    assert condition("{attribute: x, eq: 1}") == condition("{attribute: x, eq: 1.0}")


def test_operators_keep_the_order_in_which_they_were_written() -> None:
    found = condition("{attribute: n, lt: 5, gte: 1, ne: 3}")
    assert isinstance(found, AttributeNode)
    assert [test.op for test in found.comparison.tests] == ["lt", "gte", "ne"]


def test_dates_of_a_window_begin_at_local_midnight() -> None:
    found = condition("{event: x, between: [2026-01-01, 2026-02-01]}", timezone="America/Sao_Paulo")
    utc = condition("{event: x, between: ['2026-01-01T03:00:00Z', '2026-02-01T03:00:00Z']}")
    assert found == utc


def test_the_whole_document_is_read() -> None:
    raw = load_yaml("""
        id: lapsing-vip
        name: VIPs about to lapse
        about: Big spenders who stopped visiting.
        timezone: America/Sao_Paulo
        enter: {tag: vip}
        exit: {event: purchase, within: 7d}
        hold: {min_stay: 1h, cooldown: 1d}
    """)
    assert parse_document(raw) == Segment(
        id="lapsing-vip",
        name="VIPs about to lapse",
        about="Big spenders who stopped visiting.",
        timezone="America/Sao_Paulo",
        enter=VIP,
        exit=event("purchase", window=Window("rolling", days(7))),
        hold=Hold(Duration(3_600_000), days(1)),
    )


def test_a_list_by_hand_needs_no_rule() -> None:
    assert parse_document({"id": "staff", "list": True}) == Segment(id="staff", enter=None, list=True)


def test_reading_does_not_change_what_was_written() -> None:
    raw = load_yaml("{id: a, enter: {event: x, where: {a: [1, 2]}, sum: {of: n, gte: 1}}}")
    parse_document(raw)
    assert raw == load_yaml("{id: a, enter: {event: x, where: {a: [1, 2]}, sum: {of: n, gte: 1}}}")


def test_a_document_without_a_timezone_lives_in_utc() -> None:
    assert document("{tag: x}").timezone == "UTC"


@pytest.mark.parametrize("file", sorted(CASES.glob("*.cases.yaml")), ids=lambda file: file.stem)
def test_every_document_of_the_cases_is_read(file: Any) -> None:
    found = load_yaml(file.read_text())["segments"]
    assert [parse_document(raw).id for raw in found if isinstance(raw, dict)] == [raw["id"] for raw in found]


def test_a_window_may_end_with_the_calendar() -> None:
    found = condition("{event: x, between: [2026-01-01, 9999-12-31]}", timezone="America/Sao_Paulo")
    assert isinstance(found, EventNode)
    assert found.window.end_ms == 253_402_225_200_000  # 9999-12-31T03:00:00Z
