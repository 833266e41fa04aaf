"""Every way of being wrong, with where it is told and the whole message."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from rules.errors import SegmentInvalid
from rules.language import load_yaml, mistakes, parse_document
from tests.rules.language import reading

TABLE: dict[str, list[dict[str, Any]]] = load_yaml(Path(__file__).with_name("mistakes.yaml").read_text())
ROWS = [(kind, row["document"], row["told"]) for kind, rows in TABLE.items() for row in rows]
INVALID = load_yaml((reading.CASES / "invalid.yaml").read_text())

HALF = "\ud83d"
BEYOND_TEXT: list[tuple[str, Any, list[str]]] = [
    ("key_not_text", {"id": "a", "enter": {"tag": "x"}, 5: 1}, ["5: a key must be text, this is 5: quote it"]),
    ("key_not_text", {"id": "a", "enter": {"tag": "x", None: 1}},
     ["enter.None: a key must be text, this is null: quote it"]),
    ("unreadable_text", {"id": "a", "enter": {"tag": HALF}},
     ["enter.tag: a tag holds half of a surrogate pair, which is no character: write the whole character"]),
    ("unreadable_text", {"id": "a", "enter": {"attribute": "x", "matches": f"a{HALF}"}},
     ["enter.matches: this holds half of a surrogate pair, which is no character: write the whole character"]),
    ("not_a_path", {"id": "a", "enter": {"event": "x", "where": {HALF: 1}}},
     ["enter.where.?: `?` is no path: write names joined by single dots, such as `amount` or `items.category`, "
      "at most 256 characters"]),
    ("not_a_scalar", {"id": "a", "enter": {"attribute": "x", "eq": {1, 2}}},
     ["enter.eq: must be a text, a number, true or false; this is a value of type set"]),
]  # fmt: skip
ELSEWHERE = {  # shown by the tests of limits, and of documents together
    "too_deep", "too_many_nodes", "too_many_values", "too_long", "pattern_too_long",
    "no_such_segment", "in_a_ring", "too_many_segments",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "raw", "told"), ROWS + BEYOND_TEXT)
def test_a_mistake_is_told_where_it_is_and_says_what_would_be_right(kind: str, raw: Any, told: list[str]) -> None:
    assert reading.mistakes(raw) == told


def test_every_kind_of_mistake_stands_in_a_table() -> None:
    told = {kind for kind, _, _ in ROWS + BEYOND_TEXT}
    functions = inspect.getmembers(mistakes, inspect.isfunction)
    known = {name for name, made in functions if made.__module__ == mistakes.__name__ and not name.startswith("_")}
    assert told | ELSEWHERE == known


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case["name"])
def test_a_document_of_the_contract_is_refused_where_it_says_and_nowhere_else(case: dict[str, Any]) -> None:
    with pytest.raises(SegmentInvalid) as caught:
        parse_document(case["document"])
    found = [mistake.at for mistake in caught.value.mistakes]
    asked = case["errors"]
    assert [path for path in asked if not any(_at_or_below(at, path) for at in found)] == []
    assert [at for at in found if not any(_at_or_below(at, path) for path in asked)] == []


def _at_or_below(at: str, path: str) -> bool:
    return at == path or at.startswith((f"{path}.", f"{path}["))


def test_more_than_a_hundred_mistakes_are_counted_but_not_all_told() -> None:
    raw = {"id": "a", "enter": {"attribute": "x", "in": [None] * 150}}
    with pytest.raises(SegmentInvalid) as caught:
        parse_document(raw)
    assert (caught.value.told, caught.value.total) == (100, 150)
    assert str(caught.value).endswith("... and 50 more")


def test_mistakes_are_told_before_and_after_a_node_with_two_conditions() -> None:
    raw = load_yaml("{id: a, enter: {event: P, tag: '', within: 0d, attribute: x}}")
    assert [line.split(": ")[0] for line in reading.mistakes(raw)] == [
        "enter", "enter.event", "enter.within", "enter.tag", "enter",
    ]  # fmt: skip


def test_a_hundred_thousand_unknown_keys_are_counted_without_looking_for_what_each_meant() -> None:
    with pytest.raises(SegmentInvalid) as caught:
        parse_document({"id": "a", "enter": {"tag": "x"}, **{f"entr{n}": 1 for n in range(100_000)}})
    assert caught.value.total == 100_000
