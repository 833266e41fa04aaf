"""Repeats what the author wrote, safely, and finds what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from rules.limits import INTEGER_MAX

_WORD_CHARS_MAX = 64  # of what the author wrote, as far as it is repeated and compared with what is known
_SHOWN_MAX = 24  # names listed in one message

# What people write who know another language; close spelling does not find these.
_MEANT = {
    "=": "eq", "==": "eq", "equals": "eq", "is": "eq", "equal": "eq",
    "!=": "ne", "<>": "ne", "not": "ne", "is_not": "ne", "neq": "ne", "not_equals": "ne",
    ">": "gt", "more_than": "gt", "greater_than": "gt", "above": "gt", "over": "gt", "after": "gt",
    ">=": "gte", "at_least": "gte", "ge": "gte", "min": "gte",
    "<": "lt", "less_than": "lt", "fewer_than": "lt", "below": "lt", "under": "lt",
    "<=": "lte", "at_most": "lte", "le": "lte", "max": "lte",
    "one_of": "in", "any_of": "in", "none_of": "not_in", "nin": "not_in",
    "includes": "contains", "has": "contains", "regex": "matches", "like": "matches", "length": "size",
    "and": "all", "or": "any", "nor": "none", "type": "event", "property": "attribute", "field": "attribute",
    "description": "about", "title": "name", "tz": "timezone", "entry": "enter", "when": "enter",
    "filter": "where", "since": "within", "in_the_last": "within", "average": "avg", "mean": "avg",
    "unique": "distinct",
}  # fmt: skip


def shown(value: Any) -> str:
    """What the author wrote, short enough for a message, as text that any reader can take."""
    if isinstance(value, str):
        clean = value[:_WORD_CHARS_MAX].encode("utf-8", "replace").decode("utf-8")
        return f"`{clean}{'…' if len(value) > _WORD_CHARS_MAX else ''}`"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return "a number of more than 63 bits"
    return (
        repr(value)[:_WORD_CHARS_MAX] if isinstance(value, int | float) else f"a value of type {type(value).__name__}"
    )


def listed(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:_SHOWN_MAX]) + (", …" if len(known) > _SHOWN_MAX else "")


def close_to(word: Any, known: Sequence[str]) -> str | None:
    """The known name that was probably meant."""
    if not isinstance(word, str):
        return None
    lowered = word[:_WORD_CHARS_MAX].lower()
    if (meant := _MEANT.get(lowered)) in known:
        return meant
    return nearest(lowered, known)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known name that is spelled most alike, if any is."""
    close = get_close_matches(word[:_WORD_CHARS_MAX], known, n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(kind: str, word: Any, known: Sequence[str], allowed: str = "one of") -> str:
    meant = close_to(word, known)
    hint = f"; did you mean `{meant}`?" if meant else ";"
    return f"no such {kind} {shown(word)}{hint} {allowed}: {listed(known)}"
