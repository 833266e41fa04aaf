"""Events, and the one place that says what is wrong with a bad one (contract §1).

An event is checked once, where it comes in; from then on its type is trusted. How it stands in bytes: `rules.records`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import msgspec

from rules.errors import EventRejected
from rules.limits import (
    BY_CHARS_MAX,
    CUSTOMER_ID_CHARS_MAX,
    DAY_MS,
    EVENT_AGE_MS_MAX,
    EVENT_BYTES_MAX,
    EVENT_DEPTH_MAX,
    EVENT_FUTURE_MS_MAX,
    EVENT_ID_CHARS_MAX,
    EVENT_TYPE_CHARS_MAX,
    HOPS_MAX,
)
from rules.times import format_instant, parse_instant

RESERVED_TYPES = ("definition", "tick")
"""The service's own records; refused from outside."""

_TYPE = re.compile(rf"[a-z][a-z0-9_]{{0,{EVENT_TYPE_CHARS_MAX - 1}}}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{1,200})?")
_SEGMENT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HOP = re.compile(rf"{_SEGMENT_ID.pattern}/{_SEGMENT_ID.pattern}")
_TS_MIN = -62_135_510_400_000  # 0001-01-02: every offset of an instant in these years can be written as a date
_TS_MAX = 253_402_214_400_000  # 9999-12-31
_LOG_GRACE_BYTES = 1024  # what a time of receipt and the form of the log add
_LOG_GRACE_MS = 10 * 60_000  # between an edge's clock and the log's: what was accepted is not refused afterwards


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of one customer, checked. `ts` is event time in ms; `id` is "" where it has none (test cases only)."""

    type: str
    customer_id: str
    ts: int
    id: str = ""
    properties: dict[str, Any] = {}
    rank: str = ""  # orders events of one `ts`: the id, or for events without one their place in the log
    traceparent: str = ""  # W3C Trace Context, passed on to the transitions that the event makes
    hops: tuple[str, ...] = ()  # the actions (`segment/action`) that led to it, one after the other


@dataclass(frozen=True, slots=True)
class EventLimits:
    """What is asked of an event beyond its form. None: not asked."""

    future_ms: int | None = EVENT_FUTURE_MS_MAX
    age_ms: int | None = EVENT_AGE_MS_MAX
    bytes_max: int | None = EVENT_BYTES_MAX
    id_required: bool = True


AT_THE_EDGE = EventLimits()
FROM_THE_LOG = EventLimits(
    future_ms=EVENT_FUTURE_MS_MAX + _LOG_GRACE_MS,
    age_ms=None,  # the retention is a setting of the edge: what it let in stays in, also when the setting changes
    bytes_max=EVENT_BYTES_MAX + _LOG_GRACE_BYTES,
)
RECORDED = EventLimits(None, None, None)
IN_CASES = EventLimits(None, None, None, id_required=False)


def check_event(raw: Any, now_ms: int | None, limits: EventLimits = AT_THE_EDGE, rank: str = "") -> Event:
    """The event that a decoded JSON or YAML value says; raises EventRejected naming the field and what is wrong.

    `now_ms` is the time of receipt: the `ts` of an event without one, and what its age is measured by. None where
    nothing was received (recordings): then `ts` is required. `rank` orders events without an id.
    """
    if not isinstance(raw, dict):
        raise EventRejected(f"an event is a JSON object, not {kind(raw)}")
    check_plain(raw)
    return event_of(raw, now_ms, limits, rank)


def event_of(raw: dict[str, Any], now_ms: int | None, limits: EventLimits, rank: str = "") -> Event:
    """The same for what is known to be plain JSON (text without lone surrogates, finite numbers, not too deep)."""
    event_type = raw.get("type")
    if type(event_type) is not str or event_type not in _known_types:
        event_type = _check_type(event_type)
    customer_id = raw.get("customer_id")
    if type(customer_id) is not str or not 0 < len(customer_id) <= CUSTOMER_ID_CHARS_MAX:
        raise _bad_id(customer_id, "customer_id", CUSTOMER_ID_CHARS_MAX)
    event_id = raw.get("id")
    if type(event_id) is not str or not 0 < len(event_id) <= EVENT_ID_CHARS_MAX:
        if event_id is not None or limits.id_required:
            raise _bad_id(event_id, "id", EVENT_ID_CHARS_MAX)
        event_id = ""
    ts = _check_ts(raw.get("ts"), now_ms, limits)
    properties = raw.get("properties")
    if type(properties) is not dict:
        if properties is not None:
            raise EventRejected(f"must be an object, not {kind(properties)}", "properties")
        properties = {}
    shape = _SHAPES.get(event_type)
    if shape is not None:
        shape(properties)
    hops = _check_hops(raw["hops"]) if "hops" in raw else ()
    event = Event(event_type, customer_id, ts, event_id, properties, event_id or rank, "", hops)
    trace = raw.get("traceparent")
    return event if trace is None else with_traceparent(event, trace)


def usual_event(
    event_type: str, customer_id: str, ts_text: str, event_id: str, properties: Any, now_ms: int, limits: EventLimits
) -> Event | None:
    """The same for what is known to be plain and has ids of the right size; None: let `event_of` look."""
    if event_type not in _known_types or event_type in _SHAPES:
        return None
    ts = _recalled(ts_text)
    if ts is None or (limits.future_ms is not None and ts > now_ms + limits.future_ms):
        return None
    if limits.age_ms is not None and ts < now_ms - limits.age_ms:
        return None
    return Event(event_type, customer_id, ts, event_id, properties, event_id)


def with_traceparent(event: Event, trace: Any) -> Event:
    """The event with a W3C `traceparent`; what is none is left out, for it says nothing of the event itself."""
    if type(trace) is not str or _TRACEPARENT.fullmatch(trace) is None:
        return event
    return msgspec.structs.replace(event, traceparent=trace)


# -- the fields -------------------------------------------------------------------------------------------------------

_known_types: set[str] = set()  # names seen and found good; bounded, since they are the senders' to choose
_KNOWN_TYPES_MAX = 10_000


def _check_type(value: Any) -> str:
    if value is None:
        raise EventRejected("is missing", "type")
    if not isinstance(value, str):
        raise EventRejected(f"must be text, not {kind(value)}", "type")
    if value in RESERVED_TYPES:
        raise EventRejected(f"`{value}` is the service's own and refused from outside", "type")
    if not _TYPE.fullmatch(value):
        raise EventRejected(
            f"{shown(value)} is no event type: a small letter, then up to {EVENT_TYPE_CHARS_MAX - 1} "
            "small letters, digits or `_`",
            "type",
        )
    if len(_known_types) < _KNOWN_TYPES_MAX:
        _known_types.add(value)
    return value


def _bad_id(value: Any, where: str, chars_max: int) -> EventRejected:
    if value is None:
        return EventRejected("is missing", where)
    if not isinstance(value, str):
        return EventRejected(f"must be text, not {kind(value)} (write it in quotes)", where)
    if not value:
        return EventRejected(f"is empty; 1 to {chars_max} characters are needed", where)
    return EventRejected(f"has {len(value)} characters; at most {chars_max} are allowed", where)


def _check_ts(value: Any, now_ms: int | None, limits: EventLimits) -> int:
    if value is None:
        if now_ms is None:
            raise EventRejected("is missing, and a recorded event has no time of receipt", "ts")
        return now_ms
    ts = _recalled(value) if type(value) is str else None
    if ts is None:
        ts = check_instant(value, "ts")
    if now_ms is None:
        return ts
    if limits.future_ms is not None and ts > now_ms + limits.future_ms:
        raise EventRejected(
            f"{shown(value)} is {_span(ts - now_ms)} in the future; at most {_span(limits.future_ms)} are allowed", "ts"
        )
    if limits.age_ms is not None and ts < now_ms - limits.age_ms:
        oldest = format_instant(max(now_ms - limits.age_ms, _TS_MIN))
        raise EventRejected(f"{shown(value)} is older than the retention, which reaches back to {oldest}", "ts")
    return ts


def _check_hops(value: Any) -> tuple[str, ...]:
    """Who sends events on from segmentd to segmentd passes `hops` on with them, so that a ring ends outside too."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise EventRejected(f"must be a list of actions, not {kind(value)}", "hops")
    if len(value) > HOPS_MAX:
        raise EventRejected(f"names {len(value)} actions; at most {HOPS_MAX} set one another off", "hops")
    for place, name in enumerate(value):
        if not isinstance(name, str) or not _HOP.fullmatch(name):
            raise EventRejected(f"{shown(name)} is no action: `segment/action`", f"hops[{place}]")
    return tuple(value)


def check_instant(value: Any, where: str) -> int:
    """RFC 3339 text with an offset as ms; raises EventRejected."""
    if type(value) is not str:
        raise EventRejected(f"must be an RFC 3339 instant as text, not {kind(value)}", where)
    ts = parse_instant(value) if value.isascii() else None
    if ts is None:
        raise EventRejected(
            f"{shown(value)} is no RFC 3339 instant with an offset, as 2026-11-20T09:00:00Z or "
            "2026-11-20T06:00:00.123-03:00",
            where,
        )
    if not _TS_MIN <= ts <= _TS_MAX:
        raise EventRejected(f"{shown(value)} is outside the years 1 to 9999", where)
    if value[-1] == "Z":
        _remember(value, ts)
    return ts


def check_log_ts(value: Any) -> int | None:
    """A recorded line's `log_ts`, RFC 3339 or ms, as ms; None where it has none. Raises EventRejected."""
    return value if value is None or type(value) is int else check_instant(value, "log_ts")


# The parts of an instant in UTC as they are written, in ms. Small tables, so that they stay near at hand.
_days: dict[str, int] = {}  # "2026-11-20T", once read
_DAYS_MAX = 10_000
_MINUTES = {f"{minute // 60:02d}:{minute % 60:02d}:": minute * 60_000 for minute in range(24 * 60)}
_SECONDS = {f"{second:02d}": second * 1000 for second in range(60)}
_FRACTIONS = {"Z": 0, **{f".{fraction:03d}Z": fraction for fraction in range(1000)}}


def _recalled(text: str) -> int | None:
    """The instant, if it is written as most are and its day has been read before."""
    try:
        return _days[text[:11]] + _MINUTES[text[11:17]] + _SECONDS[text[17:19]] + _FRACTIONS[text[19:]]
    except KeyError:
        return None


def _remember(text: str, ms: int) -> None:
    if len(_days) >= _DAYS_MAX:
        _days.clear()
    if text[11:13] != "24" and _TS_MIN + DAY_MS < ms < _TS_MAX - DAY_MS:  # no midnight by its other name
        _days[text[:11]] = ms - ms % DAY_MS  # a day of which no instant is refused


# -- the known types whose properties have a shape --------------------------------------------------------------------


def _check_profile(properties: dict[str, Any]) -> None:
    for key, value in properties.items():
        where = f"properties.{key}"
        if key == "set":
            _check_attributes(value, where)
        elif key in ("unset", "tags_add", "tags_remove"):
            _check_names(value, where)
        else:
            raise EventRejected(
                "is nothing a `profile` event has: `set`, `unset`, `tags_add`, `tags_remove`",
                _joined("properties", key),
            )


def _check_attributes(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise EventRejected(f"must be an object from attribute names to values, not {kind(value)}", where)
    if "" in value:
        raise EventRejected("has an attribute without a name", where)


def _check_names(value: Any, where: str) -> None:
    if not isinstance(value, list):
        raise EventRejected(f"must be a list of names, not {kind(value)}", where)
    for place, name in enumerate(value):
        if not isinstance(name, str):
            raise EventRejected(f"must be text, not {kind(name)}", f"{where}[{place}]")
        if not name:
            raise EventRejected("is empty", f"{where}[{place}]")


def _check_membership(properties: dict[str, Any]) -> None:
    for key in properties:
        if key not in ("segment", "action", "until", "by"):
            raise EventRejected(
                "is nothing a `membership` event has: `segment`, `action`, `until`, `by`", _joined("properties", key)
            )
    segment = properties.get("segment")
    if segment is None:
        raise EventRejected("is missing", "properties.segment")
    if not isinstance(segment, str) or not _SEGMENT_ID.fullmatch(segment):
        raise EventRejected(f"{shown(segment)} is no segment's id", "properties.segment")
    action = properties.get("action")
    if action is None:
        raise EventRejected("is missing", "properties.action")
    if action not in ("add", "remove", "clear"):
        raise EventRejected(f"{shown(action)} is none of `add`, `remove`, `clear`", "properties.action")
    if properties.get("until") is not None:
        check_instant(properties["until"], "properties.until")
    by = properties.get("by")
    if by is not None and (not isinstance(by, str) or not 1 <= len(by) <= BY_CHARS_MAX):
        raise EventRejected(f"names who did it in 1 to {BY_CHARS_MAX} characters", "properties.by")


_SHAPES: dict[str, Callable[[dict[str, Any]], None]] = {"profile": _check_profile, "membership": _check_membership}


# -- values in general ------------------------------------------------------------------------------------------------


def check_plain(value: Any, where: str = "", depth: int = 0) -> None:
    """Raises EventRejected at the first thing that JSON cannot say, or that is nested too deep."""
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value, where)
    elif isinstance(value, float):
        if not isfinite(value):
            raise EventRejected("NaN and infinity are no JSON numbers", where)
    elif isinstance(value, int):
        if abs(value) > 10**308:
            raise EventRejected("the number is too large", where)
    elif isinstance(value, dict | list):
        if depth >= EVENT_DEPTH_MAX:
            raise EventRejected(f"nested deeper than {EVENT_DEPTH_MAX} levels", where)
        _check_inside(value, where, depth + 1)
    elif value is not None:
        raise EventRejected(f"{kind(value)} is nothing JSON can say", where)


def _check_inside(value: dict[Any, Any] | list[Any], where: str, depth: int) -> None:
    if isinstance(value, list):
        for place, element in enumerate(value):
            check_plain(element, f"{where}[{place}]", depth)
        return
    for key, element in value.items():
        if not isinstance(key, str):
            raise EventRejected(f"the key {key!r} must be text (write it in quotes)", where)
        _check_text(key, where)
        check_plain(element, _joined(where, key), depth)


def _check_text(value: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise EventRejected("has half of a surrogate pair, which is no character", where) from None


def _joined(where: str, key: str) -> str:
    shortened = key if len(key) <= 64 else key[:61] + "..."
    return f"{where}.{shortened}" if where else shortened


def kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    names: dict[type, str] = {str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def shown(value: Any) -> str:
    """A value as an error shows it: short, and never more than one line."""
    text = repr(value) if not isinstance(value, str) else f"`{value}`"
    text = "".join(c if c.isprintable() else "?" for c in text[:100])
    return text if len(text) <= 80 else text[:77] + "..."


def _span(ms: int) -> str:
    for unit, size in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000)):
        if ms >= 2 * size:
            return f"{ms // size} {unit}"
    return f"{ms / 1000:g} seconds"
