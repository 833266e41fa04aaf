"""Reading an event's properties: dotted paths, items, filters and the values a measure takes (contract §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rules.compare import Predicate, all_of, key, predicate
from rules.language.documents import Comparison, Filter
from rules.numbers import micros, number, product_micros

Properties = dict[str, Any]
Reader = Callable[[Properties], Any]
Reads = Callable[[Properties], list[Any]]
Accepts = Callable[[Properties], bool]

ITEMS = "items."


def reader(path: str) -> Reader:
    """The value at a dotted path, None where there is none. A property whose own name has the dots comes first."""
    if "." not in path:
        return lambda properties: properties.get(path)
    parts = path.split(".")

    def read(properties: Properties) -> Any:
        if path in properties:
            return properties[path]
        found: Any = properties
        for part in parts:
            if not isinstance(found, dict):
                return None
            found = found.get(part)
        return found

    return read


def item_reader(path: str) -> Reader:
    """The same in one item; `total` is price * quantity, rounded half-even to six decimals."""
    if path != "total":
        return reader(path)

    def total(item: Properties) -> Any:
        exact = product_micros(item.get("price"), item.get("quantity"))
        return None if exact is None else number(exact)

    return total


def items_of(properties: Properties) -> list[Properties]:
    items = properties.get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def accepts_item(filters: tuple[Filter, ...]) -> Accepts:
    """Whether one item passes all filters. Orders have dozens of items: each test is one plain call."""
    tests = [_passes(item_reader(each.path), predicate(each.comparison)) for each in filters]
    return all_of(tests)


def _passes(read: Reader, holds: Predicate) -> Accepts:
    return lambda properties: holds(read(properties))


def accepts(where: tuple[Filter, ...], items: tuple[Filter, ...]) -> Accepts | None:
    """Whether an event passes `where` and has one item that passes all of `items`; None where nothing is asked."""
    tests = [_where(each) for each in where]
    if items:
        tests.append(_any_passes(accepts_item(items)))
    return all_of(tests) if tests else None


def _any_passes(matches: Accepts) -> Accepts:
    def some(properties: Properties) -> bool:
        for item in items_of(properties):  # noqa: SIM110 - a generator costs as much again
            if matches(item):
                return True
        return False

    return some


def _where(each: Filter) -> Predicate:
    if each.path.startswith(ITEMS):
        return _any_item(each.path[len(ITEMS) :], each.comparison)
    return _passes(reader(each.path), predicate(each.comparison))


def _any_item(path: str, comparison: Comparison) -> Predicate:
    """A path through items: some item's value passes; `exists: false` asks that no item has one."""
    absent = [test for test in comparison.tests if test.op == "exists" and test.operand is False]
    others = tuple(test for test in comparison.tests if test not in absent)
    read = item_reader(path)
    holds = predicate(Comparison(others)) if others else None

    def some(properties: Properties) -> bool:
        values = [read(item) for item in items_of(properties)]
        if absent and any(value is not None for value in values):
            return False
        return holds is None or any(holds(value) for value in values)

    return some


def raw_values(path: str, items: tuple[Filter, ...]) -> Reads:
    """What an event gives at `path`: one value, or one of each item (only those that pass the items filter)."""
    if not path.startswith(ITEMS):
        read = reader(path)
        return lambda properties: [] if (value := read(properties)) is None else [value]
    each = item_reader(path[len(ITEMS) :])
    matches = accepts_item(items) if items else None

    def through_items(properties: Properties) -> list[Any]:
        found = items_of(properties) if matches is None else [item for item in items_of(properties) if matches(item)]
        return [value for value in map(each, found) if value is not None]

    return through_items


def amounts(path: str, items: tuple[Filter, ...]) -> Reads:
    """The numbers at `path` in millionths; what is no number is left out."""
    if not path.startswith(ITEMS):
        read = reader(path)
        return lambda properties: [] if (exact := micros(read(properties))) is None else [exact]
    values = raw_values(path, items)
    return lambda properties: [exact for value in values(properties) if (exact := micros(value)) is not None]


def keys(path: str, items: tuple[Filter, ...]) -> Reads:
    """The scalars at `path` as texts that are equal where the values are."""
    values = raw_values(path, items)
    return lambda properties: [text for value in values(properties) if (text := key(value)) is not None]
