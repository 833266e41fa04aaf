"""A condition compiled: branches over leaves, each a reading of one slot's level (or a fixed share of customers)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from rules.concerns import Guard
from rules.language.documents import Leaf as LeafNode
from rules.language.documents import SampleNode
from rules.levels import NONE
from rules.profile import Profile
from rules.slots import Slot
from rules.slots_numbers import NumberSlot

Holds = Callable[[Profile], bool]


@dataclass(slots=True, eq=False)
class Leaf:
    """Holds by `truths[level + 1]` of a number slot, by bit `bit` of a mask or switch, or by `sample`.

    `least`: the level of a number from which on it holds, if it does so on every higher one. `asked` and `written`:
    what it asks in the words of the document, and how its values are told, once `rules.show` was asked for them.
    """

    node: LeafNode
    slot: Slot | None = None
    truths: tuple[bool, ...] = ()
    least: int | None = None
    bit: int = 0
    sample: Callable[[str], bool] | None = None
    asked: dict[str, Any] | None = None
    written: str | None = None

    def truth(self, level: int) -> bool:
        return self.truths[level + 1] if self.truths else bool(level >> self.bit & 1)

    def marks(self) -> list[int]:
        """Where in its slot's levels the leaf changes: the level below each step, or its bit."""
        if not self.truths:
            return [self.bit]
        return [low for low in range(NONE, len(self.truths) - 2) if self.truths[low + 1] != self.truths[low + 2]]


@dataclass(slots=True, eq=False)
class Branch:
    """`kind`: all, any, none, not, at_least (`n` of the children)."""

    kind: str
    at: str
    of: tuple[Tree, ...]
    n: int = 0


Tree = Leaf | Branch


def leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
    else:
        for child in tree.of:
            yield from leaves(child)


def guard_of(tree: Tree, moved: Slot) -> Guard | None:
    """Of `all: [...]`, another number that must have reached a level for anybody to enter, whatever `moved` does.

    Only one that is false of a customer of whom nothing is known, and true from its level upwards.
    """
    if isinstance(tree, Leaf) or tree.kind != "all":
        return None
    for child in tree.of:
        if isinstance(child, Leaf) and isinstance(child.slot, NumberSlot) and child.slot is not moved:
            least = child.least
            if least is not None and child.slot.default < least:
                return child.slot.index, child.slot.default, least
    return None


def least_level(truths: tuple[bool, ...]) -> int | None:
    """The level from which on the truths of a number (by level + 1) are true, if they are on every higher one."""
    first = truths.index(True) if True in truths else len(truths)
    return first - 1 if all(truths[first:]) else None


def always_false(profile: Profile) -> bool:
    return False


def share(node: SampleNode) -> Callable[[str], bool]:
    """Whether a customer is in the sample: the first 8 bytes of SHA-256(`salt:customer`) as a share of 2^64."""
    bound = node.percent * 2**64 / 100

    def sampled(customer_id: str) -> bool:
        digest = sha256(f"{node.salt}:{customer_id}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < bound

    return sampled


def render(tree: Tree) -> Holds:
    """The tree as one Python expression over a profile's levels, compiled: a call a leaf would cost far more."""
    names: dict[str, object] = {}
    source = f"lambda p: {_render(tree, names)}"
    compiled: Holds = eval(compile(source, "<condition>", "eval"), names)  # made of integers only
    return compiled


def _render(tree: Tree, names: dict[str, object]) -> str:
    if isinstance(tree, Leaf):
        return _render_leaf(tree, names)
    parts = [_render(child, names) for child in tree.of]
    if tree.kind == "not":
        return f"(not {parts[0]})"
    if tree.kind == "at_least":
        return f"({' + '.join(parts)} >= {tree.n})"
    joined = f" {'and' if tree.kind == 'all' else 'or'} ".join(parts)
    return f"(not ({joined}))" if tree.kind == "none" else f"({joined})"


def _render_leaf(leaf: Leaf, names: dict[str, object]) -> str:
    if leaf.sample is not None:
        name = f"s{len(names)}"
        names[name] = leaf.sample
        return f"{name}(p.customer_id)"
    assert leaf.slot is not None
    level = f"p.levels.get({leaf.slot.index}, {leaf.slot.default})"
    if not isinstance(leaf.slot, NumberSlot):
        return f"({level} >> {leaf.bit} & 1 == 1)"
    if leaf.least is not None:
        return f"({level} >= {leaf.least})"
    name = f"t{len(names)}"
    names[name] = leaf.truths
    return f"{name}[{level} + 1]"
