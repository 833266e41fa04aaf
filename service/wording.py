"""Partitions in sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED_MAX = 8


def named(partitions: Sequence[int]) -> str:
    """Some of them, and how many more.

    >>> named([3]), named([1, 2])
    ('partition 3', 'partitions 1, 2')
    """
    text = ", ".join(map(str, partitions[:_NAMED_MAX]))
    more = f" and {len(partitions) - _NAMED_MAX} more" if len(partitions) > _NAMED_MAX else ""
    return f"partition{'s' if len(partitions) > 1 else ''} {text}{more}"
