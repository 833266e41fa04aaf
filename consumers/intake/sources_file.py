"""Reads a sources file. It is refused whole with every mistake, each at its place: `sources[1].map.customer_id: …`."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from consumers.intake.sources import GROUP, KEY, Expression, Mapping, Source, TsUnit, default_sources
from rules.errors import EventRejected, SegmentInvalid
from rules.events import RECORDED, check_event
from rules.language import load_yaml
from rules.language.draft import Draft, join
from rules.language.hints import nearest, shown
from rules.language.mistakes import (
    empty_list,
    missing_key,
    not_a_boolean,
    not_a_list,
    not_a_mapping,
    not_text,
    too_long,
    unknown_key,
)

EXPRESSION_CHARS_MAX = 1024
SOURCES_MAX = 1000

_TOP_KEYS = ("sources", "defaults")
_SOURCE_KEYS = ("topic", "type", "map", "ts_unit", "where", "group")
_FIELDS = ("id", "customer_id", "ts", "type", "properties")
_UNITS: tuple[TsUnit, ...] = ("rfc3339", "s", "ms")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)
_NAME = r"[^.\s]+"
_PROPERTY = re.compile(rf"properties((?:\.{_NAME})+)")
_SOURCE_EXAMPLE = "topic: shop.orders"
_MAP_EXAMPLE = "customer_id: customer.id"


class SourcesInvalid(SegmentInvalid):
    """A sources file is refused whole; `mistakes` as for a segment's document."""


def read_sources(text: str | bytes, own_topics: Collection[str] = ()) -> tuple[Source, ...]:
    """The sources that a file names, and the default ones that it does not replace. Raises SourcesInvalid.

    `own_topics`: those that the service itself writes, which cannot be sources.
    """
    draft = Draft()
    try:
        raw = load_yaml(text)
    except SegmentInvalid as error:
        raise SourcesInvalid(error.mistakes) from None
    found, defaults = _file(draft, raw, own_topics)
    if draft.mistakes:
        raise SourcesInvalid(draft.mistakes)
    named = {source.topic for source in found}
    return (*found, *(source for source in default_sources() if defaults and source.topic not in named))


def _file(draft: Draft, raw: Any, own_topics: Collection[str]) -> tuple[list[Source], bool]:
    if not isinstance(raw, dict):
        draft.wrong("", not_a_mapping(raw, f"sources: [{{{_SOURCE_EXAMPLE}}}]"))
        return [], True
    _known(draft, "", raw, _TOP_KEYS)
    defaults = raw.get("defaults", True)
    if not isinstance(defaults, bool):
        draft.wrong("defaults", not_a_boolean(defaults))
    listed = raw.get("sources")
    if "sources" not in raw:
        draft.wrong("sources", missing_key("sources", f"sources: [{{{_SOURCE_EXAMPLE}}}]"))
    elif not isinstance(listed, list):
        draft.wrong("sources", not_a_list(listed, f"[{{{_SOURCE_EXAMPLE}}}]"))
    elif not listed:
        draft.wrong("sources", empty_list(f"[{{{_SOURCE_EXAMPLE}}}]"))
    elif len(listed) > SOURCES_MAX:
        draft.wrong("sources", f"at most {SOURCES_MAX:,} sources are read, these are {len(listed):,}")
    else:
        return _sources(draft, listed, own_topics), defaults is True
    return [], True


def _sources(draft: Draft, listed: Sequence[Any], own_topics: Collection[str]) -> list[Source]:
    found: list[Source] = []
    first_at: dict[str, str] = {}
    for number, raw in enumerate(listed):
        at = f"sources[{number}]"
        source = _source(draft, at, raw)
        if source.topic in own_topics:
            draft.wrong(f"{at}.topic", f"{shown(source.topic)} is a topic that the service itself writes, no source")
        if source.topic in first_at:
            draft.wrong(f"{at}.topic", f"{shown(source.topic)} is a source already, at {first_at[source.topic]}")
        elif source.topic:
            first_at[source.topic] = at
        found.append(source)
    return found


def _source(draft: Draft, at: str, raw: Any) -> Source:
    if not isinstance(raw, dict):
        draft.wrong(at, not_a_mapping(raw, _SOURCE_EXAMPLE))
        return Source("")
    _known(draft, at, raw, _SOURCE_KEYS)
    mapping = _mapping(draft, f"{at}.map", raw["map"]) if "map" in raw else None
    event_type = _type(draft, f"{at}.type", raw["type"]) if "type" in raw else None
    if mapping is not None and mapping.type is None and "type" not in raw:
        draft.wrong(f"{at}.type", missing_key("type", "type: purchase") + ", or map it: `map: {type: …}`")
    if mapping is not None and mapping.type is not None and "type" in raw:
        draft.wrong(f"{at}.map.type", "the source has a `type` for all its events: keep one of the two")
    if mapping is None and "ts_unit" in raw:
        draft.wrong(f"{at}.ts_unit", "goes with a `map`: without one the records are in native form, with RFC 3339")
    return Source(
        topic=_topic(draft, f"{at}.topic", raw.get("topic")),
        type=event_type,
        mapping=mapping,
        ts_unit=_unit(draft, f"{at}.ts_unit", raw.get("ts_unit", _UNITS[0])),
        where=_expression(draft, f"{at}.where", raw["where"]) if "where" in raw else None,
        group=_group(draft, f"{at}.group", raw.get("group", GROUP)),
    )


def _topic(draft: Draft, at: str, value: Any) -> str:
    if value is None:
        draft.wrong(at, missing_key("topic", _SOURCE_EXAMPLE))
    elif not isinstance(value, str):
        draft.wrong(at, not_text(value, "a topic"))
    elif not _TOPIC.fullmatch(value) or value in (".", ".."):
        draft.wrong(at, f"{shown(value)} is no topic's name: letters, digits, `.`, `_` and `-`, at most 249")
    else:
        return value
    return ""


def _type(draft: Draft, at: str, value: Any) -> str | None:
    if not isinstance(value, str):
        draft.wrong(at, not_text(value, "an event type"))
        return None
    try:
        check_event({"type": value, "customer_id": "any", "id": "any", "ts": "1970-01-01T00:00:00Z"}, None, RECORDED)
    except EventRejected as error:
        if error.where == "type":
            draft.wrong(at, error.reason)
    return value


def _unit(draft: Draft, at: str, value: Any) -> TsUnit:
    for unit in _UNITS:
        if value == unit:
            return unit
    draft.wrong(at, f"{shown(value)} is no way to write times: one of {', '.join(f'`{unit}`' for unit in _UNITS)}")
    return _UNITS[0]


def _group(draft: Draft, at: str, value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= 249 and value.isprintable():
        return value
    draft.wrong(at, f"{shown(value)} is no consumer group's name: text of 1 to 249 characters")
    return GROUP


# -- the map ----------------------------------------------------------------------------------------------------------


def _mapping(draft: Draft, at: str, raw: Any) -> Mapping | None:
    if not isinstance(raw, dict):
        draft.wrong(at, not_a_mapping(raw, _MAP_EXAMPLE))
        return None
    fields: dict[str, Expression] = {}
    each: dict[tuple[str, ...], Expression] = {}
    for key, value in raw.items():
        here = join(at, key)
        path = _property(draft, here, key)
        compiled = _mapped(draft, here, key, value)
        if compiled is None:
            continue
        if path:
            each[path] = compiled
        elif key in _FIELDS:
            fields[key] = compiled
    _refuse_nested(draft, at, list(each))
    if "customer_id" not in raw:
        draft.wrong(f"{at}.customer_id", missing_key("customer_id", _MAP_EXAMPLE))
    customer_id = fields.pop("customer_id", None) or Expression("", lambda _: None)
    return Mapping(customer_id, **fields, each=tuple(each.items()))


def _property(draft: Draft, at: str, key: str) -> tuple[str, ...]:
    """The path of a single property; () for another field, or for what is none (noted)."""
    if key in _FIELDS:
        return ()
    if match := _PROPERTY.fullmatch(key):
        return tuple(match[1][1:].split("."))
    if key.startswith("properties"):
        draft.wrong(at, f"{shown(key)} is no property: write names joined by single dots, as `properties.amount`")
    else:
        meant = nearest(key, _FIELDS)
        hint = f"did you mean `{meant}`? " if meant else f"a property of that name is `properties.{key[:64]}`; "
        draft.wrong(at, f"no such field {shown(key)}; {hint}the fields are: {', '.join(_FIELDS)}, properties.*")
    return ()


def _refuse_nested(draft: Draft, at: str, paths: Sequence[tuple[str, ...]]) -> None:
    known = set(paths)
    for path in paths:
        for size in range(1, len(path)):
            if path[:size] in known:
                outer = ".".join(("properties", *path[:size]))
                draft.wrong(".".join((at, "properties", *path)), f"is inside `{outer}`, which is mapped itself")


def _mapped(draft: Draft, at: str, key: str, value: Any) -> Expression | None:
    if value == KEY:
        if key in ("id", "customer_id", "type") or key.startswith("properties."):
            return Expression(KEY, lambda _: None)
        draft.wrong(at, f"`{KEY}` is text, which this field cannot be")
        return None
    if isinstance(value, dict) and key == "properties":
        draft.wrong(at, "is one expression that finds an object; single properties are written `properties.amount: …`")
        return None
    return _expression(draft, at, value)


def _expression(draft: Draft, at: str, value: Any) -> Expression | None:
    if not isinstance(value, str):
        draft.wrong(at, not_text(value, "an expression"))
        return None
    if len(value) > EXPRESSION_CHARS_MAX:
        draft.wrong(at, too_long("an expression", len(value), EXPRESSION_CHARS_MAX))
        return None
    try:
        compiled = jmespath.compile(value)
    except (JMESPathError, RecursionError) as error:
        first = str(error).splitlines()[0].removesuffix(":") if str(error) else "is nested too deep"
        draft.wrong(at, f'{shown(value)} is no JMESPath expression: {first} (a name with other signs goes in "…")')
        return None
    for wrong in _wrong_calls(compiled.parsed):
        draft.wrong(at, wrong)
    return Expression(value, compiled.search)


def _wrong_calls(node: Any) -> list[str]:
    """What JMESPath itself would only say of each record: functions that there are not, and too few arguments."""
    if not isinstance(node, dict):
        return []
    found: list[str] = []
    if node["type"] == "function_expression":
        known = Functions.FUNCTION_TABLE
        name, given = node["value"], len(node["children"])
        if name not in known:
            meant = nearest(name, list(known))
            found.append(f"no such function `{name}`" + (f"; did you mean `{meant}`?" if meant else ""))
        else:
            signature = known[name]["signature"]
            variadic = bool(signature) and bool(signature[-1].get("variadic"))
            if given < len(signature) or (given > len(signature) and not variadic):
                found.append(f"`{name}` takes {len(signature)} arguments{' or more' * variadic}, these are {given}")
    for child in node["children"]:
        found += _wrong_calls(child)
    return found


def _known(draft: Draft, at: str, raw: dict[str, Any], known: Sequence[str]) -> None:
    for key in raw:
        if key not in known:
            draft.wrong(join(at, key), unknown_key(key, known))
