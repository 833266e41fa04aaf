"""What a customer keeps of one feature. The same events in any order give the same series.

Up to SERIES_ENTRIES_MAX newest entries stand exactly, in order of time; what is older is kept as sums per UTC day
(`aged`), each standing at its newest instant. `total` covers everything ever folded, exactly, and is kept only where
a slot without a window asks for it.
"""

from __future__ import annotations

from typing import Any

import msgspec

# Places in a `total` and in an `aged` day (which has no `FIRST`: it stands at its newest instant, `LAST`).
COUNT, SUM, LEAST, MOST, LAST, FIRST = range(6)


class Series(msgspec.Struct, array_like=True, gc=False):
    """`ts`: instants (ms), ascending. By kind of feature, beside each instant:

    `sums`: the running total of the amounts, in millionths, up to and with it (amounts features).
    `rows`: [rank, value text] (edges), value text (distinct), or what a sequence keeps of e (chains).
    `follows`: [ts, type, values by match pair] of f, ascending (chains).
    """

    ts: list[int] = msgspec.field(default_factory=list)
    sums: list[int] = msgspec.field(default_factory=list)
    rows: list[Any] = msgspec.field(default_factory=list)
    follows: list[Any] = msgspec.field(default_factory=list)
    total: list[Any] = msgspec.field(default_factory=list)
    aged: dict[int, list[int]] = msgspec.field(default_factory=dict)
    falls: bool = False  # some amount was negative, so that a sum may rise by the clock


def widen(summary: list[int], ts: int, amount: int = 0) -> list[int]:
    """A day's or total's summary with one more entry in it (a new list for an empty one)."""
    if not summary:
        return [1, amount, amount, amount, ts, ts]
    summary[COUNT] += 1
    summary[SUM] += amount
    if amount < summary[LEAST]:
        summary[LEAST] = amount
    if amount > summary[MOST]:
        summary[MOST] = amount
    if ts > summary[LAST]:
        summary[LAST] = ts
    if ts < summary[FIRST]:
        summary[FIRST] = ts
    return summary
