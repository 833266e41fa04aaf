"""docs/connectors.md does not rot: its examples are right, and it names everything that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from consumers.connectors import parse, parse_answers, parse_calls
from consumers.connectors.filters import _OURS, KEPT
from consumers.connectors.load import packaged_documents
from consumers.connectors.markup import TAGS
from consumers.connectors.parse import parse_connector
from consumers.connectors.port import Connectors
from consumers.connectors.secrets import Secrets
from consumers.connectors.variables import ITEM_FIELDS, RESERVED
from rules.language import load_yaml, parse_document
from tests.consumers.connectors.playing import Played
from tests.consumers.connectors.test_load import loaded

PAGE = (Path(__file__).parents[3] / "docs" / "connectors.md").read_text()
BLOCKS = [load_yaml(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)]
ACTIONS: list[dict[str, Any]] = [action for block in BLOCKS for action in block.get("actions", ())]


@pytest.fixture(scope="module")
def connectors() -> Connectors:
    return loaded(None, Played())


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: str(action["use"]))
def test_every_example_action_is_right(action: dict[str, Any], connectors: Connectors) -> None:
    [read] = parse_document({"id": "x", "enter": {"event": "purchase"}, "actions": [action]}).actions
    assert connectors.check(read.use, read.with_, "actions[0]", both_ways=read.on == "member") == []


def test_every_packaged_call_has_an_example_and_stands_in_the_table() -> None:
    calls = {f"{document.name}.{call}" for document in packaged_documents() for call in document.call_names}
    assert {str(action["use"]) for action in ACTIONS} == calls
    rows: dict[str, str] = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.M))
    for document in packaged_documents():
        row = rows[document.name]
        assert f"`{' '.join(document.call_names)}`" in row
        source = Path(document.source).read_text()
        assert set(re.findall(r"secrets\.([A-Z_]+)", source)) == set(re.findall(r"`([A-Z]+_[A-Z_]+)`", row))
        assert set(document.settings) <= set(re.findall(r"\w+", row)), document.name


def test_the_example_connector_is_right() -> None:
    [example] = [block for block in BLOCKS if "connector" in block]
    found = parse_connector(example)
    assert {name: (call.add.batch_max, call.remove is not None) for name, call in found.calls.items()} == {
        "note": (1, False),
        "people": (100, True),
        "close": (1, False),
    }


def test_every_word_of_the_language_is_told() -> None:
    words = {
        *parse._KEYS, *parse._AUTHS, *parse._LIMITS, *parse_calls._REQUEST, *parse_calls._CALL, *parse_answers._ANSWER,
        *parse_answers._FAILED, *RESERVED, *ITEM_FIELDS, *KEPT, *_OURS, *(TAGS - {"break", "continue", "#"}),
    }  # fmt: skip
    told = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]*)`", PAGE))))
    assert words - told == set()


def test_secrets_are_masked_as_the_page_says() -> None:
    secrets = Secrets(None, {"SEGMENTD_SECRET_A": "abc", "SEGMENTD_SECRET_B": "abcd"})
    assert (secrets.get("A"), secrets.get("B")) == ("abc", "abcd")
    assert secrets.mask("abc abcd") == "abc ***"
