"""A source's record becomes an event, checked as at the HTTP edge: one way in, for native and for foreign shapes."""

from __future__ import annotations

from typing import Any, NamedTuple

from consumers.intake.port import SourceRecord
from consumers.intake.sources import KEY, Expression, Mapping, Source, TsUnit
from rules.errors import EventRejected
from rules.events import Event, EventLimits, check_event, event_of, kind, shown, with_traceparent
from rules.limits import EVENT_BYTES_MAX, EVENT_ID_CHARS_MAX
from rules.records import decode_object, encode_event
from rules.times import format_instant

_INSTANT_MS_MAX = 253_402_214_400_000  # 9999-12-31; what lies before the year 1 is refused by the event's own check
_INSTANT_MS_MIN = -62_135_510_400_000
_LOG_BYTES_MAX = EVENT_BYTES_MAX + 1024  # what the log's form may add to an event: the evaluators grant it, too


class Times(NamedTuple):
    """`received_ms`: the time of an event that tells none. `checked_ms`: from when its age and future are measured."""

    received_ms: int
    checked_ms: int


def times_of(record: SourceRecord, now_ms: int) -> Times:
    """A record is received when it is written to its topic, whenever it is read; but never later than now.

    >>> times_of(SourceRecord("t", 0, 0, 500, None, b""), 900), times_of(SourceRecord("t", 0, 0, -1, None, b""), 900)
    (Times(received_ms=500, checked_ms=500), Times(received_ms=900, checked_ms=900))
    """
    written = record.timestamp_ms
    received = written if 0 <= written <= now_ms else now_ms
    return Times(received, received)


def event_of_record(source: Source, record: SourceRecord, limits: EventLimits, times: Times) -> Event | None:
    """The event that the record says; None where the source's `where` does not want it. Raises EventRejected."""
    if record.value is None:
        raise EventRejected("has no value (a tombstone)")
    raw = decode_object(record.value, limits)
    if source.where is not None and not _wants(source.where, raw):
        return None
    if source.mapping is None:
        event = _native(source, raw, limits, times)
    else:
        event = check_event(_mapped(source, source.mapping, record, raw, times), times.checked_ms, limits)
    return with_traceparent(event, record.traceparent) if record.traceparent else event


def payload_of(event: Event) -> bytes:
    """The event as the log holds it. Raises EventRejected for what does not fit there, however it came about."""
    try:
        payload = encode_event(event)
    except TypeError:  # a sum made by an expression
        raise EventRejected("a number has more than 64 bits", "properties") from None
    if len(payload) > _LOG_BYTES_MAX:
        raise EventRejected(f"has {len(payload)} bytes once mapped; at most {EVENT_BYTES_MAX} are allowed")
    return payload


def made_id(record: SourceRecord) -> str:
    """The id of a foreign event without one: where it stands, so that the same read again counts once.

    >>> made_id(SourceRecord("shop.orders", 3, 17, 0, None, b""))
    'shop.orders:3:17'
    """
    place = f":{record.partition}:{record.offset}"
    return record.topic[-(EVENT_ID_CHARS_MAX - len(place)) :] + place


def _wants(where: Expression, raw: dict[str, Any]) -> bool:
    """JMESPath's own truth: null, false, and what is empty are false; a number, even 0, is true."""
    found = _found(where, "where", raw, None)
    return not (found is None or found is False or found == "" or found == [] or found == {})


def _native(source: Source, raw: dict[str, Any], limits: EventLimits, times: Times) -> Event:
    if source.type is not None and raw.get("type") is None:
        raw["type"] = source.type
    if raw.get("ts") is None:
        raw["ts"] = format_instant(times.received_ms)
    return event_of(raw, times.checked_ms, limits)


def _mapped(
    source: Source, mapping: Mapping, record: SourceRecord, raw: dict[str, Any], times: Times
) -> dict[str, Any]:
    """The event in native form, yet unchecked."""
    key = record.key
    ts = _optional(mapping.ts, "ts", raw, key)
    event_id = _text(_optional(mapping.id, "id", raw, key))
    return {
        "id": made_id(record) if event_id is None else event_id,
        "type": source.type if mapping.type is None else _found(mapping.type, "type", raw, key),
        "customer_id": _text(_found(mapping.customer_id, "customer_id", raw, key)),
        "ts": format_instant(times.received_ms) if ts is None else _instant(ts, source.ts_unit),
        "properties": _properties(mapping, raw, key),
    }


def _properties(mapping: Mapping, raw: dict[str, Any], key: bytes | None) -> dict[str, Any]:
    base = _optional(mapping.properties, "properties", raw, key)
    if base is not None and not isinstance(base, dict):
        raise EventRejected(f"must be an object, not {kind(base)}", "properties")
    found = {} if base is None else dict(base)
    for path, expression in mapping.each:
        value = _found(expression, ".".join(("properties", *path)), raw, key)
        if value is not None:
            _put(found, path, value)
    return found


def _put(properties: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Sets a value at its path; what lies on the way is copied, since expressions may have found the same object."""
    at = properties
    for depth, name in enumerate(path[:-1]):
        inner = at.get(name)
        if inner is not None and not isinstance(inner, dict):
            where = ".".join(("properties", *path[: depth + 1]))
            raise EventRejected(f"is {kind(inner)}, and `{'.'.join(path)}` is mapped into it", where)
        at[name] = at = {} if inner is None else dict(inner)
    at[path[-1]] = value


def _optional(expression: Expression | None, where: str, raw: dict[str, Any], key: bytes | None) -> Any:
    return None if expression is None else _found(expression, where, raw, key)


def _found(expression: Expression, where: str, raw: dict[str, Any], key: bytes | None) -> Any:
    if expression.text == KEY:
        return _key(key, where)
    try:
        return expression.find(raw)
    except Exception as error:  # whatever an author's expression and a sender's value make of each other
        told = str(error).partition("\n")[0] or type(error).__name__
        raise EventRejected(f"`{expression.text[:100]}` fails here: {told[:200]}", where) from None


def _key(key: bytes | None, where: str) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        raise EventRejected("the record's key is not UTF-8", where) from None


def _text(value: Any) -> Any:
    """An id that is a whole number, as text; the check of the event says what is wrong with any other."""
    return str(value) if type(value) is int else value


def _instant(value: Any, unit: TsUnit) -> Any:
    """RFC 3339; what is already that is left to the event's own check."""
    if unit == "rfc3339":
        if type(value) in (int, float):
            raise EventRejected("is a number: say in the sources file whether `ts_unit` is `s` or `ms`", "ts")
        return value
    number = _number(value)
    ms = number * 1000 if unit == "s" else number
    if not _INSTANT_MS_MIN <= ms <= _INSTANT_MS_MAX:  # not for NaN, either
        raise EventRejected(f"{shown(value)} is outside the years 1 to 9999 (`ts_unit` is `{unit}`)", "ts")
    return format_instant(int(ms // 1))


def _number(value: Any) -> int | float:
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    if type(value) is str and len(value) <= 32 and value.isascii() and "_" not in value:
        try:
            return int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            pass
    raise EventRejected(f"{shown(value)} is no number, and the sources file says that times are", "ts")
