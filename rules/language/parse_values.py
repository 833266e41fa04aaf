"""Reads single values: texts, numbers, durations, lists. Each reader notes what is wrong and then gives None."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from math import isfinite
from typing import Any, TypeVar

import re2

from rules.language import mistakes
from rules.language.documents import Duration, Scalar
from rules.language.draft import Draft, join
from rules.language.hints import shown
from rules.limits import DAY_MS, DURATION_YEARS_MAX, INTEGER_MAX, LIST_VALUES_MAX, PATH_CHARS_MAX, PATTERN_CHARS_MAX

T = TypeVar("T")
Reader = Callable[[Draft, Any, str], T | None]

_DURATION = re.compile(r"([0-9]{1,12})(s|m|h|d|w|mo|y)")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
_UNIT_MONTHS = {"mo": 1, "y": 12}
_MS_MAX = DURATION_YEARS_MAX * 36525 * DAY_MS // 100
_QUIET = re2.Options()
_QUIET.log_errors = False


def mapping(draft: Draft, raw: Any, at: str, example: str) -> dict[str, Any] | None:
    """A mapping; keys that are no text are noted and left out."""
    if not isinstance(raw, dict):
        draft.wrong(at, mistakes.not_a_mapping(raw, example))
        return None
    strange = [key for key in raw if not isinstance(key, str)]
    for key in strange:
        draft.wrong(join(at, key), mistakes.key_not_text(key))
    return {key: value for key, value in raw.items() if isinstance(key, str)} if strange else raw


def only_keys(draft: Draft, raw: dict[str, Any], at: str, known: Sequence[str]) -> None:
    for key in raw:
        if key not in known:
            draft.wrong(join(at, key), partial(mistakes.unknown_key, key, known))


def listing(draft: Draft, raw: Any, at: str, example: str) -> list[Any] | None:
    """A list of 1 to LIST_VALUES_MAX values."""
    if not isinstance(raw, list | tuple):
        draft.wrong(at, mistakes.not_a_list(raw, example))
    elif not raw:
        draft.wrong(at, mistakes.empty_list(example))
    elif len(raw) > LIST_VALUES_MAX:
        draft.wrong(at, mistakes.too_many_values(len(raw)))
    else:
        return list(raw)
    return None


def each(draft: Draft, raw: Any, at: str, read: Reader[T], example: str) -> tuple[T, ...] | None:
    """A list whose values are all read by `read`; None if one of them is wrong."""
    values = listing(draft, raw, at, example)
    if values is None:
        return None
    found = [read(draft, value, f"{at}[{index}]") for index, value in enumerate(values)]
    good = tuple(value for value in found if value is not None)
    return good if len(good) == len(found) else None


def text(draft: Draft, raw: Any, at: str, what: str, chars_max: int, empty: bool = False) -> str | None:
    if not isinstance(raw, str):
        draft.wrong(at, mistakes.null_value() if raw is None else mistakes.not_text(raw, what))
    elif not raw and not empty:
        draft.wrong(at, mistakes.empty_text(what))
    elif len(raw) > chars_max:
        draft.wrong(at, mistakes.too_long(what, len(raw), chars_max))
    elif not whole_characters(raw):
        draft.wrong(at, mistakes.unreadable_text(what))
    else:
        return raw
    return None


def whole_characters(value: str) -> bool:
    """Whether a text can be written as UTF-8: JSON lets half a surrogate pair through."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def path(draft: Draft, raw: Any, at: str) -> str | None:
    """Where a value lies in an event's properties or in the attributes: names joined by dots."""
    if not isinstance(raw, str):
        draft.wrong(at, mistakes.null_value() if raw is None else mistakes.not_text(raw, "a path"))
    elif not raw:
        draft.wrong(at, mistakes.empty_text("a path"))
    elif not is_path(raw):
        draft.wrong(at, mistakes.not_a_path(raw))
    else:
        return raw
    return None


def is_path(value: str) -> bool:
    return len(value) <= PATH_CHARS_MAX and "" not in value.split(".") and whole_characters(value)


def scalar(draft: Draft, raw: Any, at: str) -> Scalar | None:
    """A text, a finite number or a boolean."""
    if raw is None:
        draft.wrong(at, mistakes.null_operand())
    elif isinstance(raw, bool):
        return raw
    elif isinstance(raw, int | float):
        return number(draft, raw, at)
    elif not isinstance(raw, str):
        draft.wrong(at, mistakes.not_a_scalar(raw))
    elif not whole_characters(raw):
        draft.wrong(at, mistakes.unreadable_text("a text"))
    else:
        return raw
    return None


def number(draft: Draft, raw: Any, at: str) -> int | float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        draft.wrong(at, mistakes.not_a_number(raw))
    elif isinstance(raw, float) and not isfinite(raw):
        draft.wrong(at, mistakes.not_finite(raw))
    elif isinstance(raw, int) and abs(raw) > INTEGER_MAX:
        draft.wrong(at, mistakes.integer_too_large())
    else:
        return raw
    return None


def ordered(draft: Draft, raw: Any, at: str) -> int | float | str | None:
    """What has an order: a number or a text."""
    if isinstance(raw, bool) or not (raw is None or isinstance(raw, str | int | float)):
        draft.wrong(at, mistakes.not_ordered(raw))
        return None
    found = scalar(draft, raw, at)
    assert not isinstance(found, bool)
    return found


def boolean(draft: Draft, raw: Any, at: str) -> bool | None:
    if isinstance(raw, bool):
        return raw
    draft.wrong(at, mistakes.not_a_boolean(raw))
    return None


def piece(draft: Draft, raw: Any, at: str) -> str | None:
    """The text that another one starts or ends with."""
    if raw is None:
        draft.wrong(at, mistakes.null_operand())
        return None
    return text(draft, raw, at, "this", 1 << 20, empty=True)


def pattern(draft: Draft, raw: Any, at: str) -> str | None:
    """A regular expression in RE2's syntax; compiled once here to see that it can be."""
    found = piece(draft, raw, at)
    if found is None:
        return None
    if len(found) > PATTERN_CHARS_MAX:
        draft.wrong(at, mistakes.pattern_too_long(len(found)))
        return None
    try:
        re2.compile(found, options=_QUIET)
    except re2.error as error:
        draft.wrong(at, mistakes.pattern_broken(_reason(error)))
        return None
    return found


def _reason(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    return shown(told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)).strip("`")


def duration(draft: Draft, raw: Any, at: str) -> Duration | None:
    """`90s 15m 1h 30d 2w` exact, `6mo 1y` calendar; longer than nothing, at most DURATION_YEARS_MAX years."""
    match = _DURATION.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        draft.wrong(at, mistakes.null_value() if raw is None else mistakes.not_a_duration(raw))
        return None
    count, unit = int(match[1]), match[2]
    ms, months = count * _UNIT_MS.get(unit, 0), count * _UNIT_MONTHS.get(unit, 0)
    if not count:
        draft.wrong(at, mistakes.duration_zero())
    elif ms > _MS_MAX or months > DURATION_YEARS_MAX * 12:
        draft.wrong(at, mistakes.duration_too_long())
    else:
        return Duration(ms=ms, months=months, text=match[0])
    return None


def whole_days(draft: Draft, raw: Any, at: str) -> Duration | None:
    found = duration(draft, raw, at)
    if found is None or (found.ms and found.ms % DAY_MS == 0):
        return found
    draft.wrong(at, mistakes.not_whole_days(found.text))
    return None
