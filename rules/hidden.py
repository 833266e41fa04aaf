"""What evaluators must know of a segment's actions: a definition of its own in the log, that nobody sees.

Its id is `<segment>/actions`. It is paused for ever: what its conditions ask is collected like a segment's, but nobody
is judged, enters or leaves by it. So an edit of actions makes no new version of the rule, and one that changes neither
a condition (`unless`) nor an event type (`on: {event: T}`) not even a new edition (`same_for_evaluators`).

The document is `{"id", "timezone", "actions": [...]}`, with the actions as their author wrote them: a registry that was
lost is restored from the log, actions and all.
"""

from __future__ import annotations

from typing import Any

from rules.actions import Action, OnEvent
from rules.errors import Mistake, SegmentInvalid
from rules.language import parse_document
from rules.language.documents import AnyOf, Segment

_SUFFIX = "/actions"


def hidden_id(segment: str) -> str:
    return segment + _SUFFIX


def is_hidden(definition: str) -> bool:
    """Whether a definition of the log is about a segment's actions."""
    return definition.endswith(_SUFFIX)


def segment_of(definition: str) -> str:
    """The segment that a definition of the log is of, or about."""
    return definition.removesuffix(_SUFFIX)


def hidden_document(document: dict[str, Any]) -> dict[str, Any] | None:
    """What the log is told of a good document's actions; None where it has none."""
    if not document.get("actions"):
        return None
    told = {"id": hidden_id(document["id"]), "actions": document["actions"]}
    return {**told, "timezone": document["timezone"]} if "timezone" in document else told


def rule_of(document: dict[str, Any]) -> dict[str, Any]:
    """A document without its actions: what decides who is a member."""
    return {key: value for key, value in document.items() if key != "actions"}


def parse_definition(document: Any) -> Segment:
    """The document of any definition of the log as its type. Raises SegmentInvalid.

    A hidden one has the conditions of its actions as `enter`: an `any` of them in order of the actions, or nothing.
    """
    if not isinstance(document, dict) or not is_hidden(str(document.get("id", ""))):
        return parse_document(document)
    segment = segment_of(document["id"])
    found = parse_document({**document, "id": segment, "list": True})
    if not found.actions:
        raise SegmentInvalid([Mistake("actions", "there are none")])
    asked = tuple(action.unless for action in found.actions if action.unless is not None)
    return Segment(
        id=document["id"],
        enter=AnyOf(asked, "actions") if asked else None,
        timezone=found.timezone,
        list=not asked,
        actions=found.actions,
    )


def same_for_evaluators(one: Segment | None, other: Segment | None) -> bool:
    """Whether two hidden documents (None: there is none) ask for the same: then it is only the version that differs."""
    return _asked(one) == _asked(other)


def _asked(found: Segment | None) -> object:
    if found is None:
        return "", [], []
    conditions = [(action.id, action.unless) for action in found.actions if action.unless is not None]
    return found.timezone if conditions else "", conditions, sorted(triggering(found.actions))


def triggering(actions: tuple[Action, ...]) -> set[str]:
    """The event types that some `on: {event: T}` waits for."""
    return {event for action in actions if isinstance(action.on, OnEvent) for event in action.on.events}
