"""Broken records, of every kind that we could think of: (name, value, a part of the reason that it is to have)."""

from __future__ import annotations

import gzip
import json
import pickle
import zlib
from typing import Any

from tests.consumers.intake import worlds

_LONG = "x" * 129


def native(**changed: Any) -> bytes:
    """With a time that is past, by whatever clock it is looked at."""
    return worlds.native(**{"ts": "2026-01-15T00:00:00Z", **changed})


def _nested(depth: int, opening: str, closing: str) -> bytes:
    return native().replace(b'"properties": {}', f'"properties": {{"a": {opening * depth}{closing * depth}}}'.encode())


def _with(text: str) -> bytes:
    """A native event whose properties hold this JSON, or what is none."""
    return native().replace(b'"properties": {}', f'"properties": {{"a": {text}}}'.encode())


POISON: list[tuple[str, bytes | None, str]] = [
    # nothing, or not even text
    ("a tombstone", None, "has no value"),
    ("nothing", b"", "is not JSON"),
    ("blanks", b" \n\t ", "is not JSON"),
    ("a nul", b"\x00", "is not JSON"),
    ("many nuls", b"\x00" * 1000, "is not JSON"),
    ("bad UTF-8", b'{"id": "\xff\xfe"}', "is not UTF-8 (byte 8)"),
    ("Latin-1", '{"id": "josé"}'.encode("latin-1"), "is not UTF-8"),
    ("UTF-16", native().decode().encode("utf-16"), "is not UTF-8"),
    ("UTF-16 without a mark", native().decode().encode("utf-16-le"), "is not JSON"),
    ("UTF-8 with a mark", b"\xef\xbb\xbf" + native(), "is not JSON"),
    ("an overlong form", b'{"id": "\xc0\x80"}', "is not UTF-8"),
    ("a surrogate as bytes", b'{"id": "\xed\xa0\x80"}', "is not UTF-8"),
    ("gzip", gzip.compress(native()), "is not UTF-8"),
    ("gzip, cut", gzip.compress(native())[:20], "is not UTF-8"),
    ("zlib", zlib.compress(native()), "is not UTF-8"),
    ("a pickle", pickle.dumps({"type": "purchase"}), "is not UTF-8"),
    ("Avro with a schema's number", b"\x00\x00\x00\x00\x07\x06ana", "is not JSON"),
    ("every byte", bytes(range(256)) * 4, "is not UTF-8"),
    # text, but not JSON
    ("prose", b"hello", "is not JSON"),
    ("XML", b"<event id='1'/>", "is not JSON"),
    ("CSV", b"1,purchase,ana", "is not JSON"),
    ("Python", b"{'id': '1'}", "is not JSON"),
    ("a cut object", native()[:-10], "is not JSON"),
    ("two objects", native() + native(), "is not JSON"),
    ("two lines", native() + b"\n" + native(), "is not JSON"),
    ("a comma too many", b'{"id": "1",}', "is not JSON"),
    ("a comment", b'{"id": "1" /* one */}', "is not JSON"),
    ("a newline in a text", b'{"id": "a\nb"}', "is not JSON"),
    ("a bad escape", b'{"id": "\\x41"}', "is not JSON"),
    ("a number that begins with 0", _with("007"), "is not JSON"),
    ("a hex number", _with("0x10"), "is not JSON"),
    ("NaN", _with("NaN"), "NaN and infinity are no JSON numbers"),
    ("infinity", _with("-Infinity"), "NaN and infinity are no JSON numbers"),
    ("a number beyond all", _with("1e999"), ""),
    ("an integer of 5,000 digits", _with("9" * 5000), ""),
    ("half a surrogate pair", _with('"\\ud800"'), "surrogate"),
    ("the other half", _with('"\\udc00 x"'), "surrogate"),
    ("a surrogate in a key", native().replace(b'"properties": {}', b'"properties": {"\\ud800": 1}'), "surrogate"),
    # JSON, but no object
    ("null", b"null", "not null"),
    ("true", b"true", "not a boolean"),
    ("a number", b"42", "not a number"),
    ("a text", b'"purchase"', "not text"),
    ("an empty list", b"[]", "not a list"),
    ("a list of events", b"[" + native() + b"]", "not a list"),
    ("JSON in a text", json.dumps(native().decode()).encode(), "not text"),
    # too much
    ("huge", _with('"' + "x" * 300_000 + '"'), "at most 262144 are allowed"),
    ("larger than Kafka's default", b"x" * 3_000_000, "at most 262144 are allowed"),
    ("nested in objects", _nested(100, '{"a":', "1" + "}").replace(b"1}" * 100, b"1" + b"}" * 100), "nested deeper"),
    ("nested in lists", _nested(70, "[", "]"), "nested deeper than 64 levels"),
    ("nested without end", b"[" * 100_000, ""),
    ("nested to break a stack", b'{"a":' * 50_000, ""),
    # an object that is no event
    ("an empty object", b"{}", "type: is missing"),
    ("no type", native(type=None), "type: is missing"),
    ("no customer", native(customer_id=None), "customer_id: is missing"),
    ("no id", native(id=None), "id: is missing"),
    ("a type that is a number", native(type=5), "type: must be text, not a number"),
    ("a type in capitals", native(type="Purchase"), "is no event type"),
    ("an empty type", native(type=""), "is no event type"),
    ("a type too long", native(type="a" * 65), "is no event type"),
    ("the service's tick", native(type="tick"), "`tick` is the service's own"),
    ("the service's definition", native(type="definition"), "`definition` is the service's own"),
    ("a customer that is a number", native(customer_id=7), "customer_id: must be text"),
    ("a customer that is an object", native(customer_id={"id": "ana"}), "customer_id: must be text"),
    ("an empty customer", native(customer_id=""), "customer_id: is empty"),
    ("a customer too long", native(customer_id=_LONG), "customer_id: has 129 characters"),
    ("an empty id", native(id=""), "id: is empty"),
    ("an id too long", native(id=_LONG), "id: has 129 characters"),
    ("an id that is a list", native(id=["1"]), "id: must be text, not a list"),
    ("a later key that breaks it", native()[:-1] + b', "customer_id": null}', "customer_id: is missing"),
    ("properties that are a list", native(properties=[1]), "properties: must be an object, not a list"),
    ("properties that are a text", native(properties="a"), "properties: must be an object, not text"),
    # times
    ("a time in seconds", native(ts=1700000000), "ts: must be an RFC 3339 instant"),
    ("a time without an offset", native(ts="2027-01-15T00:00:00"), "no RFC 3339 instant with an offset"),
    ("a date", native(ts="2027-01-15"), "no RFC 3339 instant"),
    ("a day that is none", native(ts="2027-02-30T00:00:00Z"), "no RFC 3339 instant"),
    ("a word for a time", native(ts="now"), "no RFC 3339 instant"),
    ("digits of another script", native(ts="٢٠٢٧-01-15T00:00:00Z"), "no RFC 3339 instant"),
    ("the far future", native(ts="2999-01-01T00:00:00Z"), "in the future"),
    ("the far past", native(ts="1999-01-01T00:00:00Z"), "older than the retention"),
    ("the year 0", native(ts="0000-01-01T00:00:00Z"), ""),
    ("the year 1", native(ts="0001-01-01T00:00:00Z"), "outside the years"),
    # known types whose properties have a shape
    ("a profile that sets a list", native(type="profile", properties={"set": [1]}), "properties.set"),
    ("a profile with what it has not", native(type="profile", properties={"country": "BR"}), "properties.country"),
    ("tags that are numbers", native(type="profile", properties={"tags_add": [1]}), "properties.tags_add[0]"),
    ("a membership of nothing", native(type="membership", properties={}), "properties.segment: is missing"),
    (
        "a membership of what is no segment",
        native(type="membership", properties={"segment": "A B", "action": "add"}),
        "is no segment's id",
    ),
    (
        "a membership that does what is not done",
        native(type="membership", properties={"segment": "vip", "action": "ban"}),
        "properties.action",
    ),
]
