"""The limits of a document: what just fits is taken, what is just past is refused with the limit in the message."""

from __future__ import annotations

from typing import Any

import pytest

from rules import limits
from tests.rules.language.reading import mistakes

TAG: dict[str, Any] = {"tag": "x"}


def nested(depth: int) -> Any:
    found = TAG
    for _ in range(depth - 1):
        found = {"not": found}
    return {"id": "a", "enter": found}


def wide(nodes: int) -> Any:
    return {"id": "a", "enter": {"any": [TAG] * (nodes - 1)}}


def in_list(count: int) -> Any:
    return {"id": "a", "enter": {"attribute": "country", "in": list(range(count))}}


def pattern(chars: int) -> Any:
    return {"id": "a", "enter": {"attribute": "sku", "matches": "ã" * chars}}


def segment_id(chars: int) -> Any:
    return {"id": "a" * chars, "enter": TAG}


def event_type(chars: int) -> Any:
    return {"id": "a", "enter": {"event": "e" * chars}}


def name(chars: int) -> Any:
    return {"id": "a", "name": "n" * chars, "enter": TAG}


def about(chars: int) -> Any:
    return {"id": "a", "about": "n" * chars, "enter": TAG}


def tag(chars: int) -> Any:
    return {"id": "a", "enter": {"tag": "t" * chars}}


def path(chars: int) -> Any:
    return {"id": "a", "enter": {"attribute": "p" * chars, "exists": True}}


def years(count: int) -> Any:
    return {"id": "a", "enter": {"event": "x", "within": f"{count}y"}}


def exact_days(count: int) -> Any:
    return {"id": "a", "enter": {"event": "x", "within": f"{count}d"}}


def integer(value: int) -> Any:
    return {"id": "a", "enter": {"attribute": "n", "eq": value}}


NOTS = "enter" + ".not" * 10
TABLE: list[tuple[Any, int, str]] = [
    (nested, 10, f"{NOTS}: conditions nest at most 10 deep: move an inner part to a segment of its own"),
    (wide, 200, "enter.any[199]: a document has at most 200 conditions: move a part to a segment of its own"),
    (in_list, 10_000, "enter.in: a list holds at most 10,000 values, this one has 10,001"),
    (pattern, 1024, "enter.matches: a pattern may be at most 1,024 characters long, this one has 1,025"),
    (segment_id, 64, f"id: `{'a' * 64}…` is no segment id: lower case letters, digits, `_` and `-`, "
     "beginning with a letter or a digit, at most 64 characters"),
    (event_type, 64, f"enter.event: `{'e' * 64}…` is no event type: lower case letters, digits and `_`, "
     "beginning with a letter, at most 64 characters"),
    (name, 256, "name: `name` may be at most 256 characters long, this one has 257"),
    (about, 10_000, "about: `about` may be at most 10,000 characters long, this one has 10,001"),
    (tag, 256, "enter.tag: a tag may be at most 256 characters long, this one has 257"),
    (path, 256, f"enter.attribute: `{'p' * 64}…` is no path: write names joined by single dots, "
     "such as `amount` or `items.category`, at most 256 characters"),
    (years, 100, "enter.within: a duration may be at most 100 years"),
    (exact_days, 36_525, "enter.within: a duration may be at most 100 years"),
    (integer, 2**63 - 1,
     "enter.eq: whole numbers go up to ±9223372036854775807: write a longer one as text, in quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "most", "told"), TABLE, ids=[make.__name__ for make, _, _ in TABLE])
def test_a_limit_holds_exactly(make: Any, most: int, told: str) -> None:
    assert mistakes(make(most)) == []
    assert mistakes(make(most + 1)) == [told]


def test_enter_exit_and_the_sides_of_pairs_count_together() -> None:
    side = {"event": "x", "count": {}}
    raw = {"id": "a", "enter": {"ratio": [side, side], "gte": 1}, "exit": wide(197)["enter"]}
    assert mistakes(raw) == []
    raw["exit"] = wide(198)["enter"]
    assert [line.split(":")[0] for line in mistakes(raw)] == ["exit.any[196]"]


def test_a_document_far_beyond_every_limit_is_refused_without_harm() -> None:
    deep = TAG
    for _ in range(5_000):
        deep = {"all": [deep]}
    told = mistakes({"id": "a", "enter": {"any": [deep] + [TAG] * 500}})
    assert len(told) == 2


def test_mistakes_behind_the_last_counted_node_are_still_told() -> None:
    raw = {"id": "a", "enter": {"any": [TAG] * limits.DOCUMENT_NODES_MAX + [{"tag": ""}]}}
    assert [line.split(":")[0] for line in mistakes(raw)] == ["enter.any[199]", "enter.any[200].tag"]
