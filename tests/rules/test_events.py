"""What is wrong with an event is said at its place, in words; what is right is taken whole (contract §1)."""

from __future__ import annotations

from typing import Any

import pytest

from rules.errors import EventRejected
from rules.events import AT_THE_EDGE, IN_CASES, RECORDED, Event, EventLimits, check_event
from rules.limits import CUSTOMER_ID_CHARS_MAX, DAY_MS, EVENT_AGE_MS_MAX, EVENT_DEPTH_MAX, EVENT_FUTURE_MS_MAX
from rules.times import format_instant, parse_instant

NOW = 1_795_165_200_000  # 2026-11-20T09:00:00Z
GOOD: dict[str, Any] = {"id": "o-1", "type": "purchase", "customer_id": "13748", "ts": "2026-11-20T09:00:00.123Z"}


def rejected(changes: dict[str, Any], limits: EventLimits = AT_THE_EDGE) -> str:
    raw = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    with pytest.raises(EventRejected) as caught:
        check_event(raw, NOW, limits)
    return str(caught.value)


def test_a_good_event_is_taken_whole() -> None:
    properties = {"amount": 204.0, "items": [{"product_id": "22086"}], "note": "ção 🎄", "none": None}
    event = check_event({**GOOD, "properties": properties}, NOW)
    assert event == Event("purchase", "13748", NOW + 123, "o-1", properties, "o-1")


def test_an_event_without_time_or_properties_happened_when_it_was_received() -> None:
    event = check_event({"id": "a", "type": "tea", "customer_id": "b"}, NOW)
    assert (event.ts, event.properties) == (NOW, {})


def test_null_is_missing_where_a_field_may_be_missing() -> None:
    event = check_event({**GOOD, "ts": None, "properties": None}, NOW)
    assert (event.ts, event.properties) == (NOW, {})


def test_keys_that_nobody_knows_are_left_alone() -> None:
    assert check_event({**GOOD, "source": "shop"}, NOW).id == "o-1"


@pytest.mark.parametrize("raw", [None, 3, "text", [GOOD], True])
def test_only_an_object_is_an_event(raw: Any) -> None:
    with pytest.raises(EventRejected, match="an event is a JSON object, not "):
        check_event(raw, NOW)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"type": ...}, "type: is missing"),
        ({"type": None}, "type: is missing"),
        ({"type": 7}, "type: must be text, not a number"),
        ({"type": ""}, "type: `` is no event type: a small letter, then up to 63 small letters, digits or `_`"),
        ({"type": "Purchase"}, "type: `Purchase` is no event type"),
        ({"type": "1st"}, "type: `1st` is no event type"),
        ({"type": "a-b"}, "type: `a-b` is no event type"),
        ({"type": "a" * 65}, "is no event type"),
        ({"type": "é"}, "type: `é` is no event type"),
        ({"type": "a\n"}, "is no event type"),
        ({"type": "definition"}, "type: `definition` is the service's own and refused from outside"),
        ({"type": "tick"}, "type: `tick` is the service's own and refused from outside"),
        ({"id": ...}, "id: is missing"),
        ({"id": ""}, "id: is empty; 1 to 128 characters are needed"),
        ({"id": 536371}, "id: must be text, not a number (write it in quotes)"),
        ({"id": "x" * 129}, "id: has 129 characters; at most 128 are allowed"),
        ({"customer_id": ...}, "customer_id: is missing"),
        ({"customer_id": ""}, "customer_id: is empty; 1 to 128 characters are needed"),
        ({"customer_id": 13748}, "customer_id: must be text, not a number (write it in quotes)"),
        ({"customer_id": True}, "customer_id: must be text, not a boolean (write it in quotes)"),
        ({"customer_id": ["a"]}, "customer_id: must be text, not a list (write it in quotes)"),
        ({"customer_id": "x" * 129}, "customer_id: has 129 characters; at most 128 are allowed"),
        ({"ts": 1795165200}, "ts: must be an RFC 3339 instant as text, not a number"),
        ({"ts": ""}, "ts: `` is no RFC 3339 instant"),
        ({"ts": "yesterday"}, "ts: `yesterday` is no RFC 3339 instant with an offset, as 2026-11-20T09:00:00Z"),
        ({"ts": "2026-11-20"}, "ts: `2026-11-20` is no RFC 3339 instant"),
        ({"ts": "2026-11-20T09:00:00"}, "ts: `2026-11-20T09:00:00` is no RFC 3339 instant with an offset"),
        ({"ts": "2026-02-30T09:00:00Z"}, "ts: `2026-02-30T09:00:00Z` is no RFC 3339 instant"),
        ({"ts": "٢٠٢٦-11-20T09:00:00Z"}, "is no RFC 3339 instant"),
        ({"properties": []}, "properties: must be an object, not a list"),
        ({"properties": "amount"}, "properties: must be an object, not text"),
    ],
)
def test_a_bad_field_is_told_with_its_place_and_what_would_be_right(changes: dict[str, Any], told: str) -> None:
    assert told in rejected(changes)


@pytest.mark.parametrize("chars", [1, CUSTOMER_ID_CHARS_MAX])
def test_ids_of_any_allowed_length_and_character_are_good(chars: int) -> None:
    event = check_event({**GOOD, "customer_id": "ß" * chars, "id": " " * chars}, NOW)
    assert (len(event.customer_id), len(event.id)) == (chars, chars)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T09:00:00Z",
        "2026-11-20T06:00:00-03:00",
        "2026-11-20T09:00:00.000z",
        "2026-11-20t14:30:00+05:30",
        "2026-11-20T09:00:00.0004999Z",
    ],
)
def test_every_offset_means_the_same_instant(text: str) -> None:
    for _ in range(2):  # the second time much of it is remembered
        assert check_event({**GOOD, "ts": text}, NOW).ts == NOW


def test_times_that_share_a_minute_or_a_tail_with_earlier_ones_are_read_right() -> None:
    texts = [f"20{year}-0{month}-01T00:0{minute}:{second:02d}.{second:03d}Z"
             for year in (25, 26) for month in (1, 9) for minute in (0, 5) for second in (0, 7, 59)]  # fmt: skip
    for text in [*texts, *texts]:
        assert check_event({**GOOD, "ts": text}, None, RECORDED).ts == parse_instant(text)


def test_five_minutes_ahead_are_allowed_and_not_a_millisecond_more() -> None:
    last = NOW + EVENT_FUTURE_MS_MAX
    assert check_event({**GOOD, "ts": format_instant(last)}, NOW).ts == last
    assert "ts: `2026-11-20T09:05:00.001Z` is 5 minutes in the future; at most 5 minutes" in rejected(
        {"ts": format_instant(last + 1)}
    )


def test_what_is_older_than_the_retention_is_refused_with_how_far_it_reaches() -> None:
    oldest = NOW - EVENT_AGE_MS_MAX
    assert check_event({**GOOD, "ts": format_instant(oldest)}, NOW).ts == oldest
    assert f"older than the retention, which reaches back to {format_instant(oldest)}" in rejected(
        {"ts": format_instant(oldest - 1)}
    )
    assert "older than the retention" in rejected({"ts": format_instant(NOW - DAY_MS - 1)}, EventLimits(age_ms=DAY_MS))


def test_recordings_and_cases_ask_for_no_age() -> None:
    for limits in (RECORDED, IN_CASES):
        assert check_event({**GOOD, "ts": "1066-10-14T09:00:00Z"}, NOW, limits).ts < 0
        assert check_event({**GOOD, "ts": "2999-01-01T00:00:00Z"}, NOW, limits).ts > NOW


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59.999-08:00"])
def test_instants_that_no_calendar_holds_in_utc_are_refused(text: str) -> None:
    assert "is outside the years 1 to 9999" in rejected({"ts": text}, RECORDED)


def test_a_recorded_event_needs_its_own_time() -> None:
    raw = {"id": "a", "type": "tea", "customer_id": "b"}
    with pytest.raises(EventRejected, match="ts: is missing, and a recorded event has no time of receipt"):
        check_event(raw, None, RECORDED)


def test_only_cases_do_without_an_id_and_keep_their_place_instead() -> None:
    raw = {"type": "tea", "customer_id": "b", "ts": "2026-01-01T00:00:00Z"}
    event = check_event(raw, None, IN_CASES, rank="9")
    assert (event.id, event.rank) == ("", "9")
    with pytest.raises(EventRejected, match="id: is missing"):
        check_event(raw, None, RECORDED, rank="9")


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"set": []}, "properties.set: must be an object from attribute names to values, not a list"),
        ({"set": {"": 1}}, "properties.set: has an attribute without a name"),
        ({"unset": "x"}, "properties.unset: must be a list of names, not text"),
        ({"unset": ["x", 3]}, "properties.unset[1]: must be text, not a number"),
        ({"unset": [""]}, "properties.unset[0]: is empty"),
        ({"tags_add": "vip"}, "properties.tags_add: must be a list of names, not text"),
        ({"tags_add": [{}]}, "properties.tags_add[0]: must be text, not an object"),
        ({"tags_remove": ["a", ""]}, "properties.tags_remove[1]: is empty"),
        ({"country": "BR"}, "properties.country: is nothing a `profile` event has: `set`, `unset`, `tags_add`"),
    ],
)
def test_a_profile_event_has_its_shape(properties: dict[str, Any], told: str) -> None:
    assert told in rejected({"type": "profile", "properties": properties})


def test_a_profile_event_may_set_anything_json_can_say() -> None:
    properties = {
        "set": {"a": 1, "b": [1, {"c": None}], "d.e": True},
        "unset": ["x"],
        "tags_add": [],
        "tags_remove": [],
    }
    assert check_event({**GOOD, "type": "profile", "properties": properties}, NOW).properties == properties


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"action": "add"}, "properties.segment: is missing"),
        ({"segment": "VIP", "action": "add"}, "properties.segment: `VIP` is no segment's id"),
        ({"segment": 3, "action": "add"}, "properties.segment: 3 is no segment's id"),
        ({"segment": "vip"}, "properties.action: is missing"),
        ({"segment": "vip", "action": "ban"}, "properties.action: `ban` is none of `add`, `remove`, `clear`"),
        ({"segment": "vip", "action": ["add"]}, "is none of `add`, `remove`, `clear`"),
        ({"segment": "vip", "action": "add", "until": "2026-12-01"}, "properties.until: `2026-12-01` is no RFC 3339"),
        ({"segment": "vip", "action": "add", "until": 5}, "properties.until: must be an RFC 3339 instant as text"),
        ({"segment": "vip", "action": "add", "til": "x"}, "properties.til: is nothing a `membership` event has"),
    ],
)
def test_a_membership_event_has_its_shape(properties: dict[str, Any], told: str) -> None:
    assert told in rejected({"type": "membership", "properties": properties})


@pytest.mark.parametrize("until", [None, "2026-12-01T00:00:00+01:00"])
def test_a_membership_event_may_end_by_itself(until: str | None) -> None:
    properties = {"segment": "vip", "action": "add", "until": until}
    assert check_event({**GOOD, "type": "membership", "properties": properties}, NOW).properties == properties


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"a": [1.0, float("nan")]}, "properties.a[1]: NaN and infinity are no JSON numbers"),
        ({"a": float("-inf")}, "properties.a: NaN and infinity are no JSON numbers"),
        ({"a": 10**400}, "properties.a: the number is too large"),
        ({"a": {"b": "\ud800"}}, "properties.a.b: has half of a surrogate pair, which is no character"),
        ({"\udfff": 1}, "properties: has half of a surrogate pair"),
        ({3: 1}, "properties: the key 3 must be text (write it in quotes)"),
        ({"a": {1, 2}}, "properties.a: set is nothing JSON can say"),
    ],
)
def test_values_that_json_cannot_say_are_told_with_their_place(properties: dict[Any, Any], told: str) -> None:
    assert told in rejected({"properties": properties})


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_nesting_has_a_depth_that_is_allowed_and_none_beyond() -> None:
    check_event({**GOOD, "properties": {"a": nested(EVENT_DEPTH_MAX - 2)}}, NOW)
    assert f"nested deeper than {EVENT_DEPTH_MAX} levels" in rejected(
        {"properties": {"a": nested(EVENT_DEPTH_MAX - 1)}}
    )


def test_what_senders_wrote_never_breaks_the_line_of_the_error() -> None:
    told = rejected({"type": "a\nb" * 100})
    assert "\n" not in told
    assert len(told) < 250
