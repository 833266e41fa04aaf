"""Traffic made of the excerpt: its history moved to end now, then visits that go on for ever.

A visit is what leads to one order of the excerpt: page views of its products, something put into the cart, and in most
cases the order itself, under a new id. Several visits go on at once, so that people enter and leave by what they do and
by what they leave undone. Pure: who sends the events, and when, is `service.cli.sampling`'s business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from random import Random
from typing import Any

from rules.times import format_instant, parse_instant

VISITS_MAX = 12  # at once
ORDERS_SHARE = 0.6  # of visits that end in an order
EventDict = dict[str, Any]


def history(recorded: Sequence[EventDict], end_ms: int) -> list[EventDict]:
    """The recorded events with their times moved, so that the last of them is at `end_ms`."""
    shift = end_ms - _time(recorded[-1])
    return [{**event, "ts": format_instant(_time(event) + shift)} for event in recorded]


def _time(event: EventDict) -> int:
    instant = parse_instant(event["ts"])
    assert instant is not None, "the packaged excerpt has good times"
    return instant


def visits(recorded: Iterable[EventDict], run: str, seed: int = 0) -> Iterator[EventDict]:
    """Events without `ts` (they happen when they are sent), without end; `run` makes their ids this run's own."""
    random = Random(seed)
    orders = enumerate(cycle(recorded))
    under_way: list[deque[EventDict]] = []
    while True:
        if (len(under_way) < VISITS_MAX and random.random() < 0.25) or not under_way:
            number, order = next(orders)
            under_way.append(deque(_visit(order, f"{run}-{number}", random)))
        steps = random.choice(under_way)
        yield steps.popleft()
        if not steps:
            under_way.remove(steps)


def _visit(order: EventDict, name: str, random: Random) -> Iterator[EventDict]:
    """The steps of one visit."""
    who = order["customer_id"]
    products = [item["product_id"] for item in order["properties"].get("items", ())] or ["none"]
    seen = random.sample(products, min(len(products), random.randint(1, 3)))
    for number, product in enumerate(seen):
        yield _event(f"{name}-v{number}", "page_view", who, {"product_id": product})
    if order["type"] == "purchase":
        yield _event(f"{name}-c", "cart", who, {"action": "add", "product_id": seen[-1]})
        if random.random() >= ORDERS_SHARE:
            return
    yield _event(f"{name}-o", order["type"], who, order["properties"])


def _event(event_id: str, event_type: str, customer_id: str, properties: EventDict) -> EventDict:
    return {"id": event_id, "type": event_type, "customer_id": customer_id, "properties": properties}
