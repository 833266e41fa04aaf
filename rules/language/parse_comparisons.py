"""Reads operators with their operands, and filters. Which operators may stand where is one table each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rules.language import mistakes
from rules.language.documents import Comparison, Duration, Filter, Scalar, Test
from rules.language.draft import Draft, join
from rules.language.parse_values import (
    Reader,
    boolean,
    duration,
    each,
    is_path,
    mapping,
    number,
    ordered,
    path,
    pattern,
    piece,
    scalar,
    whole_days,
)

Operand = Scalar | tuple[Scalar, ...] | Duration | Comparison


@dataclass(frozen=True, slots=True)
class Asked:
    """What a comparison is about (`where`, for messages), and a reader for each operator that may be asked of it."""

    where: str
    example: str
    operators: Mapping[str, Reader[Operand]]
    note: str = ""


def _scalars(draft: Draft, raw: Any, at: str) -> tuple[Scalar, ...] | None:
    return each(draft, raw, at, scalar, "[BR, PT]")


def _numbers(draft: Draft, raw: Any, at: str) -> tuple[Scalar, ...] | None:
    return each(draft, raw, at, number, "[1, 2]")


def _nested(draft: Draft, raw: Any, at: str) -> Comparison | None:
    """`size: {gte: 2}`, `age: {gte: 18}`."""
    return comparison(draft, raw, at, NUMBER)


_NUMBERS: dict[str, Reader[Operand]] = {
    "eq": number, "ne": number, "in": _numbers, "not_in": _numbers,
    "gt": number, "gte": number, "lt": number, "lte": number,
}  # fmt: skip
_AGES: dict[str, Reader[Operand]] = dict.fromkeys(("gt", "gte", "lt", "lte", "eq", "ne"), duration)
_VALUES: dict[str, Reader[Operand]] = {
    "eq": scalar, "ne": scalar, "in": _scalars, "not_in": _scalars,
    "gt": ordered, "gte": ordered, "lt": ordered, "lte": ordered,
    "contains": scalar, "starts_with": piece, "ends_with": piece, "matches": pattern,
    "exists": boolean, "size": _nested,
}  # fmt: skip
_DATES: dict[str, Reader[Operand]] = {
    "in_last": duration,
    "in_next": duration,
    "anniversary_in_next": whole_days,
    "age": _nested,
}

NUMBER = Asked("a number", "{gte: 3}", _NUMBERS)
AGE = Asked("the time since an event", "{gt: 30d}", _AGES)
FIELD = Asked("a field", "{gte: 100}", _VALUES, "; dates are asked of attributes, of `first` and of `last`")
VALUE = Asked("a value", "{eq: BR}", _VALUES | _DATES)
OPERATORS = tuple(VALUE.operators)


def comparison(
    draft: Draft, raw: Any, at: str, asked: Asked, beside: Collection[str] = (), what: str = ""
) -> Comparison | None:
    """Every operator of a mapping but the keys `beside` it; at least one must be there."""
    if not isinstance(raw, dict):
        draft.wrong(at, mistakes.not_a_comparison(raw, asked.example))
        return None
    asks = [key for key in raw if key not in beside]
    if not asks:
        draft.wrong(at, mistakes.nothing_asked(what or asked.where, asked.example.strip("{}")))
        return None
    found = [test for key in asks if (test := _test(draft, key, raw[key], join(at, key), asked))]
    return Comparison(tuple(found)) if len(found) == len(asks) else None


def _test(draft: Draft, op: Any, raw: Any, at: str, asked: Asked) -> Test | None:
    read = asked.operators.get(op)
    if read is not None:
        operand = read(draft, raw, at)
        return None if operand is None else Test(op, operand)
    known = tuple(asked.operators)
    if op in OPERATORS:
        draft.wrong(at, mistakes.operator_misplaced(op, known, asked.where) + (asked.note if op in _DATES else ""))
    else:
        draft.wrong(at, partial(mistakes.no_such_operator, op, known))
    return None


def filters(draft: Draft, raw: Any, at: str, items: bool = False) -> tuple[Filter, ...]:
    """`where` (paths into the properties) or `items` (paths into one item)."""
    example = "{category: shoes}" if items else "{currency: BRL}"
    found = mapping(draft, raw, at, example)
    if found is None:
        return ()
    if not raw:
        draft.wrong(at, mistakes.empty_mapping(example))
    read = (_filter(draft, key, value, join(at, key), items) for key, value in found.items())
    return tuple(each_filter for each_filter in read if each_filter)


def _filter(draft: Draft, key: str, raw: Any, at: str, items: bool) -> Filter | None:
    if not is_path(key):
        draft.wrong(at, mistakes.not_a_path(key))
    elif items and key.startswith("items."):
        draft.wrong(at, mistakes.path_with_items(key))
    compared = comparison(draft, raw, at, FIELD) if isinstance(raw, dict) else _short(draft, raw, at)
    return Filter(key, compared, at) if compared else None


def _short(draft: Draft, raw: Any, at: str) -> Comparison | None:
    """`currency: BRL` is `{eq: BRL}`, `channel: [app, web]` is `{in: [app, web]}`."""
    op, operand = ("in", _scalars(draft, raw, at)) if isinstance(raw, list | tuple) else ("eq", scalar(draft, raw, at))
    return None if operand is None else Comparison((Test(op, operand),))


def measured_path(draft: Draft, raw: dict[str, Any], at: str, example: str) -> str | None:
    """`of`: what is measured."""
    if "of" in raw:
        return path(draft, raw["of"], join(at, "of"))
    draft.wrong(join(at, "of"), mistakes.missing_key("of", example))
    return None
