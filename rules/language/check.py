"""What only shows when documents are seen together: references to nothing, rings, too many of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rules.errors import Mistake
from rules.language import mistakes
from rules.language.documents import All, AnyOf, AtLeast, Condition, NoneOf, Not, Segment, SegmentNode
from rules.limits import SEGMENTS_MAX


def check_set(segments: Mapping[str, Segment], segments_max: int = SEGMENTS_MAX) -> list[Mistake]:
    """Every mistake across documents (`document` names the one it is in), in order of their ids; [] where none is.

    A ring is told once, at the reference that closes it in the document whose id comes first.
    """
    found = []
    if len(segments) > segments_max:
        found.append(Mistake("", mistakes.too_many_segments(len(segments), segments_max)))
    names = sorted(segments)
    for name in names:
        for node in references(segments[name]):
            if node.segment not in segments:
                found.append(Mistake(node.at, mistakes.no_such_segment(node.segment, names), name))
    return found + _rings(segments)


def references(segment: Segment) -> list[SegmentNode]:
    """Every `segment: ...` condition of a document, those of its actions too, in the author's order."""
    roots = [segment.enter, segment.exit, *(action.unless for action in segment.actions)]
    return [leaf for root in roots if root is not None for leaf in _leaves(root) if isinstance(leaf, SegmentNode)]


def _leaves(node: Condition) -> Iterator[Condition]:
    if isinstance(node, Not):
        yield from _leaves(node.of)
    elif isinstance(node, All | AnyOf | NoneOf | AtLeast):
        for inner in node.of:
            yield from _leaves(inner)
    else:
        yield node


def _rings(segments: Mapping[str, Segment]) -> list[Mistake]:
    """One mistake for each strongly connected group, which names a shortest ring through its first member."""
    found, told = [], set[str]()
    edges = _tangled({name: references(segment) for name, segment in segments.items()})
    for name in sorted(edges):
        if name in told:
            continue
        ring = _ring_through(name, edges)
        if ring:
            told |= {node.segment for node in ring} | _mutual(name, edges)
            names = [name, *(node.segment for node in ring)]
            found.append(Mistake(ring[0].at, mistakes.in_a_ring(names), name))
    return found


def _tangled(edges: Mapping[str, list[SegmentNode]]) -> dict[str, list[SegmentNode]]:
    """What is left when segments that depend on nothing (any more) are taken away again and again: rings and above."""
    left = {name: list(nodes) for name, nodes in edges.items()}
    users: dict[str, set[str]] = {}
    for name, nodes in edges.items():
        for node in nodes:
            users.setdefault(node.segment, set()).add(name)
    free = [name for name in users if name not in edges] + [name for name, nodes in edges.items() if not nodes]
    for gone in free:
        left.pop(gone, None)
        for user in users.get(gone, ()):
            if left.get(user):
                left[user] = [node for node in left[user] if node.segment != gone]
                if not left[user]:
                    free.append(user)
    return left


def _ring_through(start: str, edges: Mapping[str, list[SegmentNode]]) -> list[SegmentNode]:
    """The references of a shortest way from a segment back to itself, [] where there is none."""
    ways: dict[str, list[SegmentNode]] = {start: []}
    queue = [start]
    for name in queue:
        for node in edges[name]:
            if node.segment == start:
                return [*ways[name], node]
            if node.segment not in ways:
                ways[node.segment] = [*ways[name], node]
                queue.append(node.segment)
    return []


def _mutual(start: str, edges: Mapping[str, list[SegmentNode]]) -> set[str]:
    """The segments that depend on `start` and that it depends on."""
    backwards: dict[str, list[str]] = {}
    for name, nodes in edges.items():
        for node in nodes:
            backwards.setdefault(node.segment, []).append(name)
    ahead = _reached(start, {name: [node.segment for node in nodes] for name, nodes in edges.items()})
    return ahead & _reached(start, backwards)


def _reached(start: str, edges: Mapping[str, list[str]]) -> set[str]:
    seen, queue = {start}, [start]
    for name in queue:
        for after in edges.get(name, ()):
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return seen
