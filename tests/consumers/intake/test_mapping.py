"""A record of whatever shape becomes an event, or is refused with a reason; nothing it holds can do more than that."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.intake.mapping import Times, event_of_record, payload_of, times_of
from consumers.intake.port import SourceRecord
from consumers.intake.sources import Source
from consumers.intake.sources_file import read_sources
from rules.errors import EventRejected
from rules.events import AT_THE_EDGE, Event
from rules.records import decode_event
from rules.times import format_instant
from tests.consumers.intake.worlds import NOW_MS, native

NOW = format_instant(NOW_MS)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def source(text: str) -> Source:
    """The source of a YAML mapping."""
    return read_sources(f"{{defaults: false, sources: [{{topic: shop.orders, {text}}}]}}")[0]


def taken(of: Source, value: Any, key: bytes | None = b"k", at_ms: int = NOW_MS, trace: str = "") -> Event | None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    record = SourceRecord("shop.orders", 3, 17, at_ms, key, body, trace)
    return event_of_record(of, record, AT_THE_EDGE, times_of(record, NOW_MS))


def written(of: Source, value: Any) -> bytes | None:
    """What goes to the log."""
    event = taken(of, value)
    return None if event is None else payload_of(event)


def mapped(fields: str, value: Any, more: str = "type: purchase", **given: Any) -> Event:
    event = taken(source(f"{more}, map: {{customer_id: c, {fields}}}"), {"c": "ana", **value}, **given)
    assert event is not None
    return event


def refused(of: Source, value: Any, key: bytes | None = b"k") -> str:
    with pytest.raises(EventRejected) as error:
        taken(of, value, key)
    return str(error.value)


FIELDS = [
    ("id: a.b", {"a": {"b": "o-1"}}, {"id": "o-1"}),
    ("id: a", {"a": 536371}, {"id": "536371"}),
    ("id: a", {"a": None}, {"id": "shop.orders:3:17"}),
    ("id: a", {}, {"id": "shop.orders:3:17"}),
    ("id: $key", {}, {"id": "k"}),
    ("ts: t", {"t": "2026-11-20T06:00:00-03:00"}, {"ts": "2026-11-20T09:00:00Z"}),
    ("ts: t", {"t": None}, {"ts": NOW}),
    ("properties.amount: total.value", {"total": {"value": 5.5}}, {"properties": {"amount": 5.5}}),
    ("properties.amount: total.value", {"total": 5}, {"properties": {}}),
    ("properties.currency: \"'BRL'\"", {}, {"properties": {"currency": "BRL"}}),
    ("properties.a.b: x, properties.a.c: y", {"x": 1, "y": 2}, {"properties": {"a": {"b": 1, "c": 2}}}),
    ("properties: p", {"p": {"a": 1, "b": 2}}, {"properties": {"a": 1, "b": 2}}),
    ("properties: p, properties.a: x", {"p": {"a": 1, "b": 2}, "x": 9}, {"properties": {"a": 9, "b": 2}}),
    ("properties: p, properties.a.z: x", {"p": {"a": {"y": 1}}, "x": 9}, {"properties": {"a": {"y": 1, "z": 9}}}),
    ("properties: p", {"p": None}, {"properties": {}}),
    ("properties.items: \"lines[].{price: p, quantity: q}\"", {"lines": [{"p": 1, "q": 2}, {"p": 3}]},
     {"properties": {"items": [{"price": 1, "quantity": 2}, {"price": 3, "quantity": None}]}}),
    ("properties.n: \"not_null(a, b)\"", {"b": 4}, {"properties": {"n": 4}}),
    ("properties.k: $key", {}, {"properties": {"k": "k"}}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "value", "expected"), FIELDS, ids=[fields for fields, _, _ in FIELDS])
def test_fields_are_found_where_the_map_says(fields: str, value: dict[str, Any], expected: dict[str, Any]) -> None:
    event = json.loads(payload_of(mapped(fields, value)))
    assert {key: event[key] for key in expected} == expected
    assert (event["type"], event["customer_id"]) == ("purchase", "ana")


TIMES = [
    ("s", 1700000000, 1_700_000_000_000),
    ("s", 1700000000.1239, 1_700_000_000_123),
    ("s", "1700000000", 1_700_000_000_000),
    ("s", "1700000000.5", 1_700_000_000_500),
    ("ms", 1700000000123, 1_700_000_000_123),
    ("ms", 1700000000123.9, 1_700_000_000_123),
    ("ms", "1700000000123", 1_700_000_000_123),
    ("rfc3339", "2023-11-14T22:13:20.123Z", 1_700_000_000_123),
]


@pytest.mark.parametrize(("unit", "value", "ms"), TIMES)
def test_times_are_read_in_the_sources_unit(unit: str, value: Any, ms: int) -> None:
    assert mapped("ts: t", {"t": value}, f"type: purchase, ts_unit: {unit}").ts == ms


@pytest.mark.parametrize("unit", ["s", "ms"])
@pytest.mark.parametrize(
    "value", [True, [], {}, "soon", "", "1_000", "nan", "inf", "-inf", "1e400", 1e300, -(10**18), 10**18, "9" * 40]
)
def test_what_is_no_time_in_that_unit_is_refused(unit: str, value: Any) -> None:
    told = refused(source(f"type: cart, ts_unit: {unit}, map: {{customer_id: c, ts: t}}"), {"c": "a", "t": value})
    assert told.startswith("ts: ")


def test_a_number_without_a_unit_is_refused_with_what_to_write() -> None:
    told = refused(source("type: cart, map: {customer_id: c, ts: t}"), {"c": "a", "t": 1700000000})
    assert told == "ts: is a number: say in the sources file whether `ts_unit` is `s` or `ms`"


REFUSED = [
    ("customer_id: c", {}, "customer_id: is missing"),
    ("customer_id: c", {"c": ""}, "customer_id: is empty"),
    ("customer_id: c", {"c": 1.5}, "customer_id: must be text, not a number"),
    ("customer_id: c", {"c": True}, "customer_id: must be text, not a boolean"),
    ("customer_id: c", {"c": "x" * 129}, "customer_id: has 129 characters"),
    ("customer_id: c, id: i", {"c": "a", "i": ""}, "id: is empty"),
    ("customer_id: c, properties: p", {"c": "a", "p": [1]}, "properties: must be an object, not a list"),
    ("customer_id: c, properties: p, properties.a.b: c", {"c": "a", "p": {"a": 5}}, "properties.a: is a number"),
    ("customer_id: c, properties.n: \"sum(x)\"", {"c": "a", "x": ["y"]}, "properties.n: `sum(x)` fails here: "),
    ("customer_id: c, properties.n: \"avg(x)\"", {"c": "a", "x": [1e308, 1e308]}, "NaN and infinity"),
    ("customer_id: c, properties.n: \"sum(x)\"", {"c": "a", "x": [2**63, 2**63]}, "more than 64 bits"),
    ("customer_id: c, properties.n: \"[@,@,@,@]\"", {"c": "a", "x": "y" * 100_000}, "bytes once mapped"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "value", "told"), REFUSED, ids=[told for _, _, told in REFUSED])
def test_what_a_map_makes_of_a_bad_record_is_refused(fields: str, value: dict[str, Any], told: str) -> None:
    with pytest.raises(EventRejected, match=re.escape(told)):
        written(source(f"type: purchase, map: {{{fields}}}"), value)


def test_a_mapped_type_is_checked_like_any() -> None:
    of = source("map: {customer_id: c, type: t}")
    found = taken(of, {"c": "a", "t": "order_returned"})
    assert found is not None
    assert found.type == "order_returned"
    assert refused(of, {"c": "a"}) == "type: is missing"
    assert refused(of, {"c": "a", "t": "tick"}).startswith("type: `tick` is the service's own")
    assert refused(of, {"c": "a", "t": "membership"}) == "properties.segment: is missing"


def test_a_key_that_is_no_text_is_refused_where_it_is_asked_for() -> None:
    of = source("type: cart, map: {customer_id: $key}")
    assert refused(of, {}, key=b"\xff") == "customer_id: the record's key is not UTF-8"
    assert refused(of, {}, key=None) == "customer_id: is missing"
    found = taken(of, {}, key="josé".encode())
    assert found is not None
    assert found.customer_id == "josé"


@pytest.mark.parametrize(("value", "wanted"), [(None, False), (False, False), ("", False), ([], False), ({}, False),
                                               (0, True), (True, True), ("no", True), ([0], True)])  # fmt: skip
def test_where_skips_what_is_none_of_ours(value: Any, wanted: bool) -> None:
    of = source("where: mine, type: cart, map: {customer_id: c}")
    assert (taken(of, {"c": "a", "mine": value}) is not None) == wanted


def test_native_records_name_their_type_or_get_the_sources() -> None:
    plain, typed = source("where: '@'"), source("type: cart")
    assert [taken(each, native()) for each in (plain, typed)] == [decode_event(native(), NOW_MS)] * 2
    found = taken(typed, native(type=None))
    assert found is not None
    assert found.type == "cart"
    assert refused(plain, native(type=None)) == "type: is missing"
    assert refused(plain, native(id=None)) == "id: is missing"


def test_a_record_without_a_time_has_that_of_its_topic_but_never_a_later_one_than_now() -> None:
    of = source("type: cart")
    hour = 3_600_000
    for at_ms, ts in [(NOW_MS - hour, NOW_MS - hour), (NOW_MS + hour, NOW_MS), (-1, NOW_MS)]:
        found = taken(of, native(ts=None), at_ms=at_ms)
        assert found is not None
        assert found.ts == ts


def test_age_and_future_are_measured_from_when_the_record_was_written() -> None:
    of, hour = source("type: cart"), 3_600_000
    record = SourceRecord("t", 0, 0, NOW_MS - 2 * hour, None, native(ts=format_instant(NOW_MS - hour)))
    with pytest.raises(EventRejected, match="60 minutes in the future"):
        event_of_record(of, record, AT_THE_EDGE, times_of(record, NOW_MS))
    assert event_of_record(of, record, AT_THE_EDGE, Times(record.timestamp_ms, NOW_MS)) is not None


def test_a_traceparent_of_the_records_header_is_passed_on_and_what_is_none_is_not() -> None:
    for trace, expected in [(TRACE, TRACE), ("00-zz", ""), ("x" * 256, "")]:
        found = taken(source("type: cart"), native(), trace=trace)
        assert found is not None
        assert found.traceparent == expected
        assert json.loads(payload_of(found)).get("traceparent", "") == expected


def test_a_map_never_changes_what_another_expression_of_it_found() -> None:
    found = mapped("properties.a: x, properties: y, properties.b: x", {"x": {"n": 1}, "y": {"b": {}}})
    assert found.properties == {"a": {"n": 1}, "b": {"n": 1}}
    deep = mapped("properties: x, properties.o.p: c, properties.q: x", {"x": {"o": {"n": 1}}})
    assert deep.properties == {"o": {"n": 1, "p": "ana"}, "q": {"o": {"n": 1}}}


def test_the_guides_example_maps_an_order() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    [example] = re.findall(r"^```yaml\n(.*?)^```", guide, re.M | re.S)
    orders, contacts, clicks = read_sources(example)[:3]
    order = {
        "status": "paid", "paid_at": 1795165200123, "order": {"number": 536371, "buyer": {"id": 13748}},
        "total": {"value": 204.0}, "lines": [{"sku": "22086", "unit_price": 2.55, "qty": 80}],
    }  # fmt: skip
    event = taken(orders, order)
    assert event is not None
    assert json.loads(payload_of(event)) == {
        "id": "536371", "type": "purchase", "customer_id": "13748", "ts": "2026-11-20T09:00:00.123Z",
        "properties": {"order_id": 536371, "amount": 204.0, "currency": "BRL",
                       "items": [{"product_id": "22086", "price": 2.55, "quantity": 80}]},
    }  # fmt: skip
    assert taken(orders, {**order, "status": "open"}) is None
    contact = taken(contacts, {"updated_at": NOW, "address": {"country": "BR"}, "labels": ["vip"]}, key=b"ana")
    assert contact is not None
    assert (contact.customer_id, contact.properties) == ("ana", {"set": {"country": "BR"}, "tags_add": ["vip"]})
    seen = [taken(clicks, {"kind": kind, "user": "ana", "details": {"a": 1}}) for kind in ("view", "search")]
    assert [event and event.type for event in seen] == ["page_view", "search"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
    max_leaves=12,
)
EVERYTHING = source(
    "type: purchase, ts_unit: ms, where: 'a || b', map: {customer_id: a, id: b, ts: c, properties: d, "
    'properties.x: "sum(e)", properties.y.z: "sort_by(f, &a)[0].b || to_number(a)", properties.w: "e[::2] | [0]"}'
)


@given(st.dictionaries(st.sampled_from("abcdef"), ANYTHING) | ANYTHING | st.binary(max_size=40))
def test_whatever_comes_is_taken_skipped_or_refused_and_what_is_taken_reads_the_same_from_the_log(value: Any) -> None:
    for of in (EVERYTHING, source("type: cart")):
        try:
            payload = written(of, value)
        except EventRejected:
            continue
        if payload is not None:
            assert decode_event(payload, None).properties == orjson.loads(payload)["properties"]
