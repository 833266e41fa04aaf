"""The workload all benchmarks share: a shop's 90 days, skewed as shops are, and seeded rules of five kinds.

Events: about 273 bytes each, 10/60/15/15 % purchase, page view, e-mail open and cart, customers drawn by Zipf 0.8.
Rules: count, sum, filtered count, absence and since-last; `quiet` ones change somebody's membership in about one event
of twenty, as in life, `noisy` ones in every second. `live_documents` do within seconds what the quiet ones do in weeks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate, count
from typing import Any

import orjson

from rules.times import format_instant

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000  # 2026-01-01
DAYS = 90
TYPES = ("purchase", "page_view", "email_open", "cart")
WEIGHTS = (10, 60, 15, 15)
CATEGORIES = 200
_DRAWN = 10_000  # live events at a time
_QUIET = 0.5  # with _RARER so measured that 20, 200 and 1,000 rules all change somebody in 4 to 5 % of the events
_RARER = 0.56
_NOISY = 0.05  # at 20 rules: in every second event


def events(n: int, customers: int, start_ms: int = START_MS, seed: int = 7) -> Iterator[tuple[str, int, bytes]]:
    """n log records as (customer id, ts in ms, JSON), evenly over 90 days from `start_ms`."""
    chance = random.Random(seed)
    weights = list(accumulate((rank + 1) ** -0.8 for rank in range(customers)))
    who = chance.choices(range(customers), cum_weights=weights, k=n)
    what = chance.choices(TYPES, weights=WEIGHTS, k=n)
    for i, (customer, event_type) in enumerate(zip(who, what, strict=True)):
        ts = start_ms + i * DAYS * DAY_MS // n
        customer_id = f"customer-{customer:07d}"
        yield customer_id, ts, payload(chance, f"event-{i:09d}", event_type, customer_id, ts)


def first_events(customers: int, seed: int = 5) -> Iterator[tuple[str, int, bytes]]:
    """One event of every customer, on the day before all others."""
    chance = random.Random(seed)
    for customer in range(customers):
        ts = START_MS - DAY_MS + customer * DAY_MS // customers
        customer_id = f"customer-{customer:07d}"
        event_type = chance.choices(TYPES, weights=WEIGHTS)[0]
        yield customer_id, ts, payload(chance, f"first-{customer:09d}", event_type, customer_id, ts)


def live_events(customers: int, prefix: str, seed: int = 7) -> Iterator[tuple[str, str, str]]:
    """(customer id, event id, type) without end, drawn as `events` draws them."""
    chance = random.Random(seed)
    weights = list(accumulate((rank + 1) ** -0.8 for rank in range(customers)))
    for i in count():
        if i % _DRAWN == 0:
            who = chance.choices(range(customers), cum_weights=weights, k=_DRAWN)
            what = chance.choices(TYPES, weights=WEIGHTS, k=_DRAWN)
        yield f"customer-{who[i % _DRAWN]:07d}", f"{prefix}-{i:08d}", what[i % _DRAWN]


def payload(chance: random.Random, event_id: str, event_type: str, customer_id: str, ts: int) -> bytes:
    """The event as JSON."""
    properties: dict[str, Any] = {
        "amount": chance.randint(100, 30_000) / 100,
        "currency": "BRL",
        "category": f"category-{int(CATEGORIES * chance.random() ** 2)}",
        "url": f"https://shop.example/p/{chance.randint(1, 9999):05d}",
        "utm_source": chance.choice(("google", "direct", "email")),
        "session": f"visit-{chance.getrandbits(64):016x}",
    }
    event = {
        "id": event_id,
        "type": event_type,
        "customer_id": customer_id,
        "ts": format_instant(ts),
        "properties": properties,
    }
    return orjson.dumps(event)


def documents(n: int, *, noisy: bool = False, seed: int = 11) -> list[dict[str, Any]]:
    """n segment documents."""
    chance = random.Random(seed)
    return [{"id": f"rule-{i:04d}", "enter": _KINDS[i % 5](chance, _NOISY if noisy else _QUIET, n)} for i in range(n)]


def live_documents(n: int = 20, seed: int = 11) -> list[dict[str, Any]]:
    """n segment documents whose windows are of seconds, so that a short run is in its steady state."""
    chance = random.Random(seed)
    return [{"id": f"live-{i:04d}", "enter": _LIVE_KINDS[i % 5](chance)} for i in range(n)]


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


def _live_count(chance: random.Random) -> dict[str, Any]:
    asked = chance.randint(*_LIVE_COUNTS)
    return {"event": "page_view", "within": f"{chance.choice((5, 10))}s", "count": {"gte": asked}}


def _live_sum(chance: random.Random) -> dict[str, Any]:
    return {"event": "purchase", "within": "20s", "sum": {"of": "amount", "gte": chance.randint(*_LIVE_SUMS)}}


def _live_filtered(chance: random.Random) -> dict[str, Any]:
    where = {"category": f"category-{chance.randrange(CATEGORIES)}"}
    return {"event": chance.choice(TYPES), "where": where, "within": "10s", "count": {"gte": 2}}


def _live_absence(chance: random.Random) -> dict[str, Any]:
    bought = {"event": "purchase", "within": "20s", "count": {"gte": chance.randint(*_LIVE_BOUGHT)}}
    return {"all": [bought, {"not": {"event": chance.choice(TYPES[1:]), "within": "5s"}}]}


def _live_since_last(chance: random.Random) -> dict[str, Any]:
    viewed = {"event": "page_view", "within": "20s", "count": {"gte": chance.randint(*_LIVE_VIEWED)}}
    return {"all": [viewed, {"event": chance.choice(TYPES), "since_last": {"gt": "5s"}}]}


_LIVE_KINDS = (_live_count, _live_sum, _live_filtered, _live_absence, _live_since_last)
_LIVE_COUNTS, _LIVE_SUMS, _LIVE_BOUGHT, _LIVE_VIEWED = (10, 24), (1_500, 5_000), (4, 9), (14, 30)
