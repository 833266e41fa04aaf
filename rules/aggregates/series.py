"""What a customer keeps of one feature. The same events in any order give the same series.

Up to SERIES_ENTRIES_MAX newest entries stand exactly, in order of time; what is older is kept as sums per UTC day
(`aged`), each standing at its newest instant. `total` covers everything ever folded, exactly, and is kept only where
a slot without a window asks for it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import msgspec

# Places in a `total` and in an `aged` day (which has no `FIRST`: it stands at its newest instant, `LAST`).
COUNT, SUM, LEAST, MOST, LAST, FIRST = range(6)

_SHORT = {"ts": "t", "total": "n", "sums": "s", "rows": "r", "follows": "f", "aged": "a", "falls": "l"}  # as stored


NO_LIST: Any = ()
NO_DICT: Any = MappingProxyType({})
"""What stands for an empty list or dict that nobody has written to: one for all, so that it takes neither memory nor
time to be stored and read. To be read like one; who writes makes their own first."""


class Series(msgspec.Struct, omit_defaults=True, rename=_SHORT.get, gc=False):
    """`ts`: instants (ms), ascending. By kind of feature, beside each instant:

    `sums`: the running total of the amounts, in millionths, up to and with it (amounts features).
    `rows`: [rank, value text] (edges), value text (distinct), or what a sequence keeps of e (chains).
    `follows`: [ts, type, values by match pair] of f, ascending (chains).

    All but `ts` is NO_LIST or NO_DICT until there is something.
    """

    ts: list[int] = msgspec.field(default_factory=list)
    total: list[Any] = NO_LIST
    sums: list[int] = NO_LIST
    rows: list[Any] = NO_LIST
    follows: list[Any] = NO_LIST
    aged: dict[int, list[int]] = NO_DICT
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
