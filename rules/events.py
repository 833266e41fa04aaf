"""Events as the log carries them, and the one place that says what is wrong with a bad one (contract §1)."""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of one customer, checked. `ts` is event time in ms; `id` is "" where it has none (test cases only)."""

    type: str
    customer_id: str
    ts: int
    id: str = ""
    properties: dict[str, Any] = {}
    rank: str = ""  # orders events of one `ts`: the id, or for events without one their place in the log
