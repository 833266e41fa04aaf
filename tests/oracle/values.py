"""Values by definition: where a path leads, and what an operator says of what stands there (contract §2)."""

from __future__ import annotations

from typing import Any

import re2

from rules.language.documents import Comparison, Duration, Filter, Test
from tests.oracle import calendars
from tests.oracle.amounts import exact, is_number, items_total

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def at(mapping: Any, path: str) -> Any:
    """The value at a dotted path, None where it is missing (null is missing). A name with dots of its own wins."""
    if not isinstance(mapping, dict):
        return None
    if path in mapping:
        return mapping[path]
    head, _, rest = path.partition(".")
    return at(mapping.get(head), rest) if rest else None


def at_item(item: dict[str, Any], path: str) -> Any:
    return items_total(item) if path == "total" else at(item, path)


def items(properties: dict[str, Any]) -> list[dict[str, Any]]:
    found = properties.get("items")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def item_path(path: str) -> str | None:
    return path.removeprefix("items.") if path.startswith("items.") else None


def values(properties: dict[str, Any], path: str, filters: tuple[Filter, ...]) -> list[Any]:
    """Every value an event has at a path: one, or one an item (of those that pass the items filter)."""
    inner = item_path(path)
    found = (
        [at(properties, path)]
        if inner is None
        else [at_item(item, inner) for item in items(properties) if item_passes(item, filters)]
    )
    return [value for value in found if value is not None]


def passes(properties: dict[str, Any], where: tuple[Filter, ...], item_filters: tuple[Filter, ...]) -> bool:
    if not all(_filter_holds(properties, each) for each in where):
        return False
    return not item_filters or any(item_passes(item, item_filters) for item in items(properties))


def item_passes(item: dict[str, Any], filters: tuple[Filter, ...]) -> bool:
    return all(satisfies(at_item(item, each.path), each.comparison) for each in filters)


def _filter_holds(properties: dict[str, Any], asked: Filter) -> bool:
    inner = item_path(asked.path)
    if inner is None:
        return satisfies(at(properties, asked.path), asked.comparison)
    found = [at_item(item, inner) for item in items(properties)]
    nothing = [test for test in asked.comparison.tests if (test.op, test.operand) == ("exists", False)]
    rest = Comparison(tuple(test for test in asked.comparison.tests if test not in nothing))
    if nothing and any(value is not None for value in found):
        return False
    return not rest.tests or any(satisfies(value, rest) for value in found)


def same(one: Any, other: Any) -> bool:
    """Equality without conversion: a number, a text and a boolean never equal one another; a list equals nothing."""
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool) and one == other
    if is_number(one) and is_number(other):
        return exact(one) == exact(other)
    return isinstance(one, str) and isinstance(other, str) and one == other


def satisfies(value: Any, comparison: Comparison, now: int = 0, tz: str = "UTC") -> bool:
    return all(_test(value, test, now, tz) for test in comparison.tests)


def _test(value: Any, test: Test, now: int, tz: str) -> bool:
    operand: Any = test.operand
    if test.op == "exists":
        return (value is not None) is operand
    if test.op == "ne":
        return not same(value, operand)
    if test.op == "not_in":
        return not any(same(value, each) for each in operand)
    if value is None:
        return False
    if test.op in ("gt", "gte", "lt", "lte"):
        return _ordered(value, test.op, operand)
    if test.op in ("in_last", "in_next", "anniversary_in_next", "age"):
        return _dated(value, test.op, operand, now, tz)
    return _plain(value, test.op, operand)


def _plain(value: Any, op: str, operand: Any) -> bool:
    text = isinstance(value, str)
    match op:
        case "eq":
            return same(value, operand)
        case "in":
            return any(same(value, each) for each in operand)
        case "contains":
            if isinstance(value, list):
                return any(same(element, operand) for element in value)
            return text and isinstance(operand, str) and operand in value
        case "starts_with":
            return text and value[: len(operand)] == operand
        case "ends_with":
            return text and len(value) >= len(operand) and value[len(value) - len(operand) :] == operand
        case "matches":
            return text and re2.search(operand, value, options=_OPTIONS) is not None
        case "size":
            return isinstance(value, list) and satisfies(len(value), operand)
    raise AssertionError(op)


def _ordered(value: Any, op: str, operand: Any) -> bool:
    if is_number(value) and is_number(operand):
        value, operand = exact(value), exact(operand)
    elif not (isinstance(value, str) and isinstance(operand, str)):
        return False
    below, equal = value < operand, value == operand
    return bool({"lt": below, "lte": below or equal, "gt": not below and not equal, "gte": not below}[op])


def _dated(value: Any, op: str, operand: Any, now: int, tz: str) -> bool:
    if op in ("age", "anniversary_in_next"):
        born, today = calendars.day_of(value, tz), calendars.local_day(now, tz)
        if born is None:
            return False
        if op == "age":
            return satisfies(calendars.age(born, today), operand)
        return calendars.anniversary_within(born, today, calendars.whole_days(operand))
    moment = calendars.moment_of(value, tz)
    if moment is None:
        return False
    try:
        if op == "in_last":
            return moment <= now < calendars.shift(moment, operand, tz)
        return calendars.shift(moment, operand, tz, -1) <= now < moment
    except calendars.Unreachable:
        return op == "in_last" and moment <= now


def age_compares(begins: int, comparison: Comparison, now: int, tz: str) -> bool:
    """`since_first`/`since_last`: how old an instant is, against durations; with calendar units from its local time."""
    return all(_aged(begins, test.op, test.operand, now, tz) for test in comparison.tests)


def _aged(begins: int, op: str, operand: Any, now: int, tz: str) -> bool:
    if isinstance(operand, tuple):
        return any(_aged(begins, "eq", each, now, tz) for each in operand) is (op == "in")
    assert isinstance(operand, Duration)
    reached = calendars.after(begins, operand, tz)
    if reached is None:
        return op in ("lt", "lte", "ne")
    return {
        "gt": now > reached,
        "gte": now >= reached,
        "lt": now < reached,
        "lte": now <= reached,
        "eq": now == reached,
        "ne": now != reached,
    }[op]
