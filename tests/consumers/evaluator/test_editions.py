"""Definitions that wait behind a collection, and what becomes of them when it ends."""

from __future__ import annotations

from typing import Any

from consumers.evaluator.editions import Editions
from rules.records import DefinitionRecord

VIEWS: dict[str, Any] = {"event": "page_view", "within": "2d"}


def defined(segment: str, enter: dict[str, Any], version: int = 1) -> DefinitionRecord:
    return DefinitionRecord(segment, version, "active", {"id": segment, "enter": enter})


def test_a_deletion_that_queues_with_what_must_be_collected_takes_effect_with_it() -> None:
    editions = Editions(None)
    editions.define(defined("seen", VIEWS), 1, 1, customers=0)
    editions.define(defined("bought", {"event": "purchase", "within": "1d"}), 2, 2, customers=5)
    editions.define(DefinitionRecord("seen", 2, "deleted", None), 3, 3, customers=5)
    editions.define(defined("refunded", {"event": "refund", "within": "1d"}), 4, 4, customers=5)
    editions.define(editions.activation(), 5, 5, customers=5)
    assert sorted(editions.plan.segments) == ["bought", "seen"]
    assert Editions(editions.take_unwritten()).plan.collecting.keys() == {"refunded"}
    editions.define(editions.activation(), 6, 6, customers=5)
    assert sorted(editions.plan.segments) == ["bought", "refunded"]
    assert editions.collecting is None
