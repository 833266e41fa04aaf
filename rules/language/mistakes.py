"""What is said of each way of being wrong: one function a mistake, each says what would be right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rules.language.hints import listed, nearest, shown, unknown
from rules.limits import (
    DOCUMENT_DEPTH_MAX,
    DOCUMENT_NODES_MAX,
    DURATION_YEARS_MAX,
    EVENT_TYPE_CHARS_MAX,
    INTEGER_MAX,
    LIST_VALUES_MAX,
    PATH_CHARS_MAX,
    PATTERN_CHARS_MAX,
    SEGMENT_ID_CHARS_MAX,
)

# The shape of things


def unknown_key(key: Any, known: Sequence[str]) -> str:
    return unknown("key", key, known, "the keys here are")


def key_not_text(key: Any) -> str:
    return f"a key must be text, this is {shown(key)}: quote it"


def missing_key(key: str, example: str) -> str:
    return f"`{key}` is missing: write e.g. `{example}`"


def not_a_mapping(value: Any, example: str) -> str:
    return f"must be a mapping such as `{example}`, this is {shown(value)}"


def not_a_list(value: Any, example: str) -> str:
    return f"must be a list such as `{example}`, this is {shown(value)}"


def empty_list(example: str) -> str:
    return f"the list is empty: write e.g. `{example}`"


def empty_mapping(example: str) -> str:
    return f"asks nothing: leave it out or write e.g. `{example}`"


def too_many_values(count: int) -> str:
    return f"a list holds at most {LIST_VALUES_MAX:,} values, this one has {count:,}"


def not_text(value: Any, what: str) -> str:
    hint = ": quote it" if isinstance(value, int | float) else ""
    return f"{what} must be text, this is {shown(value)}{hint}"


def empty_text(what: str) -> str:
    return f"{what} must not be empty"


def too_long(what: str, chars: int, chars_max: int) -> str:
    return f"{what} may be at most {chars_max:,} characters long, this one has {chars:,}"


def unreadable_text(what: str) -> str:
    return f"{what} holds half of a surrogate pair, which is no character: write the whole character"


def not_a_path(value: str) -> str:
    return (
        f"{shown(value)} is no path: write names joined by single dots, such as `amount` or `items.category`, "
        f"at most {PATH_CHARS_MAX} characters"
    )


def null_operand() -> str:
    return "null is nothing to compare with: to ask whether a value is missing write `exists: false`"


def null_value() -> str:
    return "null says nothing: give it a value or leave the key out"


def not_a_number(value: Any) -> str:
    hint = ": take the quotes away" if isinstance(value, str) and _reads_as_number(value) else ""
    return f"must be a number, this is {shown(value)}{hint}"


def not_finite(value: float) -> str:
    return f"must be a finite number, this is {shown(value)}"


def integer_too_large() -> str:
    return f"whole numbers go up to ±{INTEGER_MAX}: write a longer one as text, in quotes"


def not_a_scalar(value: Any) -> str:
    return f"must be a text, a number, true or false; this is {shown(value)}"


def not_ordered(value: Any) -> str:
    return f"must be a number or a text, which have an order; this is {shown(value)}"


def not_a_boolean(value: Any) -> str:
    return f"must be true or false, this is {shown(value)}"


def _reads_as_number(value: str) -> bool:
    try:
        float(value[:64])
    except ValueError:
        return False
    return True


# The document


def not_an_id(value: str) -> str:
    return (
        f"{shown(value)} is no segment id: lower case letters, digits, `_` and `-`, "
        f"beginning with a letter or a digit, at most {SEGMENT_ID_CHARS_MAX} characters"
    )


def no_such_timezone(value: str, known: Sequence[str]) -> str:
    near = nearest(value, known)
    hint = f"; did you mean `{near}`? write" if near else ": write"
    return f"no such timezone {shown(value)}{hint} an IANA name such as `Europe/Bucharest` or `UTC`"


def not_supported_yet(key: str) -> str:
    return f"`{key}` is not supported yet: leave it out for now"


def list_with_rule(key: str) -> str:
    return f"`list: true` means members by hand only: leave out `{key}`, or `list`"


# Conditions


def not_a_condition(value: Any) -> str:
    hint = "; for several write `all: [...]` or `any: [...]`" if isinstance(value, list) else ""
    return f"must be a condition such as `{{event: purchase}}`, this is {shown(value)}{hint}"


def no_such_condition(key: Any, known: Sequence[str]) -> str:
    return unknown("condition", key, known)


def no_condition(known: Sequence[str]) -> str:
    return f"there is no condition here: write one of {listed(known)}"


def two_conditions(keys: Sequence[str]) -> str:
    return (
        f"{listed(keys)} are {len(keys)} conditions in one node: give each its own, under `all: [...]` or `any: [...]`"
    )


def too_deep() -> str:
    return f"conditions nest at most {DOCUMENT_DEPTH_MAX} deep: move an inner part to a segment of its own"


def too_many_nodes() -> str:
    return f"a document has at most {DOCUMENT_NODES_MAX} conditions: move a part to a segment of its own"


def n_not_possible(value: Any, count: int) -> str:
    return f"`n` must be a whole number from 1 to {count} (the length of `of`), this is {shown(value)}"


def not_a_tag(value: Any) -> str:
    return f"must be a tag or one of `{{any: [...]}}`, `{{all: [...]}}`, `{{none: [...]}}`; this is {shown(value)}"


def of_itself(segment: str) -> str:
    return f"segment `{segment}` would depend on itself: name another segment"


def not_a_percent(value: Any) -> str:
    return f"must be a number from 0 to 100, this is {shown(value)}"


# Events


def not_an_event_type(value: str) -> str:
    return (
        f"{shown(value)} is no event type: lower case letters, digits and `_`, "
        f"beginning with a letter, at most {EVENT_TYPE_CHARS_MAX} characters"
    )


def service_event(value: str) -> str:
    return f"`{value}` is the service's own: only events that come from outside can be asked for"


def twice_in_list(value: Any) -> str:
    return f"{shown(value)} stands twice in the list"


def two_measures(keys: Sequence[str]) -> str:
    return f"{listed(keys)} are {len(keys)} measures in one node: put each in a node of its own, under `all: [...]`"


def nothing_asked(what: str, example: str) -> str:
    return f"nothing is asked of {what}: add an operator, e.g. `{example}`"


def of_not_here(kind: str) -> str:
    return f"`{kind}` is about the events themselves and takes no `of`"


def two_followers() -> str:
    return "`followed_by` and `not_followed_by` in one node: put each in a node of its own, under `all: [...]`"


def path_with_items(path: str) -> str:
    return f"paths under `items` begin at the item: write {shown(path[len('items.') :])} for {shown(path)}"


def not_two_measures(value: Any) -> str:
    count = f"this has {len(value)}" if isinstance(value, list) else f"this is {shown(value)}"
    example = "[{event: refund, count: {}}, {event: purchase, count: {}}]"
    return f"must be a list of exactly two measures such as `{example}`; {count}"


def not_an_event_node(kind: str, value: Any) -> str:
    return f"`{kind}` takes event nodes such as `{{event: purchase, count: {{}}}}`, this is {shown(value)}"


def no_measure(kind: str, known: Sequence[str]) -> str:
    return f"`{kind}` needs a number from each side: add one of {listed(known)}, e.g. `count: {{}}`"


def not_numeric_measure(key: str, kind: str, known: Sequence[str]) -> str:
    return f"`{key}` is no number for `{kind}`: use one of {listed(known)}"


def compared_inside(key: str, kind: str) -> str:
    return f"a measure inside `{kind}` is not compared: move {shown(key)} beside `{kind}`"


# Windows


def not_a_duration(value: Any) -> str:
    examples = "`90s`, `15m`, `30d`, `6mo`"
    return f"{shown(value)} is no duration: write a whole number and one of s, m, h, d, w, mo, y, e.g. {examples}"


def duration_zero() -> str:
    return "a duration must be longer than nothing"


def duration_too_long() -> str:
    return f"a duration may be at most {DURATION_YEARS_MAX} years"


def not_whole_days(value: str) -> str:
    return f"{shown(value)} is not in whole days: write e.g. `7d` or `2w`"


def no_such_period(value: Any, known: Sequence[str]) -> str:
    return unknown("period", value, known)


def windows_clash(keys: Sequence[str]) -> str:
    return (
        f"{listed(keys)} do not combine: use one of `within`, `between`, `period`; "
        "only `within` and `before` go together"
    )


def band_empty(within: str, before: str) -> str:
    return (
        f"`before: {before}` must be shorter than `within: {within}`: the band runs from `within` ago to `before` ago"
    )


def not_two_dates(value: Any) -> str:
    return f"must be a list of two dates such as `[2026-01-01, 2026-02-01]`, this is {shown(value)}"


def not_a_date(value: Any) -> str:
    return f"{shown(value)} is no date: write `2026-01-31`, `2026-01-31T09:00:00Z` or null for an open end"


def both_open() -> str:
    return "both ends are open: give one, or leave `between` out"


def ends_before_begin(start: str, end: str) -> str:
    return f"ends at {shown(end)}, which is not after its begin {shown(start)}: the first date comes first"


# Comparisons


def no_such_operator(key: Any, known: Sequence[str]) -> str:
    return unknown("operator", key, known)


def operator_misplaced(key: str, known: Sequence[str], where: str) -> str:
    return f"`{key}` cannot be asked of {where}; one of: {listed(known)}"


def not_a_comparison(value: Any, example: str) -> str:
    return f"must be a comparison such as `{example}`, this is {shown(value)}"


def pattern_too_long(chars: int) -> str:
    return f"a pattern may be at most {PATTERN_CHARS_MAX:,} characters long, this one has {chars:,}"


def pattern_broken(reason: str) -> str:
    return f"is no pattern that RE2 understands: {reason}"


# Across documents


def no_such_segment(segment: str, known: Sequence[str]) -> str:
    near = nearest(segment, known)
    return f"no such segment `{segment}`" + (f"; did you mean `{near}`?" if near else ": define it first")


def in_a_ring(ring: Sequence[str]) -> str:
    return f"segments depend on each other in a ring ({' -> '.join(ring)}): break it at one of them"


def too_many_segments(count: int, count_max: int) -> str:
    return f"at most {count_max:,} segments can be defined, these are {count:,}"
