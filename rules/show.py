"""Values and operands as a reader sees them in `why` and explanations."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rules.language.documents import (
    AttributeNode,
    Comparison,
    Duration,
    EventNode,
    PairNode,
    SampleNode,
    SegmentNode,
    TagNode,
)
from rules.language.documents import Leaf as LeafNode
from rules.limits import DAY_MS
from rules.numbers import MICRO, number
from rules.slots_numbers import NumberSlot, PairSlot
from rules.tree import Leaf

PLAIN, AGE, AMOUNT, FRACTION = "plain", "age", "amount", "fraction"
_UNITS = ((DAY_MS, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


def span(ms: int) -> str:
    """A length of time in exact units.

    >>> span(2_592_000_001), span(0)
    ('30d 1ms', '0s')
    """
    parts = []
    for unit, name in _UNITS:
        n, ms = divmod(ms, unit)
        if n:
            parts.append(f"{n}{name}")
    return " ".join(parts) or "0s"


def asked(leaf: Leaf) -> dict[str, Any]:
    """What a leaf asks, in the words of the document: one object for all who ask, not to be changed."""
    if leaf.asked is None:
        leaf.asked = _asked(leaf.node)
    return leaf.asked


def _asked(node: LeafNode) -> dict[str, Any]:
    if isinstance(node, EventNode):
        return {} if node.measure.comparison is None else _comparison(node.measure.comparison)
    if isinstance(node, AttributeNode | PairNode):
        return _comparison(node.comparison)
    if isinstance(node, TagNode):
        return {name: list(tags) for name, tags in (("any", node.any), ("all", node.all), ("none", node.none)) if tags}
    if isinstance(node, SegmentNode):
        return {"segment": node.segment} | ({"for": node.for_.text} if node.for_ else {})
    assert isinstance(node, SampleNode)
    return {"percent": _fraction(node.percent)}


def value(leaf: Leaf, raw: Any, now: int) -> Any:
    """A slot's value in JSON: amounts as numbers, ages as text, `first`/`last` and attributes as they are."""
    if raw is None or leaf.slot is None:
        return None
    written = leaf.written
    if written is None:
        leaf.written = written = _written(leaf)
    return raw if written == PLAIN else span(now - raw) if written == AGE else _number(raw, written)


def _written(leaf: Leaf) -> str:
    """How its values are written: found out once a leaf."""
    if isinstance(leaf.node, EventNode) and leaf.node.measure.kind.startswith("since"):
        return AGE
    if isinstance(leaf.slot, PairSlot):
        return FRACTION
    return AMOUNT if isinstance(leaf.slot, NumberSlot) and leaf.slot.meter.scale == MICRO else PLAIN


def _number(raw: Any, written: str) -> int | float:
    if written == FRACTION:
        return _fraction(raw)
    return _fraction(raw / MICRO) if isinstance(raw, Fraction) else number(raw)


def _fraction(exact: Fraction) -> int | float:
    return int(exact) if exact.denominator == 1 else float(exact)


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {test.op: _operand(test.operand) for test in comparison.tests}


def _operand(operand: Any) -> Any:
    if isinstance(operand, Comparison):
        return _comparison(operand)
    if isinstance(operand, Duration):
        return operand.text or (f"{operand.months}mo" if operand.months else span(operand.ms))
    return list(operand) if isinstance(operand, tuple) else operand
