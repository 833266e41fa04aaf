"""Reads event nodes: which events, what is measured of them, what follows them; and pairs of measures."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Literal, cast

from rules.language import mistakes
from rules.language.documents import Comparison, EventNode, Follow, Measure, MeasureKind, PairNode, Test
from rules.language.draft import Draft, join
from rules.language.parse_comparisons import AGE, NUMBER, VALUE, Asked, comparison, filters, measured_path
from rules.language.parse_values import duration, is_path, listing, mapping, only_keys, path, text
from rules.language.parse_windows import WINDOW_KEYS, window
from rules.limits import EVENT_TYPE_CHARS_MAX

_MEASURED: dict[str, Asked] = {
    "count": NUMBER, "sum": NUMBER, "avg": NUMBER, "min": NUMBER, "max": NUMBER, "distinct": NUMBER,
    "first": VALUE, "last": VALUE, "since_first": AGE, "since_last": AGE,
}  # fmt: skip
_EXAMPLES = {
    "distinct": "{of: items.product_id, gte: 3}",
    "first": "{of: utm_source, eq: google}",
    "last": "{of: utm_source, eq: google}",
}
_WITHOUT_OF = ("count", "since_first", "since_last")
_NUMERIC = ("count", "sum", "avg", "min", "max", "distinct")
_ONCE = Measure("count", comparison=Comparison((Test("gte", 1),)))
MEASURE_KEYS = tuple(_MEASURED)
EVENT_KEYS = ("event", "where", "items", *WINDOW_KEYS, *MEASURE_KEYS, "followed_by", "not_followed_by")
_FOLLOW_KEYS = ("event", "where", "items", "within", "match")
_EVENT_TYPE = re.compile(rf"[a-z][a-z0-9_]{{0,{EVENT_TYPE_CHARS_MAX - 1}}}")
_OWN_TYPES = ("tick", "definition")  # the service's own records of the log


def event_node(draft: Draft, raw: dict[str, Any], at: str, pair: str = "") -> EventNode | None:
    """An event node; `pair` names the `ratio` or `difference` whose side it is."""
    events = event_types(draft, raw["event"], join(at, "event"))
    where = filters(draft, raw["where"], join(at, "where")) if "where" in raw else ()
    items = filters(draft, raw["items"], join(at, "items"), items=True) if "items" in raw else ()
    when = window(draft, raw, at)
    measure = _measure(draft, raw, at, pair)
    follow = _follow(draft, raw, at)
    if events is None or when is None or measure is None:
        return None
    return EventNode(events, measure, when, where, items, follow, at)


def event_types(draft: Draft, raw: Any, at: str) -> tuple[str, ...] | None:
    """One event type or a list of different ones."""
    if not isinstance(raw, list | tuple):
        one = _event_type(draft, raw, at)
        return None if one is None else (one,)
    values = listing(draft, raw, at, "[purchase, refund]")
    found: list[str] = []
    for index, value in enumerate(values or ()):
        name = _event_type(draft, value, f"{at}[{index}]")
        if name in found:
            draft.wrong(f"{at}[{index}]", mistakes.twice_in_list(name))
        elif name is not None:
            found.append(name)
    return tuple(found) if values is not None and len(found) == len(values) else None


def _event_type(draft: Draft, raw: Any, at: str) -> str | None:
    name = text(draft, raw, at, "an event type", 1 << 20)
    if name is None:
        return None
    if not _EVENT_TYPE.fullmatch(name):
        draft.wrong(at, mistakes.not_an_event_type(name))
    elif name in _OWN_TYPES:
        draft.wrong(at, mistakes.service_event(name))
    else:
        return name
    return None


def _measure(draft: Draft, raw: dict[str, Any], at: str, pair: str) -> Measure | None:
    keys = [key for key in raw if key in _MEASURED]
    read = _side_measure if pair else _compared_measure
    found = [read(draft, key, raw[key], join(at, key), pair) for key in keys]
    if len(keys) > 1:
        draft.wrong(at, mistakes.two_measures(keys))
        return None
    if not keys and pair:
        draft.wrong(at, mistakes.no_measure(pair, _NUMERIC))
        return None
    return found[0] if found else _ONCE


def _compared_measure(draft: Draft, kind: str, raw: Any, at: str, _pair: str) -> Measure | None:
    asked, counts = _MEASURED[kind], kind in _WITHOUT_OF
    example = _EXAMPLES.get(kind, asked.example if counts else "{of: amount, gte: 100}")
    found = mapping(draft, raw, at, example)
    if found is None:
        return None
    if counts and "of" in found:
        draft.wrong(join(at, "of"), mistakes.of_not_here(kind))
    of = None if counts else measured_path(draft, found, at, f"{kind}: {example}")
    compared = comparison(draft, found, at, asked, ("of",), f"`{kind}`")
    return Measure(cast(MeasureKind, kind), of, compared) if compared and (of or counts) else None


def _side_measure(draft: Draft, kind: str, raw: Any, at: str, pair: str) -> Measure | None:
    """A measure inside a pair: a number that is not compared."""
    if kind not in _NUMERIC:
        draft.wrong(at, mistakes.not_numeric_measure(kind, pair, _NUMERIC))
        return None
    found = mapping(draft, raw, at, "{}" if kind == "count" else "{of: amount}")
    if found is None:
        return None
    for key in found:
        if kind == "count" and key == "of":
            draft.wrong(join(at, key), mistakes.of_not_here(kind))
        elif kind == "count" or key in NUMBER.operators:
            draft.wrong(join(at, key), mistakes.compared_inside(key, pair))
        elif key != "of":
            draft.wrong(join(at, key), partial(mistakes.unknown_key, key, ("of",)))
    of = None if kind == "count" else measured_path(draft, found, at, f"{kind}: {{of: amount}}")
    return Measure(cast(MeasureKind, kind), of) if of or kind == "count" else None


def _follow(draft: Draft, raw: dict[str, Any], at: str) -> Follow | None:
    keys = [key for key in ("followed_by", "not_followed_by") if key in raw]
    if len(keys) > 1:
        draft.wrong(at, mistakes.two_followers())
    found = [_follower(draft, raw[key], join(at, key), key) for key in keys]
    return found[0] if found else None


def _follower(draft: Draft, raw: Any, at: str, key: str) -> Follow | None:
    found = mapping(draft, raw, at, "{event: purchase, within: 1h}")
    if found is None:
        return None
    only_keys(draft, found, at, _FOLLOW_KEYS)
    events = None
    if "event" in found:
        events = event_types(draft, found["event"], join(at, "event"))
    else:
        draft.wrong(join(at, "event"), mistakes.missing_key("event", f"{key}: {{event: purchase, within: 1h}}"))
    where = filters(draft, found["where"], join(at, "where")) if "where" in found else ()
    items = filters(draft, found["items"], join(at, "items"), items=True) if "items" in found else ()
    within = duration(draft, found["within"], join(at, "within")) if "within" in found else None
    match = _match(draft, found["match"], join(at, "match")) if "match" in found else ()
    return Follow(key == "not_followed_by", events, where, items, within, match) if events else None


def _match(draft: Draft, raw: Any, at: str) -> tuple[tuple[str, str], ...]:
    """`match: product_id` (a path for both) or `{path of e: path of f}`."""
    if not isinstance(raw, dict):
        one = path(draft, raw, at)
        return ((one, one),) if one else ()
    found = mapping(draft, raw, at, "{product_id: items.product_id}") or {}
    if not raw:
        draft.wrong(at, mistakes.empty_mapping("{product_id: items.product_id}"))
    pairs = []
    for ours, raw_theirs in found.items():
        if not is_path(ours):
            draft.wrong(join(at, ours), mistakes.not_a_path(ours))
        theirs = path(draft, raw_theirs, join(at, ours))
        if theirs:
            pairs.append((ours, theirs))
    return tuple(pairs)


PairKind = Literal["ratio", "difference"]


def pair_node(draft: Draft, raw: dict[str, Any], at: str, depth: int, kind: PairKind) -> PairNode | None:
    """`ratio: [m1, m2]` or `difference: [m1, m2]`, and the operators beside it."""
    compared = comparison(draft, raw, at, NUMBER, (kind,), f"this `{kind}`")
    sides, here = raw[kind], join(at, kind)
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        draft.wrong(here, mistakes.not_two_measures(sides))
        return None
    left, right = (_side(draft, side, f"{here}[{index}]", depth, kind) for index, side in enumerate(sides))
    return PairNode(kind, left, right, compared, at) if left and right and compared else None


def _side(draft: Draft, raw: Any, at: str, depth: int, kind: PairKind) -> EventNode | None:
    draft.open_node(at, depth)  # as deep as its pair: a side is an operand, not a condition
    if not isinstance(raw, dict):
        draft.wrong(at, mistakes.not_an_event_node(kind, raw))
        return None
    found = mapping(draft, raw, at, "{event: purchase, count: {}}") or {}
    for key in found:
        if key in NUMBER.operators:
            draft.wrong(join(at, key), mistakes.compared_inside(key, kind))
        elif key not in EVENT_KEYS:
            draft.wrong(join(at, key), partial(mistakes.unknown_key, key, EVENT_KEYS))
    if "event" in found:
        return event_node(draft, found, at, pair=kind)
    draft.wrong(join(at, "event"), mistakes.missing_key("event", "event: purchase"))
    return None
