"""Folding events into one feature alone, and reading what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rules.aggregates.features import Feature, entries
from rules.aggregates.series import Series
from rules.events import Event
from rules.language.documents import EventNode
from rules.plan import compile_plan
from rules.windows import ALL
from tests.rules.building import definition
from tests.rules.language.reading import condition


def feature_of(text: str) -> Feature:
    """The one feature that an event condition asks for: `sum: {of: amount, gte: 1}, within: 1d`."""
    plan = compile_plan([definition(f"{{id: a, enter: {{event: purchase, {text}}}}}")])
    (feature,) = plan.features.values()
    return feature


def node_of(text: str) -> EventNode:
    node = condition(f"{{event: purchase, {text}}}")
    assert isinstance(node, EventNode)
    return node


def folded(feature: Feature, events: Iterable[Event], now: int) -> Series:
    series = Series()
    for each in events:
        feature.add(series, each, now)
    return series


def merged(feature: Feature, parts: Sequence[Series], now: int) -> Series:
    first, *others = parts
    for other in others:
        feature.merge(first, other, now)
    return first


def content(series: Series) -> dict[str, Any]:
    """What a series says: running totals as the amounts they are made of."""
    return {
        "entries": entries(series) if series.sums else list(zip(series.ts, series.rows or series.ts, strict=True)),
        "follows": list(series.follows),
        "total": list(series.total),
        "aged": {day: list(summary) for day, summary in series.aged.items()},
    }


__all__ = ["ALL", "content", "feature_of", "folded", "merged", "node_of"]
