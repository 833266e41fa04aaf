"""Reads `actions`: what a segment sets off, with every mistake located (contract §6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, TypeVar, cast

from rules.actions import CAUSES, CAUSES_LEFT_OUT, Action, Every, Limit, Occasion, OnEvent, QuietHours, Rate
from rules.language import mistakes, mistakes_actions
from rules.language.draft import Draft, join
from rules.language.parse_conditions import SEGMENT_ID, condition
from rules.language.parse_events import event_types
from rules.language.parse_values import duration, each, listing, mapping, only_keys, text, whole_characters
from rules.limits import (
    ACTION_CALLS_PER_CUSTOMER_MAX,
    ACTION_EVERY_MS_MIN,
    ACTION_LIMIT_DAYS_MAX,
    ACTION_RATE_MAX,
    ACTIONS_MAX,
    DAY_MS,
    INTEGER_MAX,
)
from rules.times import span_ms

KEYS = ("id", "on", "causes", "use", "with", "wait", "unless", "limit", "rate", "quiet_hours")
_OCCASIONS = ("entered", "exited", "member")
_EXAMPLE = "[{id: welcome, on: entered, use: mail.send, with: {template: welcome}}]"
_USE = re.compile(r"[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}")
_RATE = re.compile(r"([0-9]{1,9})/(s|m|h)")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_TEXT_MAX = 1 << 20
T = TypeVar("T")

# What does not go with what, and why.
_MEMBER = "it keeps another system equal to the membership, so nothing may be left out or come late"
_NOT_WITH: dict[str, dict[str, str]] = {
    "member": {
        "causes": "it follows every change",
        "wait": _MEMBER,
        "unless": _MEMBER,
        "limit": _MEMBER,
    },
    "event": {"causes": "they are of entering and leaving"},
    "every": {"causes": "they are of entering and leaving", "wait": "a run has its own time: say it in `at`"},
}


def actions(draft: Draft, raw: Any, at: str = "actions") -> tuple[Action, ...]:
    """The actions of a document; those without a mistake."""
    values = listing(draft, raw, at, _EXAMPLE)
    if values is None:
        return ()
    if len(values) > ACTIONS_MAX:
        draft.wrong(at, mistakes_actions.too_many_actions(len(values)))
        return ()
    known: set[str] = set()
    found = [_action(draft, value, f"{at}[{index}]", known) for index, value in enumerate(values)]
    return tuple(each for each in found if each is not None)


def _action(draft: Draft, raw: Any, at: str, known: set[str]) -> Action | None:
    found = mapping(draft, raw, at, _EXAMPLE[1:-1])
    if found is None:
        return None
    only_keys(draft, found, at, KEYS)
    for key, example in (("id", "id: welcome"), ("on", "on: entered"), ("use", "use: mail.send")):
        if key not in found:
            draft.wrong(join(at, key), mistakes.missing_key(key, example))
    name = _id(draft, found, join(at, "id"), known)
    on = _on(draft, found["on"], join(at, "on")) if "on" in found else None
    use = _use(draft, found["use"], join(at, "use")) if "use" in found else None
    _check_together(draft, found, at, on)
    action = Action(
        id=name or "",
        on=on or "entered",
        use=use or "",
        with_=_read(draft, found, at, "with", _with) or {},
        causes=_causes(draft, found, at, on),
        wait=_read(draft, found, at, "wait", duration),
        unless=condition(draft, found["unless"], join(at, "unless")) if "unless" in found else None,
        limit=_read(draft, found, at, "limit", _limit),
        rate=_read(draft, found, at, "rate", _rate),
        quiet_hours=_read(draft, found, at, "quiet_hours", _quiet_hours),
        at=at,
    )
    return action if name and on and use else None


def _read(
    draft: Draft, found: dict[str, Any], at: str, key: str, read: Callable[[Draft, Any, str], T | None]
) -> T | None:
    return read(draft, found[key], join(at, key)) if key in found else None


def _id(draft: Draft, found: dict[str, Any], at: str, known: set[str]) -> str | None:
    if "id" not in found:
        return None
    name = text(draft, found["id"], at, "an action's id", _TEXT_MAX)
    if name is None:
        return None
    if not SEGMENT_ID.fullmatch(name):
        draft.wrong(at, mistakes_actions.not_an_action_id(name))
        return None
    if name in known:
        draft.wrong(at, mistakes_actions.action_twice(name))
    known.add(name)
    return name


def _use(draft: Draft, raw: Any, at: str) -> str | None:
    name = text(draft, raw, at, "a connector's call", _TEXT_MAX)
    if name is None or _USE.fullmatch(name):
        return name
    draft.wrong(at, mistakes_actions.not_a_call(name))
    return None


def _check_together(draft: Draft, found: dict[str, Any], at: str, on: Occasion | OnEvent | Every | None) -> None:
    kind = "event" if isinstance(on, OnEvent) else "every" if isinstance(on, Every) else on
    for key, why in _NOT_WITH.get(kind or "", {}).items():
        if key in found:
            occasion = f"{{{kind}: ...}}" if kind in ("event", "every") else str(kind)
            draft.wrong(join(at, key), mistakes_actions.not_here(key, occasion, why))


# -- when -------------------------------------------------------------------------------------------------------------


def _on(draft: Draft, raw: Any, at: str) -> Occasion | OnEvent | Every | None:
    if isinstance(raw, str) and raw in _OCCASIONS:
        return cast(Occasion, raw)
    if not isinstance(raw, dict) or not ("event" in raw or "every" in raw):
        draft.wrong(at, mistakes_actions.not_an_occasion(raw))
        return None
    found = mapping(draft, raw, at, "{event: order_returned}") or {}
    if "event" in found and "every" in found:
        draft.wrong(at, mistakes_actions.two_occasions())
        return None
    if "event" in found:
        only_keys(draft, found, at, ("event",))
        types = event_types(draft, found["event"], join(at, "event"))
        return OnEvent(types) if types else None
    only_keys(draft, found, at, ("every", "at"))
    return _every(draft, found, at)


def _every(draft: Draft, found: dict[str, Any], at: str) -> Every | None:
    here = join(at, "every")
    every = duration(draft, found["every"], here)
    minute = _time(draft, found["at"], join(at, "at")) if "at" in found else 0
    if every is None or minute is None:
        return None
    if every.ms and every.ms < ACTION_EVERY_MS_MIN:
        draft.wrong(here, mistakes_actions.every_too_often(every.text))
        return None
    if every.ms and every.ms % DAY_MS and (DAY_MS % every.ms or every.ms % 60_000):
        draft.wrong(here, mistakes_actions.every_uneven(every.text))
        return None
    return Every(every, minute)


def _time(draft: Draft, raw: Any, at: str) -> int | None:
    """A time of day as minutes after midnight."""
    match = _TIME.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        draft.wrong(at, mistakes_actions.not_a_time_of_day(raw))
        return None
    return int(match[1]) * 60 + int(match[2])


def _causes(draft: Draft, found: dict[str, Any], at: str, on: Occasion | OnEvent | Every | None) -> tuple[str, ...]:
    if "causes" in found:
        return each(draft, found["causes"], join(at, "causes"), _cause, "[event, clock]") or CAUSES
    if on in ("entered", "exited"):
        return tuple(cause for cause in CAUSES if cause not in CAUSES_LEFT_OUT)
    return CAUSES


def _cause(draft: Draft, raw: Any, at: str) -> str | None:
    if isinstance(raw, str) and raw in CAUSES:
        return raw
    draft.wrong(at, mistakes_actions.no_such_cause(raw, CAUSES))
    return None


# -- how often --------------------------------------------------------------------------------------------------------


def _limit(draft: Draft, raw: Any, at: str) -> Limit | None:
    example = "{per_customer: 1, per: 30d}"
    found = mapping(draft, raw, at, example)
    if found is None:
        return None
    only_keys(draft, found, at, ("per_customer", "per"))
    for key in ("per_customer", "per"):
        if key not in found:
            draft.wrong(join(at, key), mistakes.missing_key(key, f"limit: {example}"))
    count = found.get("per_customer")
    good = isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= ACTION_CALLS_PER_CUSTOMER_MAX
    if not good and "per_customer" in found:
        draft.wrong(join(at, "per_customer"), mistakes_actions.not_per_customer(count))
    per = duration(draft, found["per"], join(at, "per")) if "per" in found else None
    if per is not None and span_ms(per) > (ACTION_LIMIT_DAYS_MAX + 9) * DAY_MS:  # a year in months is counted as more
        draft.wrong(join(at, "per"), mistakes_actions.limit_too_long(per.text))
    return Limit(cast(int, count), per) if good and per is not None else None


def _rate(draft: Draft, raw: Any, at: str) -> Rate | None:
    match = _RATE.fullmatch(raw) if isinstance(raw, str) else None
    rate = Rate(int(match[1]), cast(Any, match[2])) if match else None
    if rate is not None and rate.count and rate.per_second <= ACTION_RATE_MAX:
        return rate
    draft.wrong(at, mistakes_actions.not_a_rate(raw))
    return None


def _quiet_hours(draft: Draft, raw: Any, at: str) -> QuietHours | None:
    if not isinstance(raw, list | tuple) or len(raw) != 2:
        draft.wrong(at, mistakes_actions.not_two_times(raw))
        return None
    begin, end = (_time(draft, value, f"{at}[{index}]") for index, value in enumerate(raw))
    if begin is None or end is None:
        return None
    if begin == end:
        draft.wrong(at, mistakes_actions.quiet_all_day(raw[0]))
        return None
    return QuietHours(begin, end)


# -- with what --------------------------------------------------------------------------------------------------------


def _with(draft: Draft, raw: Any, at: str) -> dict[str, Any] | None:
    found = mapping(draft, raw, at, "{template: welcome}")
    if found is not None:
        for key, value in found.items():
            _check_json(draft, value, join(at, key))
    return found


def _check_json(draft: Draft, raw: Any, at: str) -> None:
    """Notes what JSON cannot say. (How deep a document nests is bounded where it is read.)"""
    if raw is None or isinstance(raw, bool):
        return
    if isinstance(raw, str):
        if not whole_characters(raw):
            draft.wrong(at, mistakes.unreadable_text("a text"))
    elif isinstance(raw, int):
        if abs(raw) > INTEGER_MAX:
            draft.wrong(at, mistakes.integer_too_large())
    elif isinstance(raw, float):
        if not isfinite(raw):
            draft.wrong(at, mistakes.not_finite(raw))
    elif isinstance(raw, list | tuple):
        for index, value in enumerate(raw):
            _check_json(draft, value, f"{at}[{index}]")
    elif isinstance(raw, dict):
        for key, value in (mapping(draft, raw, at, "{template: welcome}") or {}).items():
            _check_json(draft, value, join(at, key))
    else:
        draft.wrong(at, partial(mistakes_actions.not_json, raw))
