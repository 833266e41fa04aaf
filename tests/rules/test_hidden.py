"""What evaluators are told of a segment's actions."""

from __future__ import annotations

from typing import Any

import pytest

from rules.errors import SegmentInvalid
from rules.hidden import (
    hidden_document,
    hidden_id,
    is_hidden,
    parse_definition,
    rule_of,
    same_for_evaluators,
    segment_of,
)
from rules.language import parse_document

CALL = {"id": "call", "on": "entered", "use": "kommo.task"}
RULE = {"id": "vip", "enter": {"tag": "vip"}, "timezone": "Europe/Bucharest"}


def hidden(*actions: dict[str, Any], timezone: str = "UTC") -> Any:
    return parse_definition({"id": "vip/actions", "timezone": timezone, "actions": list(actions)})


def test_a_document_is_its_rule_and_what_is_hidden() -> None:
    document = {**RULE, "actions": [CALL]}
    assert rule_of(document) == RULE
    assert hidden_document(document) == {"id": "vip/actions", "actions": [CALL], "timezone": "Europe/Bucharest"}
    assert hidden_document(RULE) is None
    assert (hidden_id("vip"), segment_of("vip/actions"), is_hidden("vip/actions"), is_hidden("vip")) == (
        "vip/actions",
        "vip",
        True,
        False,
    )


def test_no_author_can_write_one() -> None:
    with pytest.raises(SegmentInvalid, match="is no segment id"):
        parse_document({"id": "vip/actions", "actions": [CALL]})


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ([CALL | {"with": {"text": "new"}, "rate": "1/s", "wait": "1d"}], True),
        ([CALL, CALL | {"id": "more"}], True),
        ([CALL | {"on": {"event": "refund"}}], False),
        ([CALL | {"unless": {"tag": "away"}}], False),
    ],
)
def test_only_conditions_and_event_types_are_news_to_evaluators(other: list[dict[str, Any]], same: bool) -> None:
    assert same_for_evaluators(hidden(CALL), hidden(*other)) is same
    assert same_for_evaluators(hidden(*other), None) is same


def test_the_same_condition_in_another_timezone_is_another() -> None:
    asking = CALL | {"unless": {"tag": "away"}}
    assert same_for_evaluators(hidden(asking), hidden(asking))
    assert not same_for_evaluators(hidden(asking), hidden(asking, timezone="Asia/Tokyo"))
    assert same_for_evaluators(hidden(CALL), hidden(CALL, timezone="Asia/Tokyo"))


def test_a_sample_has_the_salt_of_its_segment() -> None:
    found = hidden(CALL | {"unless": {"sample": {"percent": 10}}})
    assert found.enter.of[0].salt == "vip"
