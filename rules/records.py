"""Events and the service's own records as bytes: what senders send, what the log holds, what a recording is.

Fast, because every event passes here twice: orjson reads strictly; only what it refuses is read again, slowly, to say
what is wrong and where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

import msgspec
import orjson

from rules.errors import EventRejected, SegmentdError
from rules.events import (
    AT_THE_EDGE,
    FROM_THE_LOG,
    RECORDED,
    Event,
    EventLimits,
    check_log_ts,
    check_plain,
    event_of,
    kind,
    usual_event,
)
from rules.limits import CUSTOMER_ID_CHARS_MAX, EVENT_DEPTH_MAX, EVENT_ID_CHARS_MAX
from rules.times import format_instant


class BodyUnreadable(SegmentdError):
    """A request's body as a whole is neither an event, nor a list of them, nor a line for each."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One event of a batch that was not taken: `index` its place in the batch, from 0; `error` where and why."""

    index: int
    error: str


class Tick(msgspec.Struct, frozen=True, gc=False):
    """The passing of time: what the log stamped on it is what time it is."""


class DefinitionRecord(msgspec.Struct, frozen=True):
    """A segment's definition, written once to every partition. `document` is its JSON form (None when deleted).

    `activate`: a change of state only; the features it waited for are now collected.
    """

    segment: str
    version: int = 1
    state: Literal["active", "paused", "deleted"] = "active"
    document: dict[str, Any] | None = None
    activate: bool = False


# -- one event --------------------------------------------------------------------------------------------------------


def decode_event(data: bytes, now_ms: int | None, limits: EventLimits = AT_THE_EDGE) -> Event:
    """One event from its JSON; raises EventRejected. `now_ms`: the time of receipt (see `rules.events.check_event`)."""
    return event_of(decode_object(data, limits), now_ms, limits)


def decode_line(data: bytes) -> tuple[Event, int | None]:
    """One line of a recording: the event, and its `log_ts` in ms where the line has one. Raises EventRejected."""
    raw = decode_object(data, RECORDED)
    log_ts = check_log_ts(raw.get("log_ts"))
    return event_of(raw, log_ts, RECORDED), log_ts


def encode_event(event: Event) -> bytes:
    """The event in native form, as the log holds it."""
    raw: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "customer_id": event.customer_id,
        "ts": format_instant(event.ts),
    }
    if event.traceparent:
        raw["traceparent"] = event.traceparent
    if event.hops:
        raw["hops"] = event.hops
    return orjson.dumps({**raw, "properties": event.properties})


def decode_object(data: bytes, limits: EventLimits = AT_THE_EDGE) -> dict[str, Any]:
    """The JSON object that `data` is, in whatever form, known to be plain; raises EventRejected."""
    bytes_max = limits.bytes_max
    if bytes_max is not None and len(data) > bytes_max:
        raise _too_large(len(data), bytes_max)
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _why_unreadable(data, f"{error.msg} (character {error.pos + 1})") from None
    if type(raw) is not dict:
        raise EventRejected(f"an event is a JSON object, not {kind(raw)}")
    if len(data) >= EVENT_DEPTH_MAX * 2 and data.count(b"{") + data.count(b"[") > EVENT_DEPTH_MAX:
        _check_depth_fast(data)
    if bytes_max is not None and len(data) > bytes_max // 4:
        written = len(orjson.dumps(raw))  # `1e5` is written as `100000.0`: what is kept must fit too
        if written > bytes_max:
            raise _too_large(written, bytes_max)
    return raw


def _too_large(size: int, bytes_max: int) -> EventRejected:
    return EventRejected(f"has {size} bytes; at most {bytes_max} are allowed ({bytes_max // 1024} KB)")


def _why_unreadable(data: bytes, said: str) -> EventRejected:
    """What is wrong with JSON that the strict reader refused with the words `said`."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return EventRejected(f"is not UTF-8 (byte {error.start})")
    try:
        _check_depth(data)
        check_plain(json.loads(text, parse_constant=lambda _: nan))
    except EventRejected as error:
        return error
    except (ValueError, RecursionError):
        pass
    return EventRejected(f"is not JSON: {said}")


# -- the log ----------------------------------------------------------------------------------------------------------

_Plain = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | bool | None


class _Usual(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An event as nearly all are, whose types say at once that it is plain: nothing deep, no number too great."""

    type: str
    customer_id: Annotated[str, msgspec.Meta(min_length=1, max_length=CUSTOMER_ID_CHARS_MAX)]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=EVENT_ID_CHARS_MAX)]
    ts: str
    properties: dict[str, _Plain | list[dict[str, _Plain]]] = {}


_decode_usual = msgspec.json.Decoder(_Usual).decode
_USUAL_BYTES_MAX = 64 * 1024


def decode_record(data: bytes, log_ts: int, limits: EventLimits = FROM_THE_LOG) -> Event | Tick | DefinitionRecord:
    """A record of the log, stamped `log_ts`. Raises EventRejected for what belongs to the dead letters.

    Typed decoding takes a third of the time; what it does not take is read again, with more words.
    """
    if len(data) <= _USUAL_BYTES_MAX:
        try:
            usual = _decode_usual(data)
        except (msgspec.DecodeError, ValueError):
            pass
        else:
            event = usual_event(usual.type, usual.customer_id, usual.ts, usual.id, usual.properties, log_ts, limits)
            if event is not None:
                return event
    raw = decode_object(data, limits)
    kind_of = raw.get("type")
    if kind_of == "tick":
        return Tick()
    if kind_of == "definition":
        try:
            return msgspec.convert(raw, DefinitionRecord)
        except msgspec.ValidationError as error:
            raise EventRejected(f"is no definition: {error}") from None
    return event_of(raw, log_ts, limits)


def encode_tick() -> bytes:
    return b'{"type":"tick"}'


def encode_definition(record: DefinitionRecord) -> bytes:
    """The record as the log holds it."""
    return orjson.dumps({"type": "definition", **msgspec.structs.asdict(record)})


# -- batches ----------------------------------------------------------------------------------------------------------


def decode_batch(
    body: bytes, now_ms: int, limits: EventLimits = AT_THE_EDGE, ndjson: bool | None = None
) -> list[Event | Rejection]:
    """The events of a request, in order, each taken or refused on its own.

    `body` is one object, an array, or a line for each event (`ndjson` True; None: told from the body itself; blank
    lines count for nothing). Raises BodyUnreadable where no single events can be told apart.
    """
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not body:
        raise BodyUnreadable("the body is empty")
    first = body[:1]
    if first == b"[" and not ndjson:
        return _decode_array(body, now_ms, limits)
    if first == b"{" and not ndjson and _is_one_object(body):
        return [_taken(0, body, now_ms, limits)]
    if first != b"{" and not ndjson:
        raise BodyUnreadable("the body is neither a JSON object, nor an array, nor one object a line")
    lines = (line for line in body.split(b"\n") if line and not line.isspace())
    return [_taken(index, line, now_ms, limits) for index, line in enumerate(lines)]


def _taken(index: int, data: bytes, now_ms: int, limits: EventLimits) -> Event | Rejection:
    try:
        return event_of(decode_object(data, limits), now_ms, limits)
    except EventRejected as error:
        return Rejection(index, str(error))


def _decode_array(body: bytes, now_ms: int, limits: EventLimits) -> list[Event | Rejection]:
    try:
        elements = [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (ValueError, RecursionError):  # one bad element must not cost the others
        elements = list(_elements(body))
    return [_taken(index, element, now_ms, limits) for index, element in enumerate(elements)]


# -- JSON that may be broken: only strings and brackets are told apart ------------------------------------------------

_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"|["\[\]{},]', re.DOTALL)

_MARKS_MAX = 2_000_000  # of an array that is broken somewhere: about a second


def _marks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Brackets and commas outside of strings: (mark, where it begins, depth after it). Ends at an open string."""
    depth = 0
    for found in _MARKS.finditer(data):
        mark = found.group()
        if len(mark) > 1:
            continue
        if mark == b'"':
            yield mark, found.start(), depth
            return
        depth += (mark in b"[{") - (mark in b"]}")
        yield mark, found.start(), depth


def _elements(body: bytes) -> Iterator[bytes]:
    """The elements of an array, cut at its commas; raises BodyUnreadable where it does not end as an array does."""
    begin, after = 1, len(body)
    for count, (mark, place, depth) in enumerate(_marks(body)):
        if count > _MARKS_MAX:
            raise BodyUnreadable("the body is not JSON, and too long to look for its good parts")
        if mark == b'"':
            raise BodyUnreadable(f"the body is not JSON: the text that begins at byte {place} does not end")
        if (mark == b"," and depth == 1) or (depth == 0 and mark == b"]"):
            yield body[begin:place]
            begin = place + 1
        if depth <= 0:
            after = place + 1
            break
    if depth != 0 or mark != b"]" or body[after:].strip():
        raise BodyUnreadable("the body is not JSON: the array does not end where the body does")


def _is_one_object(body: bytes) -> bool:
    """Whether the object that the body begins with is all there is (and not the first line of many)."""
    if b"\n" not in body:
        return True
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        first_line = body.partition(b"\n")[0]
        last = [depth for _, _, depth in _marks(first_line)][-1]
        return last != 0  # the first line alone is no whole object: one broken object written over several lines
    return True


_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def _check_depth_fast(data: bytes) -> None:
    """The same as `_check_depth`: pairs of brackets are taken away from the inside, a level each time."""
    left = data.translate(None, _BUT_BRACKETS)
    for _ in range(EVENT_DEPTH_MAX):
        left = left.replace(b"{}", b"").replace(b"[]", b"")
        if not left:
            return
    _check_depth(data)  # too deep, or there are brackets in texts


def _check_depth(data: bytes) -> None:
    if any(depth > EVENT_DEPTH_MAX for _, _, depth in _marks(data)):
        raise EventRejected(f"nested deeper than {EVENT_DEPTH_MAX} levels")
