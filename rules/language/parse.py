"""Reads a whole document: parsed and checked in one pass that collects every mistake (contract §2)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from rules.errors import SegmentInvalid
from rules.language import mistakes
from rules.language.documents import Condition, Hold, Segment
from rules.language.draft import Draft, join
from rules.language.parse_actions import actions
from rules.language.parse_conditions import SEGMENT_ID, condition
from rules.language.parse_values import boolean, duration, mapping, only_keys, text
from rules.limits import ABOUT_CHARS_MAX, NAME_CHARS_MAX
from rules.times import zone

DOCUMENT_KEYS = ("id", "name", "about", "timezone", "enter", "exit", "hold", "list", "actions", "benefits")
_LATER_KEYS = ("benefits",)  # contract §7
_HOLD_KEYS = ("min_stay", "cooldown")
_NO_ZONES = frozenset({"localtime", "Factory", "posixrules"})  # files that some machines keep among the zones


def parse_document(raw: Any) -> Segment:
    """A document (decoded YAML or JSON) as its frozen type. Raises SegmentInvalid with every mistake, nothing else."""
    draft = Draft()
    found = _document(draft, raw)
    if draft.mistakes:
        raise SegmentInvalid(draft.mistakes)
    assert found is not None, "a document without a mistake was read"
    return found


def _document(draft: Draft, raw: Any) -> Segment | None:
    document = mapping(draft, raw, "", "{id: buyers, enter: {event: purchase}}")
    if document is None:
        return None
    only_keys(draft, document, "", DOCUMENT_KEYS)
    for key in _LATER_KEYS:
        if key in document:
            draft.wrong(key, mistakes.not_supported_yet(key))
    draft.segment_id = _id(draft, document)
    draft.timezone = _timezone(draft, document)
    by_hand = boolean(draft, document["list"], "list") if "list" in document else False
    enter = _enter(draft, document, by_hand)
    leave = condition(draft, document["exit"], "exit") if "exit" in document else None
    return Segment(
        id=draft.segment_id,
        enter=enter,
        exit=leave,
        hold=_hold(draft, document),
        timezone=draft.timezone,
        name=_free_text(draft, document, "name", NAME_CHARS_MAX),
        about=_free_text(draft, document, "about", ABOUT_CHARS_MAX),
        list=bool(by_hand),
        actions=actions(draft, document["actions"]) if "actions" in document else (),
    )


def _id(draft: Draft, document: dict[str, Any]) -> str:
    """The document's id, "" where it is wrong."""
    if "id" not in document:
        draft.wrong("id", mistakes.missing_key("id", "id: big-spenders"))
        return ""
    found = text(draft, document["id"], "id", "an id", 1 << 20)
    if found is None:
        return ""
    if not SEGMENT_ID.fullmatch(found):
        draft.wrong("id", mistakes.not_an_id(found))
        return ""
    return found


def _timezone(draft: Draft, document: dict[str, Any]) -> str:
    """The document's timezone; UTC where it has none or a wrong one."""
    if "timezone" not in document:
        return "UTC"
    name = text(draft, document["timezone"], "timezone", "a timezone", 1 << 20)
    if name is None:
        return "UTC"
    if not _is_zone(name):
        draft.wrong("timezone", mistakes.no_such_timezone(name, _zone_names()))
        return "UTC"
    return name


@lru_cache(maxsize=1)
def _zone_names() -> tuple[str, ...]:
    return tuple(sorted(available_timezones() - _NO_ZONES))


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    """Only names on the list are opened: a name is a path on disk."""
    if name not in _zone_names():
        return False
    try:
        zone(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _enter(draft: Draft, document: dict[str, Any], by_hand: bool | None) -> Condition | None:
    """The rule; `by_hand` is None where the author's `list` could not be read."""
    if by_hand:
        for key in ("enter", "exit", "hold"):
            if key in document:
                draft.wrong(key, mistakes.list_with_rule(key))
    if "enter" in document:
        return condition(draft, document["enter"], "enter")
    if by_hand is False:
        draft.wrong("enter", mistakes.missing_key("enter", "enter: {event: purchase}"))
    return None


def _hold(draft: Draft, document: dict[str, Any]) -> Hold:
    if "hold" not in document:
        return Hold()
    found = mapping(draft, document["hold"], "hold", "{min_stay: 1h, cooldown: 1d}") or {}
    only_keys(draft, found, "hold", _HOLD_KEYS)
    held = {key: duration(draft, found[key], join("hold", key)) for key in _HOLD_KEYS if key in found}
    return Hold(**held)


def _free_text(draft: Draft, document: dict[str, Any], key: str, chars_max: int) -> str:
    if key not in document:
        return ""
    return text(draft, document[key], key, f"`{key}`", chars_max, empty=True) or ""
