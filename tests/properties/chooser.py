"""Making random choices: by hypothesis, which can shrink them, or by a seed, which is many times faster.

The first of several choices is the simplest; hypothesis shrinks towards it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Chooser(Protocol):
    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""


class Seeded:
    """The same choices for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def below(self, count: int) -> int:
        return self._random.randrange(count)


class Drawn:
    """Choices that hypothesis makes and shrinks."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return self._draw(st.integers(0, count - 1))


def pick(c: Chooser, *values: T) -> T:
    return values[c.below(len(values))]


def chance(c: Chooser, one_in: int) -> bool:
    """True once in so many times; False is the simpler."""
    return c.below(one_in) == one_in - 1


def some(c: Chooser, values: Sequence[T], most: int) -> list[T]:
    """One to `most` different values."""
    left = list(values)
    return [left.pop(c.below(len(left))) for _ in range(1 + c.below(min(most, len(left))))]


def weighted(c: Chooser, *choices: tuple[int, Callable[[], T]]) -> T:
    """One of several makers, each as often as its weight says."""
    place = c.below(sum(weight for weight, _ in choices))
    for weight, make in choices:
        if place < weight:
            return make()
        place -= weight
    raise AssertionError


def sometimes(c: Chooser, key: str, one_in: int, make: Callable[[], Any]) -> dict[str, Any]:
    """`{key: value}` once in so many times, or nothing."""
    return {key: make()} if chance(c, one_in) else {}
