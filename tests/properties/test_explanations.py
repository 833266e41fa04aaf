"""What explain says of every part of a condition is what judging by definition finds there."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from hypothesis import given

from rules.explain import explain
from rules.language.documents import AttributeNode, EventNode, PairNode, Segment
from rules.play import Partition
from tests.oracle import Oracle, values
from tests.oracle.conditions import World, edge_value, holds, measured, world
from tests.oracle.instants import parts_of
from tests.properties.incremental import planned, run
from tests.properties.strategies import Play, plays


@given(plays())
def test_every_part_of_an_explanation_is_what_judging_by_definition_finds(play: Play) -> None:
    partition = Partition(planned(play))
    run(partition, play.log, play.until)
    oracle = Oracle(play.segments())
    oracle.run(play.log, play.until)

    for customer_id, profile in partition.profiles.items():
        customer = oracle.customers[customer_id]
        seen = world(play.until, customer_id, customer.events, customer.since())
        for segment in oracle.segments:
            told = explain(profile, partition.plan, segment.id, play.until)
            assert told["member"] == (segment.id in customer.since())
            for part in explained(told):
                agrees(part, segment, seen)


def explained(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every leaf of `enter` and `exit`."""
    stack = [tree for tree in (told["enter"], told.get("exit")) if tree is not None]
    while stack:
        tree = stack.pop()
        stack.extend(tree.get("of", ()))
        if "of" not in tree:
            yield tree


def agrees(part: dict[str, Any], segment: Segment, seen: World) -> None:
    node = next(each for each in parts_of(segment) if getattr(each, "at", None) == part["at"])
    tz = segment.timezone
    assert part["holds"] == holds(node, seen, tz), part
    if isinstance(node, AttributeNode):
        assert part["value"] == values.at(seen.attributes, node.path), part
    elif isinstance(node, PairNode):
        assert close(part["value"], pair(node, seen, tz)), part
    elif isinstance(node, EventNode) and node.measure.kind in ("first", "last"):
        expected = edge_value(node, seen, tz)
        assert part["value"] is expected or values.same(part["value"], expected), part
    elif isinstance(node, EventNode) and not node.measure.kind.startswith("since"):
        assert close(part["value"], measured(node, seen, tz)), part


def pair(node: PairNode, seen: World, tz: str) -> Fraction | None:
    left, right = measured(node.left, seen, tz), measured(node.right, seen, tz)
    if left is None or right is None or (node.kind == "ratio" and right == 0):
        return None
    return left / right if node.kind == "ratio" else left - right


def close(shown: float | None, exact: Fraction | None) -> bool:
    """A number is shown as the nearest float, or as an integer where it is whole."""
    if shown is None or exact is None:
        return shown is None and exact is None
    return shown == (int(exact) if exact.denominator == 1 else float(exact))
