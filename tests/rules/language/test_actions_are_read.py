"""Actions of a segment: read into their types, refused with every mistake where it is."""

from __future__ import annotations

import inspect
from math import inf
from pathlib import Path
from typing import Any

import pytest

from rules.actions import CAUSES, Action, Every, Limit, OnEvent, QuietHours, Rate
from rules.language import check_set, load_yaml, mistakes_actions, parse_document, texts
from rules.language.check import references
from rules.language.documents import Duration
from rules.limits import ACTIONS_MAX, DOCUMENT_NODES_MAX
from tests.rules.language import reading

TABLE: dict[str, list[dict[str, Any]]] = load_yaml(Path(__file__).with_name("mistakes_actions.yaml").read_text())
ELSEWHERE = {"too_many_actions", "not_json"}
OF_THE_CONTRACT = """
- {id: welcome, on: entered, use: mail.send, with: {template: welcome, subject: "Hello {{ customer.name }}"}}
- {id: call,    on: entered, wait: 2d, use: kommo.task, with: {text: "Call {{ customer.name }}", user: "{{ customer.owner }}"}}
- {id: ads,     on: member,  use: meta.audience, with: {audience: "1203"}}
- {id: thanks,  on: {event: order_returned}, use: mail.send, with: {template: feedback}}
- {id: monthly, on: {every: 1mo, at: "09:00"}, use: mail.send, with: {template: recommendations}}
"""  # noqa: E501


def document(actions: Any) -> dict[str, Any]:
    return {"id": "a", "enter": {"tag": "x"}, "actions": actions}


def action(**keys: Any) -> Action:
    (found,) = parse_document(document([{"id": "b", "on": "entered", "use": "mail.send", **keys}])).actions
    return found


@pytest.mark.parametrize(
    ("actions", "told"), [(row["actions"], row["told"]) for rows in TABLE.values() for row in rows]
)
def test_a_mistake_in_an_action_is_told_where_it_is(actions: Any, told: list[str]) -> None:
    assert reading.mistakes(document(actions)) == told


def test_every_kind_of_mistake_in_actions_stands_in_the_table() -> None:
    functions = inspect.getmembers(mistakes_actions, inspect.isfunction)
    known = {name for name, made in functions if made.__module__ == mistakes_actions.__name__}
    assert known - set(TABLE) == ELSEWHERE


def test_the_actions_of_the_contract_are_read() -> None:
    found = parse_document(document(load_yaml(OF_THE_CONTRACT))).actions
    assert [(each.id, each.on, each.connector, each.call) for each in found] == [
        ("welcome", "entered", "mail", "send"),
        ("call", "entered", "kommo", "task"),
        ("ads", "member", "meta", "audience"),
        ("thanks", OnEvent(("order_returned",)), "mail", "send"),
        ("monthly", Every(Duration(months=1), 540), "mail", "send"),
    ]
    assert found[1].wait == Duration(ms=2 * 86_400_000)
    assert found[2].with_ == {"audience": "1203"}


def test_entering_leaves_out_backfill_and_definition_unless_causes_say_otherwise() -> None:
    assert set(CAUSES) - set(action().causes) == {"backfill", "definition"}
    assert action(causes=["backfill"]).causes == ("backfill",)
    assert action(on="member").causes == CAUSES


def test_how_often_and_when_an_action_may_call() -> None:
    found = action(limit={"per_customer": 2, "per": "1y"}, rate="120/m", quiet_hours=["22:00", "8:30"])
    assert found.limit == Limit(2, Duration(months=12))
    assert found.rate == Rate(120, "m")
    assert found.rate.per_second == 2.0
    assert found.quiet_hours == QuietHours(22 * 60, 8 * 60 + 30)


def test_unless_is_a_condition_like_any_other_and_counts_toward_the_limit_of_nodes() -> None:
    many = {"any": [{"tag": f"t{n}"} for n in range(DOCUMENT_NODES_MAX - 1)]}
    assert reading.mistakes({"id": "a", "enter": {"tag": "x"}, "exit": many}) != []
    told = reading.mistakes(document([{"id": "b", "on": "entered", "use": "mail.send", "unless": many}]))
    assert len(told) == 1
    assert told[0].startswith("actions[0].unless.any[198]: a document has at most 200 conditions")


def test_what_unless_names_must_be_there_as_what_conditions_name() -> None:
    found = parse_document(document([{"id": "b", "on": "entered", "use": "mail.send", "unless": {"segment": "vip"}}]))
    assert [node.segment for node in references(found)] == ["vip"]
    assert [str(mistake) for mistake in check_set({"a": found})] == [
        "a: actions[0].unless: no such segment `vip`: define it first"
    ]


def test_unless_is_put_into_words_by_its_path() -> None:
    found = parse_document(document([{"id": "b", "on": "entered", "use": "mail.send", "unless": {"tag": "vip"}}]))
    assert texts(found)["actions[0].unless"] == 'has the tag "vip"'


def test_there_are_so_many_actions_at_most() -> None:
    many = [{"id": f"b{n}", "on": "entered", "use": "mail.send"} for n in range(ACTIONS_MAX + 1)]
    assert reading.mistakes(document(many[:-1])) == []
    assert reading.mistakes(document(many)) == ["actions: a segment has at most 50 actions, these are 51"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (inf, "actions[0].with.text.a[1]: must be a finite number, this is inf"),
        (2**63, "actions[0].with.text.a[1]: whole numbers go up to ±9223372036854775807: write a longer one as text, "
         "in quotes"),
        ({1}, "actions[0].with.text.a[1]: must be what JSON can say (text, numbers, true, false, null, lists, "
         "mappings); this is a value of type set"),
    ],
)  # fmt: skip
def test_what_json_cannot_say_is_no_value_of_with(value: Any, told: str) -> None:
    raw = {"id": "b", "on": "entered", "use": "mail.send", "with": {"text": {"a": [None, value]}}}
    assert reading.mistakes(document([raw])) == [told]
