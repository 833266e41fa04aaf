"""A sources file is read whole, or refused with every mistake at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from consumers.intake.sources import DEFAULT_TOPICS, by_group
from consumers.intake.sources_file import SourcesInvalid, read_sources

GUIDE = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
MAP = "map: {customer_id: c}"


def mistakes(text: str) -> dict[str, str]:
    with pytest.raises(SourcesInvalid) as refused:
        read_sources(text, own_topics=("segmentd.events",))
    return {each.at: each.message for each in refused.value.mistakes}


def test_the_default_sources_are_the_contracts_in_native_form() -> None:
    found = read_sources("sources: [{topic: other}]")
    assert [source.topic for source in found] == ["other", *DEFAULT_TOPICS]
    assert [source.type for source in found[1:]] == ["purchase", "page_view", "email_open", "cart", "profile"]
    assert all(source.mapping is None for source in found)


def test_a_source_replaces_the_default_one_of_its_topic_and_defaults_can_be_left_out() -> None:
    replaced = read_sources(f"sources: [{{topic: events.cart, type: cart, {MAP}}}]")
    assert [source.mapping is None for source in replaced if source.topic == "events.cart"] == [False]
    assert len(replaced) == len(DEFAULT_TOPICS)
    assert [source.topic for source in read_sources("{defaults: false, sources: [{topic: a}]}")] == ["a"]


def test_the_guides_example_is_right() -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)
    orders, contacts, clicks = read_sources(example)[:3]
    assert (orders.type, orders.ts_unit, contacts.type, clicks.type) == ("purchase", "ms", "profile", None)
    assert orders.mapping is not None
    assert [path for path, _ in orders.mapping.each] == [("order_id",), ("amount",), ("currency",), ("items",)]


def test_sources_are_read_by_the_groups_they_name() -> None:
    found = read_sources("{defaults: false, sources: [{topic: a}, {topic: b, group: mine}, {topic: c}]}")
    assert by_group(found) == {"segmentd-intake": ["a", "c"], "mine": ["b"]}


WRONG = [
    ("", "", "must be a mapping"),
    ("[]", "", "must be a mapping"),
    ("defaults: true", "sources", "`sources` is missing"),
    ("sources: {}", "sources", "must be a list"),
    ("sources: []", "sources", "the list is empty"),
    ("sources: [shop.orders]", "sources[0]", "must be a mapping"),
    ("{sources: [{topic: a}], default: false}", "default", "did you mean `defaults`?"),
    ("{sources: [{topic: a}], defaults: maybe}", "defaults", "must be true or false"),
    ("sources: [{type: purchase}]", "sources[0].topic", "`topic` is missing"),
    ("sources: [{topic: 7}]", "sources[0].topic", "must be text"),
    ("sources: [{topic: 'a b'}]", "sources[0].topic", "is no topic's name"),
    ("sources: [{topic: '..'}]", "sources[0].topic", "is no topic's name"),
    (f"sources: [{{topic: {'a' * 250}}}]", "sources[0].topic", "is no topic's name"),
    ("sources: [{topic: a}, {topic: b}, {topic: a}]", "sources[2].topic", "a source already, at sources[0]"),
    ("sources: [{topic: segmentd.events}]", "sources[0].topic", "the service itself writes"),
    ("sources: [{topic: a, topics: b}]", "sources[0].topics", "did you mean `topic`?"),
    ("sources: [{topic: a, type: 7}]", "sources[0].type", "must be text"),
    ("sources: [{topic: a, type: Purchase}]", "sources[0].type", "is no event type"),
    ("sources: [{topic: a, type: tick}]", "sources[0].type", "the service's own"),
    (f"sources: [{{topic: a, {MAP}}}]", "sources[0].type", "`type` is missing"),
    ("sources: [{topic: a, type: cart, map: {customer_id: c, type: t}}]", "sources[0].map.type", "keep one of the two"),
    ("sources: [{topic: a, type: cart, map: 7}]", "sources[0].map", "must be a mapping"),
    ("sources: [{topic: a, type: cart, map: {id: i}}]", "sources[0].map.customer_id", "`customer_id` is missing"),
    ("sources: [{topic: a, ts_unit: s}]", "sources[0].ts_unit", "goes with a `map`"),
    (f"sources: [{{topic: a, type: cart, ts_unit: us, {MAP}}}]", "sources[0].ts_unit", "one of `rfc3339`, `s`, `ms`"),
    ("sources: [{topic: a, where: 'a ='}]", "sources[0].where", "is no JMESPath expression"),
    ("sources: [{topic: a, group: ''}]", "sources[0].group", "is no consumer group's name"),
    ("sources: [{topic: a, group: [b]}]", "sources[0].group", "is no consumer group's name"),
]
WRONG_IN_A_MAP = [
    ("id: 7", "id", "must be text"),
    ("id: 'a..b'", "id", "is no JMESPath expression"),
    ("id: ''", "id", "is no JMESPath expression"),
    ("id: order-id", "id", 'goes in "…"'),
    (f"id: {'a' * 2000}", "id", "at most 1,024 characters"),
    ("id: 'lenght(a)'", "id", "no such function `lenght`; did you mean `length`?"),
    ("id: 'a[?b(c)]'", "id", "no such function `b`"),
    ("id: 'length(a, b)'", "id", "takes 1 arguments, these are 2"),
    ("id: 'not_null()'", "id", "takes 1 arguments or more, these are 0"),
    ("ts: $key", "ts", "which this field cannot be"),
    ("custmer: c", "custmer", "did you mean `customer_id`?"),
    ("amount: c", "amount", "a property of that name is `properties.amount`"),
    ("properties.: c", "properties.", "is no property"),
    ("properties..a: c", "properties..a", "is no property"),
    ("properties: {amount: c}", "properties", "is one expression that finds an object"),
    ("properties.set: a, properties.set.b: c", "properties.set.b", "is inside `properties.set`"),
]


@pytest.mark.parametrize(("text", "at", "told"), WRONG, ids=[text[:60] for text, _, _ in WRONG])
def test_a_mistake_is_told_at_its_place(text: str, at: str, told: str) -> None:
    found = mistakes(text)
    assert list(found) == [at]
    assert told in found[at]


@pytest.mark.parametrize(("text", "at", "told"), WRONG_IN_A_MAP, ids=[text[:60] for text, _, _ in WRONG_IN_A_MAP])
def test_a_mistake_in_a_map_is_told_at_its_place(text: str, at: str, told: str) -> None:
    found = mistakes(f"sources: [{{topic: a}}, {{topic: b, type: cart, map: {{customer_id: c, {text}}}}}]")
    assert list(found) == [f"sources[1].map.{at}"]
    assert told in found[f"sources[1].map.{at}"]


def test_every_mistake_is_told_at_once() -> None:
    text = "sources: [{topic: 'a b', map: {id: 'x.'}}, {type: Cart}, 5]"
    assert list(mistakes(text)) == [
        "sources[0].map.id",
        "sources[0].map.customer_id",
        "sources[0].type",
        "sources[0].topic",
        "sources[1].type",
        "sources[1].topic",
        "sources[2]",
    ]


@pytest.mark.parametrize(
    "text", ["sources: [", "a: 1\na: 2", b"\xff\xfe\x00", "sources: [{topic: !!python/object:x y}]"]
)
def test_what_is_no_yaml_is_refused_as_a_document_is(text: str | bytes) -> None:
    with pytest.raises(SourcesInvalid):
        read_sources(text)
