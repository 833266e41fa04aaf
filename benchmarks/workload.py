"""The workload all benchmarks share: a shop's 90 days, skewed as shops are, and seeded rules of five kinds.

Events: about 273 bytes each, 10/60/15/15 % purchase, page view, e-mail open and cart, customers drawn by Zipf 0.8.
Rules: count, sum, filtered count, absence and since-last; `quiet` ones change somebody's membership in at most one
event of twenty, as in life, `noisy` ones in every second.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import orjson

from rules.times import format_instant

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000  # 2026-01-01
DAYS = 90
TYPES = ("purchase", "page_view", "email_open", "cart")
WEIGHTS = (10, 60, 15, 15)
CATEGORIES = 200
_QUIET = 0.66  # with _RARER so measured that 20, 200 and 1,000 rules all change somebody in 3 to 5 % of the events
_RARER = 0.54


def events(n: int, customers: int, start_ms: int = START_MS, seed: int = 7) -> Iterator[tuple[str, int, bytes]]:
    """n log records as (customer id, ts in ms, JSON), evenly over 90 days from `start_ms`."""
    chance = random.Random(seed)
    weights = list(accumulate((rank + 1) ** -0.8 for rank in range(customers)))
    who = chance.choices(range(customers), cum_weights=weights, k=n)
    what = chance.choices(TYPES, weights=WEIGHTS, k=n)
    for i, (customer, event_type) in enumerate(zip(who, what, strict=True)):
        ts = start_ms + i * DAYS * DAY_MS // n
        properties: dict[str, Any] = {
            "amount": chance.randint(100, 30_000) / 100,
            "currency": "BRL",
            "category": f"category-{int(CATEGORIES * chance.random() ** 2)}",
            "url": f"https://shop.example/p/{chance.randint(1, 9999):05d}",
            "utm_source": chance.choice(("google", "direct", "email")),
            "session": f"{chance.getrandbits(64):016x}",
        }
        customer_id = f"customer-{customer:07d}"
        event = {
            "id": f"event-{i:09d}",
            "type": event_type,
            "customer_id": customer_id,
            "ts": format_instant(ts),
            "properties": properties,
        }
        yield customer_id, ts, orjson.dumps(event)


def documents(n: int, *, noisy: bool = False, seed: int = 11) -> list[dict[str, Any]]:
    """n segment documents."""
    chance = random.Random(seed)
    return [{"id": f"rule-{i:04d}", "enter": _KINDS[i % 5](chance, 0.15 if noisy else _QUIET, n)} for i in range(n)]


def _threshold(chance: random.Random, least: int, most: int, scale: float, n: int) -> int:
    """The more rules, the rarer each: what a shop's segments do to its feed does not grow with their number."""
    return max(2, int(chance.uniform(least, most) * scale * (n / 20) ** _RARER))


def _count(chance: random.Random, scale: float, n: int) -> dict[str, Any]:
    days = chance.choice((7, 14, 30, 60))
    return {"event": chance.choice(TYPES), "within": f"{days}d", "count": {"gte": _threshold(chance, 8, 60, scale, n)}}


def _sum(chance: random.Random, scale: float, n: int) -> dict[str, Any]:
    days = chance.choice((30, 60, 90))
    asked = _threshold(chance, 900, 6000, scale, n)
    return {"event": "purchase", "within": f"{days}d", "sum": {"of": "amount", "gte": asked}}


def _filtered(chance: random.Random, scale: float, n: int) -> dict[str, Any]:
    where = {"category": f"category-{chance.randrange(CATEGORIES)}"}
    asked = _threshold(chance, 3, 8, scale, n)
    return {"event": chance.choice(TYPES), "where": where, "within": "30d", "count": {"gte": asked}}


def _absence(chance: random.Random, scale: float, n: int) -> dict[str, Any]:
    days = chance.choice((7, 14, 30))
    bought = {"event": "purchase", "count": {"gte": _threshold(chance, 6, 30, scale, n)}}
    return {"all": [bought, {"not": {"event": chance.choice(TYPES[1:]), "within": f"{days}d"}}]}


def _since_last(chance: random.Random, scale: float, n: int) -> dict[str, Any]:
    days = chance.choice((14, 30, 45))
    viewed = {"event": "page_view", "count": {"gte": _threshold(chance, 20, 80, scale, n)}}
    return {"all": [viewed, {"event": chance.choice(TYPES), "since_last": {"gt": f"{days}d"}}]}


_KINDS = (_count, _sum, _filtered, _absence, _since_last)
