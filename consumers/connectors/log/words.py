"""What the calls of `profile` and `segment` take, and the event that each writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consumers.connectors.port import RenderFailed
from rules.errors import SegmentInvalid
from rules.language.draft import Draft
from rules.language.parse_values import duration
from rules.times import add, format_instant

Properties = dict[str, Any]
Write = Callable[[Mapping[str, Any], int, str], Properties]
"""From a rendered `with`, the instant (ms) and the segment's timezone to the event's properties."""


@dataclass(frozen=True, slots=True)
class Word:
    """One call. `needs` and `may`: the keys of its `with`; `back`: what takes it back; None where nothing does."""

    event: str
    needs: tuple[str, ...]
    write: Write
    back: Write | None = None
    may: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.needs, *self.may)


def _names(value: Any, what: str) -> list[str]:
    """One name or a list of them."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise RenderFailed(f"`{what}` must be a name or a list of names")
    return names


def _set(with_: Mapping[str, Any], _now: int, _tz: str) -> Properties:
    attributes = with_["attributes"]
    if not isinstance(attributes, dict) or not attributes:
        raise RenderFailed("`attributes` must be a mapping from names to values")
    return {"set": attributes}


def _set_back(with_: Mapping[str, Any], now: int, tz: str) -> Properties:
    return {"unset": list(_set(with_, now, tz)["set"])}


def _unset(with_: Mapping[str, Any], _now: int, _tz: str) -> Properties:
    return {"unset": _names(with_["attributes"], "attributes")}


def _tag(with_: Mapping[str, Any], _now: int, _tz: str) -> Properties:
    return {"tags_add": _names(with_["tags"], "tags")}


def _untag(with_: Mapping[str, Any], _now: int, _tz: str) -> Properties:
    return {"tags_remove": _names(with_["tags"], "tags")}


def _membership(action: str) -> Write:
    def write(with_: Mapping[str, Any], now: int, tz: str) -> Properties:
        if not isinstance(with_["segment"], str):
            raise RenderFailed("`segment` must be the id of a segment")
        properties: Properties = {"segment": with_["segment"], "action": action}
        if "for" in with_ and action != "clear":
            properties["until"] = format_instant(add(now, _duration(with_["for"]), tz))
        return properties

    return write


def _duration(raw: Any) -> Any:
    draft = Draft()
    found = duration(draft, raw, "for")
    if found is None:
        raise RenderFailed(str(SegmentInvalid(draft.mistakes)))
    return found


PROFILE: Mapping[str, Word] = {
    "set": Word("profile", ("attributes",), _set, _set_back),
    "unset": Word("profile", ("attributes",), _unset),
    "tag": Word("profile", ("tags",), _tag, _untag),
    "untag": Word("profile", ("tags",), _untag, _tag),
}
SEGMENT: Mapping[str, Word] = {
    "add": Word("membership", ("segment",), _membership("add"), _membership("clear"), ("for",)),
    "remove": Word("membership", ("segment",), _membership("remove"), _membership("clear"), ("for",)),
}
