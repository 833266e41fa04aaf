"""What is said of each way in which an action can be wrong: as in `mistakes`, one function a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rules.language.hints import listed, shown
from rules.limits import (
    ACTION_CALLS_PER_CUSTOMER_MAX,
    ACTION_EVERY_MS_MIN,
    ACTION_LIMIT_DAYS_MAX,
    ACTION_RATE_MAX,
    ACTIONS_MAX,
    SEGMENT_ID_CHARS_MAX,
)


def too_many_actions(count: int) -> str:
    return f"a segment has at most {ACTIONS_MAX} actions, these are {count}"


def not_an_action_id(value: str) -> str:
    return (
        f"{shown(value)} is no action id: lower case letters, digits, `_` and `-`, "
        f"beginning with a letter or a digit, at most {SEGMENT_ID_CHARS_MAX} characters"
    )


def action_twice(value: str) -> str:
    return f"another action of this segment is called {shown(value)}: give each an id of its own"


def not_an_occasion(value: Any) -> str:
    return (
        f'must be `entered`, `exited`, `member`, `{{event: order_returned}}` or `{{every: 1mo, at: "09:00"}}`; '
        f"this is {shown(value)}"
    )


def two_occasions() -> str:
    return "`event` and `every` in one action: make two actions of it"


def not_here(key: str, occasion: str, why: str) -> str:
    return f"`{key}` does not go with `on: {occasion}`: {why}"


def no_such_cause(value: Any, known: Sequence[str]) -> str:
    return f"{shown(value)} is no cause; one of: {listed(known)}"


def not_a_call(value: str) -> str:
    return f"{shown(value)} names no connector's call: write e.g. `mail.send`"


def not_json(value: Any) -> str:
    return f"must be what JSON can say (text, numbers, true, false, null, lists, mappings); this is {shown(value)}"


def every_too_often(value: str) -> str:
    return f"a run over all members each {value} is too often: at least {ACTION_EVERY_MS_MIN // 60_000}m"


def every_uneven(value: str) -> str:
    return f"`{value}` does not divide a day: write one that does (15m, 1h, 6h), or whole days, weeks, months or years"


def not_a_time_of_day(value: Any) -> str:
    return f'{shown(value)} is no time of day: write hours and minutes, e.g. "09:00", up to "23:59"'


def not_per_customer(value: Any) -> str:
    return f"must be a whole number from 1 to {ACTION_CALLS_PER_CUSTOMER_MAX:,}, this is {shown(value)}"


def limit_too_long(value: str) -> str:
    return f"calls are counted over {ACTION_LIMIT_DAYS_MAX} days at most, this is {shown(value)}"


def not_a_rate(value: Any) -> str:
    return (
        f"{shown(value)} is no rate: write a whole number of calls and s, m or h, e.g. `50/s` or `1000/h`, "
        f"at most {ACTION_RATE_MAX:,} a second"
    )


def not_two_times(value: Any) -> str:
    return f'must be a list of two times of day such as `["22:00", "08:00"]`, this is {shown(value)}'


def quiet_all_day(value: str) -> str:
    return f"from {shown(value)} to {shown(value)} is all day or never: give two different times"
