"""Reads conditions: finds out which form a node has, and reads logic and the leaves that are no events."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from rules.language import mistakes
from rules.language.documents import (
    All,
    AnyOf,
    AtLeast,
    AttributeNode,
    Condition,
    NoneOf,
    Not,
    SampleNode,
    SegmentNode,
    TagNode,
)
from rules.language.draft import Draft, join
from rules.language.parse_comparisons import NUMBER, OPERATORS, VALUE, comparison
from rules.language.parse_events import EVENT_KEYS, event_node, pair_node
from rules.language.parse_values import duration, each, listing, mapping, number, only_keys, path, text
from rules.limits import LIST_VALUES_MAX, PATH_CHARS_MAX, SEGMENT_ID_CHARS_MAX

SEGMENT_ID = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{SEGMENT_ID_CHARS_MAX - 1}}}")
_LIST_EXAMPLE = "[{event: purchase}, {tag: vip}]"


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a condition: the keys that may stand beside its own, and who reads it (draft, node, at, depth)."""

    keys: tuple[str, ...]
    read: Callable[[Draft, dict[str, Any], str, int], Condition | None]
    compares: bool = False  # operators stand in the node itself


def condition(draft: Draft, raw: Any, at: str, depth: int = 1) -> Condition | None:
    """One node and all below it; None where a mistake was noted."""
    if not draft.open_node(at, depth):
        return None
    if not isinstance(raw, dict):
        draft.wrong(at, mistakes.null_value() if raw is None else mistakes.not_a_condition(raw))
        return None
    node = mapping(draft, raw, at, "{event: purchase}") or {}
    heads = [key for key in node if key in FORMS]
    if not heads:
        _headless(draft, node, at)
        return None
    if len(heads) > 1:
        draft.wrong(at, mistakes.two_conditions(heads))
    known = tuple(dict.fromkeys(key for head in heads for key in FORMS[head].keys))
    strangers = [key for key in node if key not in known]
    if not any(FORMS[head].compares for head in heads):
        only_keys(draft, node, at, known)
    read = [_read_form(draft, node, at, depth, head, strangers) for head in heads]
    return read[0] if len(read) == 1 else None


def _read_form(
    draft: Draft, node: dict[str, Any], at: str, depth: int, head: str, strangers: list[str]
) -> Condition | None:
    """Reads the keys that belong to this form; in one that is compared, an unknown key was meant as an operator."""
    form = FORMS[head]
    keys = (*form.keys, *strangers) if form.compares else form.keys
    return form.read(draft, {key: node[key] for key in node if key in keys}, at, depth)


def _headless(draft: Draft, node: dict[str, Any], at: str) -> None:
    """No key says what condition this is: a key misspelled, or forgotten beside others that need it."""
    strangers = [key for key in node if key not in _ANY_KEYS]
    for key in strangers:
        draft.wrong(join(at, key), partial(mistakes.no_such_condition, key, tuple(FORMS)))
    if strangers:
        return
    for head, example in (("event", "event: purchase"), ("segment", "segment: vip")):
        if node and all(key in FORMS[head].keys for key in node):
            draft.wrong(join(at, head), mistakes.missing_key(head, example))
            return
    draft.wrong(at, mistakes.no_condition(tuple(FORMS)))


# Logic


def _conditions(draft: Draft, raw: Any, at: str, depth: int) -> tuple[Condition, ...] | None:
    values = listing(draft, raw, at, _LIST_EXAMPLE)
    if values is None:
        return None
    found = [condition(draft, value, f"{at}[{index}]", depth + 1) for index, value in enumerate(values)]
    good = tuple(one for one in found if one)
    return good if len(good) == len(found) else None


def _group(
    draft: Draft, raw: dict[str, Any], at: str, depth: int, key: str, make: type[All] | type[AnyOf] | type[NoneOf]
) -> Condition | None:
    of = _conditions(draft, raw[key], join(at, key), depth)
    return make(of, at) if of else None


def _not(draft: Draft, raw: dict[str, Any], at: str, depth: int) -> Condition | None:
    of = condition(draft, raw["not"], join(at, "not"), depth + 1)
    return Not(of, at) if of else None


def _at_least(draft: Draft, raw: dict[str, Any], at: str, depth: int) -> Condition | None:
    here = join(at, "at_least")
    found = mapping(draft, raw["at_least"], here, f"{{n: 2, of: {_LIST_EXAMPLE}}}")
    if found is None:
        return None
    only_keys(draft, found, here, ("n", "of"))
    for key in ("n", "of"):
        if key not in found:
            draft.wrong(join(here, key), mistakes.missing_key(key, f"at_least: {{n: 2, of: {_LIST_EXAMPLE}}}"))
    of = _conditions(draft, found["of"], join(here, "of"), depth) if "of" in found else None
    among = found.get("of")
    n = _threshold(draft, found, join(here, "n"), len(among) if isinstance(among, list | tuple) else 0)
    return AtLeast(n, of, at) if n and of else None


def _threshold(draft: Draft, raw: dict[str, Any], at: str, count: int) -> int | None:
    """`n`, from 1 to the length of its list (as far as there is one)."""
    n = raw.get("n")
    if "n" not in raw:
        return None
    if isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= (count or LIST_VALUES_MAX):
        return n
    draft.wrong(at, mistakes.n_not_possible(n, count or LIST_VALUES_MAX))
    return None


# Leaves


def _event(draft: Draft, raw: dict[str, Any], at: str, _depth: int) -> Condition | None:
    return event_node(draft, raw, at)


def _attribute(draft: Draft, raw: dict[str, Any], at: str, _depth: int) -> Condition | None:
    where = path(draft, raw["attribute"], join(at, "attribute"))
    compared = comparison(draft, raw, at, VALUE, ("attribute",), "this attribute")
    return AttributeNode(where, compared, at) if where and compared else None


def _tag(draft: Draft, raw: dict[str, Any], at: str, _depth: int) -> Condition | None:
    here, asked = join(at, "tag"), raw["tag"]
    if isinstance(asked, list | tuple):
        draft.wrong(here, mistakes.not_a_tag(asked))
        return None
    if not isinstance(asked, dict):
        name = _tag_name(draft, asked, here)
        return TagNode(all=(name,), at=at) if name else None
    found = mapping(draft, asked, here, "{any: [gold, silver]}") or {}
    if not asked:
        draft.wrong(here, mistakes.not_a_tag(asked))
    only_keys(draft, found, here, ("any", "all", "none"))
    parts = {
        key: each(draft, found[key], join(here, key), _tag_name, "[gold, silver]")
        for key in ("any", "all", "none")
        if key in found
    }
    if not parts or None in parts.values():
        return None
    return TagNode(parts.get("any") or (), parts.get("all") or (), parts.get("none") or (), at)


def _tag_name(draft: Draft, raw: Any, at: str) -> str | None:
    return text(draft, raw, at, "a tag", PATH_CHARS_MAX)


def segment_id(draft: Draft, raw: Any, at: str) -> str | None:
    name = text(draft, raw, at, "a segment's id", 1 << 20)
    if name is None or SEGMENT_ID.fullmatch(name):
        return name
    draft.wrong(at, mistakes.not_an_id(name))
    return None


def _segment(draft: Draft, raw: dict[str, Any], at: str, _depth: int) -> Condition | None:
    name = segment_id(draft, raw["segment"], join(at, "segment"))
    stay = duration(draft, raw["for"], join(at, "for")) if "for" in raw else None
    if name and name == draft.segment_id:
        draft.wrong(at, mistakes.of_itself(name))
    return SegmentNode(name, stay, at) if name else None


def _sample(draft: Draft, raw: dict[str, Any], at: str, _depth: int) -> Condition | None:
    here = join(at, "sample")
    found = mapping(draft, raw["sample"], here, "{percent: 10, salt: x}")
    if found is None:
        return None
    only_keys(draft, found, here, ("percent", "salt"))
    salt: str | None = draft.segment_id
    if "salt" in found:
        salt = text(draft, found["salt"], join(here, "salt"), "a salt", PATH_CHARS_MAX)
    percent = _percent(draft, found, join(here, "percent"))
    return None if percent is None or salt is None else SampleNode(percent, salt, at)


def _percent(draft: Draft, raw: dict[str, Any], at: str) -> Fraction | None:
    """The share as the exact fraction of its decimal text: 0.1 is a tenth, not the float next to it."""
    if "percent" not in raw:
        draft.wrong(at, mistakes.missing_key("percent", "sample: {percent: 10}"))
        return None
    found = number(draft, raw["percent"], at)
    if found is None:
        return None
    if not 0 <= found <= 100:
        draft.wrong(at, mistakes.not_a_percent(found))
        return None
    return Fraction(repr(found))


FORMS: dict[str, Form] = {
    "all": Form(("all",), partial(_group, key="all", make=All)),
    "any": Form(("any",), partial(_group, key="any", make=AnyOf)),
    "none": Form(("none",), partial(_group, key="none", make=NoneOf)),
    "not": Form(("not",), _not),
    "at_least": Form(("at_least",), _at_least),
    "event": Form(EVENT_KEYS, _event),
    "attribute": Form(("attribute", *OPERATORS), _attribute, True),
    "tag": Form(("tag",), _tag),
    "segment": Form(("segment", "for"), _segment),
    "ratio": Form(("ratio", *NUMBER.operators), partial(pair_node, kind="ratio"), True),
    "difference": Form(("difference", *NUMBER.operators), partial(pair_node, kind="difference"), True),
    "sample": Form(("sample",), _sample),
}
_ANY_KEYS = frozenset(key for form in FORMS.values() for key in form.keys)
