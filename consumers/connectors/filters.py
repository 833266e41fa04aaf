"""The filters of templates: a chosen part of Liquid's, each bounded, and a few that bodies of vendors need.

Whatever a filter makes is bounded in size, and what is undefined passes through none but `default` (and the ones that
stand before it: `int`, `number`), so that a template can neither fill the memory nor say something it does not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from liquid import Environment, RenderContext
from liquid.exceptions import FilterArgumentError, FilterValueError
from liquid.undefined import is_undefined

from consumers.connectors import identities
from rules.limits import INTEGER_MAX

TEXT_CHARS_MAX = 256 * 1024  # of any text that a template makes: more than any mail or API takes
LIST_VALUES_MAX = 10_000
UNIQUE_VALUES_MAX = 1_000  # `uniq` compares each with each

KEPT = (
    "abs", "append", "at_least", "at_most", "base64_encode", "capitalize", "ceil", "compact", "concat", "date",
    "default", "divided_by", "downcase", "escape", "first", "floor", "join", "last", "lstrip", "map", "minus",
    "modulo", "newline_to_br", "plus", "prepend", "remove", "replace", "reverse", "round", "rstrip", "size", "slice",
    "sort", "split", "squish", "strip", "strip_html", "strip_newlines", "sum", "times", "truncate", "truncatewords",
    "uniq", "upcase", "url_encode", "where",
)  # fmt: skip
"""Of Liquid's own."""

_PASS_UNDEFINED = frozenset(
    {
        "default",
        "digits",
        "downcase",
        "email",
        "google_email",
        "google_phone",
        "int",
        "md5",
        "number",
        "phone",
        "sha256",
        "strip",
    }
)


class Omit:
    """What a key is left out for: `{{ user | default: omit }}`."""

    def __repr__(self) -> str:
        return "omit"

    def __str__(self) -> str:
        return ""


OMIT = Omit()


def install(environment: Environment) -> None:
    """Leaves of Liquid's filters those that are kept, adds ours, and bounds them all."""
    chosen: dict[str, Callable[..., Any]] = {name: environment.filters[name] for name in KEPT} | _OURS
    environment.filters.clear()
    for name, function in chosen.items():
        environment.add_filter(name, _bounded(name, function))


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    passes = name in _PASS_UNDEFINED

    def run(value: Any, *arguments: Any, **options: Any) -> Any:
        if is_undefined(value):
            if passes and name != "default":
                return value
            if not passes:
                str(value)  # raises, naming it
        if value is OMIT:
            return value
        for each in (value, *arguments):
            if isinstance(each, range) and len(each) > LIST_VALUES_MAX:
                raise FilterValueError(f"a list holds at most {LIST_VALUES_MAX:,} values", token=None)
        for each in arguments:
            if is_undefined(each):
                str(each)
        if name == "uniq" and isinstance(value, list) and len(value) > UNIQUE_VALUES_MAX:
            raise FilterValueError(f"takes at most {UNIQUE_VALUES_MAX:,} values", token=None)
        if name == "replace" and len(arguments) == 2:
            _fits_replaced(str(value), str(arguments[0]), str(arguments[1]))
        return _fits(function(value, *arguments, **options))

    for mark in ("with_context", "with_environment"):
        if getattr(function, mark, False):
            setattr(run, mark, True)
    return run


def _fits_replaced(text: str, old: str, new: str) -> None:
    if len(text) + text.count(old) * len(new) > TEXT_CHARS_MAX:
        raise FilterValueError(f"a text may be at most {TEXT_CHARS_MAX:,} characters long", token=None)


def _fits(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        raise FilterValueError(f"a text may be at most {TEXT_CHARS_MAX:,} characters long", token=None)
    if isinstance(value, list) and len(value) > LIST_VALUES_MAX:
        raise FilterValueError(f"a list holds at most {LIST_VALUES_MAX:,} values", token=None)
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise FilterValueError("a number has at most 63 bits", token=None)
    if isinstance(value, float) and not isfinite(value):
        raise FilterValueError("is no finite number", token=None)
    return value


# -- ours -------------------------------------------------------------------------------------------------------------


def _int(value: Any) -> Any:
    """`{{ customer.kommo_id | int }}`: a whole number, also where it was kept as text."""
    if isinstance(value, bool) or value is None:
        raise FilterValueError("is no whole number", token=None)
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 20 and value.strip().removeprefix("-").isdecimal():
        return int(value)
    raise FilterValueError("is no whole number", token=None)


def _number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 64 and value.isascii():
        try:
            found = float(value)
        except ValueError:
            pass
        else:
            if found == found and abs(found) != float("inf"):
                return int(found) if found.is_integer() and abs(found) <= INTEGER_MAX else found
    raise FilterValueError("is no number", token=None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _digits(value: Any) -> str:
    """`{{ customer.phone | digits }}`: `+40 (721) 000 000` is `40721000000`."""
    return "".join(char for char in _text(value) if char in "0123456789")


def _sha256(value: Any) -> str | None:
    """Nothing has no hash: `{{ customer.email | sha256 | default: omit }}`."""
    return None if value in (None, "") else hashlib.sha256(_text(value).encode()).hexdigest()


def _md5(value: Any) -> str | None:
    """Not for secrecy: some vendors' ids are made of it."""
    return None if value in (None, "") else hashlib.md5(_text(value).encode(), usedforsecurity=False).hexdigest()


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise FilterValueError(f"cannot be JSON: {error}", token=None) from None


def _date(value: Any, form: Any = "%Y-%m-%d", *, context: RenderContext) -> str:
    """`{{ event.ts | date: "%d.%m.%Y" }}`: of seconds since 1970 or an RFC 3339 text, in the segment's timezone."""
    if not isinstance(form, str) or len(form) > 256:
        raise FilterArgumentError("the form must be a text such as `%d.%m.%Y`", token=None)
    try:
        instant = _instant(value)
        return instant.astimezone(_zone(context)).strftime(form)
    except (ValueError, OverflowError, OSError):
        raise FilterValueError("is no date", token=None) from None


def _instant(value: Any) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise ValueError("neither a number nor a text")


def _zone(context: RenderContext) -> ZoneInfo:
    segment = context.globals.get("segment")
    name = segment.get("timezone") if isinstance(segment, Mapping) else None
    return ZoneInfo(name if isinstance(name, str) and name else "UTC")


_date.with_context = True  # type: ignore[attr-defined]

_OURS: dict[str, Callable[..., Any]] = {
    "date": _date,
    "digits": _digits,
    "email": identities.email,
    "google_email": identities.google_email,
    "google_phone": identities.google_phone,
    "int": _int,
    "json": _json,
    "md5": _md5,
    "number": _number,
    "phone": identities.phone,
    "sha256": _sha256,
}
