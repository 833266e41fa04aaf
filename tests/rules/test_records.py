"""Events in bytes: batches in which one bad event costs no other, and the log's records."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import EventRejected
from rules.events import FROM_THE_LOG, Event
from rules.limits import EVENT_AGE_MS_MAX, EVENT_BYTES_MAX, EVENT_DEPTH_MAX, EVENT_FUTURE_MS_MAX
from rules.records import (
    BodyUnreadable,
    DefinitionRecord,
    Rejection,
    Tick,
    decode_batch,
    decode_event,
    decode_line,
    decode_record,
    encode_definition,
    encode_event,
    encode_tick,
)
from rules.times import format_instant

NOW = 1_795_165_200_000  # 2026-11-20T09:00:00Z
HEAD = b'{"id":"%s","type":"purchase","customer_id":"c","ts":"2026-11-20T09:00:00Z"'


def event(name: str = "a", properties: bytes = b"") -> bytes:
    return HEAD.replace(b"%s", name.encode()) + (b',"properties":' + properties if properties else b"") + b"}"


def outcome(body: bytes, ndjson: bool | None = None) -> list[str]:
    """The ids of those taken, the errors of those refused."""
    found = decode_batch(body, NOW, ndjson=ndjson)
    for place, each in enumerate(found):
        assert isinstance(each, Event) or each.index == place
    return [each.id if isinstance(each, Event) else each.error for each in found]


@pytest.mark.parametrize(
    "body",
    [
        b"[" + event("a") + b"," + event("b") + b"]",
        b" \n[\n" + event("a") + b" ,\t" + event("b") + b"\n] ",
        event("a") + b"\n" + event("b"),
        event("a") + b"\r\n\r\n  \n" + event("b") + b"\n",
        b"\xef\xbb\xbf" + event("a") + b"\n" + event("b"),
    ],
)
def test_arrays_and_lines_are_told_apart_by_the_body_itself(body: bytes) -> None:
    assert outcome(body) == ["a", "b"]


def test_one_object_is_a_batch_of_one_however_it_is_laid_out() -> None:
    assert outcome(event("a")) == ["a"]
    assert outcome(event("a").replace(b",", b",\n  ")) == ["a"]


@pytest.mark.parametrize("body", [b"", b" \n ", b"3", b"null", b'"text"', b"purchase", b"\xff\xfe", b"["])
def test_a_body_in_which_no_events_can_be_told_apart_is_unreadable(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        decode_batch(body, NOW)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" + event() + b"] x", "does not end where the body does"),
        (b"[" + event() + b"]]", "does not end where the body does"),
        (b"[" + event(), "does not end where the body does"),
        (b"[" + event() + b"}", "does not end where the body does"),
        (b'["abc', "the text that begins at byte 1 does not end"),
    ],
)
def test_an_array_that_does_not_end_well_is_told_so(body: bytes, told: str) -> None:
    with pytest.raises(BodyUnreadable, match=told):
        decode_batch(body, NOW)


BAD: list[tuple[bytes, str]] = [
    (b"3", "an event is a JSON object, not a number"),
    (b"null", "an event is a JSON object, not null"),
    (b"{}", "type: is missing"),
    (b'{"type":"purchase","id":"x"}', "customer_id: is missing"),
    (event(properties=b'{"a":[1,NaN]}'), "properties.a[1]: NaN and infinity are no JSON numbers"),
    (event(properties=b'{"a":-Infinity}'), "properties.a: NaN and infinity are no JSON numbers"),
    (event(properties=b'{"a":1e999}'), "properties.a: NaN and infinity are no JSON numbers"),
    (event(properties=b'{"a":' + b"9" * 400 + b"}"), "properties.a: the number is too large"),
    (event(properties=b'{"a":"\\ud800"}'), "properties.a: has half of a surrogate pair, which is no character"),
    (event(properties=b'{"\\udc00":1}'), "properties: has half of a surrogate pair, which is no character"),
    (b'{"id":NaN}', "id: NaN and infinity are no JSON numbers"),
    (event(properties=b'{"a":tru}'), "is not JSON: "),
    (event(properties=b'{"a":"\xff"}'), "is not UTF-8 (byte "),
    (event(properties=b'{"a":"\x01"}'), "is not JSON: "),
    (event(properties=b"[" * 100_000 + b"]" * 100_000), f"nested deeper than {EVENT_DEPTH_MAX} levels"),
    (event(properties=b'{"a":' * 100 + b"1" + b"}" * 100), f"nested deeper than {EVENT_DEPTH_MAX} levels"),
]


@pytest.mark.parametrize(("bad", "told"), BAD)
@pytest.mark.parametrize("form", ["array", "lines"])
def test_a_bad_event_is_told_and_costs_no_other(bad: bytes, told: str, form: str) -> None:
    parts = [event("a"), bad, event("b")]
    body = b"[" + b",".join(parts) + b"]" if form == "array" else b"\n".join(parts)
    first, second, third = outcome(body)
    assert (first, third) == ("a", "b")
    assert told in second


def test_brackets_in_texts_are_not_nesting() -> None:
    properties = orjson.dumps({"a": "[{" * 5000, "b": ["]}"] * 100})
    assert outcome(event("a", properties)) == ["a"]


def test_many_items_side_by_side_are_not_deep() -> None:
    properties = orjson.dumps({"items": [{"tags": [[]]} for _ in range(2000)]})
    assert outcome(event("a", properties)) == ["a"]


def test_256_kilobytes_are_allowed_and_not_a_byte_more() -> None:
    room = EVENT_BYTES_MAX - len(event("a", b'{"a":""}'))
    assert outcome(event("a", b'{"a":"' + b"x" * room + b'"}')) == ["a"]
    [told] = outcome(event("a", b'{"a":"' + b"x" * (room + 1) + b'"}'))
    assert told == f"has {EVENT_BYTES_MAX + 1} bytes; at most {EVENT_BYTES_MAX} are allowed (256 KB)"


def test_numbers_that_grow_when_written_again_are_measured_as_written() -> None:
    numbers = b"[" + b",".join([b"1e9"] * 60_000) + b"]"
    [told] = outcome(event("a", b'{"a":' + numbers + b"}"))
    assert "bytes; at most" in told


def test_lines_may_be_announced_and_then_every_line_is_an_event() -> None:
    assert outcome(b"[1]\n" + event("b"), ndjson=True) == ["an event is a JSON object, not a list", "b"]


def test_an_event_reads_back_from_the_log_as_it_was() -> None:
    taken = decode_event(event("a", b'{"amount":1.1,"big":18446744073709551615,"x":"\\u00e9"}'), NOW)
    assert decode_record(encode_event(taken), NOW) == taken


@pytest.mark.parametrize("away_ms", [EVENT_FUTURE_MS_MAX, -EVENT_AGE_MS_MAX])
def test_what_the_edge_let_in_is_not_refused_for_a_little_delay_on_the_way(away_ms: int) -> None:
    taken = decode_event(event("a").replace(b"2026-11-20T09:00:00Z", format_instant(NOW + away_ms).encode()), NOW)
    for delay_ms in (-2_000, 0, 2_000):
        assert decode_record(encode_event(taken), NOW + delay_ms) == taken


def test_the_log_does_not_ask_for_an_events_age_again() -> None:
    old = decode_line(b'{"id":"a","type":"t","customer_id":"c","ts":"1990-01-01T00:00:00Z"}')[0]
    assert decode_record(encode_event(old), NOW) == old


def test_a_record_without_time_happened_when_the_log_stamped_it() -> None:
    found = decode_record(b'{"id":"a","type":"t","customer_id":"c"}', 12_345)
    assert isinstance(found, Event)
    assert found.ts == 12_345


def test_poison_in_the_log_is_told_for_the_dead_letters() -> None:
    for poison in (b"", b"\x00", b"{", b"[]", b'{"type":"definition"}', b'{"type":"definition","segment":3}'):
        with pytest.raises(EventRejected):
            decode_record(poison, NOW)


def test_the_services_own_records_read_back_as_they_were() -> None:
    definition = DefinitionRecord("vip", 3, "paused", {"id": "vip", "enter": {"tag": "x"}}, activate=True)
    assert decode_record(encode_definition(definition), NOW) == definition
    assert decode_record(encode_tick(), NOW) == Tick()


def test_the_services_own_records_are_refused_from_outside() -> None:
    own = encode_definition(DefinitionRecord("vip")) + b"\n" + encode_tick()
    assert outcome(own) == [
        "type: `definition` is the service's own and refused from outside",
        "type: `tick` is the service's own and refused from outside",
    ]


@pytest.mark.parametrize(
    ("stamp", "expected"), [(b'"2026-11-20T10:00:00+01:00"', NOW), (b"1795165200000", NOW), (b"null", None)]
)
def test_a_recorded_line_may_carry_the_logs_time(stamp: bytes, expected: int | None) -> None:
    line = event("a")[:-1] + b',"log_ts":' + stamp + b"}"
    found, log_ts = decode_line(line)
    assert (found.id, log_ts) == ("a", expected)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_whatever_json_says_survives_the_log(properties: dict[str, Any]) -> None:
    raw = orjson.dumps(
        {"id": "a", "type": "t", "customer_id": "c", "ts": "2026-11-20T09:00:00Z", "properties": properties}
    )
    taken = decode_event(raw, NOW)
    assert decode_record(encode_event(taken), NOW) == taken


@given(
    st.lists(
        st.sampled_from([each for each, _ in BAD if len(each) < 1000] + [event("a"), b"", b"[", b'"', b"}", b","]),
        max_size=6,
    ),
    st.booleans(),
)
def test_no_body_is_more_than_events_rejections_or_unreadable(parts: list[bytes], array: bool) -> None:
    body = b"[" + b",".join(parts) + b"]" if array else b"\n".join(parts)
    try:
        found = decode_batch(body, NOW)
    except BodyUnreadable:
        return
    assert all(isinstance(each, Event | Rejection) for each in found)


def test_an_endless_broken_array_is_given_up_in_time() -> None:
    with pytest.raises(BodyUnreadable, match="too long to look for its good parts"):
        decode_batch(b"[NaN" + b"," * 2_100_000 + b"]", NOW)


# -- the usual way and the long way ------------------------------------------------------------------------------------


def long_way(data: bytes) -> Any:
    """The event read by names, as `decode_event` reads it; the error's words for what is refused."""
    try:
        return decode_event(data, NOW, FROM_THE_LOG)
    except EventRejected as error:
        return str(error)


def usual_way(data: bytes) -> Any:
    try:
        return decode_record(data, NOW)
    except EventRejected as error:
        return str(error)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**64), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
records = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=3) | st.just("x" * 128) | st.just("é" * 129) | scalars,
        "type": st.sampled_from(["purchase", "page_view", "profile", "membership", "my_own", "Bad", "definition"])
        | values,
        "customer_id": st.text(max_size=3) | scalars,
        "ts": st.sampled_from(
            ["2026-11-20T09:00:00Z", "2026-11-20T08:00:00.5Z", "2026-11-20T24:00:00Z", "2027-01-01T00:00:00Z"]
        )
        | scalars,
        "properties": st.dictionaries(st.text(max_size=3), values, max_size=4) | values,
        "more": values,
    },
)


@given(records, st.data())
def test_the_usual_way_to_read_a_record_gives_what_the_long_way_gives(record: dict[str, Any], data: Any) -> None:
    if record.get("type") == "definition":
        return
    raw = json.dumps(record, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    if data.draw(st.booleans()) and raw:  # some of the bytes are others
        at = data.draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + data.draw(st.integers(0, 2)) :]
    long_way(event("known"))  # the instants of these are remembered, as those of earlier records are
    assert usual_way(raw) == long_way(raw)
    again = usual_way(raw)
    assert repr(again) == repr(long_way(raw))  # 1 and 1.0, 0.0 and -0.0 are told apart


@pytest.mark.parametrize(
    "properties",
    [
        b'{"a":-0}', b'{"a":-0.0}', b'{"a":1e2}', b'{"a":1E400}', b'{"a":9223372036854775807}',
        b'{"a":9223372036854775808}', b'{"a":-9223372036854775809}', b'{"a":0.1e-400}', b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}', b'{"a":"\xff"}', b'{"a":1,"a":2}', b'{"a":01}', b'{"a":1.}', b'{"a":NaN}',
        b'{"items":[{"b":[1]}]}', b'{"items":[{"b":{"c":1}}]}', b'{"":1}', b'{"a":"\x00"}', b'{"a":"\t"}',
        b'{"a":123456789012345678901234567890.5}', b"{} ", b'{"a":tru}', b'{"\xed\xa0\x80":1}',
    ],
)  # fmt: skip
def test_both_ways_agree_on_the_corners_of_json(properties: bytes) -> None:
    for text in (event("x", properties), event("x", properties)[:-1] + b',"type":"page_view"}'):
        assert repr(usual_way(text)) == repr(long_way(text))
