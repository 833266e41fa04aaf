"""Cases: what a segment is expected to do, as its author wrote it down (contract §5), and whether it does.

Pure: `parse_cases` takes the decoded file, `run_case` plays one case through `rules.play`. Files are the command
line's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from rules.errors import EventRejected, Mistake, SegmentdError
from rules.events import IN_CASES, Event, check_event, check_log_ts, kind, shown
from rules.plan import Plan
from rules.play import Partition
from rules.times import format_instant, parse_instant
from rules.transitions import Transition

CAUSES = ("event", "clock", "definition", "backfill", "manual", "merge", "correction", "erasure")
_FILE_KEYS = ("segments", "cases")
_CASE_KEYS = ("name", "events", "until", "expect", "members")
_EVENT_KEYS = ("id", "type", "customer_id", "ts", "properties", "log_ts")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|\S+')


class CasesInvalid(SegmentdError):
    """A file of cases cannot be read; `mistakes` says where it is wrong."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


@dataclass(frozen=True, slots=True)
class Expected:
    """One change of membership, without its reasons: what a line of `expect` says."""

    time: int
    customer_id: str
    segment: str
    entered: bool
    cause: str

    def __str__(self) -> str:
        what = "entered" if self.entered else "exited"
        return f"{format_instant(self.time)} {_quoted(self.customer_id)} {what} {self.segment} {self.cause}"


@dataclass(frozen=True, slots=True)
class Case:
    """One story: events with the log's time where a line gave one (ms), how far the clock runs, what is to happen."""

    name: str
    at: str
    events: tuple[tuple[Event, int | None], ...]
    until: int | None
    expect: tuple[Expected, ...]
    members: dict[str, tuple[str, ...]] | None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """`segments`: paths beside the file, or whole documents (decoded, not yet checked)."""

    segments: tuple[str | dict[str, Any], ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case. `difference`: what did not agree, a line each; empty if it passed."""

    case: Case
    difference: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.difference


# -- playing ----------------------------------------------------------------------------------------------------------


def run_case(case: Case, plan: Plan) -> Outcome:
    """Plays the case from an empty partition and compares every transition, and the members if it names them."""
    partition = Partition(plan)
    changes: list[Transition] = []
    for event, log_ts in case.events:
        changes += partition.feed(event, log_ts)
    if case.until is not None:
        changes += partition.run_to(case.until)
    happened = sorted(changes, key=lambda each: (each.time, each.customer_id, each.segment, each.sequence))
    found = [Expected(each.time, each.customer_id, each.segment, each.entered, each.cause) for each in happened]
    asked = sorted(case.expect, key=lambda each: (each.time, each.customer_id, each.segment))
    difference = _difference(asked, found)
    if case.members is not None:
        difference += _member_difference(case.members, partition)
    return Outcome(case, tuple(difference))


def _difference(asked: list[Expected], found: list[Expected]) -> list[str]:
    if asked == found:
        return []
    lines: list[str] = []
    for what, begin, end, other_begin, other_end in SequenceMatcher(None, asked, found, False).get_opcodes():
        if what == "equal":
            lines += [f"      {line}" for line in asked[begin:end]]
            continue
        lines += [f"    - {line}   (expected, did not happen)" for line in asked[begin:end]]
        lines += [f"    + {line}   (happened, not expected)" for line in found[other_begin:other_end]]
    return lines


def _member_difference(asked: dict[str, tuple[str, ...]], partition: Partition) -> list[str]:
    found: dict[str, set[str]] = {}
    for customer_id, segment, _ in partition.memberships():
        found.setdefault(segment, set()).add(customer_id)
    lines = []
    for segment in sorted({*asked, *found}):
        expected, actual = set(asked.get(segment, ())), found.get(segment, set())
        lines += [f"    - {_quoted(who)} in {segment} at the end   (expected)" for who in sorted(expected - actual)]
        lines += [f"    + {_quoted(who)} in {segment} at the end   (not expected)" for who in sorted(actual - expected)]
    return lines


def _quoted(customer_id: str) -> str:
    plain = customer_id and customer_id[0] not in "\"'" and not any(c.isspace() for c in customer_id)
    return customer_id if plain else json.dumps(customer_id, ensure_ascii=False)


# -- reading ----------------------------------------------------------------------------------------------------------


def parse_cases(raw: Any) -> CaseFile:
    """The cases that a decoded file holds; raises CasesInvalid with every mistake in it."""
    mistakes: list[Mistake] = []
    if not isinstance(raw, dict):
        raise CasesInvalid([Mistake("", f"a file of cases has `segments` and `cases`, this is {kind(raw)}")])
    _refuse_unknown(raw, _FILE_KEYS, "", mistakes)
    segments = _list(raw, "segments", "", mistakes)
    for place, segment in enumerate(segments):
        if not isinstance(segment, str | dict):
            told = f"must be a path beside this file or a whole document, not {kind(segment)}"
            mistakes.append(Mistake(f"segments[{place}]", told))
    cases = [_case(case, f"cases[{place}]", mistakes) for place, case in enumerate(_list(raw, "cases", "", mistakes))]
    if mistakes:
        raise CasesInvalid(mistakes)
    return CaseFile(tuple(segments), tuple(cases))


def _case(raw: Any, at: str, mistakes: list[Mistake]) -> Case:
    if not isinstance(raw, dict):
        mistakes.append(Mistake(at, f"must be a case with `name`, `events` and `expect`, not {kind(raw)}"))
        return Case("", at, (), None, (), None)
    _refuse_unknown(raw, _CASE_KEYS, at, mistakes)
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        mistakes.append(Mistake(f"{at}.name", "a case needs a name that says what is to happen"))
    events = _events(_list(raw, "events", at, mistakes), f"{at}.events", mistakes)
    highest = max((max(event.ts, log_ts or event.ts) for event, log_ts in events), default=None)
    until = highest if raw.get("until") is None else _instant(raw["until"], f"{at}.until", mistakes)
    clock = max((event.ts if log_ts is None else log_ts for event, log_ts in events), default=None)
    if until is not None and clock is not None and until < clock:
        mistakes.append(Mistake(f"{at}.until", f"the log has already reached {format_instant(clock)}"))
    lines = _list(raw, "expect", at, mistakes)
    expect = [_expected(line, f"{at}.expect[{place}]", mistakes) for place, line in enumerate(lines)]
    members = _members(raw.get("members"), f"{at}.members", mistakes)
    return Case(str(name), at, tuple(events), until, tuple(each for each in expect if each), members)


def _events(raw: list[Any], at: str, mistakes: list[Mistake]) -> list[tuple[Event, int | None]]:
    found = []
    for place, each in enumerate(raw):
        where = f"{at}[{place}]"
        if isinstance(each, dict):
            _refuse_unknown(each, _EVENT_KEYS, where, mistakes)
        try:
            log_ts = check_log_ts(each.get("log_ts")) if isinstance(each, dict) else None
            event = check_event(each, log_ts, IN_CASES, rank=f"\U0010ffff{place:012d}")
        except EventRejected as error:
            mistakes.append(Mistake(f"{where}.{error.where}" if error.where else where, error.reason))
            continue
        found.append((event, log_ts))
    return found


def _expected(raw: Any, at: str, mistakes: list[Mistake]) -> Expected | None:
    tokens = _TOKEN.findall(raw) if isinstance(raw, str) else []
    if len(tokens) != 5:
        told = f"{shown(raw)} is not `time customer entered|exited segment cause` (quote an id with a blank)"
        mistakes.append(Mistake(at, told))
        return None
    time, customer_id, what, segment, cause = (_unquoted(token) for token in tokens)
    instant = _instant(time, at, mistakes)
    if what not in ("entered", "exited"):
        mistakes.append(Mistake(at, f"{shown(what)} is neither `entered` nor `exited`"))
    if cause not in CAUSES:
        mistakes.append(Mistake(at, f"{shown(cause)} is no cause; there are {', '.join(CAUSES)}"))
    return None if instant is None else Expected(instant, customer_id, segment, what == "entered", cause)


def _unquoted(token: str) -> str:
    if token[0] == token[-1] == "'" and len(token) > 1:
        return token[1:-1]
    if not (token[0] == token[-1] == '"' and len(token) > 1):
        return token
    try:
        return str(json.loads(token, strict=False))
    except json.JSONDecodeError:
        return token[1:-1]


def _members(raw: Any, at: str, mistakes: list[Mistake]) -> dict[str, tuple[str, ...]] | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        mistakes.append(Mistake(at, f"must map segments to lists of customers, not {kind(raw)}"))
        return None
    found = {}
    for segment, customers in raw.items():
        if not isinstance(customers, list) or not all(isinstance(each, str) for each in customers):
            mistakes.append(Mistake(f"{at}.{segment}", "must be a list of customer ids as text"))
            continue
        found[segment] = tuple(customers)
    return found


def _instant(raw: Any, at: str, mistakes: list[Mistake]) -> int | None:
    instant = parse_instant(raw) if isinstance(raw, str) else None
    if instant is None:
        mistakes.append(Mistake(at, f"{shown(raw)} is no RFC 3339 instant, as 2026-11-20T09:00:00Z"))
    return instant


def _list(raw: dict[str, Any], key: str, at: str, mistakes: list[Mistake]) -> list[Any]:
    where = f"{at}.{key}" if at else key
    if key not in raw:
        mistakes.append(Mistake(where, "is missing"))
        return []
    value = raw[key]
    if value is None:  # `expect:` with nothing after it
        return []
    if not isinstance(value, list):
        mistakes.append(Mistake(where, f"must be a list, not {kind(value)}"))
        return []
    return value


def _refuse_unknown(raw: dict[str, Any], known: tuple[str, ...], at: str, mistakes: list[Mistake]) -> None:
    for key in raw:
        if key not in known:
            told = f"nobody knows this key; there are {', '.join(known)}"
            mistakes.append(Mistake(f"{at}.{key}" if at else str(key), told))
