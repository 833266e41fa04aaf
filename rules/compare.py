"""Comparisons compiled to predicates over one JSON value. What is missing is None; types never mix."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import re2

from rules.language.documents import Comparison, Scalar, Test

Predicate = Callable[[Any], bool]

DATE_OPERATORS = frozenset({"in_last", "in_next", "anniversary_in_next", "age"})
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def kind(value: Any) -> str:
    """The type a value compares as: "b" boolean, "n" number, "s" text, "" anything else (missing, list, object)."""
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int | float):
        return "n"
    return "s" if isinstance(value, str) else ""


def key(value: Any) -> str | None:
    """A scalar as one text that is equal exactly where the values are; None for what is no scalar.

    >>> key("1"), key(1), key(1.0), key(True)
    ('1', '\\x00n1', '\\x00n1', '\\x00bTrue')
    """
    if isinstance(value, str):
        return "\x00s" + value if value.startswith("\x00") else value
    if isinstance(value, bool):
        return f"\x00b{value}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"\x00n{value!r}" if isinstance(value, int | float) else None


def scalar(text: str) -> Scalar:
    """The value that `key` made a text of."""
    if not text.startswith("\x00"):
        return text
    tag, rest = text[1], text[2:]
    if tag == "s":
        return rest
    if tag == "b":
        return rest == "True"
    return float(rest) if any(mark in rest for mark in ".en") else int(rest)


def all_of(predicates: Iterable[Predicate]) -> Predicate:
    several = tuple(predicates)
    if len(several) == 1:
        return several[0]
    return lambda value: all(holds(value) for holds in several)


def predicate(comparison: Comparison) -> Predicate:
    """The comparison without clock-dependent operators as a function of a value. `matches` is compiled once."""
    return all_of(_compile(test) for test in comparison.tests)


def _compile(test: Test) -> Predicate:
    operand: Any = test.operand
    if test.op in _ORDER:
        return _ordered(_ORDER[test.op], operand)
    return _MAKERS[test.op](operand)


def _ordered(compare: Callable[[Any, Any], bool], operand: Scalar) -> Predicate:
    wanted = kind(operand)
    if wanted == "s":
        return lambda value: isinstance(value, str) and compare(value, operand)
    return lambda value: kind(value) == wanted == "n" and compare(value, operand)


def _eq(operand: Scalar) -> Predicate:
    wanted = key(operand)
    if isinstance(operand, str):
        return lambda value: bool(value == operand)
    return lambda value: value is not None and key(value) == wanted


def _in(operands: tuple[Scalar, ...]) -> Predicate:
    wanted = frozenset(key(operand) for operand in operands)
    return lambda value: value is not None and (found := key(value)) is not None and found in wanted


def _negate(holds: Predicate) -> Predicate:
    return lambda value: not holds(value)


def _contains(operand: Scalar) -> Predicate:
    wanted = key(operand)

    def contains(value: Any) -> bool:
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, list) and any(key(element) == wanted for element in value)

    return contains


def _matches(pattern: str) -> Predicate:
    options = re2.Options()
    options.log_errors = False
    compiled = re2.compile(pattern, options=options)
    return lambda value: isinstance(value, str) and compiled.search(value) is not None


def _size(comparison: Comparison) -> Predicate:
    holds = predicate(comparison)
    return lambda value: isinstance(value, list) and holds(len(value))


_MAKERS: dict[str, Callable[[Any], Predicate]] = {
    "eq": _eq,
    "ne": lambda operand: _negate(_eq(operand)),
    "in": _in,
    "not_in": lambda operands: _negate(_in(operands)),
    "contains": _contains,
    "starts_with": lambda operand: lambda value: isinstance(value, str) and value.startswith(operand),
    "ends_with": lambda operand: lambda value: isinstance(value, str) and value.endswith(operand),
    "matches": _matches,
    "exists": lambda operand: lambda value: (value is not None) == operand,
    "size": _size,
}
