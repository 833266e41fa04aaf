"""Random segment documents over the whole language, as the mappings an author would write. Simple ones first."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.oracle import calendars
from tests.properties.chooser import Chooser, chance, pick, some, sometimes, weighted
from tests.properties.stages import Stage, day, duration

Raw = dict[str, Any]

EVENTS = ("purchase", "page_view", "cart", "refund")
TAGS = ("vip", "gold", "new")
NAMES = ("seg-m", "seg-a", "seg-z")  # each may name those before it, which is not the order of the alphabet
NUMBER_PATHS = ("amount", "items.total", "items.price", "n", "items.quantity")
VALUE_PATHS = ("color", "amount", "items.product_id", "detail.size", "items.total", "labels")
WHERE_PATHS = ("color", "amount", "detail.size", "labels", "items.category", "items.total", "items.price", "items")
ITEM_PATHS = ("category", "product_id", "price", "total")
AMOUNTS = (1, 2, 50, 100, 0.1, 0.3, 33.3, -5, 0, 1.5, 200)
COUNTS = (1, 2, 3, 0)
RATIOS = (1, 0, 2, 0.5, 33.3, -5)
SCALARS: tuple[Any, ...] = ("red", "blue", "Red", 1, "1", True, 2.5, "")
PERIODS = ("today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_year")


def numbers(c: Chooser, values: tuple[float, ...]) -> Raw:
    """A comparison of a number."""

    def one() -> Raw:
        return {pick(c, "gte", "gt", "lt", "lte", "eq", "ne"): pick(c, *values)}

    return weighted(
        c,
        (6, one),
        (2, lambda: {**one(), **one()}),
        (1, lambda: {pick(c, "in", "not_in"): some(c, values, 3)}),
    )


def value_test(c: Chooser) -> Raw:
    """One operator on any value, dates aside."""
    op = pick(
        c, "eq", "ne", "in", "not_in", "exists", "gte", "lt", "gt", "lte", "contains", "starts_with", "ends_with",
        "matches", "size",
    )  # fmt: skip
    if op in ("in", "not_in"):
        return {op: some(c, SCALARS, 3)}
    if op == "exists":
        return {op: pick(c, True, False)}
    if op == "size":
        return {op: numbers(c, (1, 2, 0))}
    operands: dict[str, tuple[Any, ...]] = {
        "contains": ("e", "red", 1, "a"),
        "starts_with": ("r", "R", ""),
        "ends_with": ("d", "ue"),
        "matches": ("^r", "[Bb]l", "d$", "."),
    }
    ordered = (1, "blue", 2.5, "red", 50)
    return {op: pick(c, *operands.get(op, ordered if op in ("gte", "lt", "gt", "lte") else SCALARS))}


def values(c: Chooser) -> Raw:
    return {**value_test(c), **value_test(c)} if chance(c, 5) else value_test(c)


def date_test(c: Chooser, stage: Stage) -> Raw:
    return weighted(
        c,
        (3, lambda: {pick(c, "in_last", "in_next"): pick(c, *stage.durations)}),
        (1, lambda: {"anniversary_in_next": pick(c, "1d", "7d", "2w", "30d")}),
        (1, lambda: {"age": numbers(c, (18, 17, 30, 0))}),
    )


def filters(c: Chooser, paths: tuple[str, ...]) -> Raw:
    def value() -> Any:
        return weighted(c, (2, lambda: pick(c, *SCALARS)), (1, lambda: some(c, SCALARS, 3)), (2, lambda: values(c)))

    return {path: value() for path in some(c, paths, 2)}


def window(c: Chooser, stage: Stage) -> Raw:
    return weighted(
        c,
        (6, lambda: {"within": pick(c, *stage.durations)}),
        (2, lambda: {}),
        (3, lambda: dict(zip(("before", "within"), pick(c, *_bands(stage)), strict=True))),
        (3, lambda: {"period": pick(c, *PERIODS)}),
        (1, lambda: {"before": pick(c, *stage.durations)}),
        (1, lambda: {"between": _between(c, stage)}),
    )


@cache
def _bands(stage: Stage) -> list[tuple[str, str]]:
    return [(short, long) for short in stage.durations for long in stage.durations if _shorter(short, long)]


def _shorter(short: str, long: str) -> bool:
    """Whether it is shorter wherever in the calendar it lies."""
    (short_ms, short_months), (long_ms, long_months) = (calendars.length(duration(text)) for text in (short, long))
    if bool(short_months) == bool(long_months):
        return short_ms + short_months < long_ms + long_months
    return (short_ms or short_months * 31 * calendars.DAY) < (long_ms or long_months * 28 * calendars.DAY)


def _between(c: Chooser, stage: Stage) -> list[str | None]:
    start, end = day(c, stage), day(c, stage)
    if start > end:
        start, end = end, start
    # a day that never was is no time between two: Apia's 30 December 2011
    if _begins(start, stage) >= _begins(end, stage) or chance(c, 3):
        return [start, None] if chance(c, 2) else [None, end]
    return [start, end]


def _begins(text: str, stage: Stage) -> int:
    date = calendars.read_date(text)
    assert date is not None
    return calendars.midnight(date, stage.zone)


def measure(c: Chooser, stage: Stage) -> Raw:
    def aged() -> Raw:
        return {pick(c, "gt", "gte", "lt", "lte"): pick(c, *stage.durations)}

    def edge() -> Raw:
        dated = chance(c, 3)
        asked = date_test(c, stage) if dated else values(c)
        return {pick(c, "last", "first"): {"of": "when" if dated else pick(c, *VALUE_PATHS), **asked}}

    return weighted(
        c,
        (3, lambda: {}),
        (3, lambda: {"count": numbers(c, COUNTS)}),
        (3, lambda: {pick(c, "sum", "avg", "min", "max"): {"of": pick(c, *NUMBER_PATHS), **numbers(c, AMOUNTS)}}),
        (2, lambda: {"distinct": {"of": pick(c, *VALUE_PATHS), **numbers(c, COUNTS)}}),
        (3, edge),
        (2, lambda: {pick(c, "since_last", "since_first"): {**aged(), **(aged() if chance(c, 4) else {})}}),
    )


def event_names(c: Chooser) -> Any:
    return weighted(
        c,
        (6, lambda: pick(c, EVENTS[0], EVENTS[1])),
        (2, lambda: pick(c, *EVENTS)),
        (1, lambda: some(c, EVENTS, 2)),
        (1, lambda: pick(c, "profile", "membership")),
    )


def follow(c: Chooser, stage: Stage) -> Raw:
    asked: Raw = {"event": event_names(c), **sometimes(c, "within", 2, lambda: pick(c, *stage.durations))}
    asked |= sometimes(c, "where", 5, lambda: filters(c, WHERE_PATHS))
    asked |= sometimes(c, "items", 8, lambda: filters(c, ITEM_PATHS))
    mapped = ("color", "items.product_id", {"color": "items.product_id"}, {"items.product_id": "color"})
    asked |= sometimes(c, "match", 3, lambda: pick(c, *mapped))
    return {pick(c, "followed_by", "not_followed_by"): asked}


def event_node(c: Chooser, stage: Stage) -> Raw:
    node: Raw = {"event": event_names(c), **window(c, stage), **measure(c, stage)}
    node |= sometimes(c, "where", 5, lambda: filters(c, WHERE_PATHS))
    node |= sometimes(c, "items", 7, lambda: filters(c, ITEM_PATHS))
    return node | (follow(c, stage) if chance(c, 4) else {})


def pair(c: Chooser, stage: Stage) -> Raw:
    def side() -> Raw:
        kind = pick(c, "count", "sum", "avg", "min", "max", "distinct")
        node: Raw = {"event": event_names(c), **window(c, stage)}
        node[kind] = {} if kind == "count" else {"of": pick(c, *NUMBER_PATHS)}
        node |= sometimes(c, "where", 5, lambda: filters(c, WHERE_PATHS))
        return node | (follow(c, stage) if chance(c, 6) else {})

    return {pick(c, "difference", "ratio"): [side(), side()], **numbers(c, RATIOS)}


def attribute(c: Chooser, stage: Stage) -> Raw:
    if chance(c, 2):
        return {"attribute": pick(c, "birth", "renews"), **date_test(c, stage)}
    return {"attribute": pick(c, "color", "score", "labels", "home.city"), **values(c)}


def tag(c: Chooser) -> Raw:
    if not chance(c, 2):
        return {"tag": pick(c, *TAGS)}
    asked = {pick(c, "any", "all", "none"): some(c, TAGS, 2)}
    return {"tag": asked | sometimes(c, "none", 3, lambda: some(c, TAGS, 2))}


def leaf(c: Chooser, stage: Stage, named: tuple[str, ...]) -> Raw:
    """`named`: the segments that a condition may name."""

    def member() -> Raw:
        return {"segment": pick(c, *named), **sometimes(c, "for", 2, lambda: pick(c, *stage.durations))}

    def sample() -> Raw:
        return {"sample": {"percent": pick(c, 0, 100, 12, 62.5), **sometimes(c, "salt", 2, lambda: pick(c, "x", "y"))}}

    return weighted(
        c,
        (9, lambda: event_node(c, stage)),
        (3, lambda: attribute(c, stage)),
        (2, lambda: pair(c, stage)),
        (1, lambda: tag(c)),
        (1, sample),
        (4 if named else 0, member),
    )


def condition(c: Chooser, stage: Stage, named: tuple[str, ...], depth: int = 2) -> Raw:
    if depth == 0:
        return leaf(c, stage, named)

    def inner() -> Raw:
        return condition(c, stage, named, depth - 1)

    def several() -> list[Raw]:
        return [inner() for _ in range(pick(c, 2, 1, 3))]

    def at_least() -> Raw:
        of = several()
        return {"at_least": {"n": 1 + c.below(len(of)), "of": of}}

    return weighted(
        c,
        (8, lambda: leaf(c, stage, named)),
        (1, lambda: {"not": inner()}),
        (2, lambda: {pick(c, "all", "any", "none"): several()}),
        (1, at_least),
    )


def document(c: Chooser, stage: Stage, name: str, named: tuple[str, ...]) -> Raw:
    if chance(c, 25):
        return {"id": name, "list": True}
    raw: Raw = {"id": name}
    zone = pick(c, stage.zone, stage.zone, stage.zone, "UTC", "Europe/Bucharest")
    if zone != "UTC":
        raw["timezone"] = zone
    raw["enter"] = condition(c, stage, named)
    raw |= sometimes(c, "exit", 4, lambda: condition(c, stage, named, 1))
    return raw | sometimes(c, "hold", 3, lambda: hold(c, stage))


def hold(c: Chooser, stage: Stage) -> Raw:
    parts = pick(c, ("min_stay",), ("cooldown",), ("min_stay", "cooldown"))
    return {part: pick(c, *stage.durations) for part in parts}


def documents(c: Chooser, stage: Stage) -> list[Raw]:
    """One to three documents."""
    return [document(c, stage, NAMES[place], NAMES[:place]) for place in range(pick(c, 1, 2, 3))]
