"""Random segment documents over the whole language, as the mappings an author would write. Simple ones first."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.oracle import calendars
from tests.properties.stages import Stage, dates, duration, weighted

Raw = dict[str, Any]
Documents = st.SearchStrategy[Raw]

NOTHING: Documents = st.just({})
EVENTS = ("purchase", "page_view", "cart", "refund")
NUMBER_PATHS = ("amount", "items.total", "items.price", "n")
VALUE_PATHS = ("color", "amount", "items.product_id", "detail.size")
AMOUNTS = (1, 2, 50, 100, 0.1, 0.3, 33.3, -5, 0, 1.5, 200)
SCALARS: tuple[Any, ...] = ("red", "blue", "Red", 1, "1", True, 2.5, "")
PERIODS = ("today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_year")


def pick(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def sometimes(key: str, values: st.SearchStrategy[Any], rarely: int = 1) -> Documents:
    """`{key: value}` or nothing (first, and `rarely` times as often)."""
    return weighted((rarely, NOTHING), (1, values.map(lambda value: {key: value})))


def merged(*parts: Documents) -> Documents:
    return st.tuples(*parts).map(lambda maps: {key: value for each in maps for key, value in each.items()})


@cache
def number_comparisons(values: tuple[float, ...]) -> Documents:
    one = st.tuples(pick("gte", "gt", "lt", "lte", "eq", "ne"), st.sampled_from(values)).map(lambda pair: dict([pair]))
    lists = st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)
    several = st.tuples(pick("in", "not_in"), lists).map(lambda pair: dict([pair]))
    return weighted((6, one), (2, merged(one, one)), (1, several))


counts = number_comparisons((1, 2, 3, 0))
amounts = number_comparisons(AMOUNTS)


@st.composite
def value_tests(draw: st.DrawFn) -> Raw:
    """One operator on any value, dates aside."""
    op = draw(
        pick(
            "eq", "ne", "in", "not_in", "exists", "gte", "lt", "contains", "starts_with", "ends_with", "matches", "size"
        )
    )
    operands: dict[str, st.SearchStrategy[Any]] = {
        "in": st.lists(st.sampled_from(SCALARS), min_size=1, max_size=3, unique_by=repr),
        "not_in": st.lists(st.sampled_from(SCALARS), min_size=1, max_size=3, unique_by=repr),
        "exists": st.booleans(),
        "gte": pick(1, "blue", 2.5, "red", 50),
        "lt": pick(2, "red", 1, "blue", 100),
        "contains": pick("e", "red", 1, "a"),
        "starts_with": pick("r", "R", ""),
        "ends_with": pick("d", "ue"),
        "matches": pick("^r", "[Bb]l", "d$", "."),
        "size": number_comparisons((1, 2, 0)),
    }
    return {op: draw(operands.get(op, st.sampled_from(SCALARS)))}


value_comparisons = weighted((4, value_tests()), (1, merged(value_tests(), value_tests())))


@cache
def date_tests(stage: Stage) -> Documents:
    rolling = st.tuples(pick("in_last", "in_next"), st.sampled_from(stage.durations)).map(lambda pair: dict([pair]))
    coming = pick("1d", "7d", "2w", "30d").map(lambda text: {"anniversary_in_next": text})
    ages = number_comparisons((18, 17, 30, 0)).map(lambda comparison: {"age": comparison})
    return weighted((3, rolling), (1, coming), (1, ages))


def filters(paths: tuple[str, ...]) -> Documents:
    lists = st.lists(st.sampled_from(SCALARS), min_size=1, max_size=3, unique_by=repr)
    value = weighted((1, st.sampled_from(SCALARS)), (1, lists), (2, value_comparisons))
    return st.dictionaries(st.sampled_from(paths), value, min_size=1, max_size=2)


wheres = filters(("color", "amount", "detail.size", "labels", "items.category", "items.total", "items.price"))
item_filters = filters(("category", "product_id", "price", "total"))


@cache
def windows(stage: Stage) -> Documents:
    within = st.sampled_from(stage.durations).map(lambda text: {"within": text})
    before = st.sampled_from(stage.durations).map(lambda text: {"before": text})
    bands = [
        {"within": long, "before": short}
        for short in stage.durations
        for long in stage.durations
        if _shorter(short, long)
    ]
    edges = st.tuples(st.none() | dates(stage), st.none() | dates(stage)).filter(
        lambda pair: any(pair) and (None in pair or str(pair[0]) < str(pair[1]))
    )
    between = edges.map(lambda pair: {"between": list(pair)})
    periods = st.sampled_from(PERIODS).map(lambda name: {"period": name})
    return weighted((6, within), (2, NOTHING), (3, st.sampled_from(bands)), (3, periods), (1, before), (1, between))


def _shorter(short: str, long: str) -> bool:
    """Whether it is shorter wherever in the calendar it lies."""
    (short_ms, short_months), (long_ms, long_months) = (calendars.length(duration(text)) for text in (short, long))
    if bool(short_months) == bool(long_months):
        return short_ms + short_months < long_ms + long_months
    return (short_ms or short_months * 31 * calendars.DAY) < (long_ms or long_months * 28 * calendars.DAY)


@cache
def measures(stage: Stage) -> Documents:
    numeric = st.tuples(pick("sum", "avg", "min", "max"), st.sampled_from(NUMBER_PATHS), amounts)
    valued = st.tuples(pick("last", "first"), st.sampled_from(VALUE_PATHS), value_comparisons)
    dated = st.tuples(pick("last", "first"), st.just("when"), date_tests(stage))
    distinct = st.tuples(st.just("distinct"), st.sampled_from(VALUE_PATHS), counts)
    of = weighted((4, numeric), (2, valued), (1, dated), (2, distinct)).map(
        lambda triple: {triple[0]: {"of": triple[1], **triple[2]}}
    )
    spans = st.sampled_from(stage.durations)
    aged = st.tuples(pick("gt", "gte", "lt", "lte"), spans).map(lambda pair: dict([pair]))
    since = st.tuples(pick("since_last", "since_first"), weighted((3, aged), (1, merged(aged, aged))))
    counted, aging = counts.map(lambda c: {"count": c}), since.map(lambda pair: {pair[0]: pair[1]})
    return weighted((3, NOTHING), (3, counted), (4, of), (1, aging))


event_names = weighted(
    (6, pick(EVENTS[0], EVENTS[1])),
    (2, st.sampled_from(EVENTS)),
    (1, st.lists(st.sampled_from(EVENTS), min_size=2, max_size=2, unique=True)),
    (1, pick("profile")),
)
matches = pick("color", "items.product_id", {"color": "items.product_id"}, {"items.product_id": "color"})


@cache
def follows(stage: Stage) -> Documents:
    deadline = sometimes("within", st.sampled_from(stage.durations))
    asked = merged(
        event_names.map(lambda name: {"event": name}),
        deadline,
        sometimes("where", wheres, 4),
        sometimes("match", matches, 3),
        sometimes("items", item_filters, 8),
    )
    return st.tuples(pick("followed_by", "not_followed_by"), asked).map(lambda pair: dict([pair]))


@cache
def event_nodes(stage: Stage) -> Documents:
    return merged(
        event_names.map(lambda name: {"event": name}),
        windows(stage),
        measures(stage),
        sometimes("where", wheres, 4),
        sometimes("items", item_filters, 6),
        weighted((3, NOTHING), (1, follows(stage))),
    )


@cache
def pairs(stage: Stage) -> Documents:
    follow: Documents = weighted((6, NOTHING), (1, follows(stage)))
    numeric = st.tuples(pick("sum", "sum", "avg", "min", "max", "distinct"), st.sampled_from(NUMBER_PATHS))
    measure: Documents = weighted(
        (1, st.just({"count": {}})), (2, numeric.map(lambda pair: {pair[0]: {"of": pair[1]}}))
    )
    side = merged(
        event_names.map(lambda name: {"event": name}),
        windows(stage),
        measure,
        sometimes("where", wheres, 4),
        follow,
    )
    two = st.tuples(pick("difference", "ratio"), st.lists(side, min_size=2, max_size=2))
    return merged(two.map(lambda pair: {pair[0]: pair[1]}), number_comparisons((1, 0, 2, 0.5, 33.3, -5)))


@cache
def attributes(stage: Stage) -> Documents:
    plain = merged(
        pick("color", "score", "labels", "home.city").map(lambda path: {"attribute": path}), value_comparisons
    )
    dated = merged(pick("birth", "renews").map(lambda path: {"attribute": path}), date_tests(stage))
    return weighted((1, plain), (2, dated))


TAGS = ("vip", "gold", "new")
some_tags = st.lists(st.sampled_from(TAGS), min_size=1, max_size=2, unique=True)
tags = st.one_of(
    st.sampled_from(TAGS),
    merged(
        st.tuples(pick("any", "all", "none"), some_tags).map(lambda pair: dict([pair])), sometimes("none", some_tags, 2)
    ),
).map(lambda asked: {"tag": asked})
samples = st.tuples(pick(0, 100, 12, 62.5), sometimes("salt", pick("x", "y"))).map(
    lambda pair: {"sample": {"percent": pair[0], **pair[1]}}
)


def leaves(stage: Stage, named: tuple[str, ...]) -> Documents:
    """`named`: the segments a condition may name."""
    events = event_nodes(stage)
    kinds = [(9, events), (2, attributes(stage)), (2, pairs(stage)), (1, tags), (1, samples)]
    if named:
        refs = merged(
            st.sampled_from(named).map(lambda name: {"segment": name}),
            sometimes("for", st.sampled_from(stage.durations)),
        )
        kinds.append((4, refs))
    return weighted(*kinds)


@cache
def conditions(stage: Stage, named: tuple[str, ...], depth: int = 2) -> Documents:
    leaf = leaves(stage, named)
    if depth == 0:
        return leaf
    inner = conditions(stage, named, depth - 1)
    several = st.lists(inner, min_size=1, max_size=3)
    at_least = several.flatmap(lambda of: st.integers(1, len(of)).map(lambda n: {"at_least": {"n": n, "of": of}}))
    listed = st.tuples(pick("all", "any", "none"), several).map(lambda pair: dict([pair]))
    return weighted((8, leaf), (1, inner.map(lambda c: {"not": c})), (2, listed), (1, at_least))


@cache
def holds(stage: Stage) -> Documents:
    spans = st.sampled_from(stage.durations)
    return merged(sometimes("min_stay", spans), sometimes("cooldown", spans)).filter(bool)


@cache
def documents(stage: Stage, name: str, named: tuple[str, ...]) -> Documents:
    zones = st.sampled_from((stage.zone, stage.zone, stage.zone, "UTC", "Europe/Bucharest"))
    rule = merged(
        conditions(stage, named).map(lambda condition: {"enter": condition}),
        sometimes("exit", conditions(stage, named, 1), 3),
        sometimes("hold", holds(stage), 2),
        zones.map(lambda zone: {} if zone == "UTC" else {"timezone": zone}),
    )
    by_hand = st.just({"list": True})
    return weighted((19, rule), (1, by_hand)).map(lambda raw: {"id": name, **raw})


NAMES = ("seg-m", "seg-a", "seg-z")  # each may name those before it, which is not the order of the alphabet


@cache
def document_sets(stage: Stage) -> st.SearchStrategy[list[Raw]]:
    """One to three documents."""
    sizes = [st.tuples(*[documents(stage, NAMES[i], NAMES[:i]) for i in range(size)]).map(list) for size in (1, 2, 3)]
    return weighted((2, sizes[0]), (1, sizes[1]), (1, sizes[2]))
